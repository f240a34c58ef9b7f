"""What finding, retention and legal hold need; and room for bodies that are compressed and encrypted."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

MARK = b"\x00BJ"
"""From here on a value that begins so says what was done to it; one that did by chance must say: nothing."""
HELD = (
    ("bodies", "body"),
    ("bodies", "answer"),
    ("revised_bodies", "body"),
    ("requests", "request"),
    ("revised_requests", "request"),
    ("owed_answers", "answer"),
    ("file_chunks", "content"),
)

IS_RARE = sa.text("state NOT IN ('RECEIVED', 'MAPPED')")
HAS_REASON = sa.text("reason <> ''")


def upgrade() -> None:
    for name, of in HELD:
        column = sa.column(of, sa.LargeBinary())
        mark = sa.literal(MARK + b"\x00", sa.LargeBinary())
        op.execute(
            sa.update(sa.table(name, column))
            .where(sa.func.substr(column, 1, len(MARK)) == MARK)
            .values({of: sa.cast(mark.op("||")(column), sa.LargeBinary())})
        )
    op.create_index("messages_of_control_id", "messages", ["control_id", "id"])
    op.create_index("messages_of_type", "messages", ["message_type", "id"])
    op.create_index("messages_received", "messages", ["received_at_us", "id"])
    op.create_index(
        "messages_with_reason",
        "messages",
        ["reason", "id"],
        sqlite_where=HAS_REASON,
        postgresql_where=HAS_REASON,
    )
    op.create_index(
        "messages_in_rare_states",
        "messages",
        ["state", "id"],
        sqlite_where=IS_RARE,
        postgresql_where=IS_RARE,
    )
    op.create_index("search_keys_of_message", "search_keys", ["message_id"])
    op.create_table(
        "gone",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "route", "entry"),
        comment="What retention has deleted, counted as the ledger counts it.",
    )
    op.create_table(
        "bodies_gone",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"]),
        sa.PrimaryKeyConstraint("message_id"),
        comment="Messages whose content retention has deleted, while their rows stay.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "legal_holds",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name"),
        comment="What retention must not touch: a channel, or all about one key, which stands as a hash.",
    )
