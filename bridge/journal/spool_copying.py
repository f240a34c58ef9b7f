"""The spool goes where its journal goes: into a backup, out of one, and to another database. It blocks."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, select, update

from bridge.errors import JournalRefused, SpoolDamaged
from bridge.journal.database import Database
from bridge.journal.file_schema import taken_files
from bridge.journal.files_kept import places_kept
from bridge.journal.spool import CHUNK_BYTES, GONE, SEALED_ENDING, SPOOLED, Spool, sync_folder
from bridge.journal.spool_sealed import key_ids
from bridge.journal.taken_files import chunks_of

Progress = Callable[[int], object]
"""Told how many more files are done."""
READ_BYTES = 1024**2


def copy_spool(connection: Connection, source: Spool, target: Spool, progress: Progress) -> list[str]:
    """Copy the bytes of all files that the journal of ``connection`` names, to the disk; those that are not
    there. Raises OSError."""
    kept = sorted(places_kept(connection)) if source.folder != target.folder else []
    if not kept:
        return []
    target.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    missing = []
    for each in kept:
        if not _copied(source.path(each), target.path(each)):
            missing.append(each)
        progress(1)
    sync_folder(target.folder)
    return missing


def forget_bytes(connection: Connection, missing: Collection[str]) -> None:
    """Let a journal say of these files that their bytes are gone."""
    for each in missing:
        connection.execute(update(taken_files).where(taken_files.c.kept == each).values(kept=GONE))


def must_be_there(source: Database, missing: Collection[str]) -> None:
    """Bytes may go while they are copied, when their time is over; then their journal does not name them any
    more. Raises JournalRefused where it still does."""
    with source.reader.begin() as connection:
        lost = places_kept(connection).intersection(missing)
    if lost:
        raise JournalRefused(
            f"the bytes of {len(lost)} files are not in {Spool(source.beside).folder}: run this where the "
            "node runs, with the same BRIDGE_STATE; where they are lost, `bridge journal verify` says which"
        )


def _copied(source: Path, target: Path) -> bool:
    try:
        with source.open("rb") as reading:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(target, flags, 0o600), "wb") as writing:
                shutil.copyfileobj(reading, writing, READ_BYTES)
                writing.flush()
                os.fsync(writing.fileno())
    except FileNotFoundError:
        return False
    return True


def look_at_spool(connection: Connection, spool: Spool, progress: Progress) -> list[str]:
    """Read all bytes of files that a journal names, against its digests; what is wrong, in words."""
    files, wrong = taken_files.c, []
    rows = connection.execute(
        select(files.id, files.kept).where(files.kept.like(f"{SPOOLED}%")).order_by(files.id)
    ).all()
    for row in rows:
        try:
            content = spool.open(row.kept, chunks_of(connection, row.id))
            try:
                while content.read(READ_BYTES):
                    pass
            finally:
                content.close()
        except SpoolDamaged as error:
            wrong.append(f"file {row.id}: {error}")
        progress(1)
    return wrong


def sealed_files(connection: Connection, spool: Spool) -> Counter[bytes | None]:
    """How many files of the spool are encrypted with each key, by its id; None counts those that are not.

    A file that began with one key and ended with another counts for both, one that is not there for none.
    """
    found: Counter[bytes | None] = Counter()
    for each in places_kept(connection):
        if not each.endswith(SEALED_ENDING):
            found[None] += 1
            continue
        with suppress(FileNotFoundError), spool.path(each).open("rb") as file:
            found.update(key_ids(file, CHUNK_BYTES))
    return found
