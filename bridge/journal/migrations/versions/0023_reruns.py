"""Files of a business date: which day a file is of, what it is a re-run of, and what of it is the same."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

HAS_CONTENT = sa.text("content IS NOT NULL")
HAS_DAY = sa.text("business_date <> ''")


def upgrade() -> None:
    """Add columns and indexes."""
    op.add_column("taken_files", sa.Column("business_date", sa.Text(), nullable=False, server_default=""))
    op.add_column("taken_files", sa.Column("rerun", sa.Text(), nullable=False, server_default=""))
    op.add_column("taken_files", sa.Column("rerun_of", sa.BigInteger()))
    op.add_column("taken_files", sa.Column("late", sa.SmallInteger(), nullable=False, server_default="0"))
    op.create_index(
        "taken_files_of_day",
        "taken_files",
        ["channel", "business_date", "id"],
        sqlite_where=HAS_DAY,
        postgresql_where=HAS_DAY,
    )
    op.add_column("file_messages", sa.Column("content", sa.LargeBinary()))
    op.create_index(
        "file_messages_by_content",
        "file_messages",
        ["file_id", "content"],
        sqlite_where=HAS_CONTENT,
        postgresql_where=HAS_CONTENT,
    )
