"""Names that others have given: what the segments, fields and codes of a standard are called."""
