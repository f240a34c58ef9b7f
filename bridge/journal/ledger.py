"""The ledger: every message that was ever received, counted once, per channel and per route."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, Select, bindparam, case, func, literal, select, text

from bridge.delivery.state import DELIVERY_OPEN, DeliveryState, MessageState
from bridge.journal.schema import IS_OPEN, deliveries, gone, messages

_D, _M = DeliveryState, MessageState

COUNTED_AT_ONCE: Final = 20_000
"""Rows that are counted by one query."""

_OF_DELIVERY: Mapping[str, tuple[DeliveryState, ...]] = {
    "open": tuple(sorted(DELIVERY_OPEN)),
    "quarantined": (_D.QUARANTINED,),
    "delivered": (_D.DELIVERED,),
    "recorded": (_D.RECORDED,),
    "discarded": (_D.DISCARDED,),
    "superseded": (_D.SUPERSEDED,),
    "suppressed": (_D.SUPPRESSED,),
    "filtered": (_D.FILTERED,),
}
"""Each entry with its states, the one that says most of a message first."""

_OF_MESSAGE: Mapping[MessageState, str] = {
    _M.RECEIVED: "open",
    _M.QUARANTINED: "quarantined",
    _M.DISCARDED: "discarded",
    _M.REFUSED: "refused",
    _M.DUPLICATE: "duplicate",
    _M.IGNORED: "ignored",
    _M.RELAYED: "relayed",
}

_ENTRY_OF = {state: name for name, states in _OF_DELIVERY.items() for state in states}
_NAMES = tuple(_OF_DELIVERY)
_RANK = func.min(
    case(
        *(
            (deliveries.c.state.in_(states), literal(place))
            for place, states in enumerate(_OF_DELIVERY.values())
        )
    )
)
"""Of several deliveries of a message, the entry that says most, as its place in `_NAMES`."""

ENTRIES = (
    "delivered", "suppressed", "filtered", "ignored", "duplicate", "discarded",
    "superseded", "quarantined", "refused", "relayed", "recorded", "open",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of everything. For each channel, ``received`` equals the sum of its entries.

    A message with several deliveries counts under the entry that says most: open before quarantined before
    delivered, and so on. ``routes`` counts deliveries, by channel and route.
    """

    received: Mapping[str, int]
    channels: Mapping[str, Mapping[str, int]]
    routes: Mapping[tuple[str, str], Mapping[str, int]]

    def of(self, names: Collection[str]) -> Ledger:
        """The part of these channels."""
        return Ledger(
            {name: number for name, number in self.received.items() if name in names},
            {name: counts for name, counts in self.channels.items() if name in names},
            {key: counts for key, counts in self.routes.items() if key[0] in names},
        )

    @property
    def balanced(self) -> bool:
        """Whether every message is accounted for."""
        return all(sum(self.channels[name].values()) == count for name, count in self.received.items())


def ledger(connection: Connection) -> Ledger:
    """Count everything, at one moment, which the transaction of the connection must be. However large the
    journal is, that takes no more memory than `COUNTED_AT_ONCE` rows do."""
    newest = connection.execute(
        select(messages.c.channel, func.max(messages.c.seq).label("newest")).group_by(messages.c.channel)
    )
    totals = {row.channel: row.newest for row in newest}
    channels = {name: dict.fromkeys(ENTRIES, 0) for name in totals}
    for channel, state, entry, number in _summed(connection, _BECAME, messages.c.id):
        if state != _M.MAPPED:
            channels[channel][_OF_MESSAGE[MessageState(state)]] += number
        elif entry is not None:
            # One that is mapped and has no delivery is not accounted for, and the ledger must not balance.
            channels[channel][_NAMES[entry]] += number
    routes: dict[tuple[str, str], dict[str, int]] = {}
    for channel, route, state, number in _summed(connection, _OF_ROUTE, deliveries.c.id):
        counts = routes.setdefault((channel, route), dict.fromkeys(_OF_DELIVERY, 0))
        counts[entry_of(state)] += number
    for row in connection.execute(select(gone)):
        # What retention has deleted still counts; the newest of each channel is never deleted.
        if row.route:
            counts = routes.setdefault((row.channel, row.route), dict.fromkeys(_OF_DELIVERY, 0))
            counts[row.entry] += row.number
        else:
            channels[row.channel][row.entry] += row.number
    return Ledger(totals, channels, routes)


