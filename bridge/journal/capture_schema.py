"""Tables of what APIs have answered: what later calls need, where to ask what became of a call, and why one
was not taken."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

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

refusals = Table(
    "refusals",
    METADATA,
    # Code of a version before has no word for it, and deletes deliveries.
    Column(
        "delivery_id",
        BigInteger,
        ForeignKey("deliveries.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("attempt", Integer, nullable=False),
    Column("answer", Sealed("refusals.answer"), nullable=False),
    comment="What an API answered last to a request that it did not take: the first of its bytes.",
)
