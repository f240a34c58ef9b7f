"""Files that were sent: their control numbers, and what their receivers said of them."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

AWAITED = sa.text("acknowledged = 'awaited'")
HAS_CONTROL = sa.text("control IS NOT NULL")


def upgrade() -> None:
    """Add columns and indexes."""
    op.add_column("collected", sa.Column("control", sa.Text()))
    op.add_column("collected", sa.Column("said", sa.Text()))
    op.create_index(
        "collected_by_control",
        "collected",
        ["api", "control"],
        sqlite_where=HAS_CONTROL,
        postgresql_where=HAS_CONTROL,
    )
    op.add_column("collections", sa.Column("partner", sa.Text(), nullable=False, server_default=""))
    op.add_column("collections", sa.Column("control_number", sa.BigInteger()))
    op.add_column("collections", sa.Column("acknowledged", sa.Text(), nullable=False, server_default=""))
    op.add_column("collections", sa.Column("due_at_us", sa.BigInteger()))
    op.add_column("collections", sa.Column("acknowledged_at_us", sa.BigInteger()))
    op.add_column("collections", sa.Column("codes", sa.Text(), nullable=False, server_default=""))
    op.create_index(
        "collections_awaited",
        "collections",
        ["api", "id"],
        sqlite_where=AWAITED,
        postgresql_where=AWAITED,
    )
    op.create_index("collections_of_partner", "collections", ["partner", "control_number"])
