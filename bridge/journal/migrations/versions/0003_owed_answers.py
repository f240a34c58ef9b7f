"""Application acknowledgements that are owed to senders in enhanced mode."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

OWED = sa.text("state = 'OWED' AND place IS NOT NULL")
WAITING = sa.text("state = 'WAITING'")


def upgrade() -> None:
    op.create_table(
        "owed_answers",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("asks", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("final", sa.SmallInteger(), nullable=False),
        sa.Column("control_id", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("place", sa.BigInteger()),
        sa.Column("owed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"]),
        sa.PrimaryKeyConstraint("message_id"),
        comment="Application acknowledgements of enhanced mode: what is owed, and whether it was said.",
        sqlite_with_rowid=False,
    )
    op.create_index("owed_answers_place", "owed_answers", ["place"])
    op.create_index(
        "owed_answers_to_send",
        "owed_answers",
        ["channel", "place"],
        sqlite_where=OWED,
        postgresql_where=OWED,
    )
    op.create_index(
        "owed_answers_waiting",
        "owed_answers",
        ["channel", "message_id"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
