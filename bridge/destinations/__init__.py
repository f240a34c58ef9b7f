"""Where requests go. One file a destination; the spine knows only `base`."""
