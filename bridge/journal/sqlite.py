"""A journal in a SQLite file: how it is opened, begun as a writer, and owned."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool, QueuePool

from bridge.errors import JournalRefused
from bridge.journal.driven import run
from bridge.journal.sqlite_log import LOG_MAX_PAGES, PAGE_BYTES, Moving

BUSY_WAIT_S = 10
OWN_LOOK_S = 0.05
OWN_LOOKS = 20
"""So often a start looks whether a process that has just ended has let go of the journal."""

STATEMENTS_KEPT = 512
"""So many statements stay prepared. The usual 128 are fewer than the message path has, since it has each for
several numbers of rows; preparing them anew was a twentieth of a writer's time."""

_WAL_SAFE_FROM = (3, 51, 3)
_WAL_SAFE_ALSO = ((3, 44, 6), (3, 50, 7))
"""SQLite 3.7.0 to 3.51.2 can corrupt a database in WAL mode; two older lines have the correction."""


_NOTHING: Final[dict[None, None]] = {}
"""Its `get` is what gives None for None soonest."""


def sqlite_module() -> ModuleType:
    """The SQLite to use: the newer one of a wheel where there is one, else the standard library's."""
    try:
        import pysqlite3.dbapi2 as module
    except ImportError:
        import sqlite3 as module
    # Of values of these two the driver looks each time for somebody who adapts them, and raises and drops two
    # errors where there is none: it took longer than all else about a parameter, a tenth of a writer's time.
    module.register_adapter(bytes, bytes)
    module.register_adapter(type(None), _NOTHING.get)
    return module  # type: ignore[no-any-return]


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether this SQLite may use a write-ahead log.

    >>> wal_is_safe((3, 53, 0)), wal_is_safe((3, 40, 1)), wal_is_safe((3, 44, 6))
    (True, False, True)
    """
    return version >= _WAL_SAFE_FROM or any(
        version[:2] == safe[:2] and version >= safe for safe in _WAL_SAFE_ALSO
    )


def on_a_read_only_disk(file: Path) -> bool:
    """Whether a file is on a disk that nobody can write to here."""
    try:
        return bool(os.statvfs(file).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def remove(file: Path) -> None:
    """Remove a database, and what SQLite puts beside it, which holds what it holds. Raises OSError."""
    for ending in ("-shm", "-wal", "-journal", ""):
        file.with_name(file.name + ending).unlink(missing_ok=True)


class SqliteFile:
    """A journal in one file. ``beside`` is where its node's socket is, with an ending of its own."""

    def __init__(self, url: URL) -> None:
        """Name it; nothing is opened. Raises JournalRefused where the URL names no file."""
        if not url.database or url.database == ":memory:":
            raise JournalRefused("a journal needs a file; expected sqlite:///path/to/journal.db")
        self.file = self.beside = Path(url.database)
        self.name = str(self.file)
        self._module = sqlite_module()
        self.journal_mode = "WAL" if wal_is_safe(self._module.sqlite_version_info) else "DELETE"

    def create(self) -> None:
        """Make the file where there is none."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # It holds whole messages. SQLite gives its log and its other files the rights of the database.
        os.close(os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def remove(self) -> None:
        """Remove the file, and its log."""
        remove(self.file)

    def exists(self) -> bool:
        """Whether there may be a journal."""
        return self.file.exists()

    def writer(self) -> Engine:
        """Begins every transaction as a writer at once."""
        return self._opened(NullPool, "BEGIN IMMEDIATE", query_only=False)

    def reader(self, connections: int) -> Engine:
        """Sees one moment in each transaction, and writes nothing."""
        return self._opened(QueuePool, "BEGIN", query_only=True, pool_size=connections, max_overflow=2)

    def _stands_still(self) -> bool:
        """Whether nothing changes it while it is read: on a disk that is read-only, and without the log of a
        writer, which one who writes has and leaves only where it is killed. Then it is read without the files
        that a reader makes beside a log, and that cannot be made there."""
        if not on_a_read_only_disk(self.file):
            return False
        return not any(
            self.file.with_name(self.file.name + ending).exists() for ending in ("-wal", "-journal")
        )

    def _opened(self, pool: type[Any], begin: str, *, query_only: bool, **options: Any) -> Engine:
        place = str(self.file)
        if query_only and self._stands_still():
            place = f"file:{quote(str(self.file.absolute()))}?immutable=1&uri=true"
        opened = create_engine(
            f"sqlite:///{place}",
            module=self._module,
            poolclass=pool,
            connect_args={"cached_statements": STATEMENTS_KEPT},
            **options,
        )

        @event.listens_for(opened, "connect")
        def prepare(connection: Any, _record: object) -> None:
            # The driver must not begin transactions by itself: it begins none for a SELECT.
            connection.isolation_level = None
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_WAIT_S * 1000}")
            if query_only:
                cursor.execute("PRAGMA query_only = ON")
            else:
                # Counts only for a file that holds nothing yet.
                cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
                cursor.execute(f"PRAGMA journal_mode = {self.journal_mode}")
                cursor.execute("PRAGMA synchronous = FULL")
                cursor.execute(f"PRAGMA wal_autocheckpoint = {LOG_MAX_PAGES}")
                cursor.execute(f"PRAGMA journal_size_limit = {LOG_MAX_PAGES * PAGE_BYTES}")
            cursor.close()

        @event.listens_for(opened, "begin")
        def begin_transaction(connection: Connection) -> None:
            run(connection, begin)

        return opened

    def beside_writer(self) -> Callable[[], Moving] | None:
        """What is to be done again and again beside a writer, made in the thread that does it."""
        return partial(Moving, self._module, self.file) if self.journal_mode == "WAL" else None

    def own(self, writer: Engine) -> FileOwnership:
        """Become its owner. Raises JournalRefused where another process is."""
        return FileOwnership(self.file, writer)

    def is_away(self, error: DBAPIError) -> bool:
        """Whether an error says that nothing can be written now, and not that an item is at fault."""
        return isinstance(error, OperationalError)

    def advice(self, error: DBAPIError) -> str:  # noqa: ARG002
        """What to do about an error, in words."""
        if on_a_read_only_disk(self.file):
            return (
                "its disk is read-only, and a log lies beside it that must be read too: copy "
                f"{self.file.name} and {self.file.name}-wal to a disk that can be written, and name the copy"
            )
        places = (self.file, self.file.parent)
        if not all(os.access(each, os.W_OK, effective_ids=True) for each in places):
            return (
                "who reads it must be able to write it and its folder too, where its log is: "
                "run this as the user that it belongs to, on a disk that can be written"
            )
        return "check the path, its permissions, and the space on its disk"

    def at_risk(self, connection: Connection) -> list[str]:  # noqa: ARG002
        """What of the database's settings endangers what it keeps."""
        return []

    def hindrances(self, connection: Connection) -> list[str]:  # noqa: ARG002
        """Why no node could run on it."""
        return []


