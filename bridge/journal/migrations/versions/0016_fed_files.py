"""Files that an old job is given."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "fed_files",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["taken_files.id"]),
        sa.PrimaryKeyConstraint("file_id"),
        comment="Files that the old job is owed and was given, each where it looks.",
    )
    owed = sa.text("state IN ('OWED', 'PLACING')")
    op.create_index(
        "fed_files_owed", "fed_files", ["channel", "file_id"], sqlite_where=owed, postgresql_where=owed
    )
