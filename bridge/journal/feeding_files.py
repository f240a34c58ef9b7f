"""What an old job is owed of files: each once as it came, in the order in which they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, func, select, text

from bridge.journal.file_schema import taken_files
from bridge.journal.stage_schema import fed_files
from bridge.journal.statements import insert_rows, update_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

OWED, PLACING, GIVEN, REFUSED = "OWED", "PLACING", "GIVEN", "REFUSED"
"""States of a fed file: not there yet; all of it lies beside its place under a hidden name, and gets its own;
there; it cannot be put there, and a person must look."""


class OwedFile(NamedTuple):
    """A file that the old job has not been given. ``place`` is the folder where it lies hidden, if it "
    "does."""

    file_id: int
    name: str
    state: str
    place: str
    kept: str
    sha256: bytes


class FedFile(NamedTuple):
    """How far a file is; ``place`` is the folder that it was written to."""

    file_id: int
    state: str
    place: str
    reason: str
    at_us: Microseconds


_IS_OWED = text("fed_files.state IN ('OWED', 'PLACING')")
_INSERT = insert_rows(fed_files)
_FED = update_rows(fed_files, "state", "place", "reason", "at_us", key="file_id")


def owe_file(tx: Transaction, file_id: int, channel: str, name: str, at_us: Microseconds) -> None:
    """Note in this transaction that a file is owed."""
    row: dict[str, Any] = {
        "file_id": file_id, "channel": channel, "name": name, "state": OWED, "place": "", "reason": "",
        "at_us": at_us,
    }  # fmt: skip
    _INSERT.many(tx.connection, [row])


def _fed(tx: Transaction, items: Sequence[FedFile]) -> list[None]:
    _FED.many(tx.connection, [each._asdict() for each in items])
    return [None] * len(items)


FED_FILE: Work[FedFile, None] = Work("fed-file", _fed)
"""Write how far a file is on its way to the old job."""


def owed_files(connection: Connection, channel: str, limit: int) -> list[OwedFile]:
    """What the old job is owed next, in order."""
    rows = connection.execute(
        select(
            fed_files.c.file_id,
            fed_files.c.name,
            fed_files.c.state,
            fed_files.c.place,
            taken_files.c.kept,
            taken_files.c.sha256,
        )
        .join(taken_files, taken_files.c.id == fed_files.c.file_id)
        .where(fed_files.c.channel == channel, _IS_OWED)
        .order_by(fed_files.c.file_id)
        .limit(limit)
    )
    return [
        OwedFile(row.file_id, row.name, row.state, row.place, row.kept, bytes(row.sha256)) for row in rows
    ]


def is_owed(file_id: Column[int]) -> ColumnElement[bool]:
    """That a file is still owed, whose bytes must stay."""
    return select(fed_files.c.file_id).where(fed_files.c.file_id == file_id, _IS_OWED).exists()


def files_owed(connection: Connection) -> dict[str, tuple[int, Microseconds]]:
    """How many files the old job of each channel is owed, and when the oldest of them came."""
    rows = connection.execute(
        select(
            fed_files.c.channel,
            func.count().label("owed"),
            func.min(taken_files.c.received_at_us).label("oldest_us"),
        )
        .join(taken_files, taken_files.c.id == fed_files.c.file_id)
        .where(_IS_OWED)
        .group_by(fed_files.c.channel)
    )
    return {row.channel: (row.owed, row.oldest_us) for row in rows}
