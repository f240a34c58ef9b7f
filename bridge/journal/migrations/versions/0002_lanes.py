"""Several keys for a message, search keys, corrections, and what persons do."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("state IN ('ACCEPTED', 'AMBIGUOUS', 'HELD', 'IN_FLIGHT', 'READY', 'RETRY_WAIT')")


def upgrade() -> None:
    op.add_column("messages", sa.Column("replay_of", sa.BigInteger()))
    op.add_column("messages", sa.Column("aside", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("messages", sa.Column("body_revision", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("aside", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("held_since_us", sa.BigInteger()))
    op.add_column("deliveries", sa.Column("sent_as", sa.Text()))
    op.add_column("deliveries", sa.Column("late", sa.SmallInteger(), nullable=False, server_default="0"))
    op.create_index(
        "deliveries_late",
        "deliveries",
        ["api"],
        sqlite_where=sa.text("late = 1"),
        postgresql_where=sa.text("late = 1"),
    )
    # Lanes go by message and not by delivery: one translated later than its successors goes before them.
    op.drop_index("deliveries_open_of_lane", "deliveries")
    op.create_index(
        "deliveries_open_in_lane",
        "deliveries",
        ["key_hash", "message_id", "id"],
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_table(
        "more_keys",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"]),
        sa.PrimaryKeyConstraint("message_id", "key_hash"),
        comment="The second and further keys of messages that touch several, as a merge does; of their "
        "deliveries too.",
        sqlite_with_rowid=False,
    )
    op.create_index("more_keys_of_lane", "more_keys", ["key_hash", "message_id"])
    op.create_table(
        "search_keys",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"]),
        sa.PrimaryKeyConstraint("hash", "message_id", "name"),
        comment="What a message can be found by: values as hashes, each under the name that the channel "
        "gives it.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "revised_bodies",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"]),
        sa.PrimaryKeyConstraint("message_id", "number"),
        comment="Messages as a person corrected them; what came stays in bodies.",
    )
    op.create_table(
        "revised_requests",
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"]),
        sa.PrimaryKeyConstraint("delivery_id", "revision"),
        comment="Requests that were made anew for a delivery in quarantine; what was sent before stays in "
        "requests.",
    )
    op.create_table(
        "controls",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("intake", sa.SmallInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger()),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name"),
        comment="What a person has stopped, or let through, and until when; a row goes when it ends.",
    )
    op.create_table(
        "actions",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="What persons did and what they looked at, never altered.",
    )
    op.create_index("actions_on_object", "actions", ["object"])
