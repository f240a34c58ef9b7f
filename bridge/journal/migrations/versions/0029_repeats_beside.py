"""What tells a repeat is looked for by its control ID first, beside which the next one's place is."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

CAN_REPEAT = sa.text("repeat_hash IS NOT NULL")


def upgrade() -> None:
    """Make an index anew."""
    op.drop_index("messages_repeated", table_name="messages")
    op.create_index(
        "messages_repeated",
        "messages",
        [sa.literal_column("substr(control_id, 1, 32)").label("beginning"), "repeat_hash", "fingerprint"],
        postgresql_ops={"beginning": "text_pattern_ops"},
        sqlite_where=CAN_REPEAT,
        postgresql_where=CAN_REPEAT,
    )
