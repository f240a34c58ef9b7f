"""What APIs said of their own end: Deprecation (RFC 9745) and Sunset (RFC 8594), by operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from bridge.journal.schema import api_notices as table
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds


@dataclass(frozen=True, slots=True)
class Notice:
    """What one operation's answers say. A time is None where they do not say it."""

    api: str
    operation: str
    deprecated_at_us: Microseconds | None
    sunset_at_us: Microseconds | None
    seen_at_us: Microseconds


def _notice(tx: Transaction, notices: Sequence[Notice]) -> list[None]:
    for each in notices:
        told = {
            "deprecated_at_us": each.deprecated_at_us,
            "sunset_at_us": each.sunset_at_us,
            "seen_at_us": each.seen_at_us,
        }
        its = (table.c.api == each.api) & (table.c.operation == each.operation)
        if not tx.connection.execute(update(table).where(its).values(**told)).rowcount:
            tx.connection.execute(
                insert(table).values(
                    api=each.api, operation=each.operation, first_seen_at_us=each.seen_at_us, **told
                )
            )
    return [None] * len(notices)


NOTICE: Work[Notice, None] = Work("notice", _notice)
"""Keep what an API said of its own end; the newest word of an operation stands."""


def notices(connection: Connection) -> list[Notice]:
    """What all APIs have said last, by API and operation."""
    rows = connection.execute(select(table).order_by(table.c.api, table.c.operation))
    return [
        Notice(row.api, row.operation, row.deprecated_at_us, row.sunset_at_us, row.seen_at_us) for row in rows
    ]
