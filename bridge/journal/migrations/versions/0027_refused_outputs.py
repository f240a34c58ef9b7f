"""A message that the old engine refused is found by what the engine makes of it all the same.

The index of 0026 holds refused pairs too, and outputs may be DECLINED.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

IS_MISSING_THERE = sa.text(
    "state IN ('COMPARED', 'REFUSED') AND output_id IS NULL AND theirs_at_us IS NULL"
    " AND message_id IS NOT NULL"
)


def upgrade() -> None:
    """Make an index anew."""
    op.drop_index("pairs_missing_there", table_name="pairs")
    op.create_index(
        "pairs_missing_there",
        "pairs",
        ["match_hash", "id"],
        sqlite_where=IS_MISSING_THERE,
        postgresql_where=IS_MISSING_THERE,
    )
