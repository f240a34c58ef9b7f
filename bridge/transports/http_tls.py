"""TLS before what speaks HTTP: who does not get through the handshake is told of, as on an MLLP listener."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import structlog
from OpenSSL import SSL
from twisted.internet.interfaces import IAddress, IDelayedCall, IHandshakeListener
from twisted.internet.protocol import Factory
from zope.interface import alsoProvides

from bridge.transports.mllp_handshake import LookingTls, TlsPort, refusal_of
from bridge.transports.mllp_peers import Rationed

log = structlog.get_logger("bridge.http_in")


class _Tls(LookingTls):
    """TLS to a sender whose certificate is looked at as that of an MLLP sender is."""

    plain = MappingProxyType({"http": "tls-plain-text"})
    late: IDelayedCall | None = None
    known = False

    def begun(self) -> None:
        """The handshake is over, and the sender known."""
        self.known = True
        self._in_time()

    def too_late(self) -> None:
        """It takes longer than `handshake`."""
        self.shaking.refusal = self.shaking.refusal or "tls-handshake-timeout"
        cut: Any = self.abortConnection
        cut()

    def refusal(self, error: BaseException | None) -> str:
        """Why the connection ended before its sender was known; empty for a probe that says nothing, and
        where we have closed it ourselves."""
        self._in_time()
        if self.known:
            return ""
        ours = self.disconnecting or not self.heard
        return self.shaking.refusal or ("" if ours else refusal_of(error))

    def _in_time(self) -> None:
        if self.late is not None and self.late.active():
            self.late.cancel()


class HttpTlsPort(TlsPort):
    """Wraps a factory of HTTP. Whoever is not known ``handshake_s`` after connecting is cut off.

    ``tell_refused`` hears of each that is refused, and the log under ``name``, unless it is said too often.
    """

    protocol = _Tls

    def __init__(
        self,
        current: Callable[[], SSL.Context],
        wrapped: Factory,
        reactor: Any,
        name: str,
        handshake_s: float,
        tell_refused: Callable[[str], None] = lambda reason: None,  # noqa: ARG005
    ) -> None:
        super().__init__(current, wrapped, reactor)
        self._reactor, self._name, self._handshake_s = reactor, name, handshake_s
        self._tell_refused, self._told = tell_refused, Rationed(reactor)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection, or None where the factory wants none from there."""
        made = super().buildProtocol(addr)
        if made is None:
            return None
        inner, host = made.wrappedProtocol, getattr(addr, "host", "")
        lost = inner.connectionLost

        def connection_lost(reason: Any) -> None:
            if refusal := made.refusal(reason.value):
                self._refused(host, refusal, made.shaking.certificate)
            lost(reason)

        inner.connectionLost = connection_lost
        inner.handshakeCompleted = made.begun
        alsoProvides(inner, IHandshakeListener)
        made.late = self._reactor.callLater(self._handshake_s, made.too_late)
        return made

    def _refused(self, peer: str, reason: str, certificate: str) -> None:
        self._tell_refused(reason)
        self._told.tell_refused(log, self._name, peer, reason, certificate)
