"""Opening a journal: which database, whose it is, and of what version.

What is one database's own stands in `sqlite` and `postgresql`; all else is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, delete, insert, inspect, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from bridge.errors import JournalRefused, JournalUnavailable, SecretUnavailable
from bridge.journal import triggers
from bridge.journal.denied import denied
from bridge.journal.hashes import Hashes
from bridge.journal.making import make, migrate
from bridge.journal.postgresql import PostgresqlDatabase
from bridge.journal.schema import facts
from bridge.journal.sealed import give_seals, seals_of
from bridge.journal.sealing import KEY_ID_BYTES, Keyring, Seals, key_id_of, missing
from bridge.journal.sqlite import SqliteFile
from bridge.units import SecretRef

SCHEMA = 29
"""The version of the tables that this code writes; the number of the newest migration."""
OLDEST_CODE = 19
"""The oldest ``SCHEMA`` whose code can still work with these tables. Code of 18 would write steps that the
chain over them does not know as they are told now, and of 14 none of it."""

READERS = 2
INDEX_KEY, SEALED_WITH = "index_key", "sealed_with"
"""Rows of `facts`: what hashes are made with, sealed where there are keys; the ids of keys in use."""
KEPT_BESIDE, IN_DOUBT, EPOCHS, BACKUP = "beside", "in_doubt", "epochs", "backup"
"""Rows of `facts`: that a file is kept beside; why this may be an older copy; from which delivery on which
word stands in what is sent; and of a backup, that it is one."""
DOUBTFUL_FILES, NOT_RESUMED = "doubtful_files", "not_resumed"
"""Rows of `facts`: the last step of a file that was there when an older copy was put back; channels that no
person has resumed since."""
MOVED, ARRIVING = "moved", "arriving"
"""Rows of `facts` that keep a node from starting: the journal was copied away, or its copy has not ended."""
STATE = Path("var")
"""The folder for what a node keeps beside a journal that is no file."""


class Ownership(Protocol):
    """The right to write a journal; one process at a time has it, and loses it when it ends."""

    def connect(self) -> Connection:
        """The writer's connection. Raises OperationalError while there can be none, and JournalRefused where
        another process has the right now."""
        ...

    def started(self, connection: Connection, start: int) -> None:
        """Note, in the transaction that counts this start, that what follows is written by it."""
        ...

    def enter(self, connection: Connection) -> None:
        """The first step of each transaction. Raises JournalRefused where the right is another's."""
        ...

    def together(self, connection: Connection) -> AbstractContextManager[object]:
        """For statements that answer nothing: all on their way before an answer is read, so that they cost
        one way to a server. What is wrong with any of them is known at its end."""
        ...

    def committed(self) -> None:
        """The transaction that was entered is on disk."""
        ...

    def was_applied(self) -> bool:
        """After a COMMIT without an answer: whether it happened. Raises as `connect` does."""
        ...

    def release(self) -> None:
        """Give it up."""
        ...


class Database:
    """An open journal database. Close it when done.

    ``writer`` makes connections that write, ``reader`` such as see one moment and write nothing. ``name`` is
    for people and holds no password; ``file`` is None where it is no file. ``beside`` is where its node's
    socket is, but for the ending.
    """

    def __init__(
        self,
        url: str,
        *,
        create: bool = False,
        state: Path = STATE,
        secret: Callable[[SecretRef], str] | None = None,
        keys: SecretRef | None = None,
        random_bytes: Callable[[int], bytes] | None = None,
    ) -> None:
        """Open the database at ``url``; a file is made where ``create`` is set and there is none.

        ``secret`` looks up the password that a URL refers to, and ``keys``, which bodies are encrypted with;
        whoever writes with keys gives ``random_bytes``. Raises JournalRefused where the journal is missing,
        or cannot be named so, or the keys cannot be read, and JournalUnavailable where this user may not.
        """
        self._keys, self._secret = keys, secret or _no_secrets
        self.seals = Seals(self.read_keys(), random_bytes)
        self.kind = named(url, state=state, secret=secret)
        self.name, self.file, self.beside = self.kind.name, self.kind.file, self.kind.beside
        with told(self):
            if create:
                self.kind.create()
            elif not self.kind.exists():
                raise JournalRefused(
                    f"no journal at {self.name}; `bridge run` makes one, or name it with --journal"
                )
        self.writer = self.kind.writer()
        self.reader = self.kind.reader(READERS)
        for engine in (self.writer, self.reader):
            give_seals(engine, self.seals)

    def read_keys(self) -> Keyring | None:
        """The keys as they are in their secret now, or None for no keys. Raises JournalRefused."""
        if self._keys is None:
            return None
        try:
            return Keyring.read(self._secret(self._keys), str(self._keys))
        except SecretUnavailable as refused:
            raise JournalRefused(f"the journal's keys cannot be read: {refused}") from None

    def own(self) -> Ownership:
        """Become the one process that writes. Raises JournalRefused where another is, and JournalUnavailable
        where that cannot be found out."""
        with told(self):
            return self.kind.own(self.writer)

    def at_risk(self) -> list[str]:
        """What of the database's settings endangers what it keeps, in words."""
        with told(self), self.reader.begin() as connection:
            return self.kind.at_risk(connection)

    def hindrances(self) -> list[str]:
        """Why no node could run on it, in words, as far as the database tells."""
        with told(self), self.reader.begin() as connection:
            return self.kind.hindrances(connection)

    def is_new(self) -> bool:
        """Whether it holds no tables yet."""
        with told(self), self.reader.begin() as connection:
            return not inspect(connection).get_table_names()

    def close(self) -> None:
        """Let go of all connections."""
        self.reader.dispose()
        self.writer.dispose()


