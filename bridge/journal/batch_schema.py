"""The journal's table of batches: what each said of itself, what was found, and where they differ."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from bridge.journal.metadata import METADATA, Id

batches = Table(
    "batches",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("channel", Text, nullable=False),
    Column("file_id", BigInteger, ForeignKey("taken_files.id")),
    Column("number", Integer, nullable=False),
    Column("entry", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("made", Text, nullable=False),
    Column("offset_bytes", BigInteger, nullable=False),
    Column("first_message", BigInteger, nullable=False),
    Column("last_message", BigInteger, nullable=False),
    Column("declared", Text, nullable=False),
    Column("found", Text, nullable=False),
    Column("balance", Text, nullable=False),
    Column("report", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("received_at_us", BigInteger, nullable=False),
    Index("batches_of_channel", "channel", "id"),
    Index("batches_of_file", "file_id", "number"),
    Index("batches_by_content", "channel", "digest"),
    comment="One row for each batch that came: what it says of itself, what was found.",
)
