"""What a call that got no response came to. What decides is whether a byte of it may have left."""

from __future__ import annotations

import socket
import ssl

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import TARGET_REFUSED
from bridge.tls.client import client_certificate_refused, untrusted


class CallFailed(Exception):
    """A call got no answer; the cause says how it broke. Never thrown directly."""


class NotConnected(CallFailed):
    """No connection could be made, so nothing was sent."""


class TargetRefused(CallFailed):
    """The target's name stands for an address that it may not have. Nobody was connected to."""


class ConnectionLost(CallFailed):
    """A connection broke after the request had left, or as it did.

    ``after_handshake`` tells that it was the first request of a TLS connection.
    """

    def __init__(self, *, after_handshake: bool = False) -> None:
        super().__init__("the connection was lost")
        self.after_handshake = after_handshake


class CallTimeout(CallFailed):
    """The time of a call ended before its answer came."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the time was up")
        self.sent = sent


def classify_failure(error: CallFailed) -> Outcome:
    """The outcome of an attempt that got no answer.

    Only what is known to have had no effect is RETRY or HOLD; everything else is AMBIGUOUS. Under TLS 1.3
    some servers refuse a client certificate, or its absence, by closing just after the handshake without an
    alert, so the reason names that moment.
    """
    if client_certificate_refused(error):
        # The server checks the certificate before it reads the request (RFC 8446 §4.4.2.4), so nothing
        # has happened there, although under TLS 1.3 the request has left by then.
        return Outcome(Verdict.HOLD, "tls-client-certificate")
    match error:
        case TargetRefused():
            return Outcome(Verdict.HOLD, TARGET_REFUSED)
        case NotConnected():
            return _not_connected(error.__cause__)
        case CallTimeout():
            return Outcome(Verdict.AMBIGUOUS if error.sent else Verdict.RETRY, "request-timeout")
        case ConnectionLost(after_handshake=True):
            return Outcome(Verdict.AMBIGUOUS, "disconnected-after-handshake")
    return Outcome(Verdict.AMBIGUOUS, "disconnected")


def _not_connected(cause: BaseException | None) -> Outcome:
    match cause:
        case ssl.SSLCertVerificationError():
            return Outcome(Verdict.HOLD, untrusted(cause))
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return Outcome(Verdict.RETRY, "connect-failed")
        case ssl.SSLError():
            return Outcome(Verdict.HOLD, "tls-handshake")
        case socket.gaierror():
            return Outcome(Verdict.RETRY, "name-not-resolved")
        case TimeoutError():
            return Outcome(Verdict.RETRY, "connect-timeout")
    return Outcome(Verdict.RETRY, "connect-failed")
