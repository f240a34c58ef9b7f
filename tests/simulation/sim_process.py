"""One life of a simulated bridge: a real node and journal, whose disk, time and neighbours are simulated."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from databases import in_thread
from faulty_disk import Fault, FaultyDisk, Kept, on_disk
from sim_api import SimApi, SimDestination
from sim_world import SimReactor, SimThreads, World
from twisted.internet.defer import Deferred

from bridge.config.topology import Configured, Topology
from bridge.journal.beside import ENDING
from bridge.journal.database import Database, upgrade
from bridge.journal.files import KeptFile
from bridge.journal.journal import Journal
from bridge.runtime.clock import SteadyClock
from bridge.runtime.service import Node, Plan
from bridge.runtime.surroundings import Surroundings
from bridge.units import SecretRef

Left = Mapping[str, bytes]
"""Files by their names, as a process has left them."""
FILE = "journal.db"


def new_journal() -> Left:
    """A journal with its tables, and nothing in them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        database = Database(f"sqlite:///{path}", create=True)
        upgrade(database, random_bytes=random.Random(7).randbytes)
        database.close()
        return {FILE: path.read_bytes()}


class Process:
    """A bridge from its start to its end, whichever way it ends. ``died`` is called where it is killed."""

    def __init__(
        self,
        world: World,
        folder: Path,
        left: Left,
        topology: Topology,
        apis: Mapping[str, SimApi],
        fault: Callable[[str], Fault | None],
        died: Callable[[], None],
        url: str | None = None,
    ) -> None:
        """``url`` names a journal that is not in ``folder``; that one is no file, and is where it was."""
        self.world, self.folder = world, folder
        self.reactor = SimReactor(world)
        self.left: dict[str, bytes] = {}
        self.node: Node | None = None
        self.running = False
        self.next_write: Fault | None = None
        """A fault that the next operation on the disk has."""
        self.failed: Exception | None = None
        self._journal: Journal | None = None
        self._died, self._fault = died, fault
        self._crash: tuple[int, Kept | None] | None = None
        self._break: tuple[int, Fault] | None = None
        self.disk = FaultyDisk()
        self.disk.before = self._before
        folder.mkdir()
        on_disk(self.disk)
        for name, content in left.items():
            if name.endswith(ENDING):
                (folder / name).write_bytes(content)  # no file of SQLite's
            else:
                self.disk.put(folder / name, content)
        self._surroundings = Surroundings(
            reactor=self.reactor,
            now_us=SteadyClock(world.wall_ns, world.monotonic_ns),
            chance=world.chance.random,
            random_bytes=world.chance.randbytes,
            threads=SimThreads(self.reactor, self._look),
        )
        self.url = url or f"sqlite:///{folder / FILE}"
        self._plan = Plan(self._with(topology, apis), self.url, _no_secrets, None, folder)

    def _with(self, topology: Topology, apis: Mapping[str, SimApi]) -> Topology:
        """The same site, whose calls go to the simulated APIs."""

        def built(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *given, **more: SimDestination(
                apis[name], real(*given, **more), lambda: not self.reactor.dead
            )

        changed = {}
        for name, api in topology.apis.items():
            component = api.destination.component
            assert component.build is not None
            component = replace(component, build=built(name, component.build))
            changed[name] = replace(api, destination=Configured(component, api.destination.options))
        return replace(topology, apis=changed)

    def start(self) -> None:
        """Begin; ``running`` tells when it takes messages, ``failed`` why it does not."""
        started = Deferred.fromCoroutine(self._start())
        started.addErrback(self._not_started)

    async def _start(self) -> None:
        kept = tuple(
            KeptFile(each.digest, each.name, each.content) for each in self._plan.topology.mapping_files
        )
        self._journal = Journal(
            self._plan.journal_url,
            self.reactor,
            random_bytes=self._surroundings.random_bytes,
            kept_files=kept,
            at_us=self.world.now_us(),
            state=self.folder,
            threads=self._surroundings.threads,
        )
        self.node = Node(self._plan, self._journal, self._surroundings)
        try:
            await self.node.start()
        except Exception:
            await self.node.stop()
            raise
        self.running = True

    def _not_started(self, failure: Any) -> None:
        if self.disk.dead:
            self._look()
            return
        self.failed = failure.value

    async def stop(self) -> None:
        """End in order."""
        assert self.node is not None
        self.running = False
        await self.node.stop()
        if not self.disk.dead:
            self.power_off(None)
        self._look()

    def crash(self, kept: Kept | None, after: int) -> None:
        """End at once, or at the operation on its disk ``after`` now. ``kept`` is what a power cut leaves of
        what was not synced; with None only the process is killed, and the system keeps all."""
        self._crash = after, kept
        if after <= 0:
            self.power_off(kept)
            self._look()

    def break_operation(self, after: int, fault: Fault) -> None:
        """Let the operation on its disk ``after`` now fail."""
        self._break = after, fault

    def _before(self, kind: str) -> Fault | None:
        if self._crash is not None:
            after, kept = self._crash
            self._crash = after - 1, kept
            if after <= 1:
                self.power_off(kept)
                return "error"
        fault, self.next_write = self.next_write, None
        if self._break is not None:
            after, broken = self._break
            self._break = (after - 1, broken) if after > 1 else None
            fault = broken if after <= 1 else fault
        return fault or self._fault(kind)

    def power_off(self, kept: Kept | None) -> None:
        """From now on nothing it does has an effect; `crash` says what is left."""
        if self.disk.dead:
            return
        if kept is None:
            self.left = self._as_they_are()
        else:
            found = self.disk.after_power_cut(kept, self.world.chance)
            self.left = {Path(name).name: content for name, content in found.items()}
            self.left |= self._beside()
        self.disk.dead = True

    def _as_they_are(self) -> dict[str, bytes]:
        return {
            path.name: path.read_bytes()
            for path in self.folder.iterdir()
            if path.name.startswith(FILE) and path.suffix in (".db", ".db-wal", ".db-journal")
        } | self._beside()

    def _beside(self) -> dict[str, bytes]:
        """What the node keeps beside its journal, as it is: it is synced before it takes its place."""
        return {path.name: path.read_bytes() for path in self.folder.glob(f"*{ENDING}")}

    def _look(self) -> None:
        """After each piece of work on the disk: the process may have died in it."""
        if not self.disk.dead or self.reactor.dead:
            return
        self.reactor.die()
        self.running = False
        self.close()
        self._died()

    def close(self) -> None:
        """Let go of what the system would, of a process that is gone."""
        self.reactor.die()
        self.disk.dead = True
        if self._journal is not None:
            with suppress(Exception):
                in_thread(self._journal)._ownership.release()
            if self._journal._tending is not None:
                self._journal._tending.end()
            self._journal.database.close()


def _no_secrets(reference: SecretRef) -> str:
    raise AssertionError(f"{reference} is asked for")
