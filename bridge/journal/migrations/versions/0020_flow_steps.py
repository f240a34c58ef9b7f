"""Deliveries of one message that follow each other, and how each is undone."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "flow_steps",
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("follows", sa.Text(), nullable=False),
        sa.Column("if_fails", sa.Text(), nullable=False),
        sa.Column("undo", sa.Text(), nullable=False),
        sa.Column("undo_request", sa.LargeBinary(), nullable=True),
        sa.Column("undo_asks", sa.LargeBinary(), nullable=True),
        sa.Column("undo_verdicts", sa.Text(), nullable=False),
        sa.Column("undoes", sa.BigInteger(), nullable=True),
        sa.Column("is_open", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"]),
        sa.PrimaryKeyConstraint("delivery_id"),
        comment="A delivery of a flow: the routes that it follows, and how it is undone; or which one it "
        "undoes.",
    )
    op.create_index("flow_steps_message", "flow_steps", ["message_id"])
    op.create_index(
        "flow_steps_open",
        "flow_steps",
        ["message_id"],
        sqlite_where=sa.text("is_open = 1"),
        postgresql_where=sa.text("is_open = 1"),
    )
