"""What each policy said of a delivery and of each attempt, and what APIs say of their own end."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for table in ("deliveries", "attempts"):
        op.add_column(table, sa.Column("verdicts", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "api_notices",
        sa.Column("api", sa.Text(), primary_key=True),
        sa.Column("operation", sa.Text(), primary_key=True),
        sa.Column("deprecated_at_us", sa.BigInteger()),
        sa.Column("sunset_at_us", sa.BigInteger()),
        sa.Column("first_seen_at_us", sa.BigInteger(), nullable=False),
        sa.Column("seen_at_us", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
