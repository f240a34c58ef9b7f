"""Evidence: one signed file of what a journal can show of a time, for who believes nobody. Pure."""
