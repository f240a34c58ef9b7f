"""The journal's tables of files that were taken: their bytes, their states, and which message stood where.

``content`` of a message is a hash of what of it a re-run repeats, where its channel asks for that; and the
business date of a file stands there as YYYYMMDD.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from bridge.journal.metadata import METADATA, Id
from bridge.journal.sealed import Sealed

IS_UNSETTLED, IS_UNPUT = text("settled = 0"), text("put_at_us IS NULL")
HAS_DAY, HAS_CONTENT = text("business_date <> ''"), text("content IS NOT NULL")

taken_files = Table(
    "taken_files",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("channel", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("seen_as", Text, nullable=False),
    Column("claim", Text),
    Column("peer", Text, nullable=False),
    Column("received_at_us", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("kept", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("same_as", BigInteger),
    Column("messages", BigInteger, nullable=False),
    Column("settled", SmallInteger, nullable=False),
    Column("business_date", Text, nullable=False, server_default=""),
    Column("rerun", Text, nullable=False, server_default=""),
    Column("rerun_of", BigInteger),
    Column("late", SmallInteger, nullable=False, server_default="0"),
    Index("taken_files_of_channel", "channel", "id"),
    Index("taken_files_by_content", "channel", "sha256", "size_bytes"),
    Index("taken_files_by_claim", "channel", "claim", unique=True),
    Index("taken_files_unsettled", "channel", "id", sqlite_where=IS_UNSETTLED, postgresql_where=IS_UNSETTLED),
    Index(
        "taken_files_of_day", "channel", "business_date", "id", sqlite_where=HAS_DAY, postgresql_where=HAS_DAY
    ),
    comment="One row for each file that was taken, whatever became of it.",
)

file_chunks = Table(
    "file_chunks",
    METADATA,
    Column("file_id", BigInteger, ForeignKey("taken_files.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("content", Sealed("file_chunks.content")),
    comment="A taken file piece by piece: its digests; bytes are here or in the spool.",
)

file_messages = Table(
    "file_messages",
    METADATA,
    Column("message_id", BigInteger, ForeignKey("messages.id"), primary_key=True, autoincrement=False),
    Column("file_id", BigInteger, ForeignKey("taken_files.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("entry", Text, nullable=False),
    Column("offset_bytes", BigInteger, nullable=False),
    Column("content", LargeBinary),
    Index("file_messages_of_file", "file_id", "number"),
    Index(
        "file_messages_by_content",
        "file_id",
        "content",
        sqlite_where=HAS_CONTENT,
        postgresql_where=HAS_CONTENT,
    ),
    sqlite_with_rowid=False,
    comment="Which message stood where in which file.",
)

file_steps = Table(
    "file_steps",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("file_id", BigInteger, ForeignKey("taken_files.id"), nullable=False),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("file_steps_of_file", "file_id"),
    comment="One row for each change of a file's state, written with the change and never altered.",
)

file_answers = Table(
    "file_answers",
    METADATA,
    Column("file_id", Id, ForeignKey("taken_files.id"), primary_key=True, autoincrement=False),
    Column("channel", Text, nullable=False),
    Column("made_at_us", BigInteger),
    Column("taken", BigInteger),
    Column("rejected", BigInteger),
    Column("put_at_us", BigInteger),
    Index("file_answers_unput", "channel", "file_id", sqlite_where=IS_UNPUT, postgresql_where=IS_UNPUT),
    comment="One row for each file whose sender is owed an answer, and when that was there.",
)
