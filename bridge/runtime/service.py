"""A node: everything built, joined and started in order, and stopped in the opposite one.

This is the one place where the clock, chance and identity come from.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread

from bridge.config.approval_files import ApprovalFiles
from bridge.config.settings import ADMIN_INTERFACE, AuditSettings, DiskReserve
from bridge.config.topology import Topology
from bridge.errors import (
    BridgeError,
    ConfigurationRefused,
    JournalRefused,
    PeerUnavailable,
)
from bridge.journal.database import STATE
from bridge.journal.deliveries import RECOVER, Recovery
from bridge.journal.denied import advice
from bridge.journal.files import KeptFile
from bridge.journal.journal import Journal
from bridge.journal.places import Apart
from bridge.journal.retention import last_step_us
from bridge.journal.stages import standings
from bridge.mapping.impact import Impact
from bridge.observe.admin import site
from bridge.observe.metrics import Metrics
from bridge.runtime.approving import Approving, Mode
from bridge.runtime.auditing import Auditing
from bridge.runtime.certificates import Certificates
from bridge.runtime.clock import BelievedTime, SteadyClock
from bridge.runtime.commands import Commands
from bridge.runtime.control import ControlSocket, socket_path
from bridge.runtime.counting import keep_counting
from bridge.runtime.disk import DiskWatch
from bridge.runtime.door import free_it, listen_failed
from bridge.runtime.doubt import settle_doubt, sweep
from bridge.runtime.drawn import Drawn
from bridge.runtime.held_codes import let_go_held
from bridge.runtime.left_behind import tell_left_behind
from bridge.runtime.order import hold_reordered
from bridge.runtime.parts import Parts
from bridge.runtime.rehearsal import AS_USUAL, Rehearsal, Reloaded, in_words, rehearse
from bridge.runtime.reload import ReloadRefused, exchange
from bridge.runtime.retention import Retention
from bridge.runtime.stages import Stages
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks
from bridge.runtime.traces import tell
from bridge.runtime.traffic import Traffic
from bridge.runtime.trying import end_all_waits
from bridge.runtime.workers import Spawn, Workers
from bridge.units import SecretRef

log = structlog.get_logger("bridge.service")

NOT_ENCRYPTED = (
    "the environment says `production: true`, and bodies in the journal would not be encrypted: "
    "`bridge journal keys new` makes a key; name its secret with BRIDGE_JOURNAL_KEYS"
)
NO_FILES = "this node was not started from files"
CERTIFICATES_EVERY_S = 60.0
BESIDE_EVERY_S = 10.0


def real_surroundings(reactor: Any) -> Surroundings:
    """The world as it is."""
    now_us = SteadyClock(time.time_ns, time.monotonic_ns)
    return Surroundings(
        reactor=reactor,
        now_us=now_us,
        chance=random.Random().random,  # noqa: S311 - it spreads waits, and is no secret
        random_bytes=Drawn(os.urandom),
        # The reactor's clock is the time of day, which may be set.
        believed=BelievedTime(now_us, time.monotonic),
        machine_us=lambda: time.time_ns() // 1000,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a node is made of."""

    topology: Topology
    journal_url: str
    secrets: Callable[[SecretRef], str]
    admin_port: int | None
    """Where the admin pages are; None for none, 0 for any free port."""
    state: Path = STATE
    """The folder for what a node keeps beside a journal that is no file."""
    commit_items_max: int | None = None
    """Items of one transaction of the journal at most; None for all that wait, as group commit is."""
    workers: int = 0
    """Worker processes that read, map and release; 0 for none, and this process does it."""
    spawn: Spawn | None = None
    """Starts one of them."""
    apart: Apart | None = None
    """A process that writes the journal; None where a thread of this one does."""
    load: Callable[[], Topology] | None = None
    """Reads the files anew, for a reload; raises ConfigurationRefused with every mistake."""
    journal_keys: SecretRef | None = None
    """The secret with the keys of the journal; None where it is not encrypted."""
    traces: str = ""
    """The URL of the collector that traces are told to; empty for none."""
    traces_headers: SecretRef | None = None
    disk_reserve: DiskReserve = field(default_factory=DiskReserve)
    """What must be left free on the disk of a journal in a file."""
    approvals: Mode = ""
    """Whether this machine asks that files are approved."""
    read_approvals: Callable[[], ApprovalFiles] | None = None
    audit: AuditSettings = field(default_factory=AuditSettings)


