"""Which answer gave what is captured is asked as its delivery goes."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add an index."""
    op.create_index("captured_by", "captured", ["delivery_id"])
