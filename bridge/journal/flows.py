"""Flows in the journal: which deliveries follow which, and what is done once one of them has failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, text, update

from bridge.audit.details import digest, of_delivery
from bridge.delivery.flow import BY_HAND, FOLLOWS_ASIDE, UNDO_BY_HAND, Decision, Step, decide
from bridge.delivery.outcomes import NOT_CALLED, Verdict
from bridge.delivery.state import DELIVERY_OPEN, DeliveryState
from bridge.journal.flow_schema import flow_steps
from bridge.journal.restored import RESTORED
from bridge.journal.schema import attempts, deliveries, requests
from bridge.journal.statements import insert_rows
from bridge.journal.transaction import Transaction, Work
from bridge.message import Microseconds

FLOW_ASIDE = "set-aside"
_SURE = frozenset({Verdict.POISON, Verdict.NOT_FOUND, *NOT_CALLED})
_MAY_HAVE_HAPPENED = ("outcome-unknown", RESTORED)
_D = DeliveryState


class NewStep(NamedTuple):
    """What is kept of a delivery that is part of a flow. ``undo`` is the operation that undoes it, `BY_HAND`
    or empty; its request was made with the delivery's own, under ``undo_verdicts``."""

    follows: tuple[str, ...] = ()
    if_fails: str = "person"
    undo: str = ""
    undo_request: bytes | None = None
    undo_verdicts: str = ""
    undo_asks: str | None = None


_INSERT_STEP = insert_rows(flow_steps)
_INSERT_DELIVERY = insert_rows(deliveries)
_INSERT_REQUEST = insert_rows(requests)
_IS_OPEN = text("is_open = 1")
_OVER = frozenset({_D.FILTERED, _D.RECORDED})


def keep_steps(connection: Connection, made: Iterable[tuple[int, int, str, NewStep | None]]) -> None:
    """Write down of which flow new deliveries are: their ids, their messages' and their states."""
    found = [(number, message, state, step) for number, message, state, step in made if step is not None]
    if not found:
        return
    left = {message for _, message, state, _ in found if DeliveryState(state) not in _OVER}
    _INSERT_STEP.many(
        connection,
        [
            {
                "delivery_id": number,
                "message_id": message,
                "follows": " ".join(step.follows),
                "if_fails": step.if_fails,
                "undo": step.undo,
                "undo_request": step.undo_request,
                "undo_asks": None if step.undo_asks is None else step.undo_asks.encode(),
                "undo_verdicts": step.undo_verdicts,
                "undoes": None,
                "is_open": int(message in left),
            }
            for number, message, _, step in found
        ],
    )


class Flow(NamedTuple):
    """A flow as it is: its steps, and the ids of the deliveries that undo some."""

    steps: tuple[Step, ...]
    undoing: frozenset[int]
    apis: dict[int, str]

    @property
    def decision(self) -> Decision:
        """What is to be done about it; what undoes a step waits for nothing but its lane."""
        found = decide(self.steps)
        return Decision(
            found.clear | self.undoing, found.end, found.aside, found.again, found.undo, found.over
        )


_FLOW = (
    select(
        flow_steps.c.delivery_id,
        flow_steps.c.follows,
        flow_steps.c.if_fails,
        flow_steps.c.undo,
        flow_steps.c.undoes,
        deliveries.c.api,
        deliveries.c.route,
        deliveries.c.state,
        deliveries.c.reason,
        deliveries.c.attempts,
        deliveries.c.aside,
    )
    .join(deliveries, deliveries.c.id == flow_steps.c.delivery_id)
    .order_by(flow_steps.c.delivery_id)
)


def flow_of(connection: Connection, message_id: int) -> Flow:
    """The flow of one message; without steps where it has none."""
    rows = connection.execute(_FLOW.where(flow_steps.c.message_id == message_id)).all()
    undone = {row.undoes: _D(row.state) for row in rows if row.undoes is not None}
    return Flow(
        tuple(
            Step(
                row.delivery_id,
                row.route,
                _D(row.state),
                row.reason,
                tuple(row.follows.split()),
                row.attempts > 0,
                _surely_not(connection, row),
                bool(row.aside),
                row.if_fails,
                row.undo,
                undone.get(row.delivery_id),
            )
            for row in rows
            if row.undoes is None
        ),
        frozenset(row.delivery_id for row in rows if row.undoes is not None),
        {row.delivery_id: row.api for row in rows},
    )


