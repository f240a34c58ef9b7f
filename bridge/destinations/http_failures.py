"""What a call that got no response came to. What decides is whether a byte of it may have left."""

from __future__ import annotations

import ssl

import aiohttp

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.tls.client import client_certificate_refused, untrusted


class ConnectionLost(Exception):
    """A call broke after its connection was made; the cause says how.

    It stands outside aiohttp's own tree, because aiohttp repeats PUT and DELETE by itself when one of its
    own errors ends a reused connection, and whether to repeat is not for a library to decide.
    """


def classify_failure(error: BaseException, *, sent: bool, first_after_handshake: bool = False) -> Outcome:
    """The outcome of an attempt that ended in an error of aiohttp, `ConnectionLost` or OSError.

    ``sent`` is whether a byte of the request may have left. Only what is known to have had no effect
    is RETRY or HOLD; everything else is AMBIGUOUS. ``first_after_handshake`` tells that it was the first
    request of a TLS connection: under TLS 1.3 some servers refuse a client certificate, or its absence,
    by closing just then without an alert, so the reason names the moment.
    """
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Outcome(Verdict.HOLD, untrusted(error.certificate_error))
        case aiohttp.ClientConnectorSSLError():
            return _handshake(error)
        case aiohttp.ClientConnectorDNSError():
            return Outcome(Verdict.RETRY, "name-not-resolved")
        case aiohttp.ConnectionTimeoutError():
            return Outcome(Verdict.RETRY, "connect-timeout")
        case aiohttp.ClientConnectorError():
            return Outcome(Verdict.RETRY, "connect-failed")
    if client_certificate_refused(error):
        # The server checks the certificate before it reads the request (RFC 8446 §4.4.2.4), so nothing
        # has happened there, although under TLS 1.3 the request has left by then.
        return Outcome(Verdict.HOLD, "tls-client-certificate")
    if isinstance(error, TimeoutError):
        return Outcome(Verdict.AMBIGUOUS if sent else Verdict.RETRY, "request-timeout")
    if not sent:
        return Outcome(Verdict.RETRY, "disconnected")
    return Outcome(
        Verdict.AMBIGUOUS, "disconnected-after-handshake" if first_after_handshake else "disconnected"
    )


def _handshake(error: aiohttp.ClientConnectorSSLError) -> Outcome:
    if client_certificate_refused(error):
        return Outcome(Verdict.HOLD, "tls-client-certificate")
    if isinstance(error.os_error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Outcome(Verdict.RETRY, "connect-failed")
    return Outcome(Verdict.HOLD, "tls-handshake")
