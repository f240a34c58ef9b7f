"""A port that speaks HTTP: how much of a request is kept, how long one may take, how many come at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Any, BinaryIO, Final

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request

IGNORED_MAX_BYTES: Final = 1024**2
"""So much of a body that was refused is let go by, so that its sender hears why."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What is taken at one port. Of a head Twisted takes 16 KiB, in 500 lines at most."""

    body_max_bytes: int
    connections_max_count: int
    idle_max_s: float
    arrive_max_s: float
    """How long a request may take until all of it is there, its head too."""


class BoundedRequest(Request):
    """One request. No more of its body is kept than its port takes; what is too large hears so at once."""

    channel: Any
    refused = False
    got_bytes = 0
    _ignored_bytes = 0

    def scratch(self) -> BinaryIO:
        """Where its body is kept."""
        return BytesIO()

    def headed(self) -> None:
        """Its headers are there: refuse it by them alone, if need be."""

    def too_large(self) -> None:
        """Refuse it for its size."""
        raise NotImplementedError

    def arrived(self) -> None:
        """All of it is there: answer it."""
        raise NotImplementedError

    def gotLength(self, length: int | None) -> None:
        """The headers are there: see whether its body is wanted."""
        self.content = self.scratch()
        self.headed()
        if not self.refused and length is not None and length > self._max_bytes:
            self.too_large()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a piece of the body, within the limit."""
        self.got_bytes += len(data)
        if not self.refused and self.got_bytes > self._max_bytes:
            self.too_large()
        if not self.refused:
            assert self.content is not None, "it is made when the headers are there"
            self.content.write(data)
            return
        self._ignored_bytes += len(data)
        if self._ignored_bytes > IGNORED_MAX_BYTES:
            self.channel.forceAbortClient()

    @property
    def _max_bytes(self) -> int:
        port: HttpPort = self.channel.factory
        return port.limits.body_max_bytes

    def refuse(self) -> None:
        """What is said next is said before the body is there, so that nobody need send it; what comes all the
        same is let go by. Only then the connection is closed: a closed one would take the answer with it."""
        self.refused = True
        self.clientproto = b"HTTP/1.1"  # what it really is, is told with the whole request
        self.channel.persistent = False
        self.requestHeaders.removeHeader(b"expect")
        self.setHeader(b"connection", b"close")

    def process(self) -> None:
        """All of it has arrived."""
        self.channel.in_time()
        if self.refused:
            self._end()
        else:
            self.channel.answering = True
            self.arrived()

    def say(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer, unless nobody is there to hear it."""
        if self.finished or self._disconnected:
            return
        self.setResponseCode(status, _phrase(status))
        for name, value in headers.items():
            self.setHeader(name.encode(), value.encode("latin-1"))
        self.setHeader(b"content-length", str(len(body)).encode())
        written: Any = self
        written.write(body)
        if not self.refused:
            self._end()

    def _end(self) -> None:
        written: Any = self
        if not self.finished and not self._disconnected:
            written.finish()


class _Connection(HTTPChannel):
    """One connection: each request on it must be whole in time, and its answer be read in time."""

    answering = False
    _late: Any = None

    def dataReceived(self, data: bytes) -> None:
        """From the first byte of a request on its time is counted; dripping bytes win none."""
        self._begun()
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """The same, where it came together with the one before it."""
        self._begun()
        super().lineReceived(line)

    def _begun(self) -> None:
        if self._late is None and not self.requests:
            port: Any = self.factory
            self._late = port.reactor.callLater(port.limits.arrive_max_s, self.forceAbortClient)

    def in_time(self) -> None:
        """A request is there."""
        late, self._late = self._late, None
        if late is not None and late.active():
            late.cancel()

    def requestDone(self, request: Any) -> None:
        """It was answered. Who does not read the last answer is cut off as somebody who says nothing is."""
        self.answering = False
        super().requestDone(request)
        if not self.persistent:
            port: Any = self.factory
            self.setTimeout(port.limits.idle_max_s)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The peer is gone, or was sent away."""
        self.in_time()
        port: Any = self.factory
        port.left(self)
        super().connectionLost(reason)


class HttpPort(HTTPFactory):
    """Connections within limits, which may change while it listens; each is for ``requests``.

    Whoever is one too many is disconnected, and ``tell_full`` hears from where. When the port is closed, who
    waits for an answer has it still, and everybody else is disconnected.
    """

    noisy = False

    def __init__(
        self,
        limits: HttpLimits,
        requests: type[BoundedRequest],
        *,
        reactor: Any,
        tell_full: Callable[[str], None] = lambda host: None,  # noqa: ARG005
    ) -> None:
        super().__init__(timeout=limits.idle_max_s, reactor=reactor)
        self.limits, self._requests, self._tell_full = limits, requests, tell_full
        self._open: set[_Connection] = set()

    @property
    def connections(self) -> int:
        """How many are connected."""
        return len(self._open)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection, while there may be one more."""
        if len(self._open) >= self.limits.connections_max_count:
            self._tell_full(getattr(addr, "host", ""))
            return None
        made: Any = _Connection()
        made.factory, made.requestFactory = self, self._requests
        made.callLater, made.timeOut = self.reactor.callLater, self.limits.idle_max_s
        self._open.add(made)
        return made

    def left(self, connection: _Connection) -> None:
        """One connection less."""
        self._open.discard(connection)

    def stopFactory(self) -> None:
        """Nothing listens any more."""
        super().stopFactory()
        for each in tuple(self._open):
            each.persistent = False
            if not each.answering:
                each.loseConnection()


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