def _surely_not(connection: Connection, row: Any) -> bool:
    """Whether of a delivery in quarantine it is known that its API did not take it."""
    if row.state != _D.QUARANTINED or row.reason in _MAY_HAVE_HAPPENED:
        return False
    if not row.attempts:
        return True
    last = (
        select(attempts.c.verdict)
        .where(attempts.c.delivery_id == row.delivery_id)
        .order_by(attempts.c.number.desc())
        .limit(1)
    )
    return connection.execute(last).scalar() in _SURE


def open_flows(connection: Connection, after: int, most: int) -> list[int]:
    """The next messages whose flows are not over."""
    found = (
        select(flow_steps.c.message_id)
        .where(_IS_OPEN, flow_steps.c.message_id > after)
        .distinct()
        .order_by(flow_steps.c.message_id)
        .limit(most)
    )
    return list(connection.execute(found).scalars())


def routes_of_flows(connection: Connection) -> set[tuple[str, str]]:
    """The routes, each with its channel, of which a flow is not over."""
    found = (
        select(deliveries.c.channel, deliveries.c.route)
        .join(flow_steps, flow_steps.c.delivery_id == deliveries.c.id)
        .where(_IS_OPEN)
        .distinct()
    )
    return {(row.channel, row.route) for row in connection.execute(found)}


class Advance(NamedTuple):
    """A message whose flow is to go on."""

    message_id: int
    at_us: Microseconds


class Moved(NamedTuple):
    """A delivery that was ended, let go or made, as its flow went on."""

    delivery_id: int
    channel: str
    route: str
    api: str
    state: DeliveryState
    reason: str


def _advance(tx: Transaction, items: Sequence[Advance]) -> list[tuple[Moved, ...]]:
    return [_advance_one(tx, each) for each in items]


def _advance_one(tx: Transaction, each: Advance) -> tuple[Moved, ...]:
    decision = flow_of(tx.connection, each.message_id).decision
    at_us = each.at_us
    moved = [
        *(_step(tx, one, (state,), reason, at_us) for one, (state, reason) in decision.end.items()),
        *(_set_aside(tx, one, at_us) for one in decision.aside),
        *(_step(tx, one, (_D.READY,), "", at_us, aside=0) for one in decision.again),
        *(_undo(tx, one, at_us) for one in decision.undo),
    ]
    if decision.over:
        tx.connection.execute(
            update(flow_steps).where(flow_steps.c.message_id == each.message_id).values(is_open=0)
        )
    return tuple(moved)


def _step(
    tx: Transaction,
    delivery_id: int,
    states: Sequence[DeliveryState],
    reason: str,
    at_us: Microseconds,
    **values: Any,
) -> Moved:
    row = tx.connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one()
    state = row.state
    for following in states:
        tx.connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(state=following))
        tx.transition(row.message_id, row.id, state, following, at_us, reason or "flow-goes-on")
        state = following
    tx.connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(reason=reason, **values))
    return Moved(row.id, row.channel, row.route, row.api, states[-1], reason)


def _set_aside(tx: Transaction, delivery_id: int, at_us: Microseconds) -> Moved:
    held = tx.connection.execute(select(deliveries.c.state).where(deliveries.c.id == delivery_id)).scalar()
    states = (_D.QUARANTINED,) if held == _D.HELD else (_D.HELD, _D.QUARANTINED)
    moved = _step(tx, delivery_id, states, FOLLOWS_ASIDE, at_us, aside=1)
    row = tx.connection.execute(select(deliveries.c.message_id).where(deliveries.c.id == delivery_id)).one()
    tx.transition(row.message_id, delivery_id, _D.QUARANTINED, _D.QUARANTINED, at_us, FLOW_ASIDE)
    return moved


