"""The first tables. What stands here stays as it is: journals out there were made by it."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("state IN ('ACCEPTED', 'AMBIGUOUS', 'HELD', 'IN_FLIGHT', 'READY', 'RETRY_WAIT')")
QUARANTINED = sa.text("state = 'QUARANTINED'")
RECEIVED = sa.text("state = 'RECEIVED'")
HAS_REPEAT_HASH = sa.text("repeat_hash IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        comment="What the journal knows of itself: schema, oldest code that may read it, index key, starts.",
    )
    op.create_table(
        "kept_files",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        comment="Mapping files by digest, so that what was made of a message can be explained later.",
    )
    op.create_table(
        "messages",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("received_at_us", sa.BigInteger(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("message_type", sa.Text(), nullable=False),
        sa.Column("control_id", sa.Text(), nullable=False),
        sa.Column("body_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("repeat_hash", sa.LargeBinary(), nullable=True),
        sa.Column("duplicate_of", sa.BigInteger(), nullable=True),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("issues", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.LargeBinary(), nullable=False),
        sa.Column("answer_code", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="One row for each block, whatever became of it.",
    )
    op.create_index("messages_of_channel", "messages", ["channel", "seq"], unique=True)
    op.create_index(
        "messages_quarantined",
        "messages",
        ["channel"],
        sqlite_where=QUARANTINED,
        postgresql_where=QUARANTINED,
    )
    op.create_index(
        "messages_repeated",
        "messages",
        ["repeat_hash", "fingerprint"],
        sqlite_where=HAS_REPEAT_HASH,
        postgresql_where=HAS_REPEAT_HASH,
    )
    op.create_index(
        "messages_to_translate",
        "messages",
        ["channel", "id"],
        sqlite_where=RECEIVED,
        postgresql_where=RECEIVED,
    )
    op.create_table(
        "answers",
        sa.Column("message_id", ID, autoincrement=False, nullable=False),
        sa.Column("reached", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
        ),
        sa.PrimaryKeyConstraint("message_id"),
        comment="Whether an answer was written to its open connection; no row: not known.",
    )
    op.create_table(
        "bodies",
        sa.Column("message_id", ID, autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
        ),
        sa.PrimaryKeyConstraint("message_id"),
        comment="What came and what was answered, as bytes; a duplicate has no body of its own.",
    )
    op.create_table(
        "deliveries",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("api", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("poison_attempts", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("mapping_digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="One row for each record of a message on a route.",
    )
    op.create_index("deliveries_of_message", "deliveries", ["message_id"])
    op.create_index("deliveries_open", "deliveries", ["api", "id"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index(
        "deliveries_open_of_lane", "deliveries", ["key_hash", "id"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index(
        "deliveries_quarantined",
        "deliveries",
        ["api"],
        sqlite_where=QUARANTINED,
        postgresql_where=QUARANTINED,
    )
    op.create_table(
        "transitions",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=True),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="One row for each change of state, written with the change and never altered.",
    )
    op.create_index("transitions_of_message", "transitions", ["message_id"])
    op.create_table(
        "attempts",
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("span_id", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number"),
        comment="One row for each attempt that ended; one that a crash cut short ends at the next start.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "requests",
        sa.Column("delivery_id", ID, autoincrement=False, nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
        ),
        sa.PrimaryKeyConstraint("delivery_id"),
        comment="The final request of a delivery, as release decided it.",
    )
