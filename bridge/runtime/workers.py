"""Workers: processes that read, map and release, so that this one has time for sockets, journal and lanes.

A worker is given messages and says what they come to. It writes nothing, sends nothing and keeps nothing, so
one that dies costs its batch a second making and nothing else: order is kept here, and the journal knows of
no worker. Where there is none, or one that has read other files than this node runs by, they are made here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as Connection
from twisted.python.failure import Failure

from bridge.journal.hashes import Hashes
from bridge.journal.messages import Untranslated
from bridge.observe.metrics import Metrics
from bridge.runtime.control import socket_address
from bridge.runtime.making import Made
from bridge.runtime.parcels import Unwrapping, question, read_answer, wrap
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.workers")

WORKERS_MAX = 64
BATCHES_AHEAD = 4
"""How many batches of a channel may be with the workers, for each of them."""
LOOK_AGAIN_S = 0.25
USELESS_WAIT_S = 5.0
"""Before others are started, where none of those before came to work: these would end the same way."""


class Started(Protocol):
    """A process of a worker."""

    def running(self) -> bool:
        """Whether it still is."""
        ...

    def end(self) -> None:
        """End it."""
        ...


Spawn = Callable[[Path], Started]
"""Starts a worker that connects to this socket."""


class Workers(Factory):
    """The workers of one node."""

    noisy = False

    def __init__(
        self, number: int, spawn: Spawn, journal: Path, hashes: Hashes, metrics: Metrics, world: Surroundings
    ) -> None:
        """So many of them, on a socket beside ``journal``."""
        self.number = number
        self.digest = ""
        """Of the files that this node runs by."""
        self._spawn, self.hashes, self._metrics, self._world = spawn, hashes, metrics, world
        self._path = journal.with_name(journal.name + ".workers").absolute()
        self._started: list[Started] = []
        self._lines: set[_Line] = set()
        self._numbers = count(1)
        self._port: Any = None
        self._folder: int | None = None
        self._tasks = Tasks()
        self._some_came = True
        self._stopping = False
        metrics.workers.set_function(lambda: len(self._lines))

    def start(self, digest: str) -> None:
        """Listen for workers that have read the files of this digest, and start them.

        Raises CannotListenError and OSError where there can be no socket.
        """
        self.digest = digest
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        address, self._folder = socket_address(self._path)
        self._port = self._world.reactor.listenUNIX(address, self, mode=0o600, backlog=WORKERS_MAX)
        self._tasks.spawn("workers", self._keep())

    async def _keep(self) -> None:
        """Start workers, and another for each that has ended."""
        while True:
            ended = [each for each in self._started if not each.running()]
            for each in ended:
                each.end()
                self._started.remove(each)
            if ended and not self._stopping:
                self._metrics.workers_ended.inc(len(ended))
                log.warning("workers-ended", count=len(ended))
                if not self._some_came:
                    await self._world.pause(USELESS_WAIT_S)
                self._some_came = False
            while len(self._started) < self.number:
                self._started.append(self._spawn(self._path))
            await self._world.pause(LOOK_AGAIN_S)

    def buildProtocol(self, addr: object) -> _Line:  # noqa: ARG002
        """The line to one worker."""
        return _Line(self)

    def make(self, channel: str, sources: Sequence[Untranslated]) -> Deferred[list[Made] | None]:
        """Have messages of a channel made; None where no worker did it, and they are to be made here."""
        lines = [each for each in self._lines if each.digest == self.digest]
        if not lines:
            return succeed(None)
        least = min(lines, key=lambda each: len(each.asked))
        return least.ask(next(self._numbers), channel, sources)

    def renew(self, digest: str) -> None:
        """This node runs by other files from now on: so must its workers."""
        if digest == self.digest:
            return
        self.digest = digest
        for started in self._started:
            started.end()

    def came(self, line: _Line, digest: str) -> bool:
        """A worker has connected, and said which files it has read. Whether it may stay."""
        if digest != self.digest:
            reason = "it read other files than this node runs by; reload the node"
            log.warning("worker-refused", reason=reason)
            line.transport.abortConnection()
            return False
        self._some_came = True
        self._lines.add(line)
        return True

    def left(self, line: _Line) -> None:
        """A worker is gone."""
        self._lines.discard(line)

    async def stop(self) -> None:
        """End all workers."""
        self._stopping = True
        await self._tasks.stop()
        if self._port is not None:
            if (ended := self._port.stopListening()) is not None:
                await ended
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        for line in list(self._lines):
            line.transport.abortConnection()
        for started in self._started:
            started.end()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None


class _Line(Connection):
    """The connection of one worker."""

    transport: Any

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._unwrapping = Unwrapping()
        self.digest = ""
        self.asked: dict[int, Deferred[list[Made] | None]] = {}

    def ask(self, number: int, channel: str, sources: Sequence[Untranslated]) -> Deferred[list[Made] | None]:
        """Have messages made by this worker."""
        made: Deferred[list[Made] | None] = Deferred()
        self.asked[number] = made
        self.transport.write(question(number, channel, sources))
        return made

    def dataReceived(self, data: bytes) -> None:
        for content, blob in self._unwrapping.feed(data):
            if not self.digest:
                self.digest = str(content)
                if self._workers.came(self, self.digest):
                    self.transport.write(wrap(self._workers.hashes.index_key.hex()))
                continue
            number, mades = read_answer(content, blob)
            self.asked.pop(number).callback(mades)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        self.connected = 0
        self._workers.left(self)
        asked, self.asked = self.asked, {}
        for made in asked.values():
            made.callback(None)
