"""What stands between the bytes of a file and its format: compression, archives, encryption, code pages."""
