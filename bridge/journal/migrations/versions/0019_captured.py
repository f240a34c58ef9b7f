"""What APIs have answered: what later calls need, and where to ask what became of a call."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add tables."""
    op.create_table(
        "captured",
        sa.Column("api", sa.Text(), nullable=False),
        sa.Column("about_hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("api", "about_hash", "name"),
        comment="What an API called a record in its answer, for later calls about it; the newest alone.",
    )
    op.create_table(
        "confirmations",
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("target", sa.LargeBinary(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"]),
        sa.PrimaryKeyConstraint("delivery_id"),
        comment="Calls that an API has accepted: where it is asked about each, and until when.",
    )
