"""Deliveries in the journal: started, settled, and read back in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, update

from bridge.audit.details import of_attempt
from bridge.delivery.state import SET_ASIDE, DeliveryState, after_crash
from bridge.journal.captures import Captured, keep_captured
from bridge.journal.collections import Joined, join
from bridge.journal.confirmations import await_confirmation, called_back
from bridge.journal.newness import note_told, overtaken
from bridge.journal.refusals import keep_refusals
from bridge.journal.replays import First, sent_first
from bridge.journal.restored import RESTORED
from bridge.journal.schema import (
    IS_OPEN,
    attempts,
    deliveries,
    messages,
    requests,
    revised_requests,
    transitions,
)
from bridge.journal.statements import insert_rows, select_ids, update_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds


class Start(NamedTuple):
    """A delivery whose turn it is. ``fresh_of`` is its message, where what it sends is at hand as a `Fresh`,
    and None where it must be read; ``watched`` tells that its API may have taken a newer state of the
    record."""

    delivery_id: int
    at_us: Microseconds
    fresh_of: int | None = None
    watched: bool = False


class Call(NamedTuple):
    """A delivery that is now IN_FLIGHT on disk, and so may be sent. ``attempt`` counts from 1.

    ``sent_as`` names what is sent, the same for each attempt with the same bytes; ``held_since_us`` is when
    the API first said that what its path names is not there. ``may_have_happened`` tells that nobody knows
    what became of the attempt before; ``verdicts`` are what policies said when the request was made, and
    ``contract_digest`` is the contract that it was made by, empty for none. ``asks`` is what policies are
    asked again with, ``first`` what this one is once more, None where it is no replay.
    ``watched`` is as of its `Start`, ``overtaken`` tells that its API has taken a newer state of the record.
    """

    delivery_id: int
    message_id: int
    channel: str
    route: str
    request: bytes
    attempt: int
    poison_attempts: int
    sent_as: str
    held_since_us: Microseconds | None
    trace_id: bytes
    received_at_us: Microseconds
    may_have_happened: bool
    verdicts: str
    contract_digest: str = ""
    asks: str | None = None
    first: First | None = None
    watched: bool = False
    overtaken: bool = False


class AsMade(NamedTuple):
    """A delivery that is now IN_FLIGHT on disk for the first time, and as it was made: its `Fresh` says what
    to send. The parts are those of a `Call`."""

    sent_as: str
    watched: bool = False
    overtaken: bool = False


class Fresh(NamedTuple):
    """What is sent of a delivery that was just journaled, so that it need neither be read back nor go to the
    writer and come again."""

    message_id: int
    channel: str
    route: str
    request: bytes
    trace_id: bytes
    received_at_us: Microseconds
    verdicts: str
    contract_digest: str = ""
    asks: str | None = None

    def call(self, delivery_id: int, as_made: AsMade) -> Call:
        """The first call of the delivery, once it is on disk."""
        return Call(
            delivery_id,
            self.message_id,
            self.channel,
            self.route,
            self.request,
            1,
            0,
            as_made.sent_as,
            None,
            self.trace_id,
            self.received_at_us,
            False,
            self.verdicts,
            self.contract_digest,
            self.asks,
            None,
            as_made.watched,
            as_made.overtaken,
        )


class Settlement(NamedTuple):
    """How an attempt ended, and the states the delivery passes through because of it.

    ``aside`` tells that the last of them is a quarantine which its key does not wait for. ``verdicts`` are
    what every policy said, from the making of the request to this end. ``watched`` is as of its `Start`,
    ``called`` is what the API calls the call, where it will tell us what became of it, and ``refusal`` the
    first bytes of what it answered, where it did not take the request.
    """

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
    held_since_us: Microseconds | None = None
    aside: bool = False
    verdicts: str = ""
    watched: bool = False
    captured: Captured | None = None
    confirm: tuple[str, Microseconds] | None = None
    joined: Joined | None = None
    called: str = ""
    refusal: bytes = b""


_INSERT_ATTEMPT = insert_rows(attempts)
_STEP = update_rows(deliveries, "state", "reason")
_STARTED = update_rows(deliveries, "state", "reason", "attempts")
_SETTLED = update_rows(
    deliveries, "state", "reason", "due_at_us", "poison_attempts", "held_since_us", "aside"
)
_MAY_START = frozenset({DeliveryState.READY, DeliveryState.RETRY_WAIT, DeliveryState.HELD})


_TO_START = (
    select(
        deliveries.c.id,
        deliveries.c.message_id,
        deliveries.c.channel,
        deliveries.c.route,
        func.coalesce(revised_requests.c.request, requests.c.request).label("request"),
        requests.c.asks,
        revised_requests.c.request.is_not(None).label("revised"),
        revised_requests.c.asks.label("asks_anew"),
        deliveries.c.state,
        deliveries.c.reason,
        deliveries.c.attempts,
        deliveries.c.poison_attempts,
        deliveries.c.revision,
        deliveries.c.sent_as,
        deliveries.c.held_since_us,
        deliveries.c.verdicts,
        deliveries.c.contract_digest,
        messages.c.trace_id,
        messages.c.received_at_us,
        messages.c.replay_of,
        deliveries.c.api,
    )
    .join(messages, messages.c.id == deliveries.c.message_id)
    .outerjoin(requests, requests.c.delivery_id == deliveries.c.id)
    .outerjoin(
        revised_requests,
        (revised_requests.c.delivery_id == deliveries.c.id)
        & (revised_requests.c.revision == deliveries.c.revision),
    )
    .where(
        deliveries.c.id.in_(bindparam("ids", expanding=True)),
        requests.c.delivery_id.is_not(None) | revised_requests.c.delivery_id.is_not(None),
    )
)


_UNTOUCHED = (
    (deliveries.c.state == str(DeliveryState.READY))
    & (deliveries.c.attempts == 0)
    & (deliveries.c.revision == 1)
    & deliveries.c.sent_as.is_(None)
)
_STILL_FRESH = select_ids(deliveries.c.id, where=_UNTOUCHED)


def _start(tx: Transaction, starts: Sequence[Start]) -> list[Call | AsMade | None]:
    fresh = [start.delivery_id for start in starts if start.fresh_of is not None]
    untouched = _STILL_FRESH.of(tx.connection, fresh)
    read = _read_calls(tx, [start for start in starts if start.delivery_id not in untouched])
    calls: dict[int, Call | AsMade] = {**read}
    rows: list[dict[str, Any]] = []
    for start in starts:
        delivery_id, attempt = start.delivery_id, 1
        if delivery_id in untouched and start.fresh_of is not None:
            message_id = start.fresh_of
            calls[delivery_id] = AsMade(tx.facts.sent_as(delivery_id, 1))
        elif (call := read.get(delivery_id)) is not None:
            message_id, attempt = call.message_id, call.attempt
        else:
            continue
        tx.transition(
            message_id,
            delivery_id,
            DeliveryState.READY,
            DeliveryState.IN_FLIGHT,
            start.at_us,
            f"attempt {attempt}",
        )
        rows.append(
            {"id": delivery_id, "state": str(DeliveryState.IN_FLIGHT), "reason": "", "attempts": attempt}
        )
    _STARTED.many(tx.connection, rows)
    watched = [start.delivery_id for start in starts if start.watched and start.delivery_id in calls]
    late = overtaken(tx.connection, watched)
    for each in watched:
        calls[each] = calls[each]._replace(watched=True, overtaken=each in late)
    return [calls.get(start.delivery_id) for start in starts]


def _read_calls(tx: Transaction, starts: Sequence[Start]) -> dict[int, Call]:
    """The calls of these deliveries, by id, but for those that a person has decided about meanwhile; what
    waited for its time is READY after this."""
    if not starts:
        return {}
    at_us = {start.delivery_id: start.at_us for start in starts}
    found = [row for row in tx.connection.execute(_TO_START, {"ids": list(at_us)}) if row.state in _MAY_START]
    originals = sent_first(tx.connection, tx.facts, [row for row in found if row.replay_of is not None])
    unknown = _unknown(tx.connection, [row.id for row in found if row.attempts or row.reason == RESTORED])
    woken: list[dict[str, Any]] = []
    for row in found:
        if row.state != DeliveryState.READY:
            woken.append({"id": row.id, "state": DeliveryState.READY, "reason": "due"})
            tx.transition(row.message_id, row.id, row.state, DeliveryState.READY, at_us[row.id], "due")
    _STEP.many(tx.connection, woken)
    return {
        row.id: Call(
            row.id,
            row.message_id,
            row.channel,
            row.route,
            row.request,
            row.attempts + 1,
            row.poison_attempts,
            row.sent_as or tx.facts.sent_as(row.id, row.revision),
            row.held_since_us,
            row.trace_id,
            row.received_at_us,
            row.id in unknown,
            row.verdicts,
            row.contract_digest,
            asked_of(row),
            originals.get(row.id),
        )
        for row in found
    }


def asked_of(row: Any) -> str | None:
    """What policies are asked again with: of a request that was made anew, what was written down with it."""
    asks: bytes | None = row.asks_anew if row.revised else row.asks
    return None if asks is None else asks.decode()


def _unknown(connection: Connection, ids: Sequence[int]) -> frozenset[int]:
    """Those of these deliveries that became READY from AMBIGUOUS, and not because a person wanted it."""
    if not ids:
        return frozenset()
    steps = connection.execute(
        select(transitions.c.delivery_id, transitions.c.from_state)
        .where(
            transitions.c.message_id.in_(
                select(deliveries.c.message_id).where(deliveries.c.id.in_(list(ids)))
            ),
            transitions.c.delivery_id.in_(list(ids)),
            transitions.c.to_state == DeliveryState.READY,
        )
        .order_by(transitions.c.id)
    )
    last = {row.delivery_id: row.from_state for row in steps}
    return frozenset(each for each, state in last.items() if state == DeliveryState.AMBIGUOUS)


def _settle(tx: Transaction, settlements: Sequence[Settlement]) -> list[None]:
    passing: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    for each in settlements:
        state: DeliveryState = DeliveryState.IN_FLIGHT
        detail = of_attempt(each.attempt, each.status, each.verdict, each.verdicts)
        for following in each.states:
            tx.transition(
                each.message_id,
                each.delivery_id,
                state,
                following,
                each.ended_at_us,
                each.reason,
                detail=detail,
            )
            state, detail = following, ""
        if each.aside:
            tx.transition(each.message_id, each.delivery_id, state, state, each.ended_at_us, SET_ASIDE)
        passing.extend(
            {"id": each.delivery_id, "state": str(between), "reason": each.reason}
            for between in each.states[:-1]
        )
        rows.append(
            {
                "id": each.delivery_id,
                "state": str(state),
                "reason": each.reason,
                "due_at_us": each.due_at_us,
                "poison_attempts": each.poison_attempts,
                "held_since_us": each.held_since_us,
                "aside": int(each.aside),
            }
        )
        ended.append(
            {
                "delivery_id": each.delivery_id,
                "number": each.attempt,
                "started_at_us": each.started_at_us,
                "ended_at_us": each.ended_at_us,
                "verdict": str(each.verdict),
                "status": each.status,
                "reason": each.reason,
                "span_id": each.span_id,
                "verdicts": each.verdicts,
            }
        )
    _STEP.many(tx.connection, passing)
    _SETTLED.many(tx.connection, rows)
    _INSERT_ATTEMPT.many(tx.connection, ended)
    keep_refusals(
        tx, [(each.delivery_id, each.attempt, each.refusal) for each in settlements if each.refusal]
    )
    keep_captured(
        tx, [(each.delivery_id, each.captured, each.ended_at_us) for each in settlements if each.captured]
    )
    join(
        tx,
        [
            (each.delivery_id, each.message_id, each.joined, each.ended_at_us)
            for each in settlements
            if each.joined
        ],
    )
    keep_captured(
        tx,
        [called_back(each.delivery_id, each.called, each.ended_at_us) for each in settlements if each.called],
    )
    await_confirmation(tx, [(each.delivery_id, *each.confirm) for each in settlements if each.confirm])
    taken = DeliveryState.DELIVERED
    note_told(
        tx.connection, [each.delivery_id for each in settlements if each.watched and taken in each.states]
    )
    return [None] * len(settlements)


START: Work[Start, Call | AsMade | None] = Work("start", _start)
"""Set deliveries IN_FLIGHT and hand back what to send; only what this transaction committed may be sent.
`AsMade` is given only where ``fresh_of`` was, and None for one that is no longer to be sent."""
SETTLE: Work[Settlement, None] = Work("settle", _settle)
"""Write how attempts ended."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What to do about deliveries that a process left IN_FLIGHT: how safe each API's repeats are."""

    repeat_safety: Mapping[str, str]
    at_us: Microseconds
    behind_us: Microseconds = 0
    """By so much the clock is behind what was written last: what was to wait waits as long from now."""


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
        if recovery.behind_us:
            due = deliveries.c.due_at_us
            waits = update(deliveries).where(IS_OPEN, due > recovery.at_us)
            tx.connection.execute(waits.values(due_at_us=due - recovery.behind_us))
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