def named(
    url: str, *, state: Path = STATE, secret: Callable[[SecretRef], str] | None = None
) -> SqliteFile | PostgresqlDatabase:
    """The database that a journal's URL names; nothing is opened. JournalRefused where it names none."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        # What was written is not shown: it may hold a password.
        raise JournalRefused(
            "the journal's URL cannot be read; "
            "expected sqlite:///path/to/journal.db or postgresql://user@host/database"
        ) from None
    match backend:
        case "sqlite":
            return SqliteFile(parsed)
        case "postgresql" | "postgres":
            return PostgresqlDatabase(parsed, state, secret or _no_secrets)
    raise JournalRefused(
        f"a journal on {backend} is not built into this version; "
        "expected sqlite:///path/to/journal.db or postgresql://user@host/database"
    )


def _no_secrets(reference: SecretRef) -> str:
    raise JournalRefused(f"{reference}: no secrets can be looked up here")


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
        self.moved = self._values.get(MOVED, b"").decode()
        """Where the journal went on, in words; no node may start here any more."""
        self.kept_beside = KEPT_BESIDE in self._values
        self.backup: str = self._values.get(BACKUP, b"").decode()
        """Of a backup, or what was restored from one and not yet started: which it is."""
        self.epochs = self._values.get(EPOCHS, b"").decode()
        self._epochs = [_epoch(each) for each in self.epochs.split(",") if each]
        self.epoch = 1 + len(self._epochs)
        """Which stretch of the chain this is: another begins where an older copy is put back."""
        self.in_doubt = self._values.get(IN_DOUBT, b"").decode()
        self.doubtful_up_to = self._epochs[-1][1] if self._epochs else 0
        """Messages up to this id were there when an older copy was put back."""
        self.arriving = self._values.get(ARRIVING, b"").decode()
        """Whose copy this is to be, in words, as long as no node may start here yet."""
        self._seals = seals_of(connection)
        self.sealed_with = _key_ids(self._values.get(SEALED_WITH, b""))
        """The ids of all keys that something may be sealed with."""

    def sent_as(self, delivery_id: int, revision: int) -> str:
        """What a delivery is sent as: part of its idempotency key, and never used for anything else.

        An older copy of a journal gives out ids once more that were in use in the time that was lost.
        """
        name = f"{delivery_id}-{revision}"
        for first, _, word in reversed(self._epochs):
            if delivery_id >= first:
                return f"{name}-{word}"
        return name

    def revised_as(self, delivery_id: int, revision: int) -> str | None:
        """As `sent_as`, for a request made anew now; None where `sent_as` says the same."""
        return f"{delivery_id}-{revision}-{self._epochs[-1][2]}" if self._epochs else None

    @cached_property
    def _index_key(self) -> bytes:
        kept, keyring = self._values[INDEX_KEY], self._seals.keyring
        key_id = key_id_of(kept)
        if key_id is not None and (keyring is None or keyring.find(key_id) is None):
            raise JournalRefused(missing([key_id], keyring))
        return self._seals.open(kept, INDEX_KEY)

    @cached_property
    def hashes(self) -> Hashes:
        """The hashes of this journal.

        Raises JournalRefused where it is encrypted and its key is not given.
        """
        return Hashes(self._index_key)

    def hash(self, *parts: bytes) -> bytes:
        """As `Hashes.hash`, and raises as `hashes` does."""
        return self.hashes.hash(*parts)

    def search_hash(self, value: str) -> bytes:
        """As `Hashes.search_hash`, and raises as `hashes` does."""
        return self.hashes.search_hash(value)


def upgrade(
    database: Database, *, random_bytes: Callable[[int], bytes], arriving: str = ""
) -> tuple[int, int]:
    """Bring the tables to this code's version; returns the versions before and after.

    The whole upgrade is one transaction; newer tables that this code can work with stay as they are. Where
    there were none, ``arriving`` says in words what is to come into them before a node may start. Raises
    JournalRefused for a journal of newer code.
    """
    with told(database), database.writer.begin() as connection:
        return upgrade_tables(database, connection, random_bytes=random_bytes, arriving=arriving)


def upgrade_tables(
    database: Database, connection: Connection, *, random_bytes: Callable[[int], bytes], arriving: str = ""
) -> tuple[int, int]:
    """As `upgrade`, in a transaction of somebody else's, whose errors stay as they are."""
    before = version(connection)
    if before and (newest := Facts(connection).oldest_code) > SCHEMA:
        raise _too_new(database, newest)
    if before > SCHEMA:
        return before, before  # newer, and this code can work with it
    if before:
        triggers.remove(connection)
        migrate(connection)
    else:
        make(connection, SCHEMA)
    triggers.install(connection)
    if not before:
        first = {
            "journal_id": random_bytes(4).hex().encode(),
            INDEX_KEY: random_bytes(32),
            "starts": b"0",
            "schema": b"0",
            "oldest_code": b"0",
        }
        if arriving:
            first[ARRIVING] = arriving.encode()
        connection.execute(insert(facts), [{"name": name, "value": value} for name, value in first.items()])
    _set(connection, "schema", SCHEMA)
    _set(connection, "oldest_code", OLDEST_CODE)
    return before, SCHEMA


