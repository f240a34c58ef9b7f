"""Answers that were given after the message was journaled: what was said, and a refusal that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from bridge.delivery.state import DELIVERY_OPEN, DeliveryState, MessageState
from bridge.journal.owed_answers import Owed, know
from bridge.journal.schema import bodies, deliveries, messages, more_keys
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

_WITH_A_PERSON = frozenset({MessageState.QUARANTINED, MessageState.DISCARDED})

REFUSED = "refused"
"""Why a delivery is DISCARDED whose message went back to its sender with AE."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a sender that waited is told. ``answer`` is None where it is not the last word: it came too late
    for that, and the message goes on.

    ``refused`` gives the message back to its sender: nothing of it is kept for a person, no key waits for it,
    and the same again is processed anew. ``owed`` is given where it is an application acknowledgement of
    enhanced mode: the message's own answer, which the sender has, is then left as it is.
    """

    message_id: int
    code: str
    answer: bytes | None
    at_us: Microseconds
    refused: bool = False
    owed: Owed | None = None


@dataclass(frozen=True, slots=True)
class SetFree:
    """The keys that no longer wait for a refused message, and the APIs on which it had deliveries."""

    apis: tuple[str, ...]
    keys: tuple[bytes, ...]


def _give(tx: Transaction, items: Sequence[Given]) -> list[SetFree]:
    return [_give_one(tx, each) for each in items]


def _give_one(tx: Transaction, given: Given) -> SetFree:
    connection, this = tx.connection, messages.c.id == given.message_id
    before = connection.execute(select(messages.c.state, messages.c.key_hash).where(this)).one()
    # What a person has in hand already stays with the person, and keys wait for it.
    refused = given.refused and before.state not in _WITH_A_PERSON
    changes: dict[str, Any] = {} if given.owed is not None else {"answer_code": given.code}
    if changes:
        connection.execute(update(messages).where(this).values(**changes))
    if given.owed is not None:
        know(tx, given.message_id, given.at_us, given.owed)
    elif given.answer is not None:
        connection.execute(
            update(bodies)
            .where(bodies.c.message_id == given.message_id, bodies.c.answer.is_(None))
            .values(answer=given.answer)
        )
    if not refused:
        return SetFree((), ())
    stuck = connection.execute(
        select(deliveries.c.id, deliveries.c.api).where(
            deliveries.c.message_id == given.message_id, deliveries.c.state == DeliveryState.QUARANTINED
        )
    ).all()
    for row in stuck:
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id == row.id)
            .values(state=DeliveryState.DISCARDED, reason=REFUSED)
        )
        tx.transition(
            given.message_id,
            row.id,
            DeliveryState.QUARANTINED,
            DeliveryState.DISCARDED,
            given.at_us,
            REFUSED,
        )
    if before.state != MessageState.REFUSED:
        connection.execute(update(messages).where(this).values(state=MessageState.REFUSED, reason=REFUSED))
        tx.transition(given.message_id, None, before.state, MessageState.REFUSED, given.at_us, REFUSED)
    further = connection.execute(
        select(more_keys.c.key_hash).where(more_keys.c.message_id == given.message_id)
    ).scalars()
    keys = () if before.key_hash is None else (before.key_hash, *further)
    return SetFree(tuple(sorted({row.api for row in stuck})), keys)


GIVE: Work[Given, SetFree] = Work("give-answer", _give)
"""Write what a sender is told, before it is told."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a message has come: ``open`` deliveries, and why the first that failed did."""

    state: MessageState
    open: frozenset[int]
    failed: str | None


_FAILED = frozenset({"QUARANTINED", "DISCARDED", "REFUSED"})


def _how_far(tx: Transaction, message_ids: Sequence[int]) -> list[Outcome]:
    return [_outcome(tx.connection, each) for each in message_ids]


def _outcome(connection: Connection, message_id: int) -> Outcome:
    message = connection.execute(
        select(messages.c.state, messages.c.reason).where(messages.c.id == message_id)
    ).one()
    rows = connection.execute(
        select(deliveries.c.id, deliveries.c.state, deliveries.c.reason).where(
            deliveries.c.message_id == message_id
        )
    ).all()
    failed = next((row.reason or row.state for row in rows if row.state in _FAILED), None)
    if message.state in _FAILED:
        failed = message.reason or message.state
    return Outcome(
        MessageState(message.state), frozenset(row.id for row in rows if row.state in DELIVERY_OPEN), failed
    )


HOW_FAR: Work[int, Outcome] = Work("how-far", _how_far)
"""Read how far a message has come, in line with what is being written about it."""
