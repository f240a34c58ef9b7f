"""How much waits for a person for which reason, and page by page what of it a person lets go again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, case, func, select, text

from bridge.journal.schema import IS_OPEN, deliveries, messages

QUARANTINED = text("state = 'QUARANTINED'")
HELD = text(f"state = 'HELD' AND {IS_OPEN}")
"""A partial index serves a query only where it says the index's own condition."""


class Which(NamedTuple):
    """What is meant; None: any. ``problem`` is a reason, or what stands before its colon."""

    channel: str | None = None
    api: str | None = None
    problem: str | None = None

    def of(self, table: Table) -> list[ColumnElement[bool]]:
        """The same as conditions on messages or deliveries."""
        found = [] if self.channel is None else [table.c.channel == self.channel]
        if self.api is not None:
            found.append(table.c.api == self.api)
        if (problem := self.problem) is not None:
            longer = table.c.reason.startswith(f"{problem}:", autoescape=True)
            found.append((table.c.reason == problem) | longer)
        return found


class At(NamedTuple):
    """A place among all that waits: a message stands before its deliveries, and is told as delivery 0."""

    message_id: int = 0
    delivery_id: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """So many wait for one reason, ``aside`` of them set aside. ``oldest_us`` is when the oldest came."""

    what: str
    channel: str
    api: str
    reason: str
    count: int
    aside: int
    oldest_us: int


def tally(connection: Connection, which: Which, *, held: bool = False) -> list[Tally]:
    """What waits for a person, counted by reason, channel and API; the most first."""
    counted = (
        func.count().label("number"),
        func.min(messages.c.received_at_us).label("oldest_us"),
    )
    found: list[Tally] = []
    if which.api is None:
        aside = func.sum(case((messages.c.aside == 1, 1), else_=0))
        rows = connection.execute(
            select(messages.c.channel, messages.c.reason, *counted, aside.label("aside"))
            .where(QUARANTINED, *which.of(messages))
            .group_by(messages.c.channel, messages.c.reason)
        )
        found += [
            Tally("message", each.channel, "", each.reason, each.number, int(each.aside), each.oldest_us)
            for each in rows
        ]
    for condition in [QUARANTINED, *([HELD] if held else [])]:
        # The partial index names its column without a table, so the join is with what it found.
        inner = select(deliveries).where(condition, *which.of(deliveries)).subquery()
        aside = func.sum(case((inner.c.aside == 1, 1), else_=0))
        of = (inner.c.channel, inner.c.api, inner.c.reason)
        rows = connection.execute(
            select(*of, *counted, aside.label("aside"))
            .join_from(inner, messages, messages.c.id == inner.c.message_id)
            .group_by(*of)
        )
        found += [
            Tally("delivery", each.channel, each.api, each.reason, each.number, aside, each.oldest_us)
            for each in rows
            for aside in [int(each.aside)]
        ]
    return sorted(found, key=lambda each: (-each.count, each.channel, each.api, each.reason, each.what))


def newest(connection: Connection) -> int:
    """The newest message; what comes later is not meant by who decides now."""
    return connection.execute(select(func.max(messages.c.id))).scalar() or 0


def next_of(connection: Connection, which: Which, after: At, until_id: int, limit: int) -> list[At]:
    """The next in quarantine after a place that nobody has set aside, of messages up to ``until_id``."""
    return sorted(_next_of(connection, which, after, until_id, limit))[:limit]


def _next_of(connection: Connection, which: Which, after: At, until_id: int, limit: int) -> Iterator[At]:
    if which.api is None:
        asked = select(messages.c.id).where(QUARANTINED, messages.c.aside == 0, *which.of(messages))
        asked = asked.where(messages.c.id > after.message_id, messages.c.id <= until_id)
        for row in connection.execute(asked.order_by(messages.c.id).limit(limit)):
            yield At(row.id)
    sent = select(deliveries.c.message_id, deliveries.c.id).where(QUARANTINED, *which.of(deliveries))
    sent = sent.where(deliveries.c.aside == 0, later(after), deliveries.c.message_id <= until_id)
    for row in connection.execute(sent.order_by(deliveries.c.message_id, deliveries.c.id).limit(limit)):
        yield At(row.message_id, row.id)


def later(after: At) -> ColumnElement[bool]:
    """Whether a delivery stands after a place."""
    same = (deliveries.c.message_id == after.message_id) & (deliveries.c.id > after.delivery_id)
    return (deliveries.c.message_id > after.message_id) | same
