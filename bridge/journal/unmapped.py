"""Codes that no table has: where they stand, how often, who sends them, and what waits because of them.

Who sends them stands in the messages alone, and is read there; no other value is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, or_, select, text

from bridge.journal.schema import bodies, deliveries, messages
from bridge.journal.senders import sender_of
from bridge.mapping.codes import HELD, OF_CODES

SCANNED_MAX_MESSAGES: Final = 200_000
"""So many of the newest messages are looked at for codes that were only left out or kept."""
OPENED_MAX_MESSAGES: Final = 20_000
"""Of so many of these, the newest, it is read who sent them."""
OPENED_AT_ONCE: Final = 100
WAITS_FOR_CODE: Final = f"{HELD} in "
"""Before the name of a mapping of bodies: what the reason says of a delivery that waits for a code of it."""
TRIED_BY: Final = "tried_by"
"""What such an issue says beside its place: the digest of the mapping that had not the code."""
_QUARANTINED = text("state = 'QUARANTINED'")
_HELD_DELIVERIES = (
    deliveries.c.state == text("'QUARANTINED'"),
    deliveries.c.reason.like(f"%{WAITS_FOR_CODE}%"),
)


@dataclass(slots=True)
class Unmapped:
    """One place whose codes are not all in its table, and a sender of such. ``waiting`` are messages in
    quarantine, by id."""

    channel: str
    mapping: str
    field: str
    source: str
    table: str
    sender: str
    count: int
    first_us: int
    last_us: int
    waiting: list[int]


class _Place(NamedTuple):
    mapping: str
    field: str
    source: str
    table: str


def unmapped(connection: Connection, channel: str | None = None) -> list[Unmapped]:
    """Each such place of the newest messages, and of all in quarantine, with most that wait first."""
    rows = _with_unmapped(connection, channel)
    senders = _senders(connection, (row.id for row in reversed(rows)))
    found: dict[tuple[str, ...], Unmapped] = {}
    held = set(connection.execute(select(deliveries.c.message_id).where(*_HELD_DELIVERIES)).scalars())
    for row in rows:
        sender, at_us = senders.get(row.id, ""), row.received_at_us
        for place in dict.fromkeys(_places(row.issues)):
            each = found.setdefault(
                (row.channel, *place, sender), Unmapped(row.channel, *place, sender, 0, at_us, at_us, [])
            )
            each.count += 1
            each.first_us, each.last_us = min(each.first_us, at_us), max(each.last_us, at_us)
            if row.state == "QUARANTINED" or row.id in held:
                each.waiting.append(row.id)
    return sorted(
        found.values(), key=lambda each: (-len(each.waiting), -each.count, each.mapping, each.field)
    )


class _Row(NamedTuple):
    id: int
    channel: str
    state: str
    received_at_us: int
    issues: str


def _with_unmapped(connection: Connection, channel: str | None) -> list[_Row]:
    """Messages with such codes, oldest first."""
    newest = connection.execute(select(func.max(messages.c.id))).scalar() or 0
    holds = or_(*(messages.c.issues.like(f'%"{code}"%') for code in OF_CODES))
    found: dict[int, _Row] = {}
    for which in (_QUARANTINED, messages.c.id > newest - SCANNED_MAX_MESSAGES):
        query = select(*(messages.c[name] for name in _Row._fields)).where(holds, which)
        if channel is not None:
            query = query.where(messages.c.channel == channel)
        found.update((row.id, _Row(*row)) for row in connection.execute(query))
    return [found[number] for number in sorted(found)]


def _senders(connection: Connection, ids: Iterable[int]) -> Mapping[int, str]:
    """Who sent the first so many of these, of those whose content is there."""
    opened = islice(ids, OPENED_MAX_MESSAGES)
    senders: dict[int, str] = {}
    while some := list(islice(opened, OPENED_AT_ONCE)):
        content = select(bodies.c.message_id, bodies.c.body).where(bodies.c.message_id.in_(some))
        senders.update(
            (row.message_id, sender_of(row.body)) for row in connection.execute(content) if row.body
        )
    return senders


def held_for_codes(connection: Connection, digests: Mapping[str, str]) -> list[int]:
    """The messages that wait for a code of a mapping, themselves or a delivery of them whose body it makes,
    and were not tried by one of its digest; oldest first. ``digests`` are those of the mappings by name."""
    said = messages.c.issues.like(f'%"{HELD}"%')
    whole = select(messages.c.id, messages.c.issues).where(said, _QUARANTINED)
    in_part = select(messages.c.id, messages.c.issues).where(
        said, messages.c.id.in_(select(deliveries.c.message_id).where(*_HELD_DELIVERIES))
    )
    return sorted(
        {
            row.id
            for waiting in (whole, in_part)
            for row in connection.execute(waiting)
            if any(
                each["code"] == HELD and digests.get(each["mapping"]) not in (None, each.get(TRIED_BY))
                for each in json.loads(row.issues)
            )
        }
    )


def held_deliveries(connection: Connection, message_id: int) -> list[int]:
    """The deliveries of a message that wait for a code of the mapping that makes their body, in order."""
    of_message = select(deliveries.c.id).where(deliveries.c.message_id == message_id, *_HELD_DELIVERIES)
    return list(connection.execute(of_message.order_by(deliveries.c.id)).scalars())


def _places(issues: str) -> list[_Place]:
    """Of each code that was not in its table: the mapping, the field, the path, and the table."""
    return [
        _Place(row["mapping"], f"{row['record']}.{row['field']}", row["source"], row.get("table", ""))
        for row in json.loads(issues)
        if row["code"] in OF_CODES
    ]
