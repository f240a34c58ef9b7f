"""What an API answers to a request that it does not take is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "refusals",
        sa.Column(
            "delivery_id",
            sa.BigInteger,
            sa.ForeignKey("deliveries.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        comment="What an API answered last to a request that it did not take: the first of its bytes.",
    )
