"""The journal: one database in which the stages meet. The only place for SQL."""
