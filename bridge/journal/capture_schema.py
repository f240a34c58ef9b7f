"""Tables of what APIs have answered: what later calls need, and where to ask what became of a call."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from bridge.journal.metadata import METADATA
from bridge.journal.sealed import Sealed

captured = Table(
    "captured",
    METADATA,
    Column("api", Text, primary_key=True),
    Column("about_hash", LargeBinary, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Sealed("captured.value"), nullable=False),
    Column("delivery_id", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("captured_by", "delivery_id"),
    comment="What an API called a record in its answer, for later calls about it; the newest alone.",
)

confirmations = Table(
    "confirmations",
    METADATA,
    Column("delivery_id", BigInteger, ForeignKey("deliveries.id"), primary_key=True, autoincrement=False),
    Column("target", Sealed("confirmations.target"), nullable=False),
    Column("until_us", BigInteger, nullable=False),
    comment="Calls that an API has accepted: where it is asked about each, and until when.",
)