class FileOwnership:
    """The right to write a journal in a file: a lock on another file beside it, gone with its process."""

    def __init__(self, file: Path, writer: Engine) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._writer = writer
        self._connection: Connection | None = None
        self._lock = os.open(
            file.with_name(file.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        if not self._taken():
            os.close(self._lock)
            raise JournalRefused(
                f"another process runs on the journal {file}; "
                "stop it first, or give this one a journal of its own with --journal"
            )

    def _taken(self) -> bool:
        """Whether the lock is ours now; the writer of a node that was killed has a commit to end first."""
        for _ in range(OWN_LOOKS):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                threading.Event().wait(OWN_LOOK_S)
            else:
                return True
        return False

    def connect(self) -> Connection:
        """The writer's one connection."""
        if self._connection is None:
            self._connection = self._writer.connect()
        return self._connection

    def started(self, connection: Connection, start: int) -> None:
        """Nothing needs to be noted: no other process can write while the lock is held."""

    def enter(self, connection: Connection) -> None:
        """Nothing to look at, for the same reason."""

    def together(self, connection: Connection) -> AbstractContextManager[object]:  # noqa: ARG002
        """Nothing to save: each statement is done where it is said."""
        return nullcontext()

    def committed(self) -> None:
        """Nothing to remember."""

    def was_applied(self) -> bool:
        """A COMMIT that failed has not happened: there is no connection that could be lost on the way."""
        return False

    def release(self) -> None:
        """Give it up."""
        if self._connection is not None:
            self._connection.close()
        os.close(self._lock)
