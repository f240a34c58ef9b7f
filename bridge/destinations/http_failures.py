"""What a call that got no response came to. What decides is whether a byte of it may have left."""

from __future__ import annotations

import ssl
from typing import Final

import aiohttp

from bridge.delivery.outcomes import Outcome, Verdict

_UNTRUSTED: Final = {
    9: "tls-untrusted-not-yet-valid",
    10: "tls-untrusted-expired",
    62: "tls-untrusted-wrong-host",
    64: "tls-untrusted-wrong-host",
}
"""Reasons by OpenSSL's X509_V_ERR code; all others are ``tls-untrusted``."""

_CLIENT_CERTIFICATE_ALERTS: Final = (
    "CERTIFICATE_REQUIRED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNKNOWN_CA",
    "ALERT_ACCESS_DENIED",
)
"""Alerts of RFC 8446 §6.2 by which a server refuses the client's certificate, or its absence."""


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
            code = getattr(error.certificate_error, "verify_code", 0)
            return Outcome(Verdict.HOLD, _UNTRUSTED.get(code, "tls-untrusted"))
        case aiohttp.ClientConnectorSSLError():
            return _handshake(error)
        case aiohttp.ClientConnectorDNSError():
            return Outcome(Verdict.RETRY, "name-not-resolved")
        case aiohttp.ConnectionTimeoutError():
            return Outcome(Verdict.RETRY, "connect-timeout")
        case aiohttp.ClientConnectorError():
            return Outcome(Verdict.RETRY, "connect-failed")
    if _client_certificate_refused(error):
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
    if _client_certificate_refused(error):
        return Outcome(Verdict.HOLD, "tls-client-certificate")
    if isinstance(error.os_error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Outcome(Verdict.RETRY, "connect-failed")
    return Outcome(Verdict.HOLD, "tls-handshake")


def _client_certificate_refused(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        for told in (seen, getattr(seen, "os_error", None)):
            reason = getattr(told, "reason", None) if isinstance(told, ssl.SSLError) else None
            if isinstance(reason, str) and reason.endswith(_CLIENT_CERTIFICATE_ALERTS):
                return True
        seen = seen.__cause__ or seen.__context__
    return False
