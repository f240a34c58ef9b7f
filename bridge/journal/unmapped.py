"""Codes that no table has: where they stand, how often, and what waits because of them. No value is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, or_, select, text

from bridge.journal.schema import messages

SCANNED_MAX_MESSAGES: Final = 200_000
"""So many of the newest messages are looked at for codes that were only left out or kept."""
UNMAPPED: Final = ("R030", "R031")
"""Issues about codes: what was done without, and what its message waits for."""
HELD: Final = "R031"
_QUARANTINED = text("state = 'QUARANTINED'")


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


def unmapped(connection: Connection, channel: str | None = None) -> list[Unmapped]:
    """Each such place of the newest messages, and of all in quarantine, with most that wait first."""
    newest = connection.execute(select(func.max(messages.c.id))).scalar() or 0
    columns = (
        messages.c.id,
        messages.c.channel,
        messages.c.state,
        messages.c.received_at_us,
        messages.c.issues,
    )
    holds = or_(*(messages.c.issues.like(f'%"{code}"%') for code in UNMAPPED))
    recent = select(*columns).where(holds, messages.c.id > newest - SCANNED_MAX_MESSAGES)
    waiting = select(*columns).where(holds, _QUARANTINED)
    found: dict[tuple[str, ...], Unmapped] = {}
    seen: set[int] = set()
    for query in (waiting, recent):
        wanted = query if channel is None else query.where(messages.c.channel == channel)
        for row in connection.execute(wanted.order_by(messages.c.id)):
            if row.id in seen:
                continue
            seen.add(row.id)
            for place in dict.fromkeys(_places(row.issues)):
                each = found.setdefault(
                    (row.channel, *place),
                    Unmapped(row.channel, *place, 0, row.received_at_us, row.received_at_us, []),
                )
                each.count += 1
                each.first_us = min(each.first_us, row.received_at_us)
                each.last_us = max(each.last_us, row.received_at_us)
                if row.state == "QUARANTINED":
                    each.waiting.append(row.id)
    return sorted(
        found.values(), key=lambda each: (-len(each.waiting), -each.count, each.mapping, each.field)
    )


def held_for_codes(connection: Connection, mappings: Sequence[str]) -> list[int]:
    """The messages in quarantine that wait for a code of one of these mappings, oldest first."""
    waiting = select(messages.c.id, messages.c.issues).where(
        messages.c.issues.like(f'%"{HELD}"%'), _QUARANTINED
    )
    return [
        row.id
        for row in connection.execute(waiting.order_by(messages.c.id))
        if any(each["code"] == HELD and each["mapping"] in mappings for each in json.loads(row.issues))
    ]


def _places(issues: str) -> list[tuple[str, str, str, str, str]]:
    """Of each code that was not in its table: the mapping, the field, the path, the table, and the sender."""
    return [
        (
            row["mapping"],
            f"{row['record']}.{row['field']}",
            row["source"],
            row.get("table", ""),
            row.get("sender", ""),
        )
        for row in json.loads(issues)
        if row["code"] in UNMAPPED
    ]
