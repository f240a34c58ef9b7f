"""What all tables of the journal are part of."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

METADATA = MetaData()

Id = BigInteger().with_variant(Integer, "sqlite")
"""SQLite gives its row id only to a column of the exact type INTEGER."""
