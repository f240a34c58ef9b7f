"""How bytes become a tree. One file a format; reading never fails on content."""
