"""The table of flows: deliveries of one message that follow each other, and how each is undone."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Select, Table, Text, select, text

from bridge.journal.metadata import METADATA
from bridge.journal.sealed import Sealed

flow_steps = Table(
    "flow_steps",
    METADATA,
    Column("delivery_id", BigInteger, ForeignKey("deliveries.id"), primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, nullable=False),
    Column("follows", Text, nullable=False),
    Column("if_fails", Text, nullable=False),
    Column("undo", Text, nullable=False),
    Column("undo_request", Sealed("flow_steps.undo_request")),
    Column("undo_asks", Sealed("flow_steps.undo_asks")),
    Column("undo_verdicts", Text, nullable=False),
    Column("undoes", BigInteger),
    Column("is_open", Integer, nullable=False),
    Index("flow_steps_message", "message_id"),
    Index(
        "flow_steps_open",
        "message_id",
        sqlite_where=text("is_open = 1"),
        postgresql_where=text("is_open = 1"),
    ),
    comment="A delivery of a flow: the routes that it follows, and how it is undone; or which one it undoes.",
)


def undone_of(message_id: int) -> Select[tuple[int]]:
    """The deliveries of a message that were undone, or are being."""
    c = flow_steps.c
    return select(c.undoes).where(c.message_id == message_id, c.undoes.is_not(None))
