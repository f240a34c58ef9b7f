"""Calls that an API has accepted: where it is asked what became of them, and what that was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from bridge.delivery.state import DeliveryState
from bridge.journal.capture_schema import confirmations
from bridge.journal.captures import Captured, captured_of
from bridge.journal.hashes import Hashes
from bridge.journal.messages import keys_of_message
from bridge.journal.schema import deliveries
from bridge.journal.transaction import Transaction, Work
from bridge.message import Microseconds

CALLED = "call"


class Awaited(NamedTuple):
    """A call that was accepted. ``target`` is where its API is asked about it, as its destination says it."""

    delivery_id: int
    message_id: int
    channel: str
    route: str
    operation: str
    keys: tuple[bytes, ...]
    target: str
    until_us: Microseconds


def await_confirmation(tx: Transaction, items: Iterable[tuple[int, str, Microseconds]]) -> None:
    """Note where to ask about deliveries, and until when, in the transaction that settles them."""
    rows = [
        {"delivery_id": one, "target": target.encode(), "until_us": until} for one, target, until in items
    ]
    if rows:
        tx.connection.execute(insert(confirmations), rows)


def called_back(delivery_id: int, called: str, at_us: Microseconds) -> tuple[int, Captured, Microseconds]:
    """What is kept of a call that its API will tell about, by what the API calls it."""
    return delivery_id, Captured(f"{CALLED} {called}", {CALLED: str(delivery_id)}), at_us


def call_of(connection: Connection, hashes: Hashes, api: str, called: str) -> tuple[bool, Awaited | None]:
    """Whether an API has accepted a call that it calls so, and what is awaited of it, if it has not ended."""
    number = captured_of(connection, hashes, api, f"{CALLED} {called}").get(CALLED)
    if number is None:
        return False, None
    found = [each for each in awaited(connection, api, int(number)) if each.delivery_id == int(number)]
    return True, found[0] if found else None


def awaited(connection: Connection, api: str, only: int | None = None) -> list[Awaited]:
    """All calls of an API that were accepted and have not ended; or the ``only`` one by its delivery."""
    query = (
        select(
            deliveries.c.id,
            deliveries.c.message_id,
            deliveries.c.channel,
            deliveries.c.route,
            deliveries.c.operation,
            confirmations.c.target,
            confirmations.c.until_us,
        )
        .join(deliveries, deliveries.c.id == confirmations.c.delivery_id)
        .where(deliveries.c.api == api, deliveries.c.state == DeliveryState.ACCEPTED)
    )
    rows = connection.execute(query if only is None else query.where(deliveries.c.id == only))
    return [
        Awaited(*row[:5], keys_of_message(connection, row.message_id), row.target.decode(), row.until_us)
        for row in rows
    ]


class Confirmed(NamedTuple):
    """What became of a call that was accepted."""

    delivery_id: int
    state: DeliveryState
    reason: str
    at_us: Microseconds


def _confirm(tx: Transaction, items: Sequence[Confirmed]) -> list[bool]:
    done = []
    for each in items:
        row = tx.connection.execute(
            select(deliveries.c.message_id, deliveries.c.state).where(deliveries.c.id == each.delivery_id)
        ).first()
        if row is None or row.state != DeliveryState.ACCEPTED:
            done.append(False)
            continue
        tx.connection.execute(
            update(deliveries)
            .where(deliveries.c.id == each.delivery_id)
            .values(state=each.state, reason=each.reason)
        )
        tx.transition(row.message_id, each.delivery_id, row.state, each.state, each.at_us, each.reason)
        tx.connection.execute(delete(confirmations).where(confirmations.c.delivery_id == each.delivery_id))
        done.append(True)
    return done


CONFIRM: Work[Confirmed, bool] = Work("confirm", _confirm)
"""Write what became of calls that were accepted, once each."""
