"""The journal's tables of a staged migration: who sends what, and how it compares.

Values of messages stand in `outputs` alone, sealed. Differences are told by places and by the shape of
values, in which every letter is an A and every digit a 9.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

from bridge.journal.metadata import METADATA, Id
from bridge.journal.sealed import Sealed

stages = Table(
    "stages",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("share", Integer, nullable=False),
    Column("only", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("since_message_id", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
    comment="Where each route stands between the old engine and the bridge, and since when.",
)

approvals = Table(
    "approvals",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("actor", Text, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
    comment="Who agrees that a route may go to a stage; gone once it is there.",
)

IS_OWED_TO_ENGINE = text("state = 'OWED'")

feeds = Table(
    "feeds",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, ForeignKey("messages.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("feeds_of_message", "message_id"),
    Index("feeds_owed", "channel", "id", sqlite_where=IS_OWED_TO_ENGINE, postgresql_where=IS_OWED_TO_ENGINE),
    comment="What the old engine is owed and was given: one row for each time a message goes to it.",
)

IS_OWED_FILE = text("state IN ('OWED', 'PLACING')")

fed_files = Table(
    "fed_files",
    METADATA,
    Column("file_id", BigInteger, ForeignKey("taken_files.id"), primary_key=True, autoincrement=False),
    Column("channel", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("fed_files_owed", "channel", "file_id", sqlite_where=IS_OWED_FILE, postgresql_where=IS_OWED_FILE),
    comment="Files that the old job is owed and was given, each where it looks.",
)

outputs = Table(
    "outputs",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("channel", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("match_hash", LargeBinary, nullable=False),
    Column("body_hash", LargeBinary, nullable=False),
    Column("message_id", BigInteger),
    Column("state", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("output", Sealed("outputs.output")),
    Index("outputs_of_match", "match_hash", "id"),
    comment="What the old engine made, as it passed the tap: let through, swallowed, or waiting.",
)

IS_UNPAIRED = text("state IN ('OURS', 'THEIRS', 'QUIET')")
IS_MISSING_THERE = text(
    "state IN ('COMPARED', 'REFUSED') AND output_id IS NULL AND theirs_at_us IS NULL"
    " AND message_id IS NOT NULL"
)
IS_UNCOMPARED = text("state IN ('PAIRED', 'REFUSED')")

pairs = Table(
    "pairs",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("channel", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("match_hash", LargeBinary, nullable=False),
    Column("key_hash", LargeBinary),
    Column("message_id", BigInteger),
    Column("message_type", Text, nullable=False),
    Column("delivery_id", BigInteger),
    Column("output_id", BigInteger),
    Column("sender", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("ours_at_us", BigInteger),
    Column("theirs_at_us", BigInteger),
    Column("ended_at_us", BigInteger),
    Column("stage", Text, nullable=False),
    Index("pairs_unpaired", "match_hash", "id", sqlite_where=IS_UNPAIRED, postgresql_where=IS_UNPAIRED),
    Index("pairs_waiting", "channel", "id", sqlite_where=IS_UNPAIRED, postgresql_where=IS_UNPAIRED),
    Index(
        "pairs_missing_there",
        "match_hash",
        "id",
        sqlite_where=IS_MISSING_THERE,
        postgresql_where=IS_MISSING_THERE,
    ),
    Index("pairs_uncompared", "channel", "id", sqlite_where=IS_UNCOMPARED, postgresql_where=IS_UNCOMPARED),
    Index("pairs_of_key", "key_hash", "id"),
    Index("pairs_of_message", "message_id"),
    Index("pairs_of_delivery", "delivery_id"),
    Index("pairs_ended", "channel", "route", "ended_at_us"),
    comment="What both sides made of one message on one route: paired, compared, or missing on a side.",
)

clusters = Table(
    "clusters",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("mapping", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("ours", Text, nullable=False),
    Column("theirs", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("alone", BigInteger, nullable=False),
    Column("first_at_us", BigInteger, nullable=False),
    Column("last_at_us", BigInteger, nullable=False),
    Column("examples", Text, nullable=False),
    sqlite_with_rowid=False,
    comment="Differences that are alike, counted exactly, with the numbers of some of their messages.",
)

accepted = Table(
    "accepted",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("until_us", BigInteger),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
    comment="Differences that somebody says are meant, until when and why.",
)

tallies = Table(
    "tallies",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("mapping", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("message_type", Text, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("amount", Text, nullable=False),
    sqlite_with_rowid=False,
    comment="How many pairs were the same or not, by mapping, stage, day and message type.",
)
