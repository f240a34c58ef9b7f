"""The connections of one origin: made when needed, kept while they are used, and each call with its time.

Nothing is sent twice, no redirect followed, no cookie kept, and no proxy of the environment used, because
nothing here does so.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Final, Self

from pydantic import Field, model_validator
from yarl import URL

from bridge import __version__
from bridge.component import Options
from bridge.destinations.addresses import Addresses, AddressRefused
from bridge.destinations.base import Permits
from bridge.destinations.http_connection import Connection, Response, head
from bridge.destinations.http_failures import CallTimeout, NotConnected, TargetRefused
from bridge.destinations.in_loop import in_loop
from bridge.tls.client import Exchanges, Tls, client_context, look_again, stamp
from bridge.units import DurationS

KEEP_ALIVE_S: Final = 4.0
"""Below the five seconds after which common servers close an idle connection, since a call that meets
the closing is AMBIGUOUS."""


class Timeouts(Options):
    """How long a call may take."""

    connect: DurationS = Field(5.0, gt=0, description="Name, TCP connection and TLS handshake together.")
    request: DurationS = Field(
        30.0, gt=0, description="The whole call, from name to the end of the response."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.connect > self.request:
            raise ValueError("connect is a part of request, and cannot be longer")
        return self


class Session:
    """The kept connections of one origin. Everything happens inside the running loop."""

    def __init__(self, url: str, tls: Tls, permits: Permits | None = None) -> None:
        """Call scheme, host and port of ``url``, at addresses that ``permits`` lets it have.

        Raises OSError where a file of ``tls`` cannot be used.
        """
        origin = URL(url).origin()
        assert origin.host is not None, "a base URL has a host"
        assert origin.port is not None, "http and https have a port"
        self._host, self._port = origin.host, origin.port
        self._addresses = Addresses(origin.host, origin.port, permits)
        self._tls, self.stamp = tls, stamp(tls)
        self._context: ssl.SSLContext | None = client_context(tls) if origin.scheme == "https" else None
        authority = str(origin).partition("://")[2]
        common = {
            "Host": authority,
            "User-Agent": f"interface-bridge/{__version__}",
            "Accept-Encoding": "identity",
        }
        self._common = "".join(f"{name}: {value}\r\n" for name, value in common.items()).encode("ascii")
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = self._retired = False

    def is_stale(self) -> bool:
        """Whether the files of TLS are others by now, and can be used; others are left alone."""
        return self._context is not None and look_again(self._tls, self.stamp)[0] is not None

    def retire(self) -> None:
        """Begin no further call. Those under way end by themselves, and their connections with them."""
        self._retired = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def find_target(self, within_s: float) -> None:
        """See to it that calls go to addresses of the target's own; once in a while this looks its name up.

        Raises NotConnected and TargetRefused.
        """
        if self._addresses.fresh(asyncio.get_running_loop().time()):
            return
        try:
            await in_loop(self._addresses.look_up(within_s))
        except AddressRefused as error:
            raise TargetRefused from error
        except (OSError, UnicodeError) as error:
            raise NotConnected from error

    async def call(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        connect_s: float,
        total_s: float,
        body_max_bytes: int,
    ) -> Response:
        """One call; of the answer's body no more is read than that. Raises CallFailed.

        Raises ValueError, before anything is sent, for a header that could be read as another.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        # RFC 9110 §8.6: a method that has content says so, even where there is none.
        size = len(body) if body is not None else None if method in {"GET", "DELETE"} else 0
        request = head(method, target, self._common, headers, size) + (body or b"")
        connection = self._take_idle(began_s)
        if connection is None:
            connection = await self._connect(loop, connect_s, began_s + total_s)
        self._busy.add(connection)
        deadline_s = began_s + total_s
        self._watch(loop, deadline_s)
        answered = connection.call(request, body_max_bytes=body_max_bytes, deadline_s=deadline_s)
        try:
            return await answered
        finally:
            self._busy.discard(connection)
            if not connection.usable or self._closed or self._retired:
                connection.close()
            else:
                connection.idle_since_s = loop.time()
                self._idle.append(connection)
                self._watch(loop, connection.idle_since_s + KEEP_ALIVE_S)

    def _take_idle(self, now_s: float) -> Connection | None:
        """The connection that was used last; those before it are let go by themselves."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and now_s - connection.idle_since_s < KEEP_ALIVE_S:
                return connection
            connection.close()
        return None

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, connect_s: float, deadline_s: float
    ) -> Connection:
        async def make() -> Connection:
            async with asyncio.timeout(min(connect_s, deadline_s - loop.time())):
                name = None if self._context is None else self._host
                return await self._addresses.connect(self._made, self._context, name)

        try:
            connection = await in_loop(make())
        except OSError as error:
            raise NotConnected from error
        if self._closed:
            connection.close()
            raise NotConnected
        if loop.time() >= deadline_s:
            connection.close()
            raise CallTimeout(sent=False)
        return connection

    def _made(self) -> Connection:
        return Connection(self._lost, secured=self._context is not None)

    def _lost(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def _watch(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        """One timer for all connections, so that a call costs none of its own."""
        if self._timer is not None:
            if self._timer.when() <= due_s:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due_s, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now_s = loop.time()
        for connection in [each for each in self._busy if each.deadline_s <= now_s]:
            connection.expire()
        while self._idle and now_s - self._idle[0].idle_since_s >= KEEP_ALIVE_S:
            self._idle.popleft().close()
        dues_s = [each.deadline_s for each in self._busy]
        if self._idle:
            dues_s.append(self._idle[0].idle_since_s + KEEP_ALIVE_S)
        if dues_s and not self._closed:
            self._watch(loop, min(dues_s))

    async def close(self) -> None:
        """Let go of all connections. Calls that are under way fail."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._idle.clear()
        # Transports close in the next turn of the loop.
        await in_loop(asyncio.sleep(0))


def looked_at(session: Session | None, url: str, tls: Tls) -> tuple[Session | None, Exchanges]:
    """The session to go on with, None for one that is still to be made, and what became of the files of
    ``tls``. Where others are taken, calls under way end by themselves. Does not raise."""
    if URL(url).scheme != "https":
        return session, ()
    made, found = look_again(tls, None if session is None else session.stamp)
    if session is None or made is None:
        return session, found
    session.retire()
    return None, found
