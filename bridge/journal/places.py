"""Where the writing half of a journal's writer is: in a thread of the node, or in a process of its own.

In a process, the two halves do not want the same interpreter, and neither waits for the other's turn: of two
processors the node has one and its writer the other. What goes between them are `frames`.
"""

from __future__ import annotations

import socket
import threading
from functools import partial
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IReactorFromThreads, IReactorTime, IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.errors import ItemRefused, JournalUnavailable
from bridge.journal.committing import COMMITTED, LOST, Batch, Committer, Tell
from bridge.journal.database import Database, Ownership
from bridge.journal.frames import READ_BYTES, CannotCross, Frames, framed, received
from bridge.journal.opening import Opening
from bridge.journal.threads import Threads

OPEN_MAX_S: Final = 120.0
"""How long a process may take to begin, with an interpreter to start and a database to reach."""
HURRY: Final = "hurry"
"""In the place of a batch: the bridge ends."""


class InThread:
    """A thread of this process; its owner's reactor is told what it has to say."""

    def __init__(
        self, database: Database, ownership: Ownership, reactor: IReactorTime, threads: Threads, hear: Tell
    ) -> None:
        """Write as ``ownership`` allows, which is given up at the end."""
        self._ownership = ownership
        self._closing = threading.Event()
        tell: Tell = partial(IReactorFromThreads(reactor).callFromThread, hear)
        self._committer = Committer(database, ownership, reactor.seconds, tell, self._waits)
        self._thread = threads.writing(self._committer.write)

    def _waits(self, seconds: float) -> bool:
        return self._closing.wait(seconds)

    def put(self, batch: Batch) -> None:
        """As `Place` says."""
        self._thread.put(batch)

    def hurry(self) -> None:
        """As `Place` says."""
        self._closing.set()

    def end(self) -> None:
        """As `Place` says."""
        self._thread.end()
        self._ownership.release()


class Apart(Protocol):
    """A process that runs `serving.serve`. ``line`` is this end of its line."""

    line: socket.socket

    def ended(self) -> str:
        """Wait until it has ended, or end it after a while; how it ended, in words."""
        ...


@implementer(IReadWriteDescriptor)
class InProcess:
    """A process of its own."""

    def __init__(self, apart: Apart, opening: Opening, reactor: Any) -> None:
        """Have it open the journal, and wait until it has. ``reactor`` reads what it says then.

        Raises what `open_to_write` raises, and JournalUnavailable where it ends or takes too long.
        """
        self._apart, self._line, self._reactor = apart, apart.line, reactor
        self._hear: Tell | None = None
        self._unsent = bytearray()
        self._frames = Frames()
        self._line.settimeout(OPEN_MAX_S)
        try:
            self._line.sendall(framed(opening))
            answer = next(received(self._line), None)
        except OSError as error:
            apart.ended()
            raise JournalUnavailable(f"the journal's writer did not begin: {error}") from error
        if answer is None:
            raise JournalUnavailable(f"the journal's writer did not begin: it {apart.ended()}")
        if isinstance(answer, Exception):
            apart.ended()
            raise answer
        self._line.setblocking(False)

    def begin(self, hear: Tell) -> InProcess:
        """Tell what comes; this place."""
        self._hear = hear
        self._reactor.addReader(self)
        return self

    def put(self, batch: Batch) -> None:
        """As `Place` says. What cannot cross is a fault of ours, and is refused with its neighbours."""
        try:
            data = framed(batch)
        except CannotCross as error:
            refused = ItemRefused(f"an item cannot go to the journal's writer: {error}")
            results = [refused for _, items in batch.parts for _ in items]
            self._reactor.callLater(0, self._hear, COMMITTED, results, 0.0, False)
            return
        self._send(data)

    def hurry(self) -> None:
        """As `Place` says."""
        self._send(framed(HURRY))

    def end(self) -> None:
        """As `Place` says."""
        self._leave()
        self._apart.ended()

    def _leave(self) -> None:
        if self._hear is not None:
            self._reactor.removeReader(self)
            self._reactor.removeWriter(self)
        self._hear = None
        self._line.close()

    def _send(self, data: bytes) -> None:
        # At once, and without a word to the loop: it takes as much as a batch of hundreds.
        if self._unsent:
            self._unsent += data
            return
        sent = self._try(data)
        if sent < len(data):
            self._unsent += memoryview(data)[sent:]
            self._reactor.addWriter(self)

    def _try(self, data: bytes | bytearray) -> int:
        try:
            return self._line.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            # It is gone, as reading will tell.
            return len(data)

    # IReadWriteDescriptor.

    def fileno(self) -> int:
        return self._line.fileno()

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
        return "journal-writer"

    def doRead(self) -> None:  # noqa: N802 - Twisted's name
        try:
            data = self._line.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        for word, *what in self._frames.feed(data):
            if self._hear is not None:
                self._hear(word, *what)

    def doWrite(self) -> None:  # noqa: N802 - Twisted's name
        del self._unsent[: self._try(self._unsent)]
        if not self._unsent:
            self._reactor.removeWriter(self)

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802, ARG002 - Twisted's name
        self._lost()

    def _lost(self) -> None:
        if (hear := self._hear) is not None:
            self._leave()
            hear(LOST, f"the journal's writer {self._apart.ended()}")
