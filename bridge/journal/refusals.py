"""What APIs have answered to requests that they did not take, the last of each delivery.

It says why, and may hold what it is about: it is sealed, kept as long as the request is, and shown to whoever
says why they must see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from bridge.journal.capture_schema import refusals
from bridge.journal.schema import deliveries
from bridge.journal.statements import insert_rows
from bridge.journal.transaction import Transaction

REFUSAL_MAX_BYTES = 4096
"""An answer that says more says it in its first bytes."""
_INSERT = insert_rows(refusals)


class Refusal(NamedTuple):
    """Which attempt an answer was to, counted from 1, and its first bytes. This is content."""

    attempt: int
    answer: bytes


def keep_refusals(tx: Transaction, kept: Sequence[tuple[int, int, bytes]]) -> None:
    """Keep answers, each with its delivery's id and the attempt's number, in the place of those before."""
    if not kept:
        return
    tx.connection.execute(delete(refusals).where(refusals.c.delivery_id.in_([each[0] for each in kept])))
    rows = [{"delivery_id": of, "attempt": attempt, "answer": answer} for of, attempt, answer in kept]
    _INSERT.many(tx.connection, rows)


def refusals_of(connection: Connection, message_id: int) -> dict[int, Refusal]:
    """What was answered last to the deliveries of a message, where that is kept, by delivery."""
    rows = connection.execute(
        select(refusals.c.delivery_id, refusals.c.attempt, refusals.c.answer)
        .join(deliveries, deliveries.c.id == refusals.c.delivery_id)
        .where(deliveries.c.message_id == message_id)
        .order_by(refusals.c.delivery_id)
    )
    return {row.delivery_id: Refusal(row.attempt, row.answer) for row in rows}


def refused_attempts(connection: Connection, message_id: int) -> dict[int, int]:
    """As `refusals_of`, without content: which attempt of each."""
    rows = connection.execute(
        select(refusals.c.delivery_id, refusals.c.attempt)
        .join(deliveries, deliveries.c.id == refusals.c.delivery_id)
        .where(deliveries.c.message_id == message_id)
    )
    return {row.delivery_id: row.attempt for row in rows}
