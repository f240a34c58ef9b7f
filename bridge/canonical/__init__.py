"""The canonical records, one file a domain, each field with its classification."""
