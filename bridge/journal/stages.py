"""Where routes stand, and who moved them: written with the action that says who and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from bridge.delivery.stages import Standing
from bridge.delivery.state import DeliveryState
from bridge.journal.actions import ActionRow, note
from bridge.journal.feeding import FeedAgain, feed_again
from bridge.journal.flow_schema import flow_steps
from bridge.journal.schema import attempts, deliveries, messages
from bridge.journal.stage_schema import approvals, pairs, stages
from bridge.journal.statements import update_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

STEPPED_BACK = "stepped-back"
"""The reason of a delivery that is the old engine's again."""
_NOT_HAPPENED = frozenset({408, 425, 429, 503})
"""Statuses of an attempt of which it is known that the call did nothing."""
_STEP = update_rows(deliveries, "state", "reason")
_ASKED_MAX = 500


class Stand(NamedTuple):
    """A route is to stand there from now on. With ``replay`` what the bridge has taken and not sent is the
    old engine's again, and it is fed with it once more, in order; with ``delivered`` also with what the
    bridge has delivered since the route came to where it stands now, which its receivers then have twice."""

    channel: str
    route: str
    standing: Standing
    actor: str
    reason: str
    at_us: Microseconds
    action: str = "stage"
    replay: bool = False
    delivered: bool = False


class Stood(NamedTuple):
    """Where it stands now; what was given back to the old engine, and what could not be, since it may have
    happened or is under way."""

    standing: Standing
    given_back: int
    kept: int


def _stand(tx: Transaction, items: Sequence[Stand]) -> list[Stood]:
    return [_stand_one(tx, each) for each in items]


def _stand_one(tx: Transaction, each: Stand) -> Stood:
    connection, wanted = tx.connection, each.standing
    this = (stages.c.channel == each.channel, stages.c.route == each.route)
    before = connection.execute(select(stages).where(*this)).one_or_none()
    newest = tx.counters["messages"]
    salt = bytes(before.salt) if before is not None and before.salt else wanted.salt
    connection.execute(delete(stages).where(*this))
    connection.execute(
        insert(stages).values(
            channel=each.channel,
            route=each.route,
            stage=wanted.stage,
            share=wanted.share,
            only=" ".join(wanted.only),
            salt=salt,
            since_us=each.at_us,
            since_message_id=newest,
            actor=each.actor,
            reason=each.reason,
        )
    )
    now = Standing(wanted.stage, wanted.share, wanted.only, salt, each.at_us, newest)
    was = "" if before is None else f"{_of_row(before).words} → "
    said = f"{was}{now.words}: {each.reason}"
    note(tx, ActionRow(each.at_us, each.actor, each.action, f"route {each.channel}/{each.route}", said))
    connection.execute(
        delete(approvals).where(approvals.c.channel == each.channel, approvals.c.route == each.route)
    )
    since_id = newest if before is None else before.since_message_id
    given, kept = _give_back(tx, each, since_id) if each.replay else (0, 0)
    return Stood(now, given, kept)


def _give_back(tx: Transaction, each: Stand, since_id: int) -> tuple[int, int]:
    """What the bridge has not sent is the old engine's again; what may have happened stays ours. Where
    that is wanted, what was delivered of messages after ``since_id`` is given too."""
    connection, states = tx.connection, DeliveryState
    # What the bridge has done at an API, it undoes there: no engine knows of it.
    undoing = select(flow_steps.c.delivery_id).where(
        flow_steps.c.message_id == deliveries.c.message_id, flow_steps.c.undoes.is_not(None)
    )
    rows = connection.execute(
        select(deliveries.c.id, deliveries.c.message_id, deliveries.c.state, deliveries.c.attempts)
        .where(
            deliveries.c.channel == each.channel,
            deliveries.c.route == each.route,
            deliveries.c.state.in_([states.READY, states.RETRY_WAIT, states.HELD, states.IN_FLIGHT,
                                    states.AMBIGUOUS, states.QUARANTINED]),
            deliveries.c.id.not_in(undoing),
        )
        .order_by(deliveries.c.message_id, deliveries.c.id)
    ).all()  # fmt: skip
    unsent = known_unsent(connection, [row.id for row in rows if row.attempts])
    back = [
        row
        for row in rows
        if row.state not in (states.IN_FLIGHT, states.AMBIGUOUS) and (not row.attempts or row.id in unsent)
    ]
    steps = []
    for row in back:
        state, path = row.state, [states.SUPERSEDED]
        if state == states.RETRY_WAIT:
            path = [states.READY, states.SUPERSEDED]
        elif state == states.QUARANTINED:
            path = [states.DISCARDED]
        for following in path:
            tx.transition(row.message_id, row.id, state, following, each.at_us, STEPPED_BACK, each.actor)
            steps.append((row.id, str(following)))
            state = following
    for wanted in (states.READY, states.SUPERSEDED, states.DISCARDED):
        _STEP.many(
            connection,
            [
                {"id": number, "state": state, "reason": STEPPED_BACK}
                for number, state in steps
                if state == wanted
            ],
        )
    done = _delivered(connection, each, since_id) if each.delivered else []
    ids = [row.id for row in [*back, *done]]
    for start in range(0, len(ids), _ASKED_MAX):
        connection.execute(
            pairs.update()
            .where(pairs.c.delivery_id.in_(ids[start : start + _ASKED_MAX]))
            .values(sender="legacy", state="OURS", output_id=None, theirs_at_us=None)
        )
    given = {row.message_id for row in [*back, *done]}
    after = _unseen_after(connection, each, min(given), ids) if given else set()
    feed_again(tx, FeedAgain(each.channel, tuple(sorted(given | after)), each.at_us))
    return len(given), len(rows) - len(back)


