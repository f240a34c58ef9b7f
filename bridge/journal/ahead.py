"""What stands before a delivery that is not done: in one of its lanes, or in its message's flow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, func, literal, select, text, tuple_
from sqlalchemy.sql.elements import ColumnElement

from bridge.delivery.state import DELIVERY_OPEN
from bridge.journal.flows import KeptStep, waits_in_flow
from bridge.journal.open_deliveries import IN_A_FILE
from bridge.journal.schema import IS_OPEN, deliveries, messages, more_keys

Row = Mapping[str, Any]

_QUARANTINED = text("state = 'QUARANTINED'")


def deliveries_of(keys: Collection[bytes]) -> ColumnElement[bool]:
    """Those that stand in a lane of one of these keys."""
    further = select(more_keys.c.message_id).where(more_keys.c.key_hash.in_(keys))
    return deliveries.c.key_hash.in_(keys) | deliveries.c.message_id.in_(further)


def messages_of(keys: Collection[bytes]) -> ColumnElement[bool]:
    """Those that have one of these keys."""
    further = select(more_keys.c.message_id).where(more_keys.c.key_hash.in_(keys))
    return messages.c.key_hash.in_(keys) | messages.c.id.in_(further)


def waits_for(
    connection: Connection, flow: Mapping[int, KeptStep], sent: Sequence[Row], delivery: Row
) -> str | None:
    """What keeps an open delivery from its turn, in words for a person; None where nothing does.

    ``flow`` and ``sent`` are the steps and the deliveries of its message.
    """
    return _in_its_lanes(connection, delivery) or waits_in_flow(flow, sent, delivery)


def _in_its_lanes(connection: Connection, delivery: Row) -> str | None:
    """A message in quarantine that has one of its keys, or the head of one of its lanes."""
    if delivery["state"] not in DELIVERY_OPEN:
        return None
    further = select(more_keys.c.key_hash).where(more_keys.c.message_id == delivery["message_id"])
    keys = {delivery["key_hash"], *connection.execute(further).scalars()}
    failed = connection.execute(
        select(func.min(messages.c.id)).where(
            _QUARANTINED,
            messages.c.channel == delivery["channel"],
            messages.c.aside == 0,
            messages.c.id < delivery["message_id"],
            messages_of(keys),
        )
    ).scalar()
    if failed is not None:
        return f"message {failed}, in quarantine"
    place = tuple_(*(literal(delivery[name], BigInteger) for name in ("message_id", "id")))
    # Two questions, since each has an index of its own.
    heads = [
        connection.execute(
            select(deliveries.c.id, deliveries.c.message_id, deliveries.c.state)
            .where(
                unsettled,
                deliveries.c.api == delivery["api"],
                deliveries.c.aside == 0,
                tuple_(deliveries.c.message_id, deliveries.c.id) < place,
                deliveries_of(keys),
            )
            .order_by(deliveries.c.message_id, deliveries.c.id)
            .limit(1)
        ).first()
        for unsettled in (IS_OPEN & ~IN_A_FILE, _QUARANTINED)
    ]
    found = (row for row in heads if row is not None)
    head = min(found, key=lambda row: (row.message_id, row.id), default=None)
    return None if head is None else f"delivery {head.id} of message {head.message_id}, {head.state}"
