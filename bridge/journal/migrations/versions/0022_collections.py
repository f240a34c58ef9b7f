"""Files that are collected of many deliveries: what waits for one, and which were closed."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

UNWRITTEN = sa.text("written_at_us IS NULL")


def upgrade() -> None:
    """Add tables."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "collected",
        sa.Column("id", key, autoincrement=False, nullable=False),
        sa.Column("api", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="One row for each delivery that goes into a file with others, in the order of the file.",
    )
    op.create_index("collected_of_api", "collected", ["api", "id"])
    op.create_index("collected_of_delivery", "collected", ["delivery_id"])
    op.create_table(
        "collections",
        sa.Column("id", key, autoincrement=False, nullable=False),
        sa.Column("api", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("sent_as", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("closed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("totals", sa.Text(), nullable=False),
        sa.Column("written_at_us", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        comment="A file that was closed: its deliveries are those of its API from first to last.",
    )
    op.create_index("collections_of_api", "collections", ["api", "number"], unique=True)
    op.create_index("collections_by_place", "collections", ["last"])
    op.create_index(
        "collections_unwritten",
        "collections",
        ["api", "id"],
        sqlite_where=UNWRITTEN,
        postgresql_where=UNWRITTEN,
    )
