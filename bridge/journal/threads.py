"""The threads of a journal: one that writes, and some that read.

They are passed in, so that a journal can also live without threads, on a clock that somebody else moves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")


class Writing(Protocol):
    """Where batches are written, one after the other."""

    def put(self, batch: Any) -> None:
        """Have a batch written, after those before it."""
        ...

    def end(self) -> None:
        """Wait until the last has been written. Nothing may be put after that."""
        ...


class Reading(Protocol):
    """Where queries are run, several at once."""

    def run(self, query: Callable[[], T]) -> Deferred[T]:
        """Run a query; its result or failure comes back in the reactor's thread."""
        ...

    def end(self) -> None:
        """Wait until the last has ended."""
        ...


class Tends(Protocol):
    """Something that is to be done again and again."""

    def step(self) -> None:
        """Do it once. Does not raise."""
        ...

    def close(self) -> None:
        """It will not be done again."""
        ...


class Tending(Protocol):
    """Where it is done."""

    def end(self) -> None:
        """Wait until it has been done for the last time."""
        ...


class Threads(Protocol):
    """What a journal asks for."""

    def writing(self, write: Callable[[Any], None]) -> Writing:
        """A place where ``write`` is called with each batch."""
        ...

    def reading(self, reactor: Any, at_once: int) -> Reading:
        """A place where so many queries run at once."""
        ...

    def tending(self, make: Callable[[], Tends], every_s: float) -> Tending:
        """A place where something is done every so often; it is made there too."""
        ...


class RealThreads:
    """Threads of the operating system."""

    def writing(self, write: Callable[[Any], None]) -> Writing:
        """As `Threads` says."""
        return _WriterThread(write)

    def reading(self, reactor: Any, at_once: int) -> Reading:
        """As `Threads` says."""
        return _ReaderThreads(reactor, at_once)

    def tending(self, make: Callable[[], Tends], every_s: float) -> Tending:
        """As `Threads` says."""
        return _TendingThread(make, every_s)


class _WriterThread:
    def __init__(self, write: Callable[[Any], None]) -> None:
        self._write = write
        self._batches: SimpleQueue[Any] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            self._write(batch)

    def put(self, batch: Any) -> None:
        self._batches.put(batch)

    def end(self) -> None:
        self._batches.put(None)
        self._thread.join()


class _ReaderThreads:
    def __init__(self, reactor: Any, at_once: int) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(1, at_once, "journal-readers")
        self._pool.start()

    def run(self, query: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, query)

    def end(self) -> None:
        self._pool.stop()


class _TendingThread:
    def __init__(self, make: Callable[[], Tends], every_s: float) -> None:
        self._make, self._every_s = make, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-log", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        tends = self._make()
        while not self._ended.wait(self._every_s):
            tends.step()
        tends.close()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


class Hurry:
    """Told from one thread, heard in another, which may be resting meanwhile."""

    def __init__(self) -> None:
        self._told = threading.Event()

    @property
    def told(self) -> bool:
        """Whether somebody is in a hurry."""
        return self._told.is_set()

    def tell(self) -> None:
        """Let nobody rest any more."""
        self._told.set()

    def forget(self) -> None:
        """There is no hurry any more."""
        self._told.clear()

    def rest(self, at_most_s: float) -> None:
        """Wait in this thread, unless or until somebody is in a hurry."""
        self._told.wait(at_most_s)
