"""The only writer: whatever arrived while the disk was busy becomes one transaction (group commit).

Callers hand in items from the reactor's thread; a thread of its own writes and commits them. A commit is
one fsync, whether it carries one message or five hundred, so the busier the bridge is, the less each
message costs. Nothing waits by a timer: as soon as the disk is free, what has come together goes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import Connection, RootTransaction, func, select
from sqlalchemy.exc import DBAPIError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime

from bridge.errors import BridgeError, ItemRefused, JournalRefused, JournalUnavailable
from bridge.journal.chain import Whose, head_of
from bridge.journal.database import Database, Facts, Ownership, said
from bridge.journal.threads import Threads
from bridge.journal.transaction import NUMBERED, Item, Result, Transaction, Work

log = structlog.get_logger("bridge.journal")

__all__ = ["End", "Item", "Result", "Transaction", "Work", "Writer"]
WAITING_MAX_ITEMS = 50_000
"""More than this waiting for the disk is refused: the sender keeps its message and tries again."""
FULL = "too much is waiting for the journal's disk"
LAZY_S = 0.5
"""How long an item that nobody waits for may wait for company."""
LOOK_AGAIN_S = 0.5
"""How often a database that is away is looked for."""

End = Callable[[Any], None]
"""Is told how an item ended: its result, or the exception that stands for it."""
_Ends = list[tuple[End, Any]]
_Waiting = dict[Work[Any, Any], list[tuple[Any, End]]]


class _Burst:
    """Items that were submitted together: their ends are told together, in their order."""

    __slots__ = ("_done", "_ends", "_size")

    def __init__(self, size: int, done: Deferred[list[Any]]) -> None:
        self._size, self._done = size, done
        self._ends: list[Any] = []

    def end(self, result: Any) -> None:
        # Items of one work end in the order in which they came.
        self._ends.append(result)
        if len(self._ends) == self._size:
            self._done.callback(self._ends)


def _end_of(done: Deferred[Any]) -> End:
    return lambda result: done.errback(result) if isinstance(result, BaseException) else done.callback(result)


class Writer:
    """The writer's two halves: `submit` in the reactor's thread, commits in its own."""

    def __init__(
        self, database: Database, ownership: Ownership, reactor: IReactorTime, threads: Threads
    ) -> None:
        """Write as ``ownership`` allows, which is given up when the writer is closed."""
        self._kind, self._ownership = database.kind, ownership
        self._reactor = reactor
        self._from_thread: Callable[..., None] = IReactorFromThreads(reactor).callFromThread
        self._waiting: _Waiting = {}
        self._waiting_count = 0
        self._busy = False
        self._handing_over: IDelayedCall | None = None
        self._due_s: float | None = None
        """When what waits is to be written at the latest."""
        self._counters: dict[str, int] = {}
        self._idle: list[Deferred[None]] = []
        self._closed = False
        self._closing = threading.Event()
        self._refused: dict[Work[Any, Any], str] = {}
        self._lost = False
        """Another has the journal now, for good."""
        self._away = ""
        self.commits = 0
        self.items_max: int | None = None
        """Items of one transaction at most; None for all that wait. A measurement sets 1."""
        self.apart: Callable[[], bool] = lambda: False
        """Whether what senders wait for has a transaction of its own now, in front of what came with it."""
        self.failing = False
        """The last transaction could not be written."""
        self.commit_seconds: Callable[[float], object] = lambda _seconds: None
        connection = ownership.connect()
        with connection.begin():
            self.facts = Facts(connection)
            for table in NUMBERED:
                newest = connection.execute(select(func.max(table.c.id))).scalar()
                self._counters[table.name] = newest or 0
            self._head = head_of(connection)
        self.configuration = ""
        """The digest of the files that the node runs by; it stands in each row of the chain."""
        self._thread = threads.writing(self._write)

    def submit(self, work: Work[Item, Result], item: Item, *, within_s: float = 0.0) -> Deferred[Result]:
        """Write an item with the next transaction.

        The Deferred fires once it is on disk. It fails with JournalUnavailable where it could not be
        written, and then nothing of it is. With ``within_s`` it goes with whatever is written next, and
        makes a transaction of its own only when so long nothing was: a sync that nobody needs is one that
        somebody else's message waits for.
        """
        done: Deferred[Result] = Deferred()
        self._take(work, ((item, _end_of(done)),), within_s)
        return done

    def refuse(self, work: Work[Any, Any], why: str) -> None:
        """Take nothing of this kind, until told so with nothing in ``why``."""
        self._refused.pop(work, None)
        if why:
            self._refused[work] = why

    def submit_all(
        self, work: Work[Item, Result], items: Sequence[Item], *, within_s: float = 0.0
    ) -> Deferred[list[Result | Exception]]:
        """Write several items with the next transaction, for little more than the price of one.

        The Deferred does not fail: in the place of each item that was not written stands the exception with
        which `submit` would have failed.
        """
        done: Deferred[list[Result | Exception]] = Deferred()
        if not items:
            done.callback([])
            return done
        end = _Burst(len(items), done).end
        self._take(work, [(item, end) for item in items], within_s)
        return done

    def hand_in(self, work: Work[Item, Result], item: Item, end: End, *, within_s: float = 0.0) -> None:
        """`submit` for who wants no Deferred: ``end`` is called with the result, or with the exception."""
        self._take(work, ((item, end),), within_s)

    def _take(self, work: Work[Any, Any], pairs: Sequence[tuple[Any, End]], within_s: float) -> None:
        full = self._waiting_count + len(pairs) > WAITING_MAX_ITEMS
        if self._closed or self._away or full or work in self._refused:
            reason = "the journal is closed" if self._closed else self._away or self._refused.get(work, FULL)
            for _, end in pairs:
                end(JournalUnavailable(reason))
            return
        self._waiting.setdefault(work, []).extend(pairs)
        self._waiting_count += len(pairs)
        due_s = self._reactor.seconds() + within_s
        self._due_s = due_s if self._due_s is None else min(self._due_s, due_s)
        if not self._busy:
            self._schedule()

    def _schedule(self) -> None:
        assert self._due_s is not None, "what waits is due some time"
        if self._handing_over is not None:
            if self._handing_over.getTime() <= self._due_s:
                return
            self._handing_over.cancel()
        wait_s = max(0.0, self._due_s - self._reactor.seconds())
        self._handing_over = self._reactor.callLater(wait_s, self._hand_over)

    def _hand_over(self) -> None:
        if self._handing_over is not None and self._handing_over.active():
            self._handing_over.cancel()
        self._handing_over = None
        if self.items_max is not None and self._waiting_count > self.items_max:
            batch = self._first(self.items_max)
        elif self._is_mixed and self.apart():
            batch = {work: self._waiting.pop(work) for work in list(self._waiting) if work.waited_for}
            self._waiting_count -= sum(map(len, batch.values()))
        else:
            batch, self._waiting, self._waiting_count, self._due_s = self._waiting, {}, 0, None
        self._busy = True
        self._thread.put(batch)

    @property
    def _is_mixed(self) -> bool:
        """Whether a sender waits for some of what waits here, and nobody for the rest."""
        return len({work.waited_for for work in self._waiting}) == 2

    def _first(self, count: int) -> _Waiting:
        """Take so many of the items of one work."""
        work, pairs = next(iter(self._waiting.items()))
        batch = {work: pairs[:count]}
        self._waiting_count -= len(batch[work])
        if rest := pairs[count:]:
            self._waiting[work] = rest
        else:
            del self._waiting[work]
            self._due_s = self._due_s if self._waiting else None
        return batch

    def _committed(self, ends: _Ends) -> None:
        self.commits += 1
        self._busy = False
        if self._due_s is not None:
            # The disk works on while the results of the last commit are handed out.
            if self._idle or self._due_s <= self._reactor.seconds():
                self._hand_over()
            else:
                self._schedule()
        for end, result in ends:
            end(result)
        if not self._busy and not self._waiting:
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def _went_away(self, reason: str) -> None:
        """Nothing can be written now: say so to all that waits, and at once to all that comes."""
        self._away, self.failing = reason, True
        log.error("journal-away", reason=reason)
        if self._handing_over is not None and self._handing_over.active():
            self._handing_over.cancel()
        self._handing_over = None
        waiting, self._waiting, self._waiting_count, self._due_s = self._waiting, {}, 0, None
        for pairs in waiting.values():
            for _, end in pairs:
                end(JournalUnavailable(reason))

    def _came_back(self) -> None:
        self._away, self.failing = "", False
        log.info("journal-back")

    async def flush(self) -> None:
        """Wait until all that was submitted has been written."""
        if self._busy or self._waiting:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            if not self._busy:
                self._hand_over()
            await idle

    async def close(self) -> None:
        """Write what is waiting, then stop. Later submissions fail."""
        self._closing.set()
        await self.flush()
        self._closed = True
        self._thread.end()
        self._ownership.release()

    # From here on: the writer's own thread.

    def _write(self, batch: _Waiting) -> None:
        started_s = self._reactor.seconds()
        ends, away = self._write_batch(batch)
        self.commit_seconds(self._reactor.seconds() - started_s)
        if away:
            self._from_thread(self._went_away, away)
        self._from_thread(self._committed, ends)
        if away and self._found_again():
            self._from_thread(self._came_back)

    def _write_batch(self, batch: _Waiting) -> tuple[_Ends, str]:
        """How each item ended; and why nothing more can be written until the database is found again."""
        away = ""
        try:
            return self._again_where_lost(batch), ""
        except JournalRefused as lost:
            self._lost = True
            away = str(lost)
            failure: Exception = JournalUnavailable(away)
        except _Away as error:
            away = str(error)
            failure = JournalUnavailable(away)
        except Exception as error:  # noqa: BLE001 - one faulty item must not take its neighbours with it
            if isinstance(error, DBAPIError) and self._kind.is_away(error):
                self.failing = True
                failure = JournalUnavailable(f"the journal could not write: {said(error)}")
            elif sum(map(len, batch.values())) > 1:
                return self._each_alone(batch)
            else:
                failure = ItemRefused(f"the journal refused an item: {type(error).__name__}")
                failure.__cause__ = error
        return [(end, failure) for pairs in batch.values() for _, end in pairs], away

    def _each_alone(self, batch: _Waiting) -> tuple[_Ends, str]:
        ends: _Ends = []
        away = ""
        for work, pairs in batch.items():
            for pair in pairs:
                if away:
                    ends.append((pair[1], JournalUnavailable(away)))
                else:
                    ended, away = self._write_batch({work: [pair]})
                    ends += ended
        return ends, away

    def _again_where_lost(self, batch: _Waiting) -> _Ends:
        """Write, and once more where a connection was lost that can be made anew. Raises `_Away` if not."""
        try:
            return self._one_transaction(batch)
        except _Lost:
            pass
        try:
            return self._one_transaction(batch)
        except _Lost as error:
            raise _Away(str(error)) from error

    def _one_transaction(self, batch: _Waiting) -> _Ends:
        ends: _Ends = []
        counters = dict(self._counters)
        try:
            connection = self._ownership.connect()
        except DBAPIError as error:
            raise _Lost(f"the journal cannot be reached: {said(error)}") from error
        writing = connection.begin()
        try:
            self._ownership.enter(connection)
            whose = Whose(self.facts.journal_id, self.facts.epoch, self.facts.in_doubt, self.configuration)
            transaction = Transaction(connection, self.facts, counters, self._head, whose)
            for work, pairs in batch.items():
                results = work.run(transaction, [item for item, _ in pairs])
                assert len(results) == len(pairs), f"{work.name} owes one result for each item"
                ends.extend(zip((end for _, end in pairs), results, strict=True))
            with self._ownership.together(connection):
                head = transaction.finish()
        except BaseException as error:
            _undo(connection, writing)
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise _Lost(f"the connection to the journal was lost: {said(error)}") from error
            raise
        try:
            writing.commit()
        except BaseException as error:
            if not (isinstance(error, DBAPIError) and error.connection_invalidated):
                _undo(connection, writing)
                raise
            if not self._was_applied(str(error.orig)):
                raise _Lost(f"the connection to the journal was lost: {said(error)}") from error
        self._ownership.committed()
        self._counters, self._head = counters, head
        self.failing = False
        return ends

    def _was_applied(self, reason: str) -> bool:
        """Whether a transaction is on disk whose COMMIT got no answer, asked until that is known.

        Raises `_Away` where the bridge ends before.
        """
        told = False
        while True:
            try:
                applied = self._ownership.was_applied()
            except DBAPIError as error:
                if not told:
                    told = True
                    words = f"the journal went away while it committed: {said(error)}"
                    self._from_thread(self._went_away, words)
                if self._closing.wait(LOOK_AGAIN_S):
                    raise _Away(f"it is not known whether this was written: {reason}") from error
            else:
                if told:
                    self._from_thread(self._came_back)
                log.warning("commit-found-again", applied=applied)
                return applied

    def _found_again(self) -> bool:
        """Look for the database until it is there; False where the bridge ends, or another node has it."""
        while not (self._lost or self._closing.is_set()):
            try:
                self._ownership.connect()
            except DBAPIError:
                self._closing.wait(LOOK_AGAIN_S)
            except JournalRefused as lost:
                self._lost = True
                self._from_thread(self._went_away, str(lost))
            else:
                return True
        return False


class _Lost(BridgeError):
    """A connection was lost, and nothing of its transaction is on disk."""


class _Away(BridgeError):
    """There is no connection, nor could one be made."""


def _undo(connection: Connection, writing: RootTransaction) -> None:
    """Roll back; where the connection is gone, the server does it."""
    with suppress(DBAPIError):
        writing.rollback()
    if not (connection.closed or connection.invalidated):
        # After a COMMIT that failed SQLAlchemy takes the transaction for ended. The database may not.
        with suppress(connection.dialect.loaded_dbapi.Error):
            connection.connection.rollback()
