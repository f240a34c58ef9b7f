"""What APIs have answered, kept for later calls; and requests that are pinned with it, once each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from bridge.delivery.state import DeliveryState
from bridge.journal.capture_schema import captured
from bridge.journal.hashes import Hashes
from bridge.journal.schema import deliveries, requests, revised_requests
from bridge.journal.transaction import Transaction, Work
from bridge.message import Microseconds

ABOUT = b"captured about"
CAPTURED_MISSING = "captured-missing"
_MAY_PIN = frozenset({DeliveryState.READY, DeliveryState.RETRY_WAIT, DeliveryState.HELD})


def about_hash(hashes: Hashes, about: str) -> bytes:
    """What stands for a record in this table."""
    return hashes.hash(ABOUT, about.encode())


class Captured(NamedTuple):
    """What an answer said of a record: ``about`` it, by name."""

    about: str
    values: Mapping[str, str]


def keep_captured(tx: Transaction, kept: Iterable[tuple[int, Captured, Microseconds]]) -> None:
    """Keep what answers said, each with its delivery's id, in the transaction that settles these."""
    for delivery_id, each, at_us in kept:
        of_delivery = select(deliveries.c.api).where(deliveries.c.id == delivery_id)
        api = tx.connection.execute(of_delivery).scalar_one()
        about = about_hash(tx.facts.hashes, each.about)
        for name, value in each.values.items():
            place = (captured.c.api == api) & (captured.c.about_hash == about) & (captured.c.name == name)
            tx.connection.execute(delete(captured).where(place))
            tx.connection.execute(
                insert(captured).values(
                    api=api,
                    about_hash=about,
                    name=name,
                    value=value.encode(),
                    delivery_id=delivery_id,
                    at_us=at_us,
                )
            )


def captured_of(connection: Connection, hashes: Hashes, api: str, about: str) -> dict[str, str]:
    """What an API has said of a record, by name."""
    rows = connection.execute(
        select(captured.c.name, captured.c.value).where(
            captured.c.api == api, captured.c.about_hash == about_hash(hashes, about)
        )
    )
    return {row.name: row.value.decode() for row in rows}


class Unpinned(NamedTuple):
    """A delivery's request as it stands, whether an attempt was made, and since when it is held for a value
    that is missing."""

    request: bytes
    revision: int
    state: str
    held_since_us: Microseconds | None


def unpinned(connection: Connection, delivery_id: int) -> Unpinned | None:
    """The request of a delivery that may still be sent; None for another."""
    revised = revised_requests.c.request
    row = connection.execute(
        select(
            requests.c.request,
            revised.label("revised"),
            deliveries.c.revision,
            deliveries.c.state,
            deliveries.c.held_since_us,
        )
        .join(deliveries, deliveries.c.id == requests.c.delivery_id)
        .outerjoin(
            revised_requests,
            (revised_requests.c.delivery_id == deliveries.c.id)
            & (revised_requests.c.revision == deliveries.c.revision),
        )
        .where(requests.c.delivery_id == delivery_id)
    ).first()
    if row is None or DeliveryState(row.state) not in _MAY_PIN:
        return None
    request = row.request if row.revised is None else row.revised
    return Unpinned(bytes(request), row.revision, row.state, row.held_since_us)


@dataclass(frozen=True, slots=True)
class Pin:
    """What becomes of a delivery whose request needs values: ``request`` with them; or None where one is
    missing, and it waits, or, with ``give_up``, needs a person. ``about`` is the record that they are of."""

    delivery_id: int
    revision: int
    request: bytes | None
    give_up: bool
    at_us: Microseconds
    about: str


def _pin(tx: Transaction, pins: Sequence[Pin]) -> list[bool]:
    return [_pin_one(tx, each) for each in pins]


def _pin_one(tx: Transaction, pin: Pin) -> bool:
    row = tx.connection.execute(select(deliveries).where(deliveries.c.id == pin.delivery_id)).first()
    if row is None or row.revision != pin.revision or DeliveryState(row.state) not in _MAY_PIN:
        return False
    values: dict[str, Any]
    if pin.request is not None:
        # What is used is kept for as long as the newest that used it.
        used = (captured.c.api == row.api) & (captured.c.about_hash == about_hash(tx.facts.hashes, pin.about))
        tx.connection.execute(update(captured).where(used).values(delivery_id=row.id, at_us=pin.at_us))
        asks = tx.connection.execute(
            select(requests.c.asks).where(requests.c.delivery_id == pin.delivery_id)
        ).scalar()
        tx.connection.execute(
            insert(revised_requests).values(
                delivery_id=row.id, revision=row.revision + 1, request=pin.request, asks=asks
            )
        )
        values = {"revision": row.revision + 1, "held_since_us": None}
    else:
        values = {"reason": CAPTURED_MISSING, "due_at_us": 0}
        values["held_since_us"] = row.held_since_us or pin.at_us
        states = [] if row.state == DeliveryState.HELD else [DeliveryState.HELD]
        state: str = row.state
        for following in [*states, *([DeliveryState.QUARANTINED] if pin.give_up else [])]:
            tx.connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(state=following))
            tx.transition(row.message_id, row.id, state, following, pin.at_us, CAPTURED_MISSING)
            state = following
    tx.connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(**values))
    return True


PIN: Work[Pin, bool] = Work("pin", _pin)
"""Write what requests are sent as, once they can be; False for one that is no longer to be sent."""
