"""The other end of MLLP: a connection that we open, on which one block at a time is sent and confirmed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Protocol as Shape

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TimeIsUp
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Client
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.errors import PeerSilent, PeerUnavailable
from bridge.formats.mllp_framing import Block, MllpFraming, frame
from bridge.transports.mllp_addresses import split_address

CONNECT_MAX_S = 10.0
ANSWER_MAX_S = 10.0
"""How long a listener may take to confirm."""
ANSWER_MAX_BYTES = 64 * 1024
STRAY_MAX_BLOCKS = 100
"""Blocks that are no answer to what was sent, before a peer is hung up on."""
JUNK_MAX_BYTES = 4096

Matches = Callable[[bytes], bool]


class Over(Shape):
    """TLS for one connection, which knows why it broke."""

    @property
    def creator(self) -> IOpenSSLClientConnectionCreator:
        """What begins it."""
        ...

    def failure(self, error: BaseException | None, *, begun: bool) -> PeerUnavailable | None:
        """What to raise where TLS has broken the connection; ``begun`` once both sides have agreed on it."""
        ...


@implementer(IHandshakeListener)
class MllpClient(Protocol):
    """One connection to a listener. Make it with `connect`."""

    transport: Client

    def __init__(self, over: Over | None = None) -> None:
        self._over = over
        self.ready: Deferred[None] = Deferred(lambda _: self.hang_up())
        """Over TLS: once both sides have agreed. Fails with PeerUnavailable."""
        self._framing = MllpFraming(ANSWER_MAX_BYTES)
        self._matches: Matches = lambda _block: False
        self._answer: Deferred[bytes] | None = None
        self._timer: IDelayedCall | None = None
        self._stray = 0

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)

    def handshakeCompleted(self) -> None:
        """TLS has begun."""
        self.ready.callback(None)

    @property
    def asking(self) -> bool:
        """Whether an answer is awaited."""
        return self._answer is not None

    def allow(self, answer_max_bytes: int) -> None:
        """Take larger answers from now on, as responses to queries are."""
        self._framing = MllpFraming(answer_max_bytes)

    def ask(self, block: bytes, matches: Matches, *, within_s: float, reactor: Any) -> Deferred[bytes]:
        """Send a block; the first one that comes back and ``matches``. Others are let go.

        Fails with PeerSilent where none comes in time or the connection is closed, and closes it then:
        an answer that comes later would be taken for another's. One block at a time.
        """
        assert self._answer is None, "one block at a time"
        answer: Deferred[bytes] = Deferred(self._forget)
        if not self.connected:
            answer.errback(PeerSilent("the connection was closed"))
            return answer
        self._answer, self._matches, self._stray = answer, matches, 0
        self._timer = reactor.callLater(within_s, self._fail, PeerSilent(f"no answer within {within_s:g} s"))
        self.transport.write(frame(block))
        return answer

    def dataReceived(self, data: bytes) -> None:
        events = self._framing.feed(data)
        if self._framing.may_end_now:
            # Some listeners leave the CR out, and nothing else of theirs is awaited.
            events += self._framing.end_now()
        for event in events:
            if isinstance(event, Block) and self._answer is not None and self._matches(event.body):
                self._end().callback(event.body)
            else:
                self._stray += 1
        if self._stray > STRAY_MAX_BLOCKS or self._framing.skipped_bytes > JUNK_MAX_BYTES:
            self._fail(PeerSilent("it sends what is no answer"))

    def _forget(self, _cancelled: Deferred[bytes]) -> None:
        """The asker has gone: an answer that still comes must not be taken for another's."""
        self._end()
        self.hang_up()

    def hang_up(self) -> None:
        """Close at once; nothing more is asked on it."""
        if self.connected:
            self.connected = 0
            self.transport.abortConnection()

    def _end(self) -> Deferred[bytes]:
        assert self._answer is not None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        answer, self._answer, self._timer = self._answer, None, None
        return answer

    def _fail(self, why: PeerUnavailable) -> None:
        self.hang_up()
        if self._answer is not None:
            self._end().errback(why)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.connected = 0
        begun = self._over is None or self.ready.called
        why = None if self._over is None else self._over.failure(reason.value, begun=begun)
        self._fail(why or PeerSilent("the connection was closed without an answer"))
        if not begun:
            self.ready.errback(why or PeerUnavailable("the connection was closed before TLS had begun"))


async def connect(
    reactor: Any, host: str, port: int, *, within_s: float, over: Over | None = None
) -> MllpClient:
    """A connection to a listener, ``over`` TLS where that is given, which has begun then. Raises
    PeerUnavailable where there is none in time."""
    endpoint: Any = HostnameEndpoint(reactor, host, port, timeout=within_s)
    if over is not None:
        endpoint = wrapClientTLS(over.creator, endpoint)
    client = MllpClient(over)

    async def begin() -> None:
        await connectProtocol(endpoint, client)
        if over is not None:
            await client.ready

    try:
        await Deferred.fromCoroutine(begin()).addTimeout(within_s, reactor)
    except TimeIsUp:
        what = "no connection" if over is None else "no connection with TLS"
        raise PeerUnavailable(f"cannot connect to {host}:{port}: {what} within {within_s:g} s") from None
    except PeerUnavailable as error:
        raise PeerUnavailable(f"no TLS with {host}:{port}: {error}") from None
    except (ConnectError, OSError) as error:
        raise PeerUnavailable(f"cannot connect to {host}:{port}: {type(error).__name__}") from error
    return client


class ListenerOfSender:
    """The sender's listener at ``tcp:HOST:PORT``, connected to when there is something to say."""

    def __init__(self, address: str, reactor: Any, *, answer_max_s: float = ANSWER_MAX_S) -> None:
        self._host, self._port = split_address(address)
        self._reactor, self._answer_max_s = reactor, answer_max_s
        self._client: MllpClient | None = None

    async def ask(self, answer: bytes, matches: Matches) -> bytes:
        """See `BackChannel.ask`."""
        client = self._client
        if client is None or not client.connected:
            client = await connect(self._reactor, self._host, self._port, within_s=CONNECT_MAX_S)
            self._client = client
        return await client.ask(answer, matches, within_s=self._answer_max_s, reactor=self._reactor)

    def hang_up(self) -> None:
        """See `BackChannel.hang_up`."""
        if self._client is not None:
            self._client.hang_up()
