"""The journal's tables, one page.

Times are microseconds since 1970-01-01 UTC. States are the words of `delivery.state`. Keys of lanes and of
repeats stand as hashes under the journal's own index key, so that they can be searched and hold no patient
data; what may hold it is in `bodies`, `requests` and the like alone, whose columns are `Sealed`. Those stand
apart because they are large and never change, while a change of the rows about them rewrites a whole page.
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
    literal_column,
    text,
)

from bridge.delivery.state import DELIVERY_OPEN
from bridge.journal import (  # noqa: F401 - their tables are part of METADATA, for whoever copies all
    audit_schema,
    batch_schema,
    bundle_schema,
    capture_schema,
    consent_schema,
    drift_schema,
    file_schema,
    flow_schema,
    newness_schema,
    stage_schema,
)
from bridge.journal.metadata import METADATA, Id
from bridge.journal.sealed import Sealed

facts = Table(
    "facts",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    comment="What the journal knows of itself: schema, oldest code that may read it, index key, starts.",
)

kept_files = Table(
    "kept_files",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("kept_at_us", BigInteger, nullable=False),
    comment="Mapping files by digest, so that what was made of a message can be explained later.",
)

IS_RARE = text("state NOT IN ('RECEIVED', 'MAPPED')")

messages = Table(
    "messages",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("channel", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("received_at_us", BigInteger, nullable=False),
    Column("peer", Text, nullable=False),
    Column("message_type", Text, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("body_size_bytes", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("repeat_hash", LargeBinary),
    Column("duplicate_of", BigInteger),
    Column("flags", Text, nullable=False),
    Column("key_hash", LargeBinary),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("issues", Text, nullable=False),
    Column("trace_id", LargeBinary, nullable=False),
    Column("answer_code", Text, nullable=False),
    Column("replay_of", BigInteger),
    Column("aside", SmallInteger, nullable=False, server_default="0"),
    Column("body_revision", Integer, nullable=False, server_default="0"),
    Column("tolerated", Text, nullable=False, server_default=""),
    Column("charset", Text, nullable=False, server_default=""),
    Index("messages_of_channel", "channel", "seq", unique=True),
    Index("messages_of_control_id", "control_id", "id"),
    Index("messages_of_type", "message_type", "id"),
    Index("messages_received", "received_at_us", "id"),
    Index(
        "messages_repeating",
        "duplicate_of",
        sqlite_where=text("duplicate_of IS NOT NULL"),
        postgresql_where=text("duplicate_of IS NOT NULL"),
    ),
    Index(
        "messages_replaying",
        "replay_of",
        sqlite_where=text("replay_of IS NOT NULL"),
        postgresql_where=text("replay_of IS NOT NULL"),
    ),
    Index("messages_in_rare_states", "state", "id", sqlite_where=IS_RARE, postgresql_where=IS_RARE),
    Index(
        "messages_with_reason",
        "reason",
        "id",
        sqlite_where=text("reason <> ''"),
        postgresql_where=text("reason <> ''"),
    ),
    Index(
        "messages_to_translate",
        "channel",
        "id",
        sqlite_where=text("state = 'RECEIVED'"),
        postgresql_where=text("state = 'RECEIVED'"),
    ),
    Index(
        "messages_quarantined",
        "channel",
        sqlite_where=text("state = 'QUARANTINED'"),
        postgresql_where=text("state = 'QUARANTINED'"),
    ),
    Index(
        "messages_repeated",
        literal_column("substr(control_id, 1, 32)").label("beginning"),  # see `repeats.BEGINNING`
        "repeat_hash",
        "fingerprint",
        postgresql_ops={"beginning": "text_pattern_ops"},
        sqlite_where=text("repeat_hash IS NOT NULL"),
        postgresql_where=text("repeat_hash IS NOT NULL"),
    ),
    comment="One row for each block, whatever became of it.",
)

bodies = Table(
    "bodies",
    METADATA,
    Column("message_id", Id, ForeignKey("messages.id"), primary_key=True, autoincrement=False),
    Column("body", Sealed("bodies.body")),
    Column("answer", Sealed("bodies.answer")),
    comment="What came and what was answered, as bytes; a duplicate has no body of its own.",
)

answers = Table(
    "answers",
    METADATA,
    Column("message_id", Id, ForeignKey("messages.id"), primary_key=True, autoincrement=False),
    Column("reached", SmallInteger, nullable=False),
    comment="Whether an answer was written to its open connection; no row: not known.",
)

IS_OWED = text("state = 'OWED' AND place IS NOT NULL")
IS_WAITING = text("state = 'WAITING'")

owed_answers = Table(
    "owed_answers",
    METADATA,
    Column("message_id", BigInteger, ForeignKey("messages.id"), primary_key=True, autoincrement=False),
    Column("channel", Text, nullable=False),
    Column("asks", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("final", SmallInteger, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("answer", Sealed("owed_answers.answer")),
    Column("place", BigInteger),
    Column("owed_at_us", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("owed_answers_place", "place"),
    Index("owed_answers_to_send", "channel", "place", sqlite_where=IS_OWED, postgresql_where=IS_OWED),
    Index(
        "owed_answers_waiting", "channel", "message_id", sqlite_where=IS_WAITING, postgresql_where=IS_WAITING
    ),
    sqlite_with_rowid=False,
    comment="Application acknowledgements of enhanced mode: what is owed, and whether it was said.",
)

IS_OPEN = text("state IN (" + ", ".join(f"'{state}'" for state in sorted(DELIVERY_OPEN)) + ")")

"""Partial indices serve a query only where it says this very condition."""

deliveries = Table(
    "deliveries",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, ForeignKey("messages.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("api", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("poison_attempts", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("due_at_us", BigInteger, nullable=False),
    Column("mapping", Text, nullable=False),
    Column("mapping_digest", Text, nullable=False),
    Column("aside", SmallInteger, nullable=False, server_default="0"),
    Column("held_since_us", BigInteger),
    Column("sent_as", Text),
    Column("late", SmallInteger, nullable=False, server_default="0"),
    Column("verdicts", Text, nullable=False, server_default=""),
    Column("contract_digest", Text, nullable=False, server_default=""),
    Column("patient", LargeBinary),
    Index("deliveries_of_message", "message_id"),
    Index(
        "deliveries_open_of_channel", "api", "channel", "id", sqlite_where=IS_OPEN, postgresql_where=IS_OPEN
    ),
    Index(
        "deliveries_of_patient",
        "patient",
        "id",
        sqlite_where=text("patient IS NOT NULL"),
        postgresql_where=text("patient IS NOT NULL"),
    ),
    Index(
        "deliveries_open_in_lane",
        "key_hash",
        "message_id",
        "id",
        sqlite_where=IS_OPEN,
        postgresql_where=IS_OPEN,
    ),
    Index("deliveries_late", "api", sqlite_where=text("late = 1"), postgresql_where=text("late = 1")),
    Index(
        "deliveries_quarantined",
        "api",
        sqlite_where=text("state = 'QUARANTINED'"),
        postgresql_where=text("state = 'QUARANTINED'"),
    ),
    comment="One row for each record of a message on a route.",
)

more_keys = Table(
    "more_keys",
    METADATA,
    Column("message_id", BigInteger, ForeignKey("messages.id"), primary_key=True, autoincrement=False),
    Column("key_hash", LargeBinary, primary_key=True),
    Index("more_keys_of_lane", "key_hash", "message_id"),
    sqlite_with_rowid=False,
    comment="The second and further keys of messages that touch several, as a merge does; of their "
    "deliveries too.",
)

search_keys = Table(
    "search_keys",
    METADATA,
    Column("hash", LargeBinary, primary_key=True),
    Column("message_id", BigInteger, ForeignKey("messages.id"), primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Index("search_keys_of_message", "message_id"),
    sqlite_with_rowid=False,
    comment="What a message can be found by: values as hashes, each under the name that the channel "
    "gives it.",
)

revised_bodies = Table(
    "revised_bodies",
    METADATA,
    Column("message_id", BigInteger, ForeignKey("messages.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("body", Sealed("revised_bodies.body"), nullable=False),
    comment="Messages as a person corrected them; what came stays in bodies.",
)

requests = Table(
    "requests",
    METADATA,
    Column("delivery_id", Id, ForeignKey("deliveries.id"), primary_key=True, autoincrement=False),
    Column("request", Sealed("requests.request"), nullable=False),
    Column("asks", Sealed("requests.asks")),
    comment="The final request of a delivery, as release decided it.",
)

revised_requests = Table(
    "revised_requests",
    METADATA,
    Column("delivery_id", BigInteger, ForeignKey("deliveries.id"), primary_key=True, autoincrement=False),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("request", Sealed("requests.request"), nullable=False),
    Column("asks", Sealed("requests.asks")),
    comment="Requests that were made anew for a delivery in quarantine; what was sent before stays in "
    "requests.",
)

attempts = Table(
    "attempts",
    METADATA,
    Column("delivery_id", BigInteger, ForeignKey("deliveries.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at_us", BigInteger, nullable=False),
    Column("ended_at_us", BigInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("status", Integer),
    Column("reason", Text, nullable=False),
    Column("span_id", LargeBinary, nullable=False),
    Column("verdicts", Text, nullable=False, server_default=""),
    sqlite_with_rowid=False,
    comment="One row for each attempt that ended; one that a crash cut short ends at the next start.",
)

transitions = Table(
    "transitions",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, ForeignKey("messages.id"), nullable=False),
    Column("delivery_id", BigInteger),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
    Index("transitions_of_message", "message_id"),
    comment="One row for each change of state, written with the change and never altered.",
)

controls = Table(
    "controls",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("intake", SmallInteger, nullable=False),
    Column("until_us", BigInteger),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    comment="What a person has stopped, or let through, and until when; a row goes when it ends.",
)

actions = Table(
    "actions",
    METADATA,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("actions_on_object", "object"),
    comment="What persons did and what they looked at, never altered.",
)

api_notices = Table(
    "api_notices",
    METADATA,
    Column("api", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("deprecated_at_us", BigInteger),
    Column("sunset_at_us", BigInteger),
    Column("first_seen_at_us", BigInteger, nullable=False),
    Column("seen_at_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    comment="What an API said of its own end, in Deprecation and Sunset, by operation.",
)

gone = Table(
    "gone",
    METADATA,
    Column("channel", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("entry", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    comment="What retention has deleted, counted as the ledger counts it.",
)

bodies_gone = Table(
    "bodies_gone",
    METADATA,
    Column("message_id", BigInteger, ForeignKey("messages.id"), primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    comment="Messages whose content retention has deleted, while their rows stay.",
)

legal_holds = Table(
    "legal_holds",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    comment="What retention must not touch: a channel, or all about one key, which stands as a hash.",
)
