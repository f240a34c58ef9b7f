"""Opening a journal to write it: made where there is none, owned, found to be of this version, its start
counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import JournalUnavailable
from bridge.journal import beside
from bridge.journal.database import (
    Database,
    Facts,
    Ownership,
    check_version,
    count_start,
    told,
    upgrade,
)
from bridge.journal.denied import advice
from bridge.journal.files import KeptFile, keep_files
from bridge.message import Microseconds
from bridge.units import SecretRef

WORD_BYTES = 3
"""Of the word that tells what is sent after an older copy was put back from what was sent before."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Which journal a node starts on, and what that is told of it. ``state`` and ``keys`` are as of
    `Database`; ``kept_files`` are those that the node runs by."""

    url: str
    state: Path
    keys: SecretRef | None
    kept_files: tuple[KeptFile, ...]
    at_us: Microseconds


def open_to_write(
    database: Database,
    random_bytes: Callable[[int], bytes],
    kept_files: tuple[KeptFile, ...],
    at_us: Microseconds,
) -> Ownership:
    """Become the owner of a journal, and count the start; ``kept_files`` and ``at_us`` are as of `Opening`.

    Raises JournalRefused where it is another node's or of another version, or its keys are not all there,
    and JournalUnavailable where it cannot be used; then it is owned no more.
    """
    ownership = database.own()
    try:
        if database.is_new():
            upgrade(database, random_bytes=random_bytes)
        check_version(database)
        with told(database):
            _count(database, ownership, random_bytes, kept_files, at_us)
    except BaseException:
        ownership.release()
        raise
    return ownership


def _count(
    database: Database,
    ownership: Ownership,
    random_bytes: Callable[[int], bytes],
    kept_files: tuple[KeptFile, ...],
    at_us: Microseconds,
) -> None:
    path = beside.path_of(database.beside)
    try:
        kept = beside.read_beside(path)
        connection = ownership.connect()
        with connection.begin():
            now = beside.how_far(connection)
            why = beside.doubt(Facts(connection), now, kept)
            if not now.starts:
                # Without it, a first start that is cut off here would look like a copy for ever.
                beside.write_beside(path, now)
            count_start(connection, ownership)
            beside.begin(connection, why, random_bytes(WORD_BYTES).hex())
            keep_files(connection, kept_files, at_us)
            now = beside.how_far(connection)
        beside.write_beside(path, now)
    except OSError as error:
        raise JournalUnavailable(
            f"the file {path}, which a node keeps beside its journal, cannot be used: "
            f"{error.strerror}; {advice(error, path)}"
        ) from None
