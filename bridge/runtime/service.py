"""A node: everything built, joined and started in order, and stopped in the opposite one.

This is the one place where the clock, chance and identity come from.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from bridge.config.topology import Api, Topology
from bridge.delivery.state import DeliveryState
from bridge.destinations.base import Destination
from bridge.errors import JournalUnavailable, PeerUnavailable
from bridge.journal.deliveries import RECOVER, Recovery
from bridge.journal.files import KeptFile
from bridge.journal.journal import Journal
from bridge.journal.ledger import ledger, left_behind
from bridge.observe.admin import site
from bridge.observe.metrics import Metrics
from bridge.runtime.answers import Answers
from bridge.runtime.commands import Commands
from bridge.runtime.control import ControlSocket
from bridge.runtime.deliver import Outlet
from bridge.runtime.door import Door, listen_failed
from bridge.runtime.intake import Intake
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks
from bridge.runtime.traffic import Traffic
from bridge.runtime.translate import Translate
from bridge.units import SecretRef

log = structlog.get_logger("bridge.service")

ADMIN_INTERFACE = "127.0.0.1"
CERTIFICATES_EVERY_S = 60.0
LEDGER_EVERY_S = 15.0
LEDGER_REST = 20.0
"""Counting a journal of millions takes seconds: so many times as long it is left alone after that."""


def real_surroundings(reactor: Any) -> Surroundings:
    """The world as it is."""
    return Surroundings(
        reactor=reactor,
        now_us=lambda: time.time_ns() // 1000,
        chance=random.SystemRandom().random,
        random_bytes=os.urandom,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a node is made of."""

    topology: Topology
    journal_url: str
    secrets: Callable[[SecretRef], str]
    admin_port: int | None
    """Where the admin pages are; None for none, 0 for any free port."""


