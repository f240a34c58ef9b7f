"""The journal as the rest of the bridge sees it: submit, read, and nothing of SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from bridge.errors import JournalUnavailable
from bridge.journal import beside
from bridge.journal.committing import Tell
from bridge.journal.database import (
    READERS,
    STATE,
    Database,
    Facts,
    check_keys,
    said,
    told,
)
from bridge.journal.files import KeptFile
from bridge.journal.keys import SEAL_WITH
from bridge.journal.opening import Opening, open_to_write
from bridge.journal.places import Apart, InProcess, InThread
from bridge.journal.sqlite_log import EVERY_S
from bridge.journal.threads import RealThreads, Threads
from bridge.journal.writer import End, Item, Place, Result, Work, Writer
from bridge.message import Microseconds
from bridge.units import SecretRef

log = structlog.get_logger("bridge.journal")

P = ParamSpec("P")
T = TypeVar("T")


class Journal:
    """An open journal that this process owns."""

    def __init__(  # noqa: PLR0913 - all that a journal needs of its node
        self,
        url: str,
        reactor: IReactorTime,
        *,
        random_bytes: Callable[[int], bytes],
        kept_files: tuple[KeptFile, ...] = (),
        at_us: Microseconds = 0,
        state: Path = STATE,
        secret: Callable[[SecretRef], str] | None = None,
        keys: SecretRef | None = None,
        threads: Threads | None = None,
        apart: Apart | None = None,
    ) -> None:
        """Open the journal at ``url``, making it where there is none, and become its owner.

        ``state``, ``secret`` and ``keys`` are as of `Database`; without ``threads`` they are real. ``apart``
        is a process that writes; without one a thread does.

        Raises JournalRefused where it is another node's or of another version, or its keys are not all there,
        and JournalUnavailable where it cannot be opened.
        """
        threads = threads or RealThreads()
        with ExitStack() as undo:
            self.database = Database(
                url, create=True, state=state, secret=secret, keys=keys, random_bytes=random_bytes
            )
            undo.callback(self.database.close)
            begin: Callable[[Tell], Place]
            if apart is None:
                ownership = open_to_write(self.database, random_bytes, kept_files, at_us)
                undo.callback(ownership.release)
                begin = partial(InThread, self.database, ownership, reactor, threads)
            else:
                place = InProcess(apart, Opening(url, state, keys, kept_files, at_us), reactor)
                undo.callback(place.end)
                begin = place.begin
            for words in self.database.at_risk():
                log.error("journal-at-risk", reason=words)
            with told(self.database):
                with self.database.reader.begin() as connection:
                    self.facts = Facts(connection)
                    """What the journal knows of itself."""
                self.writer = Writer(reactor, begin)
            undo.pop_all()
        self._beside = beside.path_of(self.database.beside)
        self._readers = threads.reading(reactor, READERS)
        tends = self.database.kind.beside_writer()
        self._tending = None if tends is None else threads.tending(tends, EVERY_S)

    @property
    def current_key(self) -> str:
        """The name of the key that bodies are sealed with; empty for none."""
        keyring = self.database.seals.keyring
        return "" if keyring is None else keyring.keys[0].name

    def submit(self, work: Work[Item, Result], item: Item, *, within_s: float = 0.0) -> Deferred[Result]:
        """Write an item; see `writer.Writer.submit`."""
        return self.writer.submit(work, item, within_s=within_s)

    def refuse(self, work: Work[Item, Result], why: str) -> None:
        """Take nothing of a kind for now; see `writer.Writer.refuse`."""
        self.writer.refuse(work, why)

    def submit_all(
        self, work: Work[Item, Result], items: Sequence[Item], *, within_s: float = 0.0
    ) -> Deferred[list[Result | Exception]]:
        """Write items together; see `writer.Writer.submit_all`."""
        return self.writer.submit_all(work, items, within_s=within_s)

    def hand_in(self, work: Work[Item, Result], item: Item, end: End, *, within_s: float = 0.0) -> None:
        """Write an item; see `writer.Writer.hand_in`."""
        self.writer.hand_in(work, item, end, within_s=within_s)

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a query of `journal` in a thread of its own, on one moment of the journal.

        Raises JournalUnavailable where it cannot be read.
        """

        def run() -> T:
            with self.database.reader.begin() as connection:
                return query(connection, *args, **kwargs)

        try:
            return await self._readers.run(run)
        except DBAPIError as error:
            raise JournalUnavailable(f"the journal could not be read: {said(error)}") from error

    async def in_reader(self, work: Callable[[Database], T]) -> T:
        """Do something with the database in a thread of its own that writes no rows.

        Raises JournalUnavailable where it cannot be done.
        """
        try:
            return await self._readers.run(partial(work, self.database))
        except DBAPIError as error:
            raise JournalUnavailable(f"the journal could not be used: {said(error)}") from error

    async def take_keys(self) -> bool:
        """Read the keys anew and seal with the first of them; False where they are the same.

        Raises JournalRefused where they cannot be used, and JournalUnavailable where nothing can be written;
        then all is as it was.
        """
        keyring = self.database.read_keys()
        if keyring == self.database.seals.keyring or keyring is None:
            return False
        await self.read(check_keys, keyring)
        # What is sealed with the new key may be on disk only once the journal says that it is in use, and may
        # be read here from then on.
        self.database.seals.expect(keyring)
        await self.submit(SEAL_WITH, keyring)
        self.database.seals.use(keyring)
        return True

    async def keep_beside(self) -> None:
        """Note beside the journal how far it is, so that an older copy of it is noticed. Does not raise."""
        try:
            await self.read(beside.keep, self._beside)
        except (OSError, JournalUnavailable) as error:
            log.error("not-kept-beside", file=self._beside.name, reason=str(error))

    async def close(self) -> None:
        """Write what is waiting, let go of the database, and give up its ownership."""
        await (
            self.writer.close()
        )  # first: it ends also where the database is away, and nobody knows for how long
        await self.keep_beside()
        if self._tending is not None:
            self._tending.end()
        self._readers.end()
        self.database.close()
