"""From a tree to canonical records, by files that an analyst edits. Pure."""
