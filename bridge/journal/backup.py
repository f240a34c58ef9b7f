"""Backups: a whole journal as of one moment in a SQLite file, made while its node runs; looked at; put back.

A backup of either database is a journal in a file, with a line beside it that says what its bytes come to (as
`sha256sum` writes it). It says of itself that it is one, so that the node which starts on it waits for a
person: see `journal.restored`. What is encrypted stays so; the keys are not in it. The bytes of large files
lie beside it, as they lie beside any journal.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import DBAPIError

from bridge.errors import JournalRefused, JournalUnavailable
from bridge.journal import copying
from bridge.journal.database import (
    ARRIVING,
    BACKUP,
    MOVED,
    Database,
    Facts,
    check_version,
    said,
    told,
    upgrade,
    upgrade_tables,
    version,
)
from bridge.journal.denied import advice
from bridge.journal.history import Checked, check
from bridge.journal.metadata import METADATA
from bridge.journal.schema import facts, messages
from bridge.journal.sealed import Sealed
from bridge.journal.spool import Spool, sync_folder
from bridge.journal.spool_copying import copy_spool, forget_bytes, look_at_spool, must_be_there
from bridge.journal.sqlite import SqliteFile, remove, sqlite_module

PAGES_AT_ONCE = 2000
HASHED_AT_ONCE_BYTES = 1024 * 1024
OPENED_AT_ONCE = 16
FULL = "database or disk is full"
"""What SQLite says then; of a copy of pages the driver gives its words and no number."""
RESTORING = (
    "a backup that was being put back into this journal is not all there: run `bridge journal restore` again"
)
"""Of a journal that holds nothing else than what `restore` has made of it so far."""
Progress = Callable[[int], object]
"""Told how many more rows, pages or values are done."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds, and what its file comes to."""

    messages: int
    size_bytes: int
    sha256: str


def digest_path(path: Path) -> Path:
    """The file that says what a backup's bytes come to."""
    return path.with_name(path.name + ".sha256")


def back_up(
    source: Database,
    path: Path,
    *,
    at: str,
    opened: Callable[[str], Database],
    random_bytes: Callable[[int], bytes],
    progress: Progress,
) -> Backup:
    """Write a journal as it is now to a file that is not there yet; its node may run on.

    ``at`` is the time, ``opened`` opens a database by its URL, with the journal's keys.

    Raises JournalRefused where the file is there, and JournalUnavailable where it cannot be written.
    """
    check_version(source)
    if path.exists():
        raise JournalRefused(f"{path} is there already; name another file")
    if not path.parent.is_dir():
        raise JournalRefused(f"{path.parent} is no folder that is there: is its disk mounted?")
    partial, bytes_beside = path.with_name(path.name + ".partial"), Spool(path).folder
    were_there = bytes_beside.exists()
    words = f"this is a backup of {source.name}, made {at}"
    try:
        with _told(source, path, partial):
            remove(partial)
            target = opened(f"sqlite:///{partial}")
            try:
                _write(source, target, partial, random_bytes, progress)
                with target.writer.begin() as writing:
                    writing.execute(delete(facts).where(facts.c.name.in_([ARRIVING, MOVED, BACKUP])))
                    writing.execute(insert(facts).values(name=BACKUP, value=words.encode()))
                    held = writing.execute(select(func.count()).select_from(messages)).scalar_one()
                    missing = copy_spool(writing, Spool(source.beside), Spool(path), progress)
                    forget_bytes(writing, missing)
                with told(source):
                    must_be_there(source, missing)
            finally:
                target.close()
            _alone(partial)
            made = Backup(held, partial.stat().st_size, sha256_of(partial))
            _durable(digest_path(path), f"{made.sha256}  {path.name}\n".encode())
            partial.replace(path)
            sync_folder(path.parent)
            return made
    finally:
        with suppress(OSError):
            remove(partial)
            if not path.exists():
                digest_path(path).unlink(missing_ok=True)
                if not were_there:
                    shutil.rmtree(bytes_beside, ignore_errors=True)


@contextmanager
def _told(source: Database, path: Path, partial: Path) -> Iterator[None]:
    """Errors become ours: those of files, and of SQLite, are the backup's, and all others its journal's. What
    reads a journal that SQLite holds says by itself that an error is that one's."""
    try:
        yield
    except OSError as error:
        raise _unwritten(path, error, partial) from None
    except (DBAPIError, sqlite_module().Error) as error:
        cause = getattr(error, "orig", error)
        if not isinstance(cause, sqlite_module().Error):
            with told(source):
                raise
        number, words = errno.EIO, str(cause)
        if words == FULL:
            number, words = errno.ENOSPC, os.strerror(errno.ENOSPC)
        raise _unwritten(path, OSError(number, words), partial) from error


def _unwritten(path: Path, error: OSError, partial: Path) -> JournalUnavailable:
    return JournalUnavailable(f"{path} cannot be written: {error.strerror}; {advice(error, partial)}")


def _write(
    source: Database,
    target: Database,
    partial: Path,
    random_bytes: Callable[[int], bytes],
    progress: Progress,
) -> None:
    if isinstance(source.kind, SqliteFile):
        _pages(source, partial, progress)
        return
    with target.writer.begin() as writing:
        upgrade_tables(target, writing, random_bytes=random_bytes)
    with source.reader.begin() as reading, target.writer.begin() as writing:
        copying.write(reading, writing, RESTORING, lambda _table, rows: progress(rows))


