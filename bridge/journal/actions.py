"""What persons did and what they looked at: one row each, in the transaction of what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from bridge.journal.schema import actions
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

ROWS_MAX = 1000
EDIT = "edit"
"""The action of a person who corrects a message."""


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action. ``actor`` is ``user:NAME``, ``person:NAME`` where it was signed, or ``bridge``; ``subject``
    what it was done to, `delivery 7`."""

    at_us: Microseconds
    actor: str
    action: str
    subject: str
    reason: str


def note(tx: Transaction, row: ActionRow) -> None:
    """Write an action in a transaction that does it."""
    tx.action(
        {
            "at_us": row.at_us,
            "actor": row.actor,
            "action": row.action,
            "object": row.subject,
            "reason": row.reason,
        }
    )


def _note(tx: Transaction, rows: Sequence[ActionRow]) -> list[None]:
    for row in rows:
        note(tx, row)
    return [None] * len(rows)


NOTE: Work[ActionRow, None] = Work("note", _note)
"""Write an action that changes nothing: somebody looked at content."""


def corrections(connection: Connection, message_id: int) -> list[ActionRow]:
    """Who has corrected a message, when and why, the first time first."""
    query = select(actions).where(actions.c.action == EDIT, actions.c.object == f"message {message_id}")
    return [
        ActionRow(row.at_us, row.actor, row.action, row.object, row.reason)
        for row in connection.execute(query.order_by(actions.c.id).limit(ROWS_MAX))
    ]


def latest(
    connection: Connection, *, subjects: Sequence[str] | None = None, limit: int = 50
) -> list[ActionRow]:
    """The newest actions first, or those on these subjects."""
    query = select(actions).order_by(actions.c.id.desc()).limit(min(limit, ROWS_MAX))
    if subjects is not None:
        query = query.where(actions.c.object.in_(list(subjects)))
    return [
        ActionRow(row.at_us, row.actor, row.action, row.object, row.reason)
        for row in connection.execute(query)
    ]
