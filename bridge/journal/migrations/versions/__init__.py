"""Changes of the journal's tables, one after another; they only add."""
