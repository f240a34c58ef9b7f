"""Files of which nothing went on: held, failed or refused."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from bridge.delivery.files import FileState
from bridge.journal.file_schema import taken_files
from bridge.message import Microseconds

WINDOW_MAX_COUNT: Final = 1000
"""So many of them are told of a while."""
NOT_TAKEN: Final = (FileState.QUARANTINED, FileState.FAILED, FileState.REFUSED)


class NotTaken(NamedTuple):
    """A file of which nothing went on, why, and the place in it that says so."""

    file_id: int
    channel: str
    name: str
    state: FileState
    reason: str
    place: str


def files_not_taken(
    connection: Connection, channel: str | None, since_us: Microseconds, until_us: Microseconds
) -> list[NotTaken]:
    """Those that came from ``since_us`` to before ``until_us``, in order, `WINDOW_MAX_COUNT` at most."""
    files = taken_files.c
    query = select(files.id, files.channel, files.name, files.state, files.reason, files.place).where(
        files.state.in_(NOT_TAKEN), files.received_at_us >= since_us, files.received_at_us < until_us
    )
    if channel is not None:
        query = query.where(files.channel == channel)
    rows = connection.execute(query.order_by(files.id).limit(WINDOW_MAX_COUNT))
    return [NotTaken(*row[:3], FileState(row.state), row.reason, row.place) for row in rows]
