"""Standing between the old engine and its peers: what it is fed through, and what its output passes."""
