"""A journal in a PostgreSQL database: how it is opened, made durable, owned, and found again after a loss.

Its owner holds an advisory lock of the session that writes. Beside that stands a row of `facts`, ``writer``:
which start of a node wrote last, and how many transactions that start has written. Each transaction of the
writer begins by moving this row on from what it knows it to be. So one row says three things: that nobody
else has written since, that the database has lost nothing, and, where a connection was lost during COMMIT,
whether that transaction was applied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError
from sqlalchemy.pool import NullPool, QueuePool
from sqlalchemy.schema import CreateSchema, DropSchema

from bridge.errors import JournalRefused, SecretUnavailable
from bridge.journal.driven import failure, run
from bridge.journal.postgresql_session import CLIENT, prepare_reader, prepare_writer
from bridge.journal.schema import facts
from bridge.units import SecretRef

DRIVER = "postgresql+psycopg"
SERVER_MIN = 130000
OWN_WAIT_MAX_MS = 3000
"""So long a start waits for the session of a process that has just ended."""
LOCK_CLASS = 0x0B71D6E
WRITER = "writer"
"""The row of `facts` that the writer moves on."""

_ADVICE_OTHERWISE = (
    "check that the server runs, and that this user may connect to the database and make tables there"
)
_ADVICE = {
    "55P03": "another session has locked its tables (see pg_locks): try again once it has ended",
    "25006": "this server only reads, as a standby does: name the one that writes",
    "28": "check the user and its password",
    "3D000": "check the name of the database, or make it",
    "3F000": "set a `search_path` for this user that has a schema",
    "42P01": "a table of the journal is gone: restore a backup, or name another journal",
    "22023": "check the URL",
}
"""What to do, by how an SQLSTATE begins (PostgreSQL, appendix A)."""
_UNAVAILABLE_STATES = ("25", "42501")
"""SQLSTATEs that no item is at fault for: a server that only reads, rights that were taken away."""


class PostgresqlDatabase:
    """A journal in a database of a PostgreSQL server.

    ``name`` says which, without user or password; ``beside`` is where its node's socket is on this machine.
    """

    file = None

    def __init__(self, url: URL, state: Path, secret: Callable[[SecretRef], str]) -> None:
        """Name it; nothing is connected to. ``state`` is the folder for what a node keeps beside its journal.

        Raises JournalRefused where the URL holds a password, names no database, or the driver is missing.
        """
        query = dict(url.query)
        reference = _reference(url.password, query.pop("password", None))
        if not url.database and "service" not in query:
            raise JournalRefused(
                "the journal's URL names no database; expected postgresql://user@host/database"
            )
        try:
            import psycopg  # noqa: F401 - whether it is there is the question
        except ImportError:
            raise JournalRefused(
                "a journal on PostgreSQL needs psycopg: pip install 'interface-bridge[postgres]'"
            ) from None
        self._url = URL.create(
            DRIVER,
            url.username,
            None,
            url.host,
            url.port,
            url.database,
            {**CLIENT, **query, "client_encoding": "UTF8"},
        )
        self._password = None if reference is None else lambda: secret(reference)
        where, name = _place(url, query)
        self.name = f"postgresql {where}/{name or ''}".rstrip("/")
        of = f"{where}/{name}/{query.get('options', '')}"
        self.beside = state / f"postgresql-{hashlib.sha256(of.encode()).hexdigest()[:12]}"

    def create(self) -> None:
        """Make the folder of its socket. The database itself is made by who looks after the server."""
        self.beside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def exists(self) -> bool:
        """Whether there may be a journal; only a connection tells."""
        return True

    def writer(self) -> Engine:
        """Waits for the server's disk at each commit."""
        return self._opened(prepare_writer, poolclass=NullPool)

    def reader(self, connections: int) -> Engine:
        """Sees one moment in each transaction, and writes nothing. Lost connections are made anew."""
        return self._opened(
            prepare_reader,
            poolclass=QueuePool,
            pool_size=connections,
            max_overflow=2,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )

    def _opened(self, prepare: Callable[[Any], None], **options: Any) -> Engine:
        # Placeholders by place: many rows go to the driver as tuples.
        opened = create_engine(self._url, paramstyle="format", **options)

        @event.listens_for(opened, "do_connect")
        def give_password(_dialect: Any, _record: Any, _args: Any, named: dict[str, Any]) -> None:
            if self._password is None:
                return
            try:
                named["password"] = self._password()
            except SecretUnavailable as refused:
                # It may be there again in a moment, as when it is changed: the same as a server that is away.
                raise OperationalError("connect", None, refused) from None

        @event.listens_for(opened, "connect")
        def connected(connection: Any, _record: object) -> None:
            prepare(connection)

        return opened

    def beside_writer(self) -> None:
        """Nothing: the server tends its log itself."""

    def own(self, writer: Engine) -> SessionOwnership:
        """Become its owner. Raises JournalRefused where another process is, or the server cannot be used."""
        return SessionOwnership(self.name, writer)

    def is_away(self, error: DBAPIError) -> bool:
        """Whether an error says that nothing can be written now, and not that an item is at fault."""
        state = getattr(error.orig, "sqlstate", None) or ""
        return (
            isinstance(error, OperationalError | InternalError)
            or error.connection_invalidated
            or state.startswith(_UNAVAILABLE_STATES)
        )

    def advice(self, error: DBAPIError) -> str:
        """What to do about an error, in words; empty where it says so itself."""
        if isinstance(error.orig, SecretUnavailable):
            return ""
        state = getattr(error.orig, "sqlstate", None) or ""
        found = (words for begins, words in _ADVICE.items() if state.startswith(begins))
        return next(found, _ADVICE_OTHERWISE)

    def at_risk(self, connection: Connection) -> list[str]:
        """What of the server's settings endangers what it keeps, in words."""
        return [
            f"{name} is off on the server of {self.name}: a power cut can lose what was acknowledged; "
            "set it on"
            for name in ("fsync", "full_page_writes")
            if connection.exec_driver_sql(f"SHOW {name}").scalar() != "on"
        ]

    def hindrances(self, connection: Connection) -> list[str]:
        """Why no node could run on it."""
        found = [_refused(connection, self.name)]
        if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar():
            found.append(f"the server of {self.name} only reads, as a standby does: name the one that writes")
        elif not connection.exec_driver_sql(_MAY_MAKE_TABLES).scalar():
            found.append(f"this user may make no tables in the database {self.name}: grant it CREATE there")
        return [words for words in found if words]


