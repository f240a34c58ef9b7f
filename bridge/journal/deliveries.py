"""Deliveries in the journal: started, settled, and read back in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from bridge.delivery.state import DeliveryState, after_crash
from bridge.journal.schema import IS_OPEN, attempts, deliveries, messages, requests
from bridge.journal.statements import insert_rows, update_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds


@dataclass(frozen=True, slots=True)
class Start:
    """A delivery whose turn it is."""

    delivery_id: int
    at_us: Microseconds


@dataclass(frozen=True, slots=True)
class Call:
    """A delivery that is now IN_FLIGHT on disk, and so may be sent. ``attempt`` counts from 1."""

    delivery_id: int
    message_id: int
    channel: str
    request: bytes
    attempt: int
    poison_attempts: int
    revision: int
    trace_id: bytes
    received_at_us: Microseconds


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an attempt ended, and the states the delivery passes through because of it."""

    delivery_id: int
    message_id: int
    attempt: int
    started_at_us: Microseconds
    ended_at_us: Microseconds
    verdict: str
    status: int | None
    reason: str
    span_id: bytes
    states: tuple[DeliveryState, ...]
    due_at_us: Microseconds
    poison_attempts: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that waits for its turn."""

    delivery_id: int
    message_id: int
    key_hash: bytes
    due_at_us: Microseconds


_INSERT_ATTEMPT = insert_rows(attempts)
_STEP = update_rows(deliveries, "state", "reason")
_STARTED = update_rows(deliveries, "state", "reason", "attempts")
_SETTLED = update_rows(deliveries, "state", "reason", "due_at_us", "poison_attempts")

_TO_START = (
    select(
        deliveries.c.id,
        deliveries.c.message_id,
        deliveries.c.channel,
        requests.c.request,
        deliveries.c.state,
        deliveries.c.attempts,
        deliveries.c.poison_attempts,
        deliveries.c.revision,
        messages.c.trace_id,
        messages.c.received_at_us,
    )
    .join(messages, messages.c.id == deliveries.c.message_id)
    .join(requests, requests.c.delivery_id == deliveries.c.id)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
)


def _start(tx: Transaction, starts: Sequence[Start]) -> list[Call]:
    found = {
        row.id: row
        for row in tx.connection.execute(_TO_START, {"ids": [start.delivery_id for start in starts]})
    }
    calls: list[Call] = []
    woken: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for start in starts:
        row = found[start.delivery_id]
        if row.state != DeliveryState.READY:
            woken.append({"id": row.id, "state": DeliveryState.READY, "reason": "due"})
            tx.transition(row.message_id, row.id, row.state, DeliveryState.READY, start.at_us, "due")
        attempt = row.attempts + 1
        rows.append(
            {
                "id": row.id,
                "state": DeliveryState.IN_FLIGHT,
                "reason": "",
                "attempts": attempt,
            }
        )
        tx.transition(
            row.message_id,
            row.id,
            DeliveryState.READY,
            DeliveryState.IN_FLIGHT,
            start.at_us,
            f"attempt {attempt}",
        )
        calls.append(
            Call(
                row.id,
                row.message_id,
                row.channel,
                row.request,
                attempt,
                row.poison_attempts,
                row.revision,
                row.trace_id,
                row.received_at_us,
            )
        )
    _STEP.many(tx.connection, woken)
    _STARTED.many(tx.connection, rows)
    return calls


def _settle(tx: Transaction, settlements: Sequence[Settlement]) -> list[None]:
    passing: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    for each in settlements:
        state: DeliveryState = DeliveryState.IN_FLIGHT
        for following in each.states:
            tx.transition(each.message_id, each.delivery_id, state, following, each.ended_at_us, each.reason)
            state = following
        passing.extend(
            {"id": each.delivery_id, "state": between, "reason": each.reason} for between in each.states[:-1]
        )
        rows.append(
            {
                "id": each.delivery_id,
                "state": state,
                "reason": each.reason,
                "due_at_us": each.due_at_us,
                "poison_attempts": each.poison_attempts,
            }
        )
        ended.append(
            {
                "delivery_id": each.delivery_id,
                "number": each.attempt,
                "started_at_us": each.started_at_us,
                "ended_at_us": each.ended_at_us,
                "verdict": each.verdict,
                "status": each.status,
                "reason": each.reason,
                "span_id": each.span_id,
            }
        )
    _STEP.many(tx.connection, passing)
    _SETTLED.many(tx.connection, rows)
    _INSERT_ATTEMPT.many(tx.connection, ended)
    return [None] * len(settlements)


START: Work[Start, Call] = Work("start", _start)
"""Set deliveries IN_FLIGHT and hand back what to send; only what this transaction committed may be sent."""
SETTLE: Work[Settlement, None] = Work("settle", _settle)
"""Write how attempts ended."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What to do about deliveries that a process left IN_FLIGHT: how safe each API's repeats are."""

    repeat_safety: Mapping[str, str]
    at_us: Microseconds


