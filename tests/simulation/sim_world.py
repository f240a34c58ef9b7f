"""A world without sockets and threads, on a clock that nobody waits for.

Everything that takes time takes a random one, from the seed. What a dead process still had to do is not done.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sim_steps import Gone
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorFromThreads, IReactorTCP, IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.journal.threads import Reading, Tending, Tends, Writing

BEGAN_US = 1_800_000_000_000_000
DISK_MAX_S, READ_MAX_S, WIRE_MAX_S = 0.01, 0.01, 0.02


class World:
    """Time, chance, and who listens where. ``skew_us`` is how far the wall clock was moved."""

    def __init__(self, seed: str) -> None:
        self.clock = Clock()
        self.chance = random.Random(seed)
        self.skew_us = 0
        self.ports: dict[int, SimPort] = {}

    def now_us(self) -> int:
        return BEGAN_US + int(self.clock.seconds() * 1e6) + self.skew_us

    def wall_ns(self) -> int:
        return self.now_us() * 1000

    def monotonic_ns(self) -> int:
        return int(self.clock.seconds() * 1e9)

    def some(self, most_s: float) -> float:
        return self.chance.random() * most_s

    def later(self, wait_s: float, call: Callable[..., object], *arguments: Any) -> Any:
        return self.clock.callLater(wait_s, call, *arguments)

    def step(self) -> bool:
        """Let the next thing happen; False where nothing is left to happen."""
        if not self.clock.calls:
            return False
        self.clock.advance(max(0.0, self.clock.calls[0].getTime() - self.clock.seconds()))
        return True


@implementer(IReactorTime, IReactorFromThreads, IReactorTCP)
class SimReactor:
    """The reactor of one process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead = False
        self._ports: list[SimPort] = []

    def seconds(self) -> float:
        return self.world.clock.seconds()

    def callLater(self, delay: float, callable: Any, *args: Any, **kw: Any) -> Any:  # noqa: A002 - as in Twisted
        return self.world.clock.callLater(delay, self._call, callable, args, kw)

    def _call(self, call: Any, args: Any, kw: Any) -> None:
        if not self.dead:
            call(*args, **kw)

    def getDelayedCalls(self) -> Any:
        return self.world.clock.getDelayedCalls()

    def callFromThread(self, callable: Any, *args: Any, **kwargs: Any) -> None:  # noqa: A002 - as in Twisted
        self.callLater(self.world.some(0.001), callable, *args, **kwargs)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        if port in self.world.ports:
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))
        listening = self.world.ports[port] = SimPort(self.world, port, factory)
        self._ports.append(listening)
        return listening

    def listenUNIX(self, *_: Any, **__: Any) -> SimPort:
        return SimPort(self.world, -1, None)

    def connectTCP(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("nothing of a simulation connects by itself")

    def die(self) -> None:
        """The process is gone, and the system closes what it had open."""
        self.dead = True
        for port in self._ports:
            port.close()


class SimPort:
    """A listening port of a process."""

    def __init__(self, world: World, number: int, factory: Any) -> None:
        self.number, self.factory = number, factory
        self._world = world
        self.wires: list[SimWire] = []

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.number)

    def stopListening(self) -> None:
        if self._world.ports.get(self.number) is self:
            del self._world.ports[self.number]

    def close(self) -> None:
        self.stopListening()
        for wire in self.wires:
            wire.server_died()


