"""The journal's tables of batches: those that came, what each said of itself and where it differs; and those
that go, files which are collected of many deliveries."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

from bridge.journal.metadata import METADATA, Id

IS_UNWRITTEN = text("written_at_us IS NULL")
IS_AWAITED = text("acknowledged = 'awaited'")
HAS_CONTROL = text("control IS NOT NULL")

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

collected = Table(
    "collected",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("api", Text, nullable=False),
    Column("delivery_id", BigInteger, nullable=False),
    Column("message_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("control", Text),
    Column("said", Text),
    Index("collected_of_api", "api", "id"),
    Index("collected_of_delivery", "delivery_id"),
    Index("collected_by_control", "api", "control", sqlite_where=HAS_CONTROL, postgresql_where=HAS_CONTROL),
    comment="One row for each delivery that goes into a file with others, in the order of the file.",
)

collections = Table(
    "collections",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("api", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("sent_as", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("closed_at_us", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("totals", Text, nullable=False),
    Column("written_at_us", BigInteger),
    Column("partner", Text, nullable=False, server_default=""),
    Column("control_number", BigInteger),
    Column("acknowledged", Text, nullable=False, server_default=""),
    Column("due_at_us", BigInteger),
    Column("acknowledged_at_us", BigInteger),
    Column("codes", Text, nullable=False, server_default=""),
    Index("collections_of_api", "api", "number", unique=True),
    Index("collections_by_place", "last"),
    Index("collections_unwritten", "api", "id", sqlite_where=IS_UNWRITTEN, postgresql_where=IS_UNWRITTEN),
    Index("collections_awaited", "api", "id", sqlite_where=IS_AWAITED, postgresql_where=IS_AWAITED),
    Index("collections_of_partner", "partner", "control_number"),
    comment="A file that was closed: its deliveries are those of its API from first to last.",
)
