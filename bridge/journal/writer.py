"""The only writer: whatever arrived while the disk was busy becomes one transaction (group commit).

Callers hand in items from the reactor's thread; a thread of its own writes and commits them. A commit is
one fsync, whether it carries one message or five hundred, so the busier the bridge is, the less each
message costs. Nothing waits by a timer: as soon as the disk is free, what has come together goes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime

from bridge.errors import ItemRefused, JournalUnavailable
from bridge.journal.database import Database, Facts
from bridge.journal.schema import actions, deliveries, messages, transitions
from bridge.journal.statements import insert_rows
from bridge.message import Microseconds

Item = TypeVar("Item")
Result = TypeVar("Result")

WAITING_MAX_ITEMS = 50_000
"""More than this waiting for the disk is refused: the sender keeps its message and tries again."""
LAZY_WAIT_S = 0.5
"""How long an item that may wait for company waits at most."""

_INSERT_TRANSITION = insert_rows(transitions)


class Transaction:
    """One transaction of the writer, and the numbers it gives out."""

    def __init__(self, connection: Connection, facts: Facts, counters: dict[str, int]) -> None:
        self.connection, self.facts, self.counters = connection, facts, counters
        self._transitions: list[dict[str, Any]] = []

    def next_id(self, table: str) -> int:
        """The next id of a table; ids rise in the order of commits."""
        self.counters[table] += 1
        return self.counters[table]

    def next_seq(self, channel: str) -> int:
        """The next place in a channel, without gaps."""
        name = f"seq of {channel}"
        if name not in self.counters:
            newest = select(func.max(messages.c.seq)).where(messages.c.channel == channel)
            self.counters[name] = self.connection.execute(newest).scalar() or 0
        return self.next_id(name)

    def transition(
        self,
        message_id: int,
        delivery_id: int | None,
        from_state: str | None,
        to_state: str,
        at_us: Microseconds,
        reason: str,
        actor: str = "bridge",
    ) -> None:
        """Record a change of state; it is written in this transaction."""
        self._transitions.append(
            {
                "id": self.next_id("transitions"),
                "message_id": message_id,
                "delivery_id": delivery_id,
                "from_state": from_state,
                "to_state": to_state,
                "at_us": at_us,
                "actor": actor,
                "reason": reason,
            }
        )

    def finish(self) -> None:
        """Write what was recorded."""
        _INSERT_TRANSITION.many(self.connection, self._transitions)


@dataclass(frozen=True, eq=False)
class Work(Generic[Item, Result]):
    """A named piece of writing: all items of one transaction at once, one result for each, in order.

    It may run again with the same items after a rollback, so it must depend on nothing but them.
    """

    name: str
    run: Callable[[Transaction, Sequence[Item]], Sequence[Result]]


_Waiting = dict[Work[Any, Any], list[tuple[Any, Deferred[Any]]]]


class Writer:
    """The writer's two halves: `submit` in the reactor's thread, commits in its own."""

    def __init__(self, database: Database, reactor: IReactorTime) -> None:
        self._database = database
        self._reactor = reactor
        self._from_thread: Callable[..., None] = IReactorFromThreads(reactor).callFromThread
        self._waiting: _Waiting = {}
        self._waiting_count = 0
        self._busy = False
        self._handing_over: IDelayedCall | None = None
        self._batches: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._counters: dict[str, int] = {}
        self._idle: list[Deferred[None]] = []
        self._closed = False
        self.commits = 0
        self.failing = False
        """The last transaction could not be written."""
        self.commit_seconds: Callable[[float], object] = lambda _seconds: None
        self._connection = database.writer.connect()
        with self._connection.begin():
            self.facts = Facts(self._connection)
            for table in (messages, deliveries, transitions, actions):
                newest = self._connection.execute(select(func.max(table.c.id))).scalar()
                self._counters[table.name] = newest or 0
        self._thread = threading.Thread(target=self._write, name="journal-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work[Item, Result], item: Item, *, lazy: bool = False) -> Deferred[Result]:
        """Write an item with the next transaction.

        The Deferred fires once it is on disk. It fails with JournalUnavailable where it could not be
        written, and then nothing of it is. A ``lazy`` item waits for others, though not long.
        """
        done: Deferred[Result] = Deferred()
        if self._closed or self._waiting_count >= WAITING_MAX_ITEMS:
            reason = "the journal is closed" if self._closed else "too much is waiting for the journal's disk"
            done.errback(JournalUnavailable(reason))
            return done
        self._waiting.setdefault(work, []).append((item, done))
        self._waiting_count += 1
        if not self._busy:
            self._schedule(LAZY_WAIT_S if lazy else 0.0)
        return done

    def _schedule(self, wait_s: float) -> None:
        due_s = self._reactor.seconds() + wait_s
        if self._handing_over is not None:
            if self._handing_over.getTime() <= due_s:
                return
            self._handing_over.cancel()
        self._handing_over = self._reactor.callLater(wait_s, self._hand_over)

    def _hand_over(self) -> None:
        if self._handing_over is not None and self._handing_over.active():
            self._handing_over.cancel()
        self._handing_over = None
        batch, self._waiting, self._waiting_count = self._waiting, {}, 0
        self._busy = True
        self._batches.put(batch)

    def _committed(self, ends: list[tuple[Deferred[Any], Any]]) -> None:
        self.commits += 1
        self._busy = False
        if self._waiting:
            # The disk works on while the results of the last commit are handed out.
            self._hand_over()
        for done, result in ends:
            if isinstance(result, BaseException):
                done.errback(result)
            else:
                done.callback(result)
        if not self._busy and not self._waiting:
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

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
        await self.flush()
        self._closed = True
        self._batches.put(None)
        self._thread.join()
        self._connection.close()

    # From here on: the writer's own thread.

    def _write(self) -> None:
        while (batch := self._batches.get()) is not None:
            started_s = self._reactor.seconds()
            ends = self._write_batch(batch)
            self.commit_seconds(self._reactor.seconds() - started_s)
            self._from_thread(self._committed, ends)

    def _write_batch(self, batch: _Waiting) -> list[tuple[Deferred[Any], Any]]:
        try:
            return self._one_transaction(batch)
        except OperationalError as error:
            self.failing = True
            failure = JournalUnavailable(f"the journal could not write: {error.orig}")
        except Exception as error:  # noqa: BLE001 - one faulty item must not take its neighbours with it
            if sum(map(len, batch.values())) > 1:
                return self._each_alone(batch)
            failure = ItemRefused(f"the journal refused an item: {type(error).__name__}")
            failure.__cause__ = error
        return [(done, failure) for pairs in batch.values() for _, done in pairs]

    def _each_alone(self, batch: _Waiting) -> list[tuple[Deferred[Any], Any]]:
        return [
            end
            for work, pairs in batch.items()
            for pair in pairs
            for end in self._write_batch({work: [pair]})
        ]

    def _one_transaction(self, batch: _Waiting) -> list[tuple[Deferred[Any], Any]]:
        ends: list[tuple[Deferred[Any], Any]] = []
        counters = dict(self._counters)
        with self._connection.begin():
            transaction = Transaction(self._connection, self.facts, counters)
            for work, pairs in batch.items():
                results = work.run(transaction, [item for item, _ in pairs])
                assert len(results) == len(pairs), f"{work.name} owes one result for each item"
                ends.extend(zip((done for _, done in pairs), results, strict=True))
            transaction.finish()
        self._counters = counters
        self.failing = False
        return ends