def _recover(tx: Transaction, recoveries: Sequence[Recovery]) -> list[int]:
    # In flight is at most what the APIs' limits let through, never a backlog.
    left = tx.connection.execute(
        select(
            deliveries.c.id,
            deliveries.c.message_id,
            deliveries.c.api,
            deliveries.c.attempts,
            deliveries.c.poison_attempts,
            deliveries.c.due_at_us,
        ).where(IS_OPEN, deliveries.c.state == DeliveryState.IN_FLIGHT)
    ).all()
    counts: list[int] = []
    for recovery in recoveries:
        settlements = []
        for row in left:
            following = after_crash(recovery.repeat_safety.get(row.api, "none"))
            settlements.append(
                Settlement(
                    row.id,
                    row.message_id,
                    row.attempts,
                    recovery.at_us,
                    recovery.at_us,
                    "ambiguous",
                    None,
                    following.reason,
                    b"",
                    following.states,
                    recovery.at_us,
                    row.poison_attempts,
                )
            )
        _settle(tx, settlements)
        counts.append(len(settlements))
        left = []
    return counts


RECOVER: Work[Recovery, int] = Work("recover", _recover)
"""Settle what was IN_FLIGHT when the last process ended; the result is how many there were."""


def _waiting(connection: Connection, condition: Any, after_id: int, limit: int) -> list[Waiting]:
    rows = connection.execute(
        select(deliveries.c.id, deliveries.c.message_id, deliveries.c.key_hash, deliveries.c.due_at_us)
        .where(condition, IS_OPEN, deliveries.c.state != DeliveryState.IN_FLIGHT, deliveries.c.id > after_id)
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    return [Waiting(row.id, row.message_id, row.key_hash, row.due_at_us) for row in rows]


def of_api(connection: Connection, api: str, after_id: int, limit: int) -> list[Waiting]:
    """The next open deliveries to an API, in order."""
    return _waiting(connection, deliveries.c.api == api, after_id, limit)


def of_lane(connection: Connection, api: str, key_hash: bytes, after_id: int, limit: int) -> list[Waiting]:
    """The next open deliveries of one lane, in order."""
    lane = (deliveries.c.api == api) & (deliveries.c.key_hash == key_hash)
    return _waiting(connection, lane, after_id, limit)


def barriers(connection: Connection, api: str) -> dict[bytes, int]:
    """For each lane of an API that a delivery in quarantine occupies, the id of the first one's message."""
    quarantined: Any = bindparam(None, "QUARANTINED", literal_execute=True)
    rows = connection.execute(
        select(deliveries.c.key_hash, func.min(deliveries.c.message_id).label("first"))
        .where(deliveries.c.api == api, deliveries.c.state == quarantined)
        .group_by(deliveries.c.key_hash)
    )
    return {row.key_hash: row.first for row in rows}
