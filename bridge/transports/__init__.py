"""Where bytes arrive. One file a transport."""