def _pages(source: Database, path: Path, progress: Progress) -> None:
    """Copy a SQLite journal page by page: one moment of it, whatever its node writes meanwhile."""
    with source.reader.connect() as reading, reading.begin():
        with told(source):
            reading.exec_driver_sql("SELECT count(*) FROM facts").scalar()
        one: Any = reading.connection.driver_connection
        other = sqlite_module().connect(str(path))
        try:
            done = 0

            def tell(_status: int, remaining: int, total: int) -> None:
                nonlocal done
                progress(total - remaining - done)
                done = total - remaining

            one.backup(other, pages=PAGES_AT_ONCE, progress=tell, sleep=0)
        finally:
            other.close()


def _alone(path: Path) -> None:
    """Make of a database one file without a log beside it."""
    connection = sqlite_module().connect(str(path))
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    finally:
        connection.close()
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """What a file's bytes come to."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(HASHED_AT_ONCE_BYTES):
            digest.update(data)
    return digest.hexdigest()


def _durable(path: Path, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(file, "wb") as out_of:
        out_of.write(content)
        out_of.flush()
        os.fsync(out_of.fileno())


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a backup found: what is wrong in words, and what its history says."""

    wrong: tuple[str, ...]
    history: Checked | None
    opened: int


def note_bytes(path: Path) -> None:
    """Say beside a backup what its bytes come to now, where that is said of it at all."""
    if digest_path(path).exists():
        _durable(digest_path(path), f"{sha256_of(path)}  {path.name}\n".encode())


def is_changed(path: Path) -> str:
    """That a backup is not what the file beside it says, in words; empty where it is, or none is there."""
    expected = digest_path(path)
    if not expected.exists() or expected.read_text("utf-8", "replace").split()[:1] == [sha256_of(path)]:
        return ""
    return f"the bytes of {path.name} are not those that {expected.name} says"


def look(backup: Database, path: Path, progress: Progress) -> Looked:
    """Look at a backup: its bytes, pages, history and ledger, and that every body opens with the keys."""
    wrong = []
    if not digest_path(path).exists():
        wrong.append(f"{digest_path(path).name} is missing: whether a bit has flipped cannot be told")
    if changed := is_changed(path):
        return Looked((changed,), None, 0)
    if (damage := _damage(backup, "integrity_check")) != "ok":
        return Looked((*wrong, f"the database is damaged: {damage}"), None, 0)
    check_version(backup)
    with told(backup), backup.reader.begin() as connection:
        history = check(connection)
        opened = _open_all(connection, progress)
        wrong += look_at_spool(connection, Spool(path, backup.seals), progress)
    return Looked(tuple(wrong), history, opened)


def _damage(backup: Database, pragma: str) -> str:
    try:
        with backup.reader.begin() as connection:
            return str(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar())
    except DBAPIError as error:
        return said(error)


def _open_all(connection: Connection, progress: Progress) -> int:
    """Open every sealed value; how many there are. Raises ItemRefused for one that does not open."""
    opened = 0
    for table in METADATA.sorted_tables:
        columns = [column for column in table.columns if isinstance(column.type, Sealed)]
        if columns:
            found = connection.execute(select(*columns), execution_options={"yield_per": OPENED_AT_ONCE})
            for row in found:
                opened += sum(value is not None for value in row)
                progress(1)
    return opened


@dataclass(frozen=True, slots=True)
class Restored:
    """How many messages were put back, and of how many files the bytes are not there any more."""

    messages: int
    files_lost: int


def restore(
    backup: Database, target: Database, *, random_bytes: Callable[[int], bytes], progress: Progress
) -> Restored:
    """Put a backup into an empty database of either kind, or into one where this has been broken off.

    No node starts there before all of it is there and compared; the one that starts then waits for a person.
    Raises JournalRefused where the target holds a journal, or the backup is damaged.
    """
    arriving = target.own()
    empty = False
    try:
        with told(target):
            empty = target.is_new()
            if not (empty or _is_half_restored(target)):
                raise JournalRefused(
                    f"{target.name} holds tables already; name an empty database, or a file that is not there"
                )
            # Before all that takes long: whoever is killed in it leaves nothing that a node begins on.
            upgrade(target, random_bytes=random_bytes, arriving=RESTORING)
        if (damage := _damage(backup, "quick_check")) != "ok":
            raise JournalRefused(f"{backup.name} is damaged ({damage}): put back another backup")
        check_version(backup)
        with told(target):
            empty = False
            with backup.reader.begin() as reading, arriving.connect().begin() as writing:
                words = Facts(reading).backup or "this was put back from a copy"
                copying.write(reading, writing.connection, RESTORING, lambda _table, rows: progress(rows))
                spools = Spool(backup.beside), Spool(target.beside)
                missing = copy_spool(writing.connection, *spools, progress)
            rows = copying.compare(backup, target, lambda _table, rows: progress(rows), but=facts)
            with arriving.connect().begin() as writing:
                forget_bytes(writing.connection, missing)
                writing.connection.execute(delete(facts).where(facts.c.name.in_([ARRIVING, BACKUP])))
                writing.connection.execute(insert(facts).values(name=BACKUP, value=words.encode()))
            return Restored(rows["messages"], len(missing))
    finally:
        arriving.release()
        if empty and isinstance(target.kind, SqliteFile):
            # A node would begin a journal of its own in what looks like the restored one.
            target.close()
            target.kind.remove()


def _is_half_restored(target: Database) -> bool:
    with target.reader.begin() as connection:
        return version(connection) > 0 and Facts(connection).arriving == RESTORING
