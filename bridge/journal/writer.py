"""The only writer: whatever arrived while the disk was busy becomes one transaction (group commit).

Callers hand in items from the reactor's thread; a half of its own writes and commits them elsewhere,
`Committer` (`journal/committing.py`). A commit is one fsync, whether it carries one message or five hundred,
so the busier the bridge is, the less each message costs. Nothing waits by a timer: as soon as the disk is
free, what has come together goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bridge.errors import JournalUnavailable
from bridge.journal.committing import CAME_BACK, COMMITTED, FOUND_AGAIN, LOST, WENT_AWAY, Batch, Tell
from bridge.journal.transaction import Item, Result, Transaction, Work

log = structlog.get_logger("bridge.journal")

__all__ = ["End", "Item", "Result", "Transaction", "Work", "Writer"]
WAITING_MAX_ITEMS = 50_000
"""More than this waiting for the disk is refused: the sender keeps its message and tries again."""
STUCK_AFTER_S = 20.0
"""Longer than any lock is waited for: a transaction that takes so long has a disk or a server that hangs."""
FULL = "too much is waiting for the journal's disk"
LAZY_S = 0.5
"""How long an item that nobody waits for may wait for company."""

End = Callable[[Any], None]
"""Is told how an item ended: its result, or the exception that stands for it."""
_Waiting = dict[Work[Any, Any], list[tuple[Any, End]]]


class Place(Protocol):
    """Where the writing half is. What it says comes to `Writer.hear`."""

    def put(self, batch: Batch) -> None:
        """Have a batch written. The one before it has ended."""
        ...

    def hurry(self) -> None:
        """The bridge ends: a database that is away is not waited for any more."""
        ...

    def end(self) -> None:
        """Wait until it has ended and owns the journal no more. Nothing may be put after that."""
        ...


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
    """The half that callers know: it gathers what is to be written, and tells them what became of it."""

    def __init__(self, reactor: IReactorTime, begin: Callable[[Tell], Place]) -> None:
        """``begin`` begins the other half, which tells what it has to say to what it is given."""
        self._reactor = reactor
        self._waiting: _Waiting = {}
        self._waiting_count = 0
        self._written: _Waiting = {}
        """What is being written now."""
        self._handing_over: IDelayedCall | None = None
        self._due_s: float | None = None
        """When what waits is to be written at the latest."""
        self._idle: list[Deferred[None]] = []
        self._closed = False
        self._refused: dict[Work[Any, Any], str] = {}
        self._away = ""
        self._handed_over_s = 0.0
        self._looking: IDelayedCall | None = None
        """One look at whether a transaction is stuck stands for all that begin before it is due."""
        self._stuck = False
        self.commits = 0
        self.items_max: int | None = None
        """Items of one transaction at most; None for all that wait. A measurement sets 1."""
        self.apart: Callable[[], bool] = lambda: False
        """Whether what senders wait for has a transaction of its own now, in front of what came with it."""
        self._went_apart = False
        """The last transaction was of that alone; the next takes all, so that nothing waits for ever."""
        self.failing = False
        """The last transaction could not be written."""
        self.commit_seconds: Callable[[float], object] = lambda _seconds: None
        self.lost: Deferred[str] = Deferred()
        """Fires with the reason where the other half has ended by itself. Nothing is written after that."""
        self.configuration = ""
        """The digest of the files that the node runs by; it stands in each row of the chain."""
        self._hears: dict[str, Callable[..., None]] = {
            COMMITTED: self._committed,
            WENT_AWAY: self._went_away,
            CAME_BACK: self._came_back,
            FOUND_AGAIN: self._found_again,
            LOST: self._ended,
        }
        self._place = begin(self.hear)

    @property
    def trouble(self) -> str:
        """Why nothing can be written now, for a person; empty where it can."""
        if not self.failing:
            return ""
        return "the journal cannot write" + (self._away and f": {self._away}")

    def hear(self, word: str, *what: Any) -> None:
        """Take a word of the other half, in the reactor's thread."""
        self._hears[word](*what)

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
            _refuse(pairs, reason)
            return
        self._waiting.setdefault(work, []).extend(pairs)
        self._waiting_count += len(pairs)
        due_s = self._reactor.seconds() + within_s
        self._due_s = due_s if self._due_s is None else min(self._due_s, due_s)
        if not self._written:
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
        elif self._is_mixed and self.apart() and not self._went_apart:
            self._went_apart = True
            batch = {work: self._waiting.pop(work) for work in list(self._waiting) if work.waited_for}
            self._waiting_count -= sum(map(len, batch.values()))
        else:
            batch, self._waiting, self._waiting_count, self._due_s = self._waiting, {}, 0, None
            self._went_apart = False
        self._written = batch
        parts = [(work, [item for item, _ in pairs]) for work, pairs in batch.items()]
        self._handed_over_s = self._reactor.seconds()
        if self._looking is None:
            self._looking = self._reactor.callLater(STUCK_AFTER_S, self._look_whether_stuck)
        self._place.put(Batch(self.configuration, parts))

    def _look_whether_stuck(self) -> None:
        """A disk or a server that does not answer refuses nothing: what waits behind it must hear so all the
        same. What is being written stays in doubt until it is known."""
        self._looking = None
        if not self._written:
            return
        left_s = self._handed_over_s + STUCK_AFTER_S - self._reactor.seconds()
        if left_s > 0:
            self._looking = self._reactor.callLater(left_s, self._look_whether_stuck)
        elif not self._away:
            self._stuck = True
            self._went_away(f"a transaction of the journal takes longer than {STUCK_AFTER_S:g} s")

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

    def _committed(self, results: Sequence[Any], seconds: float, failing: bool) -> None:
        self.commits += 1
        if self._stuck:
            self._stuck = False
            self._came_back()
        self.failing = failing
        self.commit_seconds(seconds)
        written, self._written = self._written, {}
        if self._due_s is not None:
            # The disk works on while the results of the last commit are handed out.
            if self._idle or self._due_s <= self._reactor.seconds():
                self._hand_over()
            else:
                self._schedule()
        for (_, end), result in zip(chain.from_iterable(written.values()), results, strict=True):
            end(result)
        if not self._written and not self._waiting:
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def _went_away(self, reason: str) -> None:
        """Nothing can be written now: say so to all that waits, and at once to all that comes."""
        self._away, self.failing = reason, True
        log.error("journal-away", reason=reason)
        self._refuse_waiting(reason)

    def _refuse_waiting(self, reason: str) -> None:
        if self._handing_over is not None and self._handing_over.active():
            self._handing_over.cancel()
        self._handing_over = None
        waiting, self._waiting, self._waiting_count, self._due_s = self._waiting, {}, 0, None
        _refuse(chain.from_iterable(waiting.values()), reason)

    def _came_back(self) -> None:
        self._away, self.failing = "", False
        log.info("journal-back")

    def _found_again(self, applied: bool) -> None:
        log.warning("commit-found-again", applied=applied)

    def _ended(self, reason: str) -> None:
        """What was being written may be on disk or not: its callers hear that it is not known to be, and the
        next start reads what is there."""
        self._away, self.failing = reason, True
        written, self._written = self._written, {}
        _refuse(chain.from_iterable(written.values()), reason)
        self._refuse_waiting(reason)
        idle, self._idle = self._idle, []
        for waiter in idle:
            waiter.callback(None)
        self.lost.callback(reason)

    async def flush(self) -> None:
        """Wait until all that was submitted has been written."""
        if self._written or self._waiting:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            if not self._written:
                self._hand_over()
            await idle

    async def close(self) -> None:
        """Write what is waiting, then stop. Later submissions fail."""
        self._place.hurry()
        await self.flush()
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._place.end()


def _refuse(pairs: Iterable[tuple[Any, End]], reason: str) -> None:
    for _, end in pairs:
        end(JournalUnavailable(reason))