_EACH = (
    select(messages.c.channel, messages.c.state, _RANK.label("entry"))
    .outerjoin(
        deliveries,
        # What the second condition says the first does; it lets a database read no others.
        (deliveries.c.message_id == messages.c.id)
        & deliveries.c.message_id.between(bindparam("low"), bindparam("high")),
    )
    .where(messages.c.id.between(bindparam("low"), bindparam("high")))
    .group_by(messages.c.id, messages.c.channel, messages.c.state)
    .subquery()
)
_BECAME: Final = select(_EACH.c.channel, _EACH.c.state, _EACH.c.entry, func.count()).group_by(
    _EACH.c.channel, _EACH.c.state, _EACH.c.entry
)
_ROUTE = deliveries.c.channel, deliveries.c.route, deliveries.c.state
_OF_ROUTE: Final = (
    select(*_ROUTE, func.count())
    .where(deliveries.c.id.between(bindparam("low"), bindparam("high")))
    .group_by(*_ROUTE)
)


def _summed(connection: Connection, query: Select[Any], id_: Column[Any]) -> Iterator[Any]:
    """The rows of ``query`` for each range of ids, from ``low`` to ``high``, in which there are some: a
    database that counts all at once keeps all of it in memory meanwhile."""
    after = select(func.min(id_)).where(id_ > bindparam("after"))
    low = connection.execute(after, {"after": 0}).scalar_one()
    while low is not None:
        high = low + COUNTED_AT_ONCE - 1
        yield from connection.execute(query, {"low": low, "high": high})
        low = connection.execute(after, {"after": high}).scalar_one()


def entry_of(state: str) -> str:
    """The entry under which a delivery in this state counts."""
    return _ENTRY_OF[DeliveryState(state)]


def left_behind(connection: Connection, channels: Set[str], apis: Set[str]) -> dict[str, int]:
    """Open work of channels and APIs that are not among these: how much there is, by name."""
    waiting = connection.execute(
        select(messages.c.channel.label("name"), func.count().label("number"))
        .where(text("state = 'RECEIVED'"), messages.c.channel.not_in(channels))
        .group_by(messages.c.channel)
    )
    unsent = connection.execute(
        select(deliveries.c.api.label("name"), func.count().label("number"))
        .where(IS_OPEN, deliveries.c.api.not_in(apis))
        .group_by(deliveries.c.api)
    )
    return {row.name: row.number for rows in (waiting, unsent) for row in rows}


def unfinished(connection: Connection, channel: str) -> int:
    """How many deliveries and messages of a channel are open, or stop their keys in quarantine: they keep an
    order. A message in quarantine of which no key is known stops none."""
    stuck = text("state = 'QUARANTINED' AND aside = 0")
    keyed = text("state = 'QUARANTINED' AND aside = 0 AND key_hash IS NOT NULL")
    found = 0
    for table, condition in ((deliveries, IS_OPEN), (deliveries, stuck), (messages, keyed)):
        query = select(func.count()).select_from(table).where(condition, table.c.channel == channel)
        found += connection.execute(query).scalar_one()
    return found


def stuck_on(connection: Connection, channel: str, route: str) -> int:
    """How many deliveries of a route are in quarantine and stop their keys."""
    query = select(func.count()).select_from(deliveries)
    stuck = text("state = 'QUARANTINED' AND aside = 0")
    query = query.where(stuck, deliveries.c.channel == channel, deliveries.c.route == route)
    return int(connection.execute(query).scalar_one())


def became(connection: Connection, states: Mapping[int, str]) -> dict[int, str]:
    """The entry under which each message counts; ``states`` holds their states by id."""
    mapped = [message_id for message_id, state in states.items() if state == _M.MAPPED]
    rows = connection.execute(
        select(deliveries.c.message_id, _RANK.label("entry"))
        .where(deliveries.c.message_id.in_(mapped))
        .group_by(deliveries.c.message_id)
    )
    found = {row.message_id: _NAMES[row.entry] for row in rows}
    return {
        message_id: found[message_id] if message_id in found else _OF_MESSAGE[MessageState(state)]
        for message_id, state in states.items()
    }