async def start(plan: Plan, world: Surroundings) -> Node:
    """Start a node; it takes messages when this returns.

    Raises JournalRefused and JournalUnavailable as `Journal` does, and what `Door.open` raises where a door
    cannot be opened; then nothing is left running.
    """
    kept = tuple(KeptFile(file.digest, file.name, file.content) for file in plan.topology.mapping_files)
    journal = Journal(
        plan.journal_url,
        world.reactor,
        random_bytes=world.random_bytes,
        kept_files=kept,
        at_us=world.now_us(),
    )
    node = Node(plan, journal, world)
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
        self.doors: dict[str, Door] = {}
        self.outlets: dict[str, Outlet] = {}
        self.translators: dict[str, Translate] = {}
        self.intakes: dict[str, Intake] = {}
        self._answers: dict[str, Answers] = {}
        self._admin: IListeningPort | None = None
        self._control: ControlSocket | None = None
        self.traffic: Traffic | None = None
        self._plan, self._world = plan, world
        self._tasks = Tasks()
        self._stopping = False

    async def start(self) -> None:
        """Settle the past, open the ways out, and only then the doors."""
        topology, journal, world = self._plan.topology, self.journal, self._world
        journal.writer.commit_seconds = self.metrics.commit.observe
        safety = {api.name: api.repeat_safety for api in topology.apis.values()}
        unknown = await journal.submit(RECOVER, Recovery(safety, world.now_us()))
        if unknown:
            log.warning(
                "deliveries-recovered", count=unknown, reason="the last process ended while they were sent"
            )
        await self._tell_left_behind()
        traffic = self._make()
        await traffic.restore()
        for outlet in self.outlets.values():
            await outlet.start()
        for name, translate in self.translators.items():
            self._tasks.spawn(f"translate {name}", translate.run())
        for name, door in self.doors.items():
            if traffic.takes(name):
                await door.open()
        await self._open_admin()
        self._open_control(traffic)
        self._tasks.spawn("count", self._count())
        self._tasks.spawn("certificates", self._watch_certificates())
        log.info(
            "started", channels=len(topology.channels), apis=len(topology.apis), start=journal.facts.starts
        )

    def _make(self) -> Traffic:
        """Everything between the doors and the APIs; nothing of it runs yet."""
        topology, journal, world, metrics = self._plan.topology, self.journal, self._world, self.metrics
        on_poison = {
            (channel.name, route.name): route.on_poison
            for channel in topology.channels.values()
            for route in channel.routes
        }
        for api in topology.apis.values():
            self.outlets[api.name] = Outlet(
                api,
                self._destination(api),
                journal,
                metrics,
                world,
                on_poison=on_poison,
                settled=self._settled,
            )
        for name, channel in topology.channels.items():
            ways_out = {api: self.outlets[api] for route in channel.routes for api in route.apis}
            answers = self._answers[name] = Answers(channel, journal, metrics, world, self._relax)
            translate = Translate(channel, journal, ways_out, answers, metrics, world)
            intake = Intake(channel, journal, translate, answers, metrics, world)
            self.translators[name], self.intakes[name] = translate, intake
            self.doors[name] = Door(channel, intake, metrics, world, self._plan.secrets)
        self.traffic = Traffic(journal, world, self.outlets, self.translators, self.intakes, self.doors)
        return self.traffic

    def _open_control(self, traffic: Traffic) -> None:
        commands = Commands(
            self._plan.topology,
            self.journal,
            self._world,
            traffic,
            self.outlets,
            self.translators,
            self.doors,
        )
        self._control = ControlSocket(self.journal.database.path, commands, self._world)
        try:
            self._control.start()
        except (CannotListenError, OSError) as error:
            raise PeerUnavailable(
                f"no socket can be made beside the journal: {listen_failed(error)}; "
                "look at the rights of its folder"
            ) from error

    def _destination(self, api: Api) -> Destination:
        build = api.destination.component.build
        assert build is not None, f"{api.destination.component.name} cannot be built"
        credential = api.credential.options if api.credential is not None else None
        destination: Destination = build(
            api.destination.options, api.operations, credential, self._plan.secrets, self._world.now_us
        )
        return destination

    def _settled(
        self, channel: str, message_id: int, delivery_id: int, state: DeliveryState, why: str
    ) -> None:
        """A delivery rests: tell the sender that may wait for it."""
        if (answers := self._answers.get(channel)) is not None:
            answers.settled(message_id, delivery_id, state, why)

    async def _count(self) -> None:
        """Keep the ledger's metric true, as often as counting is cheap."""
        world = self._world
        while True:
            began_s = world.reactor.seconds()
            try:
                self.metrics.count(await self.journal.read(ledger))
            except JournalUnavailable as error:
                log.error("journal-unavailable", reading="ledger", reason=str(error))
            took_s = world.reactor.seconds() - began_s
            await world.pause(max(LEDGER_EVERY_S, LEDGER_REST * took_s))

    async def _watch_certificates(self) -> None:
        while True:
            await self._world.pause(CERTIFICATES_EVERY_S)
            self.look_at_certificates()

    def look_at_certificates(self) -> None:
        """Take what has changed in the files of TLS, for new connections. Does not raise."""
        for door in self.doors.values():
            door.look_at_certificates()

    async def _relax(self, apis: Iterable[str], keys: Sequence[bytes]) -> None:
        for name in apis:
            if (outlet := self.outlets.get(name)) is not None:
                await outlet.relax(keys)

    async def _tell_left_behind(self) -> None:
        """What a file was renamed or removed under stays open in the journal; somebody must hear of it."""
        topology = self._plan.topology
        found = await self.journal.read(left_behind, topology.channels.keys(), topology.apis.keys())
        for name, count in found.items():
            log.warning(
                "left-behind", name=name, open=count, reason="no file of this configuration has this name"
            )

    async def _open_admin(self) -> None:
        port = self._plan.admin_port
        if port is None:
            return
        for outlet in self.outlets.values():
            self._watch(outlet)
        try:
            self._admin = self._world.reactor.listenTCP(
                port, site(self.unready, self.metrics.exposition), interface=ADMIN_INTERFACE
            )
        except (CannotListenError, OSError) as error:
            raise PeerUnavailable(
                f"the admin pages cannot listen on {ADMIN_INTERFACE}:{port}: {listen_failed(error)}; "
                "free the port, or name another with --admin-port"
            ) from error

    def _watch(self, outlet: Outlet) -> None:
        name, metrics = outlet.api.name, self.metrics
        metrics.in_flight.labels(name).set_function(lambda: outlet.in_flight)
        metrics.lanes_waiting.labels(name).set_function(lambda: outlet.lanes.waiting)
        metrics.lanes_blocked.labels(name).set_function(lambda: len(outlet.lanes.barriers))

    def addresses(self) -> Mapping[str, int]:
        """The port of each channel, and of the admin pages as ``admin``."""
        ports = {name: door.port for name, door in self.doors.items()} | {"admin": self._admin}
        hosts = {name: port.getHost() for name, port in ports.items() if port is not None}
        return {
            name: host.port for name, host in hosts.items() if isinstance(host, IPv4Address | IPv6Address)
        }

    def unready(self) -> list[str]:
        """What keeps this node from taking messages; empty when nothing does."""
        reasons = ["stopping"] if self._stopping else []
        if self.journal.writer.failing:
            reasons.append("the journal cannot write")
        return reasons

    async def stop(self) -> None:
        """Take nothing more, answer what was taken, let calls under way end, and close the journal."""
        self._stopping = True
        if self._control is not None:
            await self._control.stop()
        if self.traffic is not None:
            await self.traffic.stop()
        await _together(
            [
                *(door.close() for door in self.doors.values()),
                *(answers.stop() for answers in self._answers.values()),
            ]
        )
        await self._tasks.stop()
        await _together(outlet.drain() for outlet in self.outlets.values())
        if self._admin is not None:
            await _stopped(self._admin)
            self._admin = None
        await self.journal.close()
        log.info("stopped")


async def _together(coroutines: Iterable[Coroutine[Deferred[Any], Any, None]]) -> None:
    await gatherResults([Deferred.fromCoroutine(each) for each in coroutines])


async def _stopped(port: IListeningPort) -> None:
    ended = port.stopListening()
    if ended is not None:
        await ended
