"""What waits at an API, read back from the journal in order; each channel's by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, literal, select, text, tuple_

from bridge.delivery.outcomes import COLLECTED
from bridge.delivery.state import DeliveryState
from bridge.journal.schema import IS_OPEN, deliveries, more_keys
from bridge.message import Microseconds


class Waiting(NamedTuple):
    """A delivery that waits for its turn, in the lanes of all its ``keys``."""

    delivery_id: int
    message_id: int
    keys: tuple[bytes, ...]
    due_at_us: Microseconds
    channel: str
    route: str
    operation: str


_COLUMNS = (
    deliveries.c.id,
    deliveries.c.message_id,
    deliveries.c.key_hash,
    deliveries.c.due_at_us,
    deliveries.c.channel,
    deliveries.c.route,
    deliveries.c.operation,
)
_ASKED_MAX = 500
IN_A_FILE = (deliveries.c.state == DeliveryState.ACCEPTED) & (deliveries.c.reason == COLLECTED)
"""What waits for the file that it goes into; it keeps no lane."""
_WAITS = IS_OPEN & (deliveries.c.state != DeliveryState.IN_FLIGHT) & ~IN_A_FILE


def _waiting(connection: Connection, rows: Sequence[Any]) -> list[Waiting]:
    more: dict[int, list[bytes]] = {}
    for start in range(0, len(rows), _ASKED_MAX):
        ids = [row.message_id for row in rows[start : start + _ASKED_MAX]]
        found = connection.execute(
            select(more_keys.c.message_id, more_keys.c.key_hash).where(more_keys.c.message_id.in_(ids))
        )
        for row in found:
            more.setdefault(row.message_id, []).append(row.key_hash)
    return [
        Waiting(
            row.id,
            row.message_id,
            (row.key_hash, *more.get(row.message_id, ())),
            row.due_at_us,
            row.channel,
            row.route,
            row.operation,
        )
        for row in rows
    ]


def channels_of_api(connection: Connection, api: str) -> list[str]:
    """The channels of which something is open for an API. One step in the index for each."""
    found: list[str] = []
    columns = deliveries.c
    while True:
        query = select(columns.channel).where(columns.api == api, IS_OPEN)
        if found:
            query = query.where(columns.channel > found[-1])
        channel = connection.execute(query.order_by(columns.channel).limit(1)).scalar()
        if channel is None:
            return found
        found.append(channel)


def of_api(connection: Connection, api: str, channel: str, after_id: int, limit: int) -> list[Waiting]:
    """The next open deliveries of a channel to an API, in order of their ids."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(
            deliveries.c.api == api,
            deliveries.c.channel == channel,
            _WAITS,
            deliveries.c.id > after_id,
        )
        .order_by(deliveries.c.id)
        .limit(limit)
    ).all()
    return _waiting(connection, rows)


def of_lane(
    connection: Connection, api: str, key_hash: bytes, after: tuple[int, int], limit: int
) -> list[Waiting]:
    """The next open deliveries of one lane, in order: by message, then by delivery, after that pair."""
    later = tuple_(deliveries.c.message_id, deliveries.c.id) > tuple_(
        *(literal(each, BigInteger) for each in after)
    )
    # Two questions, since each has an index of its own.
    first = (
        select(*_COLUMNS)
        .where(deliveries.c.api == api, deliveries.c.key_hash == key_hash, _WAITS, later)
        .order_by(deliveries.c.message_id, deliveries.c.id)
        .limit(limit)
    )
    further = (
        select(*_COLUMNS)
        .join(more_keys, more_keys.c.message_id == deliveries.c.message_id)
        .where(more_keys.c.key_hash == key_hash, deliveries.c.api == api, _WAITS, later)
        .order_by(deliveries.c.message_id, deliveries.c.id)
        .limit(limit)
    )
    rows = [*connection.execute(first), *connection.execute(further)]
    rows.sort(key=lambda row: (row.message_id, row.id))
    return _waiting(connection, rows[:limit])


def late_lanes(connection: Connection, api: str) -> dict[bytes, int]:
    """Lanes that hold a delivery whose message was translated again: the id of the first such message.

    Its id is higher than those of deliveries that must wait for it, so such a lane is read by itself.
    """
    rows = connection.execute(
        select(*_COLUMNS).where(text("late = 1"), deliveries.c.api == api, _WAITS)
    ).all()
    lanes: dict[bytes, int] = {}
    for waiting in _waiting(connection, rows):
        for key in waiting.keys:
            lanes[key] = min(waiting.message_id, lanes.get(key, waiting.message_id))
    return lanes
