"""Opening a journal: which database, whether it is safe, whose it is, and of what version."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.pool import NullPool, QueuePool

from bridge.errors import JournalRefused, JournalUnavailable
from bridge.journal import triggers
from bridge.journal.schema import facts

SCHEMA = 3
"""The version of the tables that this code writes; the number of the newest migration."""
OLDEST_CODE = 2
"""The oldest ``SCHEMA`` whose code can still work with these tables. Code of 1 knows one key a message, and
would let others overtake a merge."""

BUSY_WAIT_S = 10
READERS = 2

_WAL_SAFE_FROM = (3, 51, 3)
_WAL_SAFE_ALSO = ((3, 44, 6), (3, 50, 7))
"""SQLite 3.7.0 to 3.51.2 can corrupt a database in WAL mode; two older lines have the correction."""


def sqlite_module() -> ModuleType:
    """The SQLite to use: the newer one of a wheel where there is one, else the standard library's."""
    try:
        import pysqlite3.dbapi2 as module
    except ImportError:
        import sqlite3 as module
    return module  # type: ignore[no-any-return]


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether this SQLite may use a write-ahead log.

    >>> wal_is_safe((3, 53, 0)), wal_is_safe((3, 40, 1)), wal_is_safe((3, 44, 6))
    (True, False, True)
    """
    return version >= _WAL_SAFE_FROM or any(
        version[:2] == safe[:2] and version >= safe for safe in _WAL_SAFE_ALSO
    )


class Database:
    """An open journal database. Close it when done.

    ``writer`` begins every transaction as a writer at once; ``reader`` sees one moment and writes nothing.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        """Open the database at ``url``; make it where ``create`` is set and there is none.

        Raises JournalRefused where it is missing, is no journal, or is of another version, and
        JournalUnavailable where it cannot be opened.
        """
        self.path = sqlite_path(url)
        if not create and not self.path.exists():
            raise JournalRefused(
                f"no journal at {self.path.absolute()}; `bridge run` makes one, or name it with --journal"
            )
        if create:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # It holds whole messages. SQLite gives its log and its other files the rights of the database.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        module = sqlite_module()
        self.sqlite_version: tuple[int, ...] = module.sqlite_version_info
        self.journal_mode = "WAL" if wal_is_safe(self.sqlite_version) else "DELETE"
        self.writer = self._engine(module, NullPool, "BEGIN IMMEDIATE", query_only=False)
        self.reader = self._engine(
            module, QueuePool, "BEGIN", query_only=True, pool_size=READERS, max_overflow=2
        )

    def _engine(
        self, module: ModuleType, pool: type[Any], begin: str, *, query_only: bool, **options: Any
    ) -> Engine:
        engine = create_engine(f"sqlite:///{self.path}", module=module, poolclass=pool, **options)

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: object) -> None:
            # The driver must not begin transactions by itself: it begins none for a SELECT.
            connection.isolation_level = None
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_WAIT_S * 1000}")
            if query_only:
                cursor.execute("PRAGMA query_only = ON")
            else:
                cursor.execute(f"PRAGMA journal_mode = {self.journal_mode}")
                cursor.execute("PRAGMA synchronous = FULL")
            cursor.close()

        @event.listens_for(engine, "begin")
        def begin_transaction(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def close(self) -> None:
        """Let go of all connections."""
        self.reader.dispose()
        self.writer.dispose()


def sqlite_path(url: str) -> Path:
    """The file that a journal URL names; JournalRefused where it names none."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise JournalRefused(
            "the journal's URL cannot be read; expected sqlite:///path/to/journal.db"
        ) from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise JournalRefused(
            f"a journal on {parsed.get_backend_name()} is not built into this version; "
            "expected a file, sqlite:///path/to/journal.db"
        )
    return Path(parsed.database)


class Ownership:
    """The right to run on a journal; one process at a time has it, and loses it when it ends."""

    def __init__(self, path: Path) -> None:
        """Take it. Raises JournalRefused where another process runs on this journal."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(
            path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise JournalRefused(
                f"another process runs on the journal {path}; "
                "stop it first, or give this one a journal of its own with --journal"
            ) from None

    def release(self) -> None:
        """Give it up."""
        os.close(self._file)


class Facts:
    """What the journal knows of itself, read once."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute(select(facts.c.name, facts.c.value))
        self._values = {name: value for name, value in rows}  # noqa: C416
        self.schema = int(self._values["schema"])
        self.oldest_code = int(self._values["oldest_code"])
        self.journal_id = self._values["journal_id"].decode()
        """A short word that tells this journal from any other; it stands in every idempotency key."""
        self.starts = int(self._values["starts"])
        self._index_key = self._values["index_key"]

    def hash(self, *parts: bytes) -> bytes:
        """16 bytes that stand for the parts and tell nothing of them; the same in this journal for ever."""
        digest = hashlib.blake2b(key=self._index_key, digest_size=16)
        for part in parts:
            digest.update(len(part).to_bytes(4, "big"))
            digest.update(part)
        return digest.digest()


def upgrade(database: Database, *, random_bytes: Callable[[int], bytes]) -> tuple[int, int]:
    """Bring the tables to this code's version; returns the versions before and after.

    The whole upgrade is one transaction. Raises JournalRefused for a journal of newer code.
    """
    with _told(database), database.writer.begin() as connection:
        before = version(connection)
        if before and (newest := Facts(connection).oldest_code) > SCHEMA:
            raise _too_new(database, newest)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        triggers.install(connection)
        if not before:
            first = {
                "journal_id": random_bytes(4).hex().encode(),
                "index_key": random_bytes(32),
                "starts": b"0",
                "schema": b"0",
                "oldest_code": b"0",
            }
            connection.execute(
                insert(facts), [{"name": name, "value": value} for name, value in first.items()]
            )
        _set(connection, "schema", SCHEMA)
        _set(connection, "oldest_code", OLDEST_CODE)
        return before, SCHEMA


def version(connection: Connection) -> int:
    """The version of the tables; 0 where there are none. JournalRefused where the file is something else."""
    names = set(inspect(connection).get_table_names())
    if not names:
        return 0
    if "facts" not in names:
        raise JournalRefused(
            "this database holds other tables and no journal; name another file with --journal"
        )
    return int(connection.execute(select(facts.c.value).where(facts.c.name == "schema")).scalar_one())


def check_version(database: Database) -> None:
    """Raise JournalRefused unless this code can work with the journal's tables as they are."""
    with _told(database), database.reader.begin() as connection:
        if (found := version(connection)) < SCHEMA:
            raise JournalRefused(
                f"the journal {database.path} has tables of version {found}, this bridge needs {SCHEMA}; "
                "run `bridge journal upgrade` (it only adds, and one older bridge can still read it)"
            )
        if (newest := Facts(connection).oldest_code) > SCHEMA:
            raise _too_new(database, newest)


def count_start(connection: Connection) -> None:
    """Note that a node starts on this journal."""
    _set(connection, "starts", Facts(connection).starts + 1)


def _set(connection: Connection, name: str, value: int) -> None:
    connection.execute(update(facts).where(facts.c.name == name).values(value=str(value).encode()))


def _too_new(database: Database, needed: int) -> JournalRefused:
    return JournalRefused(
        f"the journal {database.path} was written by a newer bridge: it needs code for tables of version "
        f"{needed} or newer, this one knows {SCHEMA}; install the newer bridge"
    )


@contextmanager
def _told(database: Database) -> Iterator[None]:
    """Database errors become ours, with the file's name and what to look at."""
    try:
        yield
    except DatabaseError as error:
        raise JournalUnavailable(
            f"the journal {database.path} cannot be used: {error.orig}; "
            "check the path, its permissions, and the space on its disk"
        ) from error
