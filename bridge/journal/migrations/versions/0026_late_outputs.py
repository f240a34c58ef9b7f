"""Pairs that lack what the old engine made are found by it when it comes late.

A person may let a file end that has failed: that is in the rules, which every upgrade puts in place anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

IS_MISSING_THERE = sa.text(
    "state = 'COMPARED' AND output_id IS NULL AND theirs_at_us IS NULL AND message_id IS NOT NULL"
)


def upgrade() -> None:
    """Add an index."""
    op.create_index(
        "pairs_missing_there",
        "pairs",
        ["match_hash", "id"],
        sqlite_where=IS_MISSING_THERE,
        postgresql_where=IS_MISSING_THERE,
    )
