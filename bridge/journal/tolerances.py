"""How senders really behave: what was tolerated, and the character sets they use, by channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from bridge.journal.schema import messages

Counts = Mapping[str, Mapping[str, int]]


def tolerated(connection: Connection) -> Counts:
    """By channel, of how many messages each thing was tolerated, since the journal began."""
    found: dict[str, Counter[str]] = {}
    for row in connection.execute(
        select(messages.c.channel, messages.c.tolerated, func.count().label("number"))
        .where(messages.c.tolerated != "")
        .group_by(messages.c.channel, messages.c.tolerated)
    ):
        counts = found.setdefault(row.channel, Counter())
        for code in row.tolerated.split():
            counts[code] += row.number
    return found


def charsets(connection: Connection) -> Counts:
    """By channel, how many messages were in each character set, and by whose word: ``cp1252 fallback``."""
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(
        select(messages.c.channel, messages.c.charset, func.count().label("number"))
        .where(messages.c.charset != "")
        .group_by(messages.c.channel, messages.c.charset)
    ):
        found.setdefault(row.channel, {})[row.charset] = row.number
    return found