def _unseen_after(connection: Connection, each: Stand, first_id: int, ids: Sequence[int]) -> set[int]:
    """Messages after the first that is given again, with which the engine may not be through: it may have
    them in front of what it is given again, so it is given them again too, behind it. Those are what nothing
    was made of here so far, and of the same keys what the engine has made nothing of."""
    untranslated = select(messages.c.id).where(
        messages.c.channel == each.channel, messages.c.state == "RECEIVED", messages.c.id > first_id
    )
    unseen = set(connection.execute(untranslated).scalars())
    for start in range(0, len(ids), _ASKED_MAX):
        keys = select(deliveries.c.key_hash).where(deliveries.c.id.in_(ids[start : start + _ASKED_MAX]))
        owed = select(pairs.c.message_id).where(
            pairs.c.channel == each.channel,
            pairs.c.route == each.route,
            pairs.c.state == "OURS",
            pairs.c.sender == "legacy",
            pairs.c.message_id > first_id,
            pairs.c.key_hash.in_(keys),
        )
        unseen |= set(connection.execute(owed).scalars())
    return unseen


def _delivered(connection: Connection, each: Stand, since_id: int) -> Sequence[Any]:
    return connection.execute(
        select(deliveries.c.id, deliveries.c.message_id).where(
            deliveries.c.channel == each.channel,
            deliveries.c.route == each.route,
            deliveries.c.state == DeliveryState.DELIVERED,
            deliveries.c.message_id > since_id,
        )
    ).all()


def known_unsent(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Those of these deliveries of which every attempt is known to have done nothing."""
    unsent: set[int] = set(ids)
    for start in range(0, len(ids), _ASKED_MAX):
        rows = connection.execute(
            select(attempts.c.delivery_id, attempts.c.verdict, attempts.c.status, attempts.c.reason).where(
                attempts.c.delivery_id.in_(list(ids[start : start + _ASKED_MAX]))
            )
        )
        for row in rows:
            never_left = row.status is None and row.verdict in ("retry", "hold")
            refused = row.status is not None and (row.status in _NOT_HAPPENED or 400 <= row.status < 500)
            if not never_left and not refused:
                unsent.discard(row.delivery_id)
    return unsent


STAND: Work[Stand, Stood] = Work("stand", _stand)
"""Let routes stand somewhere else."""


class Approval(NamedTuple):
    """Somebody agrees that a route may go to a stage."""

    channel: str
    route: str
    stage: str
    actor: str
    reason: str
    at_us: Microseconds


def _approve(tx: Transaction, items: Sequence[Approval]) -> list[None]:
    for each in items:
        tx.connection.execute(
            delete(approvals).where(
                approvals.c.channel == each.channel, approvals.c.route == each.route,
                approvals.c.stage == each.stage, approvals.c.actor == each.actor,
            )
        )  # fmt: skip
        tx.connection.execute(insert(approvals).values(**each._asdict()))
        subject = f"route {each.channel}/{each.route}"
        note(tx, ActionRow(each.at_us, each.actor, "stage-approve", subject, f"{each.stage}: {each.reason}"))
    return [None] * len(items)


APPROVE: Work[Approval, None] = Work("stage-approve", _approve)
"""Note that somebody agrees."""


def approved_by(
    connection: Connection, channel: str, route: str, stage: str, since_us: Microseconds
) -> list[str]:
    """Who agrees since a time that a route may go to a stage."""
    return list(
        connection.execute(
            select(approvals.c.actor)
            .where(
                approvals.c.channel == channel,
                approvals.c.route == route,
                approvals.c.stage == stage,
                approvals.c.at_us >= since_us,
            )
            .order_by(approvals.c.actor)
        ).scalars()
    )


def standings(connection: Connection) -> dict[tuple[str, str], Standing]:
    """Where each route stands, by channel and route; a route that is not here has never moved."""
    return {(row.channel, row.route): _of_row(row) for row in connection.execute(select(stages))}


def movers(connection: Connection) -> dict[tuple[str, str], tuple[str, str]]:
    """Who moved each route to where it stands, and why."""
    return {(row.channel, row.route): (row.actor, row.reason) for row in connection.execute(select(stages))}


def newest_message(connection: Connection) -> int:
    """The id of the newest message; 0 where there is none."""
    return connection.execute(select(func.max(messages.c.id))).scalar() or 0


def _of_row(row: Any) -> Standing:
    return Standing(
        row.stage,
        row.share,
        tuple(row.only.split()),
        bytes(row.salt),
        row.since_us,
        row.since_message_id,
    )
