"""What is open for an API is read channel by channel: a backlog of one is not in the way of another."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

OPEN = sa.text("state IN ('ACCEPTED', 'AMBIGUOUS', 'HELD', 'IN_FLIGHT', 'READY', 'RETRY_WAIT')")


def upgrade() -> None:
    op.create_index(
        "deliveries_open_of_channel",
        "deliveries",
        ["api", "channel", "id"],
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.drop_index("deliveries_open", "deliveries")
