"""The journal's table of drift: where an API was found to be another than its contract says."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text

from bridge.journal.metadata import METADATA

drifts = Table(
    "drifts",
    METADATA,
    Column("api", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("pointer", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("contract_digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("times", BigInteger, nullable=False),
    Column("first_seen_at_us", BigInteger, nullable=False),
    Column("seen_at_us", BigInteger, nullable=False),
    Column("decided_at_us", BigInteger),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
    comment="What an API does otherwise than its contract says, by place and rule, and what was decided.",
)