@contextmanager
def scratch(url: str, name: str, secret: Callable[[SecretRef], str]) -> Iterator[str]:
    """The URL of a journal in a schema of its own, gone after the block; what else is there stays."""
    parsed = make_url(url)
    opened = PostgresqlDatabase(parsed, Path(), secret).writer()
    with opened.begin() as connection:
        connection.execute(CreateSchema(name))
    try:
        own = parsed.update_query_dict({"options": f"-csearch_path={name}"})
        yield own.render_as_string(hide_password=False)
    finally:
        with opened.begin() as connection:
            connection.execute(DropSchema(name, cascade=True))
        opened.dispose()


def _reference(inside: object, named: object) -> SecretRef | None:
    """The reference to a password that a URL has; JournalRefused where it is the password itself."""
    if not inside and named is None:
        return None
    try:
        if not inside:
            return SecretRef.parse(str(named))
    except ValueError:
        pass
    raise JournalRefused(
        "the journal's URL holds a password, which every user of this machine could see: "
        "write ?password=secret://file/NAME or secret://env/NAME, "
        "or leave it to libpq (PGPASSWORD, ~/.pgpass, a service)"
    )


def _place(url: URL, query: Mapping[str, Any]) -> tuple[str, str | None]:
    """Where a journal is, server and database: what the URL says, and else libpq's own variables."""
    from psycopg.pq import Conninfo

    said = {
        each.keyword.decode(): each.val.decode()
        for each in Conninfo.get_defaults()
        if each.val is not None and each.val != each.compiled
    }
    name = url.database or query.get("dbname") or said.get("dbname")
    if "service" in query:
        return f"service {query['service']}", name
    host = ",".join(_listed(query.get("host"))) or url.host or said.get("host", "")
    port = ",".join(_listed(query.get("port"))) or url.port or said.get("port")
    return f"{host}:{port}" if port else host, name


def _listed(value: Any) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


