"""The names of channels and APIs that a journal knows, for who asks by one that it does not."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, Connection, func, select, union

from bridge.journal.audit_schema import disclosures
from bridge.journal.batch_schema import collections
from bridge.journal.file_schema import taken_files
from bridge.journal.schema import deliveries, gone, messages

RECENT_ROWS: Final = 50_000
"""Of deliveries no index leads with the API: the newest are looked at."""


def channel_names(connection: Connection) -> set[str]:
    """Of all channels that something came by, also what retention has deleted."""
    deleted = set(connection.execute(select(gone.c.channel).distinct()).scalars())
    return deleted | _each(connection, messages.c.channel) | _each(connection, taken_files.c.channel)


def api_names(connection: Connection) -> set[str]:
    """Of all APIs that something went to, or was to go to, lately."""
    tables = (deliveries, disclosures, collections)
    recent = [select(each.c.api).order_by(each.c.id.desc()).limit(RECENT_ROWS).subquery() for each in tables]
    return set(connection.execute(union(*(select(each.c.api) for each in recent))).scalars())


def _each(connection: Connection, column: Column[Any]) -> set[str]:
    """The values of a column that an index leads with, one look at the index for each."""
    found, after = set(), ""
    while (
        following := connection.execute(select(func.min(column)).where(column > after)).scalar()
    ) is not None:
        found.add(after := following)  # the next in the database's own order of letters
    return found
