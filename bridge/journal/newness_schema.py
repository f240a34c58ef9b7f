"""Tables of newness: how new what a delivery tells is, and the newest that each API was told of a record."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table

from bridge.journal.metadata import METADATA

newness = Table(
    "newness",
    METADATA,
    Column("delivery_id", BigInteger, primary_key=True, autoincrement=False),
    Column("about", LargeBinary, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("second", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    comment="Of an operation that says `stale`: how new the state is that a delivery tells of a record.",
)

newest_told = Table(
    "newest_told",
    METADATA,
    Column("about", LargeBinary, primary_key=True),
    Column("first", BigInteger, nullable=False),
    Column("second", BigInteger, nullable=False),
    Column("delivery_id", BigInteger, nullable=False),
    Index("newest_told_by", "delivery_id"),
    sqlite_with_rowid=False,
    comment="The newest state of a record that an API has taken, by the hash of both.",
)