class SessionOwnership:
    """The right to write a journal in a database: a lock of the writer's own session, gone with it.

    Because the lock is that session's, whoever has it knows that the session before has ended, with whatever
    it was about to commit.
    """

    def __init__(self, name: str, writer: Engine) -> None:
        self._name, self._writer = name, writer
        self._start = self._written = 0
        self._session = 0
        self._connection: Connection | None = None
        connection = writer.connect()
        try:
            _check_server(connection, name)
            if not self._lock(connection):
                raise JournalRefused(
                    f"another process runs on the journal {name}; "
                    "stop it first, or give this one a journal of its own with --journal"
                )
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _lock(self, connection: Connection) -> bool:
        """Whether the lock is this session's now; waits `OWN_WAIT_MAX_MS` for one that is about to end."""
        try:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {OWN_WAIT_MAX_MS}")
            connection.execute(_LOCK, {"class": LOCK_CLASS})
        except OperationalError as error:
            if error.connection_invalidated or getattr(error.orig, "sqlstate", None) != "55P03":
                raise
            connection.rollback()
            return False
        self._session = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        connection.commit()
        return True

    def connect(self) -> Connection:
        """The writer's connection; a new one with the lock where it was lost.

        Raises OperationalError where the server cannot be reached, and JournalRefused where another node has
        written meanwhile.
        """
        if (known := self._connection) is not None:
            if not (known.closed or known.invalidated):
                return known
            self._connection = None
            known.close()
        connection = self._writer.connect()
        try:
            self._end_lost_session(connection)
            locked = self._lock(connection)
            self._compare(connection)
            connection.commit()
            if not locked:
                raise OperationalError(
                    "pg_advisory_lock", None, Exception("the session that was lost still holds the journal")
                )
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _end_lost_session(self, connection: Connection) -> None:
        """The server may not know yet that nobody is at the other end of the session before."""
        connection.execute(_END_SESSION, {"class": LOCK_CLASS, "session": self._session})
        connection.commit()

    def _compare(self, connection: Connection) -> tuple[int, int]:
        """Which start wrote last, and how often. Raises JournalRefused where that cannot be ours."""
        value = connection.execute(select(facts.c.value).where(facts.c.name == WRITER)).scalar()
        start, written = map(int, value.split(b":")) if value else (0, 0)
        if start > self._start:
            raise JournalRefused(
                f"another node has taken the journal {self._name}; this one writes nothing more: stop it"
            )
        if start < self._start or written < self._written:
            raise JournalRefused(
                f"the database {self._name} has lost what it had committed (a restored backup, a replica "
                "that was behind?): this node writes nothing more; stop it, and start it once you know why"
            )
        return start, written

    def started(self, connection: Connection, start: int) -> None:
        """Note, in the transaction that counts this start, that what follows is written by it."""
        self._start, self._written = start, 0
        connection.execute(delete(facts).where(facts.c.name == WRITER))
        connection.execute(insert(facts).values(name=WRITER, value=_position(start, 0)))

    def enter(self, connection: Connection) -> None:
        """Begin a transaction: move the row on. Raises JournalRefused where it is not as it was left."""
        before = _position(self._start, self._written)
        if run(connection, _MOVE_ON, (_position(self._start, self._written + 1), WRITER, before)) != 1:
            self._compare(connection)
            raise JournalRefused(f"somebody else has written to the journal {self._name}: stop this node")

    @contextmanager
    def together(self, connection: Connection) -> Iterator[None]:
        """A pipeline, which ends when the server has answered to all of it. Raises DBAPIError, as a single
        statement does. COMMIT stays by itself: the driver would send a pipeline's end behind its answer."""
        try:
            with connection.connection.driver_connection.pipeline():  # type: ignore[union-attr]
                yield
        except connection.dialect.loaded_dbapi.Error as error:
            raise failure(connection, error) from error

    def committed(self) -> None:
        """The transaction that was entered is on disk."""
        self._written += 1

    def was_applied(self) -> bool:
        """After a connection was lost during COMMIT: whether that transaction is on disk.

        Raises OperationalError where that cannot be known yet.
        """
        connection = self.connect()
        _, written = self._compare(connection)
        connection.commit()
        return written > self._written

    def release(self) -> None:
        """Give it up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_LOCK = text(
    # By the schema that holds the journal: another may have come before it since.
    "SELECT pg_advisory_lock(:class, hashtext(coalesce((SELECT nspname FROM pg_class c JOIN pg_namespace n "
    "ON n.oid = c.relnamespace WHERE c.oid = to_regclass('facts')), current_schema(), '')::text))"
)
_MAY_MAKE_TABLES = "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
_END_SESSION = text(
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND classid = :class AND pid = :session"
)
_MOVE_ON = "UPDATE facts SET value = %s WHERE name = %s AND value = %s"


def _position(start: int, written: int) -> bytes:
    return b"%d:%d" % (start, written)


def _check_server(connection: Connection, name: str) -> None:
    words = _refused(connection, name)
    connection.commit()
    if words:
        raise JournalRefused(words)


def _refused(connection: Connection, name: str) -> str:
    """Why this server is not one for a journal; empty where it is."""
    number = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if number < SERVER_MIN:
        return (
            f"the server of {name} is PostgreSQL {number // 10000}; {SERVER_MIN // 10000} or newer is needed"
        )
    if encoding != "UTF8":
        return f"the database {name} has the encoding {encoding}; make it with ENCODING 'UTF8'"
    return ""
