"""Stages of routes, what the old engine is fed, what it makes, and how that compares."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "stages",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("only", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("since_message_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "route"),
        comment="Where each route stands between the old engine and the bridge, and since when.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "approvals",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "route", "stage", "actor"),
        comment="Who agrees that a route may go to a stage; gone once it is there.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feeds",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="What the old engine is owed and was given: one row for each time a message goes to it.",
    )
    op.create_index("feeds_of_message", "feeds", ["message_id"], unique=False)
    op.create_index(
        "feeds_owed",
        "feeds",
        ["channel", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'OWED'"),
        postgresql_where=sa.text("state = 'OWED'"),
    )
    op.create_table(
        "outputs",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("match_hash", sa.LargeBinary(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("output", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        comment="What the old engine made, as it passed the tap: let through, swallowed, or waiting.",
    )
    op.create_index("outputs_of_match", "outputs", ["match_hash", "id"], unique=False)
    op.create_table(
        "pairs",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("match_hash", sa.LargeBinary(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("message_type", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=True),
        sa.Column("output_id", sa.BigInteger(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ours_at_us", sa.BigInteger(), nullable=True),
        sa.Column("theirs_at_us", sa.BigInteger(), nullable=True),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="What both sides made of one message on one route: paired, compared, or missing on a side.",
    )
    op.create_index("pairs_ended", "pairs", ["channel", "route", "ended_at_us"], unique=False)
    op.create_index("pairs_of_delivery", "pairs", ["delivery_id"], unique=False)
    op.create_index("pairs_of_key", "pairs", ["key_hash", "id"], unique=False)
    op.create_index("pairs_of_message", "pairs", ["message_id"], unique=False)
    op.create_index(
        "pairs_uncompared",
        "pairs",
        ["channel", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('PAIRED', 'REFUSED')"),
        postgresql_where=sa.text("state IN ('PAIRED', 'REFUSED')"),
    )
    op.create_index(
        "pairs_unpaired",
        "pairs",
        ["match_hash", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('OURS', 'THEIRS', 'QUIET')"),
        postgresql_where=sa.text("state IN ('OURS', 'THEIRS', 'QUIET')"),
    )
    op.create_index(
        "pairs_waiting",
        "pairs",
        ["channel", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('OURS', 'THEIRS', 'QUIET')"),
        postgresql_where=sa.text("state IN ('OURS', 'THEIRS', 'QUIET')"),
    )
    op.create_table(
        "clusters",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("ours", sa.Text(), nullable=False),
        sa.Column("theirs", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("alone", sa.BigInteger(), nullable=False),
        sa.Column("first_at_us", sa.BigInteger(), nullable=False),
        sa.Column("last_at_us", sa.BigInteger(), nullable=False),
        sa.Column("examples", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "route", "mapping", "fingerprint"),
        comment="Differences that are alike, counted exactly, with the numbers of some of their messages.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "accepted",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "route", "fingerprint"),
        comment="Differences that somebody says are meant, until when and why.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tallies",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("message_type", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "route", "mapping", "stage", "day", "message_type", "what"),
        comment="How many pairs were the same or not, by mapping, stage, day and message type.",
        sqlite_with_rowid=False,
    )
