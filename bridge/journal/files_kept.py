"""Bytes of files: where they are, and whose need not be kept longer. Counts too."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, func, select

from bridge.delivery.files import FileState
from bridge.journal.feeding_files import is_owed
from bridge.journal.file_schema import file_messages, taken_files
from bridge.journal.legal_holds import held
from bridge.journal.schema import search_keys
from bridge.journal.spool import GONE
from bridge.message import Microseconds


def places_kept(connection: Connection) -> frozenset[str]:
    """Where bytes of files are, of all that are not gone."""
    query = select(taken_files.c.kept).where(taken_files.c.kept.like("spool:%"))
    return frozenset(connection.execute(query).scalars())


def newest_file_at_us(connection: Connection, channel: str) -> Microseconds | None:
    """When the newest file of a channel came that was not refused."""
    files = taken_files.c
    query = select(files.received_at_us).where(files.channel == channel, files.state != FileState.REFUSED)
    return connection.execute(query.order_by(files.id.desc()).limit(1)).scalar()


def done_with(
    connection: Connection, channel: str, before_us: Microseconds, limit: int
) -> list[tuple[int, str]]:
    """Files whose bytes need not be kept longer, the oldest first: their ids, and where the bytes are.

    Of what is under legal hold there are none.
    """
    if channel in (holds := held(connection)).channels:
        return []
    files = taken_files.c
    ended = (FileState.SPLIT, FileState.DISCARDED, FileState.FAILED, FileState.REFUSED)
    query = select(files.id, files.kept).where(
        files.channel == channel,
        files.received_at_us < before_us,
        files.kept != GONE,
        files.state.in_(ended),
        files.settled == 1,
        ~is_owed(files.id),
    )
    if holds.hashes:
        about = (
            select(file_messages.c.file_id)
            .join(search_keys, search_keys.c.message_id == file_messages.c.message_id)
            .where(file_messages.c.file_id == files.id, search_keys.c.hash.in_(holds.hashes))
        )
        # Whom a file is about of which no message came is not known, so it stays as long as any key is held.
        query = query.where(~about.exists(), files.state == FileState.SPLIT)
    rows = connection.execute(query.order_by(files.id).limit(limit))
    return [(row.id, row.kept) for row in rows]


def files_counted(connection: Connection) -> Mapping[tuple[str, FileState], int]:
    """How many files there are, by channel and state."""
    files = taken_files.c
    rows = connection.execute(
        select(files.channel, files.state, func.count().label("number")).group_by(files.channel, files.state)
    )
    return {(row.channel, FileState(row.state)): row.number for row in rows}


def refused_since(
    connection: Connection, reasons: Collection[str], since_us: Microseconds
) -> Mapping[tuple[str, str], int]:
    """How many files were refused for one of these reasons, by channel and reason; none of a name of which
    something else came later."""
    files = taken_files.c
    newest = select(func.max(files.id)).where(files.received_at_us >= since_us)
    query = select(files.channel, files.reason, func.count().label("number")).where(
        files.id.in_(newest.group_by(files.channel, files.name)),
        files.state == FileState.REFUSED,
        files.reason.in_(reasons),
    )
    rows = connection.execute(query.group_by(files.channel, files.reason))
    return {(row.channel, row.reason): row.number for row in rows}
