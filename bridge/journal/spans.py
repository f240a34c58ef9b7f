"""What a trace says of each message, read from the journal: a process that ends takes nothing with it.

A trace has the message's `trace_id`; its spans are steps of the journal: received, translated, and each
attempt that ended. Ids of spans come from what they stand for, so that a span which is told twice is the same
span, and an attempt has the id that its API was told, whatever became of the process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select

from bridge.delivery.state import DeliveryState, MessageState
from bridge.journal.file_schema import file_messages
from bridge.journal.schema import attempts, deliveries, facts, messages, transitions
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

STEPS_AT_ONCE = 500
SPAN_ID_BYTES, TRACE_ID_BYTES = 8, 16
TRACED = "traced"
"""The row of `facts` with the last step that was told."""

_FAILED = (MessageState.QUARANTINED, MessageState.REFUSED)

Kind = Literal["receive", "translate", "attempt"]


@dataclass(frozen=True, slots=True)
class Span:
    """One span. ``links`` are other traces, each with a span of theirs; ``failed`` where it went wrong."""

    kind: Kind
    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    started_at_us: Microseconds
    ended_at_us: Microseconds
    message_id: int
    channel: str
    state: str
    reason: str
    failed: bool
    delivery_id: int | None = None
    route: str = ""
    api: str = ""
    operation: str = ""
    attempt: int | None = None
    verdict: str = ""
    status: int | None = None
    replay_of: int | None = None
    file_id: int | None = None
    links: tuple[tuple[bytes, bytes], ...] = ()


def span_of(trace_id: bytes, *what: str | int) -> bytes:
    """The id of the span that stands for something of a trace."""
    text = " ".join(map(str, what)).encode()
    return hashlib.blake2b(text, key=trace_id, digest_size=SPAN_ID_BYTES).digest()


def attempt_span(trace_id: bytes, delivery_id: int, attempt: int) -> bytes:
    """The id of an attempt's span; its API is told it before the attempt begins."""
    return span_of(trace_id, "attempt", delivery_id, attempt)


def traced_up_to(connection: Connection) -> int:
    """The last step that was told; the newest there is where none ever was."""
    found = connection.execute(select(facts.c.value).where(facts.c.name == TRACED)).scalar()
    if found is not None:
        return int(found)
    return connection.execute(select(func.max(transitions.c.id))).scalar() or 0


def spans_after(connection: Connection, after: int) -> tuple[list[Span], int]:
    """The spans of the next steps after one, and the last step that was looked at."""
    steps = connection.execute(
        select(
            transitions,
            messages.c.trace_id,
            messages.c.channel,
            messages.c.received_at_us,
            messages.c.replay_of,
            file_messages.c.file_id,
        )
        .join(messages, messages.c.id == transitions.c.message_id)
        .outerjoin(file_messages, file_messages.c.message_id == messages.c.id)
        .where(transitions.c.id > after)
        .order_by(transitions.c.id)
        .limit(STEPS_AT_ONCE)
    ).all()
    known = _attempts(connection, [step.delivery_id for step in steps if step.delivery_id is not None])
    others = [step.replay_of for step in steps if step.replay_of is not None]
    first_of = _firsts(connection, [step.file_id for step in steps if step.file_id is not None])
    traces = _traces(connection, [*others, *first_of.values()])
    spans = []
    for step in steps:
        if step.delivery_id is None:
            linked = (step.replay_of, first_of.get(step.file_id))
            links = [traces[each] for each in linked if each in traces and each != step.message_id]
            spans += _of_message(step, links)
        elif step.from_state == DeliveryState.IN_FLIGHT:
            tried = known.get((step.delivery_id, step.at_us))
            spans += [] if tried is None else [_of_attempt(step, tried)]
    return spans, steps[-1].id if steps else after


def _of_message(step: Any, links: Sequence[bytes]) -> list[Span]:
    root = span_of(step.trace_id, "receive")
    match step.from_state:
        case None:
            kind, span_id, parent_id = "receive", root, None
        case MessageState.RECEIVED:
            kind, span_id, parent_id = "translate", span_of(step.trace_id, "translate", step.id), root
            links = ()
        case _:
            return []
    failed = step.to_state in _FAILED
    return [
        Span(
            kind,  # type: ignore[arg-type]
            step.trace_id,
            span_id,
            parent_id,
            step.received_at_us,
            max(step.received_at_us, step.at_us),
            step.message_id,
            step.channel,
            step.to_state,
            step.reason if failed else "",
            failed,
            replay_of=step.replay_of,
            file_id=step.file_id,
            links=tuple((trace_id, span_of(trace_id, "receive")) for trace_id in links),
        )
    ]


def _of_attempt(step: Any, tried: Any) -> Span:
    return Span(
        "attempt",
        step.trace_id,
        attempt_span(step.trace_id, tried.delivery_id, tried.number),
        span_of(step.trace_id, "receive"),
        tried.started_at_us,
        max(tried.started_at_us, tried.ended_at_us),
        step.message_id,
        step.channel,
        step.to_state,
        tried.reason,
        tried.verdict != "delivered",
        tried.delivery_id,
        tried.route,
        tried.api,
        tried.operation,
        tried.number,
        tried.verdict,
        tried.status,
    )


def _attempts(connection: Connection, ids: Sequence[int]) -> dict[tuple[int, int], Any]:
    rows = connection.execute(
        select(attempts, deliveries.c.route, deliveries.c.api, deliveries.c.operation)
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .where(attempts.c.delivery_id.in_(sorted(set(ids))))
    )
    return {(row.delivery_id, row.ended_at_us): row for row in rows}


def _firsts(connection: Connection, file_ids: Sequence[int]) -> dict[int, int]:
    """The first message of each file: a batch is a link of its messages, and no trace that never ends."""
    rows = connection.execute(
        select(file_messages.c.file_id, func.min(file_messages.c.message_id).label("first"))
        .where(file_messages.c.file_id.in_(sorted(set(file_ids))))
        .group_by(file_messages.c.file_id)
    )
    return {row.file_id: row.first for row in rows}


def _traces(connection: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    rows = connection.execute(
        select(messages.c.id, messages.c.trace_id).where(messages.c.id.in_(sorted(set(ids))))
    )
    return {row.id: row.trace_id for row in rows}


def _told(tx: Transaction, items: Sequence[int]) -> list[None]:
    tx.connection.execute(delete(facts).where(facts.c.name == TRACED))
    tx.connection.execute(insert(facts).values(name=TRACED, value=str(max(items)).encode()))
    return [None] * len(items)


TOLD: Work[int, None] = Work("traced", _told)
"""Note up to which step traces were told."""
