"""The contract that a delivery was made by, and where APIs were found to be other than theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("contract_digest", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "drifts",
        sa.Column("api", sa.Text(), primary_key=True),
        sa.Column("operation", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("pointer", sa.Text(), primary_key=True),
        sa.Column("rule", sa.Text(), primary_key=True),
        sa.Column("contract_digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_at_us", sa.BigInteger(), nullable=False),
        sa.Column("seen_at_us", sa.BigInteger(), nullable=False),
        sa.Column("decided_at_us", sa.BigInteger()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        comment="What an API does otherwise than its contract says, by place and rule, and what was decided.",
        sqlite_with_rowid=False,
    )
