"""The MLLP listener: who may connect, how much all connections may hold, and what they are told by.

What a connection does is in `mllp_connection`; TLS, its files and who may connect have files of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import structlog
from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorTime
from twisted.internet.protocol import Factory

from bridge.component import Component
from bridge.errors import PeerUnavailable
from bridge.message import Microseconds, Received
from bridge.tls.client import Exchanges
from bridge.transports.base import Answer, Flaw, Intake
from bridge.transports.mllp_client import ListenerOfSender
from bridge.transports.mllp_connection import MllpConnection
from bridge.transports.mllp_handshake import REFUSALS, TlsPort
from bridge.transports.mllp_options import MllpOptions
from bridge.transports.mllp_peers import FULL, Guests, Rationed
from bridge.transports.mllp_tls import Secrets, TlsFiles, no_secrets

log = structlog.get_logger("bridge.mllp")


class MllpListener(Factory):
    """One listening port of one channel. `start` it; a drained one cannot be started again."""

    noisy = False
    connection: type[MllpConnection] = MllpConnection
    """What is made for each connection."""

    def __init__(
        self,
        channel: str,
        options: MllpOptions,
        intake: Intake,
        *,
        reactor: IReactorTime,
        now_us: Callable[[], Microseconds],
        secrets: Secrets = no_secrets,
        tell_refused: Callable[[str], None] = lambda reason: None,  # noqa: ARG005
    ) -> None:
        """Raises CertificateRefused and SecretUnavailable where the files of ``tls`` cannot be used."""
        self.channel, self.options, self.intake, self.reactor = channel, options, intake, reactor
        self._secrets = secrets
        self._tls = None if options.tls is None else TlsFiles(channel, options.tls, secrets, now_us)
        self._next_tls = self._tls
        self._tell_refused, self._told = tell_refused, Rationed(reactor)
        self.unanswered_bytes = self._made = 0
        self.draining = False
        self.dropped: Counter[str] = Counter()
        """Connections refused or cut, by reason."""
        self._now_us = now_us
        self._open: dict[MllpConnection, None] = {}
        """In the order in which they came, so that what is done to all is done in a known order."""
        self._guests = Guests()
        self.use(options)
        self._port: IListeningPort | None = None
        self._all_closed: Deferred[None] | None = None

    async def start(self) -> IListeningPort:
        """Listen. Raises twisted.internet.error.CannotListenError where the port is taken."""
        port = self if self._tls is None else TlsPort(self._context, self, self.reactor)
        self._port = await serverFromString(self.reactor, self.options.listen).listen(port)
        return self._port

    def prepare(self, options: MllpOptions) -> bool:
        """Read the files of another ``tls``, as `Listener` says; False where ``listen`` is another."""
        if options.listen != self.options.listen:
            return False
        self._next_tls = self._tls
        if options.tls == self.options.tls:
            return True
        if options.tls is None or self._tls is None:
            raise PeerUnavailable(
                f"TLS cannot begin or end on the open port {options.listen}: "
                f"`bridge pause {self.channel} --intake`, reload, and resume"
            )
        self._next_tls = TlsFiles(self.channel, options.tls, self._secrets, self._now_us)
        return True

    def use(self, options: MllpOptions) -> None:
        """Take these options: limits from the next block on, all else with new connections."""
        self.options, self._tls = options, self._next_tls
        self.handshake_s = 0.0 if options.tls is None else options.tls.handshake
        self._guests.limit(
            options.allow_from, most=options.max_connections, most_of_one=options.max_connections_per_peer
        )

    def _context(self) -> SSL.Context:
        assert self._tls is not None, "a port without TLS asks for no context"
        return self._tls.current()

    def look_at_certificates(self) -> Exchanges:
        """Take for new connections what has changed in the files of ``tls``; open ones stay as they are."""
        return () if self._tls is None else self._tls.look_again()

    @property
    def certificates_end_s(self) -> Mapping[str, float]:
        """As `Listener` says."""
        return {} if self._tls is None else self._tls.ends_s

    @property
    def certificates_not_reloaded(self) -> str:
        """As `Listener` says."""
        return "" if self._tls is None else self._tls.not_reloaded

    def refused(self, peer: str, reason: str, certificate: str = "") -> None:
        """A peer is refused before its first message: count it, and say so unless it is said too often."""
        assert reason in REFUSALS, reason
        self.dropped[reason] += 1
        self._tell_refused(reason)
        self._told.tell_refused(log, self.channel, peer, reason, certificate)

    @property
    def connections(self) -> int:
        """How many senders are connected."""
        return len(self._open)

    def take(
        self, peer: str, body: bytes, flaw: Flaw | None, tolerated: tuple[str, ...], connection: int = 0
    ) -> Deferred[Answer]:
        """Hand one block to the spine."""
        received = Received(self.channel, body, self._now_us(), peer, tolerated, connection)
        return self.intake.take(received, flaw)

    def buildProtocol(self, addr: IAddress | None) -> MllpConnection | None:
        """A connection for a peer that may have one, None for any other."""
        host = addr.host if isinstance(addr, IPv4Address | IPv6Address) else ""
        reason = "draining" if self.draining else self._guests.refusal(host)
        if reason in FULL and self._stale_one_gives_way(host):
            reason = self._guests.refusal(host)
        if reason is not None:
            log.warning("connection-refused", channel=self.channel, peer=host, reason=reason)
            self.dropped[reason] += 1
            return None
        connection = self.connection()
        self._made += 1
        connection.number = self._made
        connection.listener, connection.host, connection.peer = self, host, host
        connection.known = self._tls is None
        return connection

    def _stale_one_gives_way(self, host: str) -> bool:
        """Close the connection of a host that was silent longest, where that is long enough."""
        after_s = self.options.stale_after
        of_host = [each for each in self._open if each.host == host]
        stalest = max(of_host, key=lambda each: each.silent_s, default=None)
        if after_s is None or stalest is None or stalest.silent_s < after_s:
            return False
        stalest.give_way()
        return True

    def opened(self, connection: MllpConnection) -> None:
        """A connection came up."""
        self._open[connection] = None
        self._guests.came(connection.host)

    def closed(self, connection: MllpConnection) -> None:
        """A connection is gone."""
        if connection not in self._open:
            return  # it has given way already
        del self._open[connection]
        self._guests.left(connection.host)
        if self._all_closed is not None and not self._open:
            done, self._all_closed = self._all_closed, None
            done.callback(None)

    def quiet(self, connection: MllpConnection) -> None:
        """A connection has nothing left to say."""
        if self.draining and connection.connected:
            connection.transport.loseConnection()

    async def drain(self) -> None:
        """Listen and read no more, let answers leave, and close; after ``options.drain`` cut what is left."""
        self.draining = True
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        for connection in tuple(self._open):
            connection.drain()
        if self._open:
            closed: Deferred[None] = Deferred()
            self._all_closed = closed
            cut = self.reactor.callLater(self.options.drain, self._cut)
            await closed
            if cut.active():
                cut.cancel()

    def _cut(self) -> None:
        for connection in tuple(self._open):
            connection.transport.abortConnection()


COMPONENT = Component(
    kind="transport",
    name="mllp",
    summary="Listens for HL7 v2 over MLLP and answers once the message is journaled.",
    options=MllpOptions,
    example='listen: "tcp:2575"\nmax_block: 16MiB\nidle: 1h\nallow_from: [10.1.0.0/16, "::1"]\n',
    build=MllpListener,
    back_channel=ListenerOfSender,
)
