"""The journal's tables of its chain: what shows that nothing was changed, and what outlives retention."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from bridge.journal.metadata import METADATA, Id

chain = Table(
    "chain",
    METADATA,
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("first_step", BigInteger, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("first_action", BigInteger, nullable=False),
    Column("actions", Integer, nullable=False),
    Column("first_file_step", BigInteger, nullable=False),
    Column("file_steps", Integer, nullable=False),
    Column("first_disclosure", BigInteger, nullable=False),
    Column("disclosures", Integer, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("configuration", Text, nullable=False),
    Column("retired", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("leaves", LargeBinary, nullable=False),
    comment="One row for each commit that changed a state: the root over what it wrote, linked to the row "
    "before.",
)

checkpoints = Table(
    "checkpoints",
    METADATA,
    Column("size", Id, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    comment="The chain at one size, as a signed note, and what is left of its tree.",
)

anchored = Table(
    "anchored",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("anchor", Text, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    comment="Which checkpoints were given to whom outside, and when.",
)

disclosures = Table(
    "disclosures",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("patient", LargeBinary, nullable=False),
    Column("message_id", BigInteger, nullable=False),
    Column("delivery_id", BigInteger, nullable=False),
    Column("api", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("mapping", Text, nullable=False),
    Column("mapping_digest", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Index("disclosures_of_patient", "patient", "id"),
    Index("disclosures_by_time", "at_us"),
    comment="What went where about whom, of messages that retention has deleted; whom, as a keyed hash.",
)
