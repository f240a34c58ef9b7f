"""What the senders of files are owed: an answer, and what was not taken."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

IS_UNPUT = sa.text("put_at_us IS NULL")


def upgrade() -> None:
    """Add a table."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "file_answers",
        sa.Column("file_id", key, sa.ForeignKey("taken_files.id"), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("made_at_us", sa.BigInteger()),
        sa.Column("taken", sa.BigInteger()),
        sa.Column("rejected", sa.BigInteger()),
        sa.Column("put_at_us", sa.BigInteger()),
        sa.PrimaryKeyConstraint("file_id"),
        comment="One row for each file whose sender is owed an answer, and when that was there.",
    )
    op.create_index(
        "file_answers_unput",
        "file_answers",
        ["channel", "file_id"],
        sqlite_where=IS_UNPUT,
        postgresql_where=IS_UNPUT,
    )
