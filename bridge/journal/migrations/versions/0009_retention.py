"""What retention asks of each message: whether a repeat or a replay still needs it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


NOTICES = "What an API said of its own end, in Deprecation and Sunset, by operation."


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.create_table_comment("api_notices", NOTICES)
    for name, column in (("messages_repeating", "duplicate_of"), ("messages_replaying", "replay_of")):
        some = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "messages", [column], sqlite_where=some, postgresql_where=some)
