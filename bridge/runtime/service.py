"""A node: everything built, joined and started in order, and stopped in the opposite one.

This is the one place where the clock, chance and identity come from.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from bridge.config.topology import Topology
from bridge.destinations.base import Destination
from bridge.errors import PeerUnavailable
from bridge.journal import messages
from bridge.journal.deliveries import RECOVER, Recovery
from bridge.journal.files import KeptFile
from bridge.journal.journal import Journal
from bridge.journal.ledger import left_behind
from bridge.observe.admin import site
from bridge.observe.metrics import Metrics
from bridge.runtime.deliver import Outlet
from bridge.runtime.intake import Intake
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks
from bridge.runtime.translate import Translate
from bridge.transports.base import Listener
from bridge.units import SecretRef

log = structlog.get_logger("bridge.service")

ADMIN_INTERFACE = "127.0.0.1"


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

    Raises JournalRefused and JournalUnavailable as `Journal` does, and PeerUnavailable where a port cannot
    be listened on; then nothing is left running.
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
        self.listeners: dict[str, Listener] = {}
        self.ports: dict[str, IListeningPort] = {}
        self.outlets: dict[str, Outlet] = {}
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
        await self._open_outlets()
        for channel in topology.channels.values():
            ways_out = {route.api: self.outlets[route.api] for route in channel.routes}
            translate = Translate(channel, journal, ways_out, self.metrics, world)
            self._tasks.spawn(f"translate {channel.name}", translate.run())
            intake = Intake(channel, journal, translate, self.metrics, world)
            self.listeners[channel.name] = await self._listen(channel.name, channel.source, intake)
        await self._open_admin()
        log.info(
            "started", channels=len(topology.channels), apis=len(topology.apis), start=journal.facts.starts
        )

    async def _tell_left_behind(self) -> None:
        """What a file was renamed or removed under stays open in the journal; somebody must hear of it."""
        topology = self._plan.topology
        found = await self.journal.read(left_behind, topology.channels.keys(), topology.apis.keys())
        for name, count in found.items():
            log.warning(
                "left-behind", name=name, open=count, reason="no file of this configuration has this name"
            )

    async def _open_outlets(self) -> None:
        topology, journal, world = self._plan.topology, self.journal, self._world
        barriers: dict[str, dict[bytes, int]] = {name: {} for name in topology.apis}
        for channel in topology.channels.values():
            occupied = await journal.read(messages.barriers, channel.name)
            for name in {route.api for route in channel.routes}:
                barriers[name].update(occupied)
        for api in topology.apis.values():
            build = api.destination.component.build
            assert build is not None, f"{api.destination.component.name} cannot be built"
            credential = api.credential.options if api.credential is not None else None
            destination: Destination = build(
                api.destination.options, api.operations, credential, self._plan.secrets, world.now_us
            )
            self.outlets[api.name] = Outlet(api, destination, journal, self.metrics, world)
            await self.outlets[api.name].start(barriers[api.name])

    async def _listen(self, name: str, source: Any, intake: Intake) -> Listener:
        listener = source.component.build(
            name, source.options, intake, reactor=self._world.reactor, now_us=self._world.now_us
        )
        try:
            self.ports[name] = await listener.start()
        except (CannotListenError, OSError) as error:
            raise PeerUnavailable(
                f"channel {name} cannot listen on {source.options.listen}: {_reason(error)}; "
                "free the port, or name another in the channel file"
            ) from error
        self.metrics.connections.labels(name).set_function(lambda: listener.connections)
        return listener  # type: ignore[no-any-return]

    async def _open_admin(self) -> None:
        port = self._plan.admin_port
        if port is None:
            return
        for outlet in self.outlets.values():
            self._watch(outlet)
        try:
            self.ports["admin"] = self._world.reactor.listenTCP(
                port, site(self.unready, self.metrics.exposition), interface=ADMIN_INTERFACE
            )
        except (CannotListenError, OSError) as error:
            raise PeerUnavailable(
                f"the admin pages cannot listen on {ADMIN_INTERFACE}:{port}: {_reason(error)}; "
                "free the port, or name another with --admin-port"
            ) from error

    def _watch(self, outlet: Outlet) -> None:
        name, metrics = outlet.api.name, self.metrics
        metrics.in_flight.labels(name).set_function(lambda: outlet.in_flight)
        metrics.lanes_waiting.labels(name).set_function(lambda: outlet.lanes.waiting)
        metrics.lanes_blocked.labels(name).set_function(lambda: len(outlet.lanes.barriers))

    def addresses(self) -> Mapping[str, int]:
        """The port of each channel, and of the admin pages as ``admin``."""
        hosts = {name: port.getHost() for name, port in self.ports.items()}
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
        await _together(listener.drain() for listener in self.listeners.values())
        await self._tasks.stop()
        await _together(outlet.drain() for outlet in self.outlets.values())
        if (admin := self.ports.pop("admin", None)) is not None:
            await _stopped(admin)
        await self.journal.close()
        log.info("stopped")


async def _together(coroutines: Iterable[Coroutine[Deferred[Any], Any, None]]) -> None:
    await gatherResults([Deferred.fromCoroutine(each) for each in coroutines])


async def _stopped(port: IListeningPort) -> None:
    ended = port.stopListening()
    if ended is not None:
        await ended


def _reason(error: Exception) -> str:
    inner = getattr(error, "socketError", error)
    return str(getattr(inner, "strerror", None) or inner)