class SimWire:
    """One connection: the server's transport, and its client. Bytes come in order, and in pieces."""

    def __init__(self, world: World, port: SimPort, client: Any) -> None:
        """``client`` has ``received(bytes)`` and ``closed()``."""
        self._world, self._client = world, client
        self._to_server_s = self._to_client_s = 0.0
        self._waiting: list[bytes] = []
        self._reading = True
        self.connected = self._client_there = True
        self.disconnecting = False
        self.protocol = port.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 40000))
        if self.protocol is None:
            self.connected = False
            self._tell_client_closed()
            return
        port.wires.append(self)
        self.protocol.makeConnection(self)

    # The client's side.

    def send(self, data: bytes) -> None:
        while data:
            size = self._world.chance.choice((1, 7, 200, 1000, len(data)))
            piece, data = data[:size], data[size:]
            self._to_server_s = self._in_order(self._to_server_s, self._arrived, piece)

    def cut(self) -> None:
        """The client resets the connection; what has not arrived does not."""
        self._client_there = False
        if self.connected:
            self._world.later(self._world.some(WIRE_MAX_S), self._lost, ConnectionLost())

    def vanish(self) -> None:
        """The client is gone, and nobody tells the server."""
        self._client_there = False

    def _in_order(self, last_s: float, call: Callable[..., object], *arguments: Any) -> float:
        due_s = max(last_s, self._world.clock.seconds() + self._world.some(WIRE_MAX_S))
        self._world.later(due_s - self._world.clock.seconds(), call, *arguments)
        return due_s

    def _arrived(self, piece: bytes) -> None:
        if not self.connected or not self._client_there:
            return
        if self._reading:
            self.protocol.dataReceived(piece)
        else:
            self._waiting.append(piece)

    def _deliver(self, data: bytes) -> None:
        if self._client_there:
            self._client.received(data)

    def _tell_client_closed(self) -> None:
        self._to_client_s = self._in_order(self._to_client_s, self._closed_for_client)

    def _closed_for_client(self) -> None:
        if self._client_there:
            self._client_there = False
            self._client.closed()

    def _lost(self, reason: Exception) -> None:
        if self.connected:
            self.connected = False
            self.protocol.connectionLost(Failure(reason))

    def server_died(self) -> None:
        if self.connected:
            self.connected = False
            self._tell_client_closed()

    # The transport, as the protocol sees it.

    def write(self, data: bytes) -> None:
        if self.connected and not self.disconnecting:
            self._to_client_s = self._in_order(self._to_client_s, self._deliver, data)

    def loseConnection(self) -> None:
        self._end(ConnectionDone())

    def abortConnection(self) -> None:
        self._end(ConnectionAborted())

    def _end(self, reason: Exception) -> None:
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._tell_client_closed()
            self._world.later(0, self._lost, reason)

    def pauseProducing(self) -> None:
        self._reading = False

    def resumeProducing(self) -> None:
        self._reading = True
        waiting, self._waiting = self._waiting, []
        for piece in waiting:
            self._arrived(piece)

    def registerProducer(self, producer: Any, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...

    def setTcpNoDelay(self, on: bool) -> None: ...

    def setTcpKeepAlive(self, on: bool) -> None: ...

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 40000)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 1)


class SimThreads:
    """The journal's threads, as delays. ``written`` is called after each batch that was written."""

    def __init__(self, reactor: SimReactor, written: Callable[[], None] = lambda: None) -> None:
        self._reactor, self._written = reactor, written

    def writing(self, write: Callable[[Any], None]) -> Writing:
        return _SimWriting(self._reactor, write, self._written)

    def reading(self, reactor: Any, at_once: int) -> Reading:
        return _SimReading(self._reactor)

    def tending(self, make: Callable[[], Tends], every_s: float) -> Tending:
        return _SimTending(self._reactor, make(), every_s, self._written)


class _SimTending:
    def __init__(
        self, reactor: SimReactor, tends: Tends, every_s: float, written: Callable[[], None]
    ) -> None:
        self._reactor, self._tends, self._every_s, self._written = reactor, tends, every_s, written
        self._next = reactor.callLater(every_s, self._step)

    def _step(self) -> None:
        self._tends.step()
        self._written()
        self._next = self._reactor.callLater(self._every_s, self._step)

    def end(self) -> None:
        if self._next.active():
            self._next.cancel()
        self._tends.close()


class _SimWriting:
    def __init__(
        self, reactor: SimReactor, write: Callable[[Any], None], written: Callable[[], None]
    ) -> None:
        self._reactor, self._write, self._written = reactor, write, written

    def put(self, batch: Any) -> None:
        self._reactor.callLater(self._reactor.world.some(DISK_MAX_S), self._run, batch)

    def _run(self, batch: Any) -> None:
        with suppress(Gone):
            self._write(batch)
        self._written()

    def end(self) -> None: ...


class _SimReading:
    def __init__(self, reactor: SimReactor) -> None:
        self._reactor = reactor

    def run(self, query: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self._reactor.callLater(self._reactor.world.some(READ_MAX_S), self._run, query, done)
        return done

    def _run(self, query: Callable[[], Any], done: Deferred[Any]) -> None:
        try:
            result = succeed(query())
        except Exception as error:  # noqa: BLE001 - a thread pool hands over whatever it was
            result = fail(error)
        result.chainDeferred(done)

    def end(self) -> None: ...
