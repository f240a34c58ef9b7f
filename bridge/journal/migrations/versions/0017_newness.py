"""How new what a delivery tells is, and the newest that was told."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add tables."""
    op.create_table(
        "newness",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("about", sa.LargeBinary(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("second", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id"),
        sqlite_with_rowid=False,
        comment="Of an operation that says `stale`: how new the state is that a delivery tells of a record.",
    )
    op.create_table(
        "newest_told",
        sa.Column("about", sa.LargeBinary(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("second", sa.BigInteger(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("about"),
        sqlite_with_rowid=False,
        comment="The newest state of a record that an API has taken, by the hash of both.",
    )
    op.create_index("newest_told_by", "newest_told", ["delivery_id"])
