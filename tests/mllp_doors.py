"""An MLLP listener on a free port, an intake that answers as it is told to, and the sender's side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from reactor_tests import pause
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from bridge.destinations.in_loop import in_loop
from bridge.formats.mllp_framing import END
from bridge.message import Received
from bridge.transports.base import Answer, Flaw
from bridge.transports.mllp import MllpListener
from bridge.transports.mllp_options import MllpOptions


class Door:
    """An intake that answers when it is told to, or at once."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.at_once = at_once
        self.taken: list[tuple[bytes, Flaw | None]] = []
        self.waiting: list[tuple[bytes, Deferred[Answer]]] = []
        self.reached: list[bool] = []

    def take(self, received: Received, flaw: Flaw | None = None) -> Deferred[Answer]:
        self.taken.append((received.body, flaw))
        answer: Deferred[Answer] = Deferred()
        self.waiting.append((received.body, answer))
        if self.at_once:
            self.answer(0)
        return answer

    def answer(self, place: int) -> None:
        body, answer = self.waiting.pop(place)
        answer.callback(Answer(None if body == b"silent" else b"ack " + body[:20], len(self.taken)))

    def answered(self, answer: Answer, reached_socket: bool) -> None:
        self.reached.append(reached_socket)


class Peer:
    """A sender's side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answers(self, count: int) -> list[bytes]:
        found = []
        for _ in range(count):
            block: bytes = await in_loop(asyncio.wait_for(self._reader.readuntil(END + b"\r"), 10))
            found.append(block[1:-2])
        return found

    async def exactly(self, size: int) -> bytes:
        """The next bytes, whatever they are."""
        data: bytes = await in_loop(asyncio.wait_for(self._reader.readexactly(size), 10))
        return data

    async def rest(self) -> bytes:
        """All that still comes until the listener closes the connection."""

        async def read() -> bytes:
            try:
                return await asyncio.wait_for(self._reader.read(), 10)
            except ConnectionResetError:
                return b""

        data: bytes = await in_loop(read())
        return data

    def close(self) -> None:
        self._writer.close()

    def abort(self) -> None:
        self._writer.transport.abort()


class Site:
    """A listener on a free port."""

    def __init__(self, door: Door, listener: MllpListener, port: int) -> None:
        self.door, self.listener, self.port = door, listener, port
        self.peers: list[Peer] = []

    async def connect(self) -> Peer:
        peer = Peer(*await in_loop(asyncio.open_connection("127.0.0.1", self.port)))
        self.peers.append(peer)
        return peer


@asynccontextmanager
async def listening(door: Door | None = None, **options: Any) -> AsyncIterator[Site]:
    door = door or Door()
    made = MllpOptions.model_validate({"listen": "tcp:0:interface=127.0.0.1", "drain": "2s", **options})
    listener = MllpListener("adt", made, door, reactor=reactor, now_us=lambda: 0)
    port = await listener.start()
    site = Site(door, listener, getattr(port.getHost(), "port", 0))
    try:
        yield site
    finally:
        for peer in site.peers:
            peer.close()
        await listener.drain()
        await pause(0)