def _undo(tx: Transaction, delivery_id: int, at_us: Microseconds) -> Moved:
    """Make what undoes a delivery: a call of its own, or a task for a person."""
    row = dict(
        tx.connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).mappings().one()
    )
    step = tx.connection.execute(select(flow_steps).where(flow_steps.c.delivery_id == delivery_id)).one()
    by_hand = step.undo == BY_HAND or step.undo_request is None
    state, reason = (_D.QUARANTINED, UNDO_BY_HAND) if by_hand else (_D.READY, "")
    number = tx.next_id("deliveries")
    operation = "" if by_hand else step.undo
    tx.transition(
        row["message_id"],
        number,
        None,
        state,
        at_us,
        reason or f"undoes delivery {delivery_id}",
        detail=of_delivery(
            row["route"],
            row["api"],
            operation,
            row["mapping"],
            row["mapping_digest"],
            row["contract_digest"],
            step.undo_verdicts,
            "" if by_hand else digest(step.undo_request),
            "" if row["patient"] is None else bytes(row["patient"]).hex(),
        ),
    )
    made = {
        **row,
        "id": number,
        "operation": operation,
        "state": str(state),
        "reason": reason,
        "attempts": 0,
        "poison_attempts": 0,
        "revision": 1,
        "due_at_us": 0,
        "aside": int(by_hand),
        "held_since_us": None,
        "sent_as": None,
        "late": 1,
        "verdicts": step.undo_verdicts,
    }
    _INSERT_DELIVERY.many(tx.connection, [made])
    if by_hand:
        tx.transition(row["message_id"], number, state, state, at_us, FLOW_ASIDE)
    else:
        request = {"delivery_id": number, "request": step.undo_request, "asks": step.undo_asks}
        _INSERT_REQUEST.many(tx.connection, [request])
    tx.connection.execute(
        insert(flow_steps).values(
            delivery_id=number,
            message_id=row["message_id"],
            follows="",
            if_fails="person",
            undo="",
            undo_verdicts="",
            undoes=delivery_id,
            is_open=1,
        )
    )
    return Moved(number, row["channel"], row["route"], row["api"], state, reason)


ADVANCE: Work[Advance, tuple[Moved, ...]] = Work("advance", _advance)
"""Do what is to be done about flows, by how their steps are in this transaction."""


class KeptStep(NamedTuple):
    """What a delivery is to its flow, without content; ``undoes`` is the delivery that it undoes."""

    follows: tuple[str, ...]
    if_fails: str
    undo: str
    undoes: int | None


def steps_of(connection: Connection, message_id: int) -> dict[int, KeptStep]:
    """The deliveries of a message that are part of a flow."""
    rows = connection.execute(
        select(
            flow_steps.c.delivery_id,
            flow_steps.c.follows,
            flow_steps.c.if_fails,
            flow_steps.c.undo,
            flow_steps.c.undoes,
        ).where(flow_steps.c.message_id == message_id)
    )
    return {row[0]: KeptStep(tuple(row.follows.split()), *row[2:]) for row in rows}


def in_words(step: KeptStep) -> str:
    """A step for a person.

    >>> in_words(KeptStep(("patient",), "undo", "cancelEncounter", None))
    'after patient, undo: cancelEncounter'
    """
    if step.undoes is not None:
        return f"undoes delivery {step.undoes}"
    after = f"after {', '.join(step.follows)}" if step.follows else "first"
    return f"{after}, undo: {step.undo}" if step.undo else after


def if_discarded(connection: Connection, message_id: int, delivery_id: int) -> str:
    """What would follow in its flow if a person discarded a delivery; empty where nothing would."""
    steps = flow_of(connection, message_id).steps
    if all(step.delivery_id != delivery_id for step in steps):
        return ""
    found = decide(
        [replace(step, state=_D.DISCARDED) if step.delivery_id == delivery_id else step for step in steps]
    )
    undone, ended = ", ".join(map(str, found.undo)), ", ".join(map(str, found.end))
    parts = [f"undoes delivery {undone}" if undone else "", f"ends delivery {ended}" if ended else ""]
    return " and ".join(filter(None, parts))


def waits_in_flow(
    flow: Mapping[int, KeptStep], deliveries_of_message: Sequence[Mapping[str, Any]], row: Mapping[str, Any]
) -> str | None:
    """What an open delivery waits for that it follows; None where it waits for nothing."""
    step = flow.get(row["id"])
    if step is None or row["attempts"] or row["state"] not in DELIVERY_OPEN:
        return None
    for each in deliveries_of_message:
        ours = each["route"] in step.follows and flow[each["id"]].undoes is None
        if ours and not Step(each["id"], each["route"], _D(each["state"]), each["reason"]).done:
            return f"delivery {each['id']} of route {each['route']}, {each['state']}"
    return None
