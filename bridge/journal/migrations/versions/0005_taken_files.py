"""Files that were taken from folders and servers: what came, in chunks, and which messages are of which."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

UNSETTLED = sa.text("settled = 0")


def upgrade() -> None:
    op.create_table(
        "taken_files",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seen_as", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text()),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("received_at_us", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("same_as", sa.BigInteger()),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="One row for each file that was taken, whatever became of it.",
    )
    op.create_index("taken_files_of_channel", "taken_files", ["channel", "id"])
    op.create_index("taken_files_by_content", "taken_files", ["channel", "sha256", "size_bytes"])
    op.create_index("taken_files_by_claim", "taken_files", ["channel", "claim"], unique=True)
    op.create_index(
        "taken_files_unsettled",
        "taken_files",
        ["channel", "id"],
        sqlite_where=UNSETTLED,
        postgresql_where=UNSETTLED,
    )
    op.create_table(
        "file_chunks",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary()),
        sa.ForeignKeyConstraint(["file_id"], ["taken_files.id"]),
        sa.PrimaryKeyConstraint("file_id", "number"),
        comment="A taken file piece by piece: its digests; bytes are here or in the spool.",
    )
    op.create_table(
        "file_messages",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("offset_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"]),
        sa.ForeignKeyConstraint(["file_id"], ["taken_files.id"]),
        sa.PrimaryKeyConstraint("message_id"),
        comment="Which message stood where in which file.",
        sqlite_with_rowid=False,
    )
    op.create_index("file_messages_of_file", "file_messages", ["file_id", "number"])
    op.create_table(
        "file_steps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("from_state", sa.Text()),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["taken_files.id"]),
        sa.PrimaryKeyConstraint("id"),
        comment="One row for each change of a file's state, written with the change and never altered.",
    )
    op.create_index("file_steps_of_file", "file_steps", ["file_id"])
