"""Finding messages, and seeing all that became of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from bridge.journal.ledger import became
from bridge.journal.schema import answers, attempts, bodies, deliveries, messages, requests, transitions

ROWS_MAX = 10_000

Row = Mapping[str, Any]

_WITH_ANSWERS = messages.outerjoin(answers, answers.c.message_id == messages.c.id)
_LISTED = (
    messages.c.id,
    messages.c.channel,
    messages.c.seq,
    messages.c.received_at_us,
    messages.c.message_type,
    messages.c.control_id,
    messages.c.body_size_bytes,
    messages.c.state,
    messages.c.reason,
    messages.c.flags,
    messages.c.answer_code,
    answers.c.reached.label("answer_reached"),
    messages.c.duplicate_of,
)


def find_messages(
    connection: Connection,
    *,
    channel: str | None = None,
    state: str | None = None,
    control_id: str | None = None,
    limit: int = 50,
) -> list[Row]:
    """The newest messages that fit, newest first, with what ``became`` of each. No bodies."""
    query = (
        select(*_LISTED).select_from(_WITH_ANSWERS).order_by(messages.c.id.desc()).limit(min(limit, ROWS_MAX))
    )
    if channel is not None:
        query = query.where(messages.c.channel == channel)
    if state is not None:
        query = query.where(messages.c.state == state)
    if control_id is not None:
        query = query.where(messages.c.control_id == control_id)
    rows = connection.execute(query).mappings().all()
    entries = became(connection, {row["id"]: row["state"] for row in rows})
    return [{**row, "became": entries[row["id"]]} for row in rows]


@dataclass(frozen=True, slots=True)
class Story:
    """One message and all that became of it, oldest first."""

    message: Row
    deliveries: Sequence[Row]
    attempts: Sequence[Row]
    transitions: Sequence[Row]


def story(connection: Connection, message_id: int) -> Story | None:
    """The story of one message, or None where there is none of that id."""
    whole = _WITH_ANSWERS.join(bodies, bodies.c.message_id == messages.c.id)
    message = (
        connection.execute(
            select(messages, bodies.c.body, bodies.c.answer, answers.c.reached.label("answer_reached"))
            .select_from(whole)
            .where(messages.c.id == message_id)
        )
        .mappings()
        .first()
    )
    if message is None:
        return None
    sent = (
        connection.execute(
            select(deliveries, requests.c.request)
            .outerjoin(requests, requests.c.delivery_id == deliveries.c.id)
            .where(deliveries.c.message_id == message_id)
            .order_by(deliveries.c.id)
        )
        .mappings()
        .all()
    )
    tried = (
        connection.execute(
            select(attempts)
            .where(attempts.c.delivery_id.in_([row["id"] for row in sent]))
            .order_by(attempts.c.delivery_id, attempts.c.number)
        )
        .mappings()
        .all()
    )
    steps = (
        connection.execute(
            select(transitions).where(transitions.c.message_id == message_id).order_by(transitions.c.id)
        )
        .mappings()
        .all()
    )
    return Story(
        dict(message), [dict(row) for row in sent], [dict(row) for row in tried], [dict(row) for row in steps]
    )