async def start(plan: Plan, world: Surroundings) -> Node:
    """Start a node; it takes messages when this returns.

    Raises JournalRefused and JournalUnavailable as `Journal` does, JournalRefused also where production has
    no keys, and what `Door.open` raises where a door cannot be opened; then nothing is left running.
    """
    if plan.topology.production and plan.journal_keys is None:
        raise JournalRefused(NOT_ENCRYPTED)
    kept = tuple(KeptFile(file.digest, file.name, file.content) for file in plan.topology.mapping_files)
    journal = Journal(
        plan.journal_url,
        world.reactor,
        random_bytes=world.random_bytes,
        kept_files=kept,
        at_us=world.now_us(),
        state=plan.state,
        secret=plan.secrets,
        keys=plan.journal_keys,
        threads=world.threads,
        apart=plan.apart,
    )
    try:
        node = Node(plan, journal, world)
    except BaseException:
        await journal.close()
        raise
    try:
        await node.start()
    except BaseException:
        await node.stop()
        raise
    return node


class Node:
    """A running bridge."""

    def __init__(self, plan: Plan, journal: Journal, world: Surroundings) -> None:
        self.journal = journal
        self.metrics = Metrics()
        self.workers: Workers | None = None
        if plan.workers and plan.spawn is not None:
            beside, hashes = journal.database.beside, journal.facts.hashes
            self.workers = Workers(plan.workers, plan.spawn, beside, hashes, self.metrics, world)
        self.parts = parts = Parts(plan.topology, journal, self.metrics, world, plan.secrets, self.workers)
        self.doors, self.outlets, self.translators = parts.doors, parts.outlets, parts.translators
        self.traffic, self.stages = Traffic(parts), Stages(parts)
        if journal.database.file is not None:
            parts.disk = DiskWatch(journal.database.file, plan.disk_reserve, journal, self.metrics)
        self.approving = Approving(plan.approvals, plan.read_approvals, journal, world, self.metrics)
        self._certificates = Certificates(parts)
        self._auditing: Auditing | None = None
        self._admin: IListeningPort | None = None
        self._control: ControlSocket | None = None
        self._plan, self._world = plan, world
        self._tasks = Tasks()
        self._stopping = self._reloading = False

    async def start(self) -> None:
        """Settle the past, open the ways out, and only then the doors."""
        topology, journal, world = self._plan.topology, self.journal, self._world
        journal.writer.commit_seconds = self.metrics.commit.observe
        journal.writer.items_max = self._plan.commit_items_max
        journal.writer.apart = lambda: self.parts.precedence.is_bulk
        # Before anything is written by the clock of now.
        last_us, now_us = await journal.read(last_step_us), world.now_us()
        if world.believed is not None:
            world.believed.begin(last_us)
        await self.approving.begin(topology)
        self._auditing = Auditing(journal, self._plan, world, self.metrics)
        safety = {api.name: api.repeat_safety for api in topology.apis.values()}
        unknown = await journal.submit(RECOVER, Recovery(safety, now_us, max(0, (last_us or 0) - now_us)))
        if unknown:
            log.warning(
                "deliveries-recovered", count=unknown, reason="the last process ended while they were sent"
            )
        await settle_doubt(journal, topology, safety, world.now_us())
        await tell_left_behind(journal, topology)
        if (disk := self.parts.disk) is not None:
            disk.look()
            self._tasks.spawn("disk", disk.run(world))
        await sweep(journal, self.parts.spool)
        self.parts.standings = await journal.read(standings)
        for name, staging in self.parts.staging.items():
            staging.use(topology.channels[name], self.parts.standings_of(name))
        await self.traffic.restore()
        for answers in self.parts.answers.values():
            await answers.restore()
        await self.stages.fit()
        await self.parts.consents.start(self.parts.asking_for_consent())
        await self.parts.flows.start()
        for outlet in self.outlets.values():
            await outlet.start()
        self._start_workers()
        await hold_reordered(self.parts, topology.channels.values())
        for name in self.translators:
            self.parts.begin(name)
        for name, door in self.doors.items():
            await self.parts.open_taps(name)
            if self.traffic.takes(name):
                await door.open()
        await self._open_admin()
        self._open_control()
        self.stages.start()
        self._tasks.spawn("count", keep_counting(self.parts))
        self._certificates.look_at_ours()
        self._tasks.spawn("certificates", self._watch_certificates())
        self._tasks.spawn("beside", self._keep_beside())
        retention = Retention(journal, world)
        self._tasks.spawn("retention", retention.run(lambda: self.parts.topology.channels))
        self._tasks.spawn("approvals", self.approving.watch())
        self._tasks.spawn("audit", self._auditing.run())
        self._tasks.spawn("consents", self.parts.consents.run())
        self._tasks.spawn("held-codes", let_go_held(self.parts))
        if self._plan.traces:
            self._tasks.spawn("traces", tell(self.journal, self._plan, world))
        log.info(
            "started",
            environment=topology.environment,
            channels=len(topology.channels),
            apis=len(topology.apis),
            start=journal.facts.starts,
        )

    def _start_workers(self) -> None:
        if self.workers is None:
            return
        try:
            self.workers.start(self._plan.topology.digest)
        except (CannotListenError, OSError) as error:
            raise PeerUnavailable(
                f"no socket for workers can be made beside the journal: {listen_failed(error)}; "
                f"{self._advice(error)}"
            ) from error

    def _open_control(self) -> None:
        commands = Commands(
            self.parts, self.traffic, self.reload, self.stages, self.approving, self._certificates
        )
        self._control = ControlSocket(self.journal.database.beside, commands, self._world)
        try:
            self._control.start()
        except (CannotListenError, OSError) as error:
            raise PeerUnavailable(
                f"no socket can be made beside the journal: {listen_failed(error)}; {self._advice(error)}"
            ) from error

    def _advice(self, error: CannotListenError | OSError) -> str:
        cause = error.socketError if isinstance(error, CannotListenError) else error
        return advice(cause, socket_path(self.journal.database.beside))

    async def reload(self, rehearsal: Rehearsal = AS_USUAL) -> Reloaded:
        """Read the files again and run by them; what changed, and what of the last messages would have.

        Raises ConfigurationRefused with every mistake, ReloadRefused, PeerUnavailable and JournalUnavailable.
        Then the node runs on as before, and its log says why.
        """
        try:
            return await self._reload(rehearsal)
        except BridgeError as refused:
            self.metrics.reloads.labels("refused").inc()
            _tell_not_reloaded(refused)
            raise

    async def _reload(self, rehearsal: Rehearsal) -> Reloaded:
        if self._plan.load is None or self._reloading or self._stopping:
            raise ReloadRefused("a reload is under way, or this node ends" if self._plan.load else NO_FILES)
        self._reloading = True
        try:
            after = await deferToThread(self._plan.load)
            journal_key = ""
            if await self.journal.take_keys():
                journal_key = self.journal.current_key
                log.info("journal-keys-taken", current=journal_key)
            impact = await self._rehearse(after, rehearsal)
            found = await exchange(self.parts, self.traffic, after, await self.approving.admit(after))
            exchanged = self._certificates.look()
            tried = end_all_waits(self.parts)
            if self.workers is not None:
                self.workers.renew(after.digest)
            await tell_left_behind(self.journal, after)
        finally:
            self._reloading = False
        self.metrics.reloads.labels("done").inc()
        self._tasks.spawn("held-codes", let_go_held(self.parts))
        return Reloaded(found, impact, exchanged, tried, journal_key)

    async def _rehearse(self, after: Topology, rehearsal: Rehearsal) -> dict[str, Impact]:
        if not rehearsal.messages:
            return {}
        impact = await rehearse(self.journal, self.parts.topology, after, rehearsal.messages)
        if rehearsal.on_change == "refuse" and any(each.changed for each in impact.values()):
            raise ReloadRefused(in_words(impact))
        for name, each in impact.items():
            counts = {"messages": each.messages, "changed": each.changed, "fails_now": each.fails_now}
            log.info("rehearsed", mapping=name, **counts)
        return impact

    def reload_by_signal(self) -> None:
        """`reload`, of which nobody hears but the log."""
        self._tasks.spawn("reload", self._reload_and_tell())

    async def _reload_and_tell(self) -> None:
        with suppress(BridgeError):  # the log has it
            await self.reload()

    async def _keep_beside(self) -> None:
        while True:
            await self._world.pause(BESIDE_EVERY_S)
            await self.journal.keep_beside()

    async def _watch_certificates(self) -> None:
        while True:
            await self._world.pause(CERTIFICATES_EVERY_S)
            self.look_at_certificates()

    def look_at_certificates(self) -> None:
        """Take what has changed in the files of TLS and in secrets, for what is new. Does not raise."""
        self._certificates.look()

    async def _open_admin(self) -> None:
        port = self._plan.admin_port
        if port is None:
            return
        try:
            self._admin = self._world.reactor.listenTCP(
                port,
                site(self.unready, self.metrics.exposition, self._world.reactor),
                interface=ADMIN_INTERFACE,
            )
        except (CannotListenError, OSError) as error:
            raise PeerUnavailable(
                f"the admin pages cannot listen on {ADMIN_INTERFACE}:{port}: {listen_failed(error)}; "
                f"{free_it(error, 'with --admin-port')}"
            ) from error

    def addresses(self) -> Mapping[str, int]:
        """The port of each channel, and of the admin pages as ``admin``."""
        ports = {name: door.port for name, door in self.doors.items()} | {"admin": self._admin}
        hosts = {name: port.getHost() for name, port in ports.items() if port is not None}
        return {
            name: host.port for name, host in hosts.items() if isinstance(host, IPv4Address | IPv6Address)
        }

    def unready(self) -> list[str]:
        """What keeps the whole node from taking messages; empty when nothing does. What one channel lacks
        is not among it: others must not lose their node for it."""
        reasons = ["stopping"] if self._stopping else []
        if trouble := self.journal.writer.trouble:
            reasons.append(trouble)
        if self.parts.disk is not None and self.parts.disk.why:
            reasons.append(self.parts.disk.why)
        return reasons

    async def stop(self) -> None:
        """Take nothing more, answer what was taken, let calls under way end, and close the journal."""
        self._stopping = True
        if self._control is not None:
            await self._control.stop()
        await self.traffic.stop()
        await self.stages.stop()
        await _together(
            [
                *(door.close() for door in self.doors.values()),
                *(answers.stop() for answers in self.parts.answers.values()),
                *(feed.stop() for feed in self.parts.feeds.values()),
                *(compare.stop() for compare in self.parts.compares.values()),
                *(tap.close() for tap in self.parts.taps.values()),
                self.parts.hand_over.stop(),
            ]
        )
        await self._tasks.stop()
        for acks in self.parts.application_acks.values():
            acks.stop()
        self.parts.stop_intakes()
        await self.parts.working.stop()
        await self.parts.tasks.settle()
        if self.workers is not None:
            await self.workers.stop()
        await _together(outlet.drain() for outlet in self.outlets.values())
        if self._admin is not None:
            await _stopped(self._admin)
            self._admin = None
        if self._auditing is not None:
            await self._auditing.end()
        await self.journal.close()
        log.info("stopped")


async def _together(coroutines: Iterable[Coroutine[Deferred[Any], Any, None]]) -> None:
    await gatherResults([Deferred.fromCoroutine(each) for each in coroutines])


async def _stopped(port: IListeningPort) -> None:
    ended = port.stopListening()
    if ended is not None:
        await ended


def _tell_not_reloaded(refused: BridgeError) -> None:
    if not isinstance(refused, ConfigurationRefused):
        log.error("not-reloaded", reason=str(refused))
        return
    for problem in refused.mistakes:
        log.error("not-reloaded", place=str(problem.place), code=problem.code, reason=problem.text)
