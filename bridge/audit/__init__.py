"""The chain that shows tampering, and what proves it to somebody who has no journal: values and hashes,
pure."""
