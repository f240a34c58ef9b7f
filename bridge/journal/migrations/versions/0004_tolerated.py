"""What was tolerated of each message, and in which character set it was read, by whose word."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for name in ("tolerated", "charset"):
        op.add_column("messages", sa.Column(name, sa.Text(), nullable=False, server_default=""))