def version(connection: Connection) -> int:
    """The version of the tables; 0 where there are none. JournalRefused where it is something else."""
    names = set(inspect(connection).get_table_names())
    if not names:
        return 0
    if "facts" not in names:
        raise JournalRefused("this database holds other tables and no journal; name another with --journal")
    return int(connection.execute(select(facts.c.value).where(facts.c.name == "schema")).scalar_one())


def check_version(database: Database, *, arriving: bool = False) -> None:
    """Raise JournalRefused unless this code can work with the journal's tables as they are, and what is to
    come into them is there, but for who brings it (``arriving``)."""
    with told(database), database.reader.begin() as connection:
        if not inspect(connection).get_table_names():
            raise JournalRefused(f"no journal in {database.name}; `bridge run` makes one")
        if (found := version(connection)) < SCHEMA:
            back = "the bridge before can still read it" if found >= OLDEST_CODE else "no way leads back"
            raise JournalRefused(
                f"the journal {database.name} has tables of version {found}, this bridge needs {SCHEMA}; run "
                f"`bridge journal upgrade` with its `--journal` (it only adds, and {back})"
            )
        known = Facts(connection)
        if known.oldest_code > SCHEMA:
            raise _too_new(database, known.oldest_code)
        if known.arriving and not arriving:
            raise JournalRefused(f"{database.name}: {known.arriving}")


def count_start(connection: Connection, ownership: Ownership) -> None:
    """Note that a node starts on this journal. Raises JournalRefused where it goes on elsewhere."""
    known = Facts(connection)
    if known.moved or known.arriving:
        raise JournalRefused(known.moved or known.arriving)
    _set(connection, "starts", known.starts + 1)
    ownership.started(connection, known.starts + 1)
    keyring = seals_of(connection).keyring
    check_keys(connection, keyring)
    if keyring is not None:
        seal_with(connection, keyring)


def check_keys(connection: Connection, keyring: Keyring | None) -> None:
    """Raise JournalRefused where a key is not among these that something is sealed with."""
    used = set(Facts(connection).sealed_with)
    known = set() if keyring is None else {key.id for key in keyring.keys}
    if used - known:
        raise JournalRefused(missing(sorted(used - known), keyring))


def seal_with(connection: Connection, keyring: Keyring) -> None:
    """Note that bodies are sealed with the first of these keys from now on, and wrap the index key in it."""
    used = {*Facts(connection).sealed_with, keyring.keys[0].id}
    connection.execute(delete(facts).where(facts.c.name == SEALED_WITH))
    connection.execute(insert(facts).values(name=SEALED_WITH, value=b"".join(sorted(used))))
    kept = connection.execute(select(facts.c.value).where(facts.c.name == INDEX_KEY)).scalar_one()
    if key_id_of(kept) != keyring.keys[0].id:
        opening = seals_of(connection)
        sealed = opening.with_keys(keyring).seal(opening.open(kept, INDEX_KEY), INDEX_KEY)
        connection.execute(update(facts).where(facts.c.name == INDEX_KEY).values(value=sealed))


def _epoch(text: str) -> tuple[int, int, str]:
    first_delivery, last_message, word = text.split(":")
    return int(first_delivery), int(last_message), word


def _key_ids(value: bytes) -> tuple[bytes, ...]:
    return tuple(value[at : at + KEY_ID_BYTES] for at in range(0, len(value), KEY_ID_BYTES))


def _set(connection: Connection, name: str, value: int) -> None:
    connection.execute(update(facts).where(facts.c.name == name).values(value=str(value).encode()))


def _too_new(database: Database, needed: int) -> JournalRefused:
    return JournalRefused(
        f"the journal {database.name} was written by a newer bridge: it needs code for tables of version "
        f"{needed} or newer, this one knows {SCHEMA}; install the newer bridge"
    )


@contextmanager
def told(database: Database) -> Iterator[None]:
    """Errors of the database, and rights that are missing, become ours, with the journal's name and what to
    look at."""
    try:
        yield
    except DBAPIError as error:
        words = filter(None, (said(error), database.kind.advice(error)))
        raise JournalUnavailable(f"the journal {database.name} cannot be used: {'; '.join(words)}") from error
    except OSError as error:
        if not (why := denied(error)):
            raise
        raise JournalUnavailable(f"the journal {database.name} cannot be used: {why}") from error


def said(error: DBAPIError) -> str:
    """What a database said, in one line."""
    return str(error.orig).strip().partition("\n")[0]
