"""The node's side of workers, with a worker that the test plays itself over the real socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from reactor_tests import in_reactor, until
from twisted.internet import reactor

from bridge.destinations.in_loop import in_loop
from bridge.journal.hashes import Hashes
from bridge.journal.messages import Untranslated
from bridge.observe.metrics import Metrics
from bridge.runtime.making import Made
from bridge.runtime.parcels import Unwrapping, answer, read_question, wrap
from bridge.runtime.service import real_surroundings
from bridge.runtime.workers import Workers

SOURCES = [Untranslated(1, b"MSH|a"), Untranslated(2, b"MSH|b")]


class Process:
    """What the node takes for a process."""

    def __init__(self) -> None:
        self.lives = True

    def running(self) -> bool:
        return self.lives

    def end(self) -> None:
        self.lives = False


@asynccontextmanager
async def node(folder: Path, digest: str) -> AsyncIterator[tuple[Workers, list[Process], Path]]:
    started: list[Process] = []

    def spawn(_: Path) -> Process:
        started.append(Process())
        return started[-1]

    journal = folder / "journal.db"
    world = real_surroundings(reactor)
    workers = Workers(1, spawn, journal, Hashes(b"k" * 32), Metrics(), world)
    workers.start(digest)
    try:
        yield workers, started, Path(f"{journal}.workers")
    finally:
        await workers.stop()


class Played:
    """A worker: it reads what it is asked, and answers only when it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._unwrapping = Unwrapping()

    @classmethod
    async def connected(cls, path: Path, digest: str) -> Played:
        played = cls(*await asyncio.open_unix_connection(str(path)))
        played._writer.write(wrap(digest))
        return played

    async def heard(self) -> tuple[Any, memoryview] | None:
        """What the node says next; None where it has hung up."""
        while data := await self._reader.read(65_536):
            for parcel in self._unwrapping.feed(data):
                return parcel
        return None

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def go(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@in_reactor
async def test_a_worker_with_the_nodes_files_is_asked_and_heard(tmp_path: Path) -> None:
    async with node(tmp_path, "of now") as (workers, _, path):
        assert await workers.make("ehr-adt", SOURCES) is None  # there is none yet
        worker: Played = await in_loop(Played.connected(path, "of now"))
        index_key = await in_loop(worker.heard())
        assert index_key is not None
        assert bytes.fromhex(index_key[0]) == b"k" * 32
        making = workers.make("ehr-adt", SOURCES)
        asked = await in_loop(worker.heard())
        assert asked is not None
        number, channel, sources = read_question(*asked)
        assert (channel, sources) == ("ehr-adt", SOURCES)
        worker.say(answer(number, [Made(failed="a"), Made(failed="b")]))
        made = await making
        assert made is not None
        assert [each.failed for each in made] == ["a", "b"]
        await in_loop(worker.go())


@in_reactor
async def test_what_a_worker_that_dies_was_asked_is_the_nodes_to_make(tmp_path: Path) -> None:
    async with node(tmp_path, "of now") as (workers, started, path):
        worker: Played = await in_loop(Played.connected(path, "of now"))
        await in_loop(worker.heard())
        first, second = workers.make("ehr-adt", SOURCES), workers.make("ehr-adt", SOURCES)
        started[0].end()
        await in_loop(worker.go())
        assert await first is None
        assert await second is None
        assert await workers.make("ehr-adt", SOURCES) is None
        await until(lambda: len(started) == 2, "another is started")


@in_reactor
async def test_a_worker_that_read_other_files_is_refused(tmp_path: Path) -> None:
    async with node(tmp_path, "of now") as (workers, _, path):
        worker: Played = await in_loop(Played.connected(path, "of then"))
        with contextlib.suppress(ConnectionError):
            assert await in_loop(worker.heard()) is None  # nor is it told the index key
        assert await workers.make("ehr-adt", SOURCES) is None
        await in_loop(worker.go())


@in_reactor
async def test_after_a_reload_no_worker_of_before_is_asked(tmp_path: Path) -> None:
    async with node(tmp_path, "of now") as (workers, started, path):
        worker: Played = await in_loop(Played.connected(path, "of now"))
        await in_loop(worker.heard())
        workers.renew("of later")
        assert await workers.make("ehr-adt", SOURCES) is None
        assert not started[0].lives
        await in_loop(worker.go())
