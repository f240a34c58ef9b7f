"""TLS as a client: whom to trust, who the bridge is, and what a failed handshake says.

Host names are always checked, and nothing older than TLS 1.2 is spoken.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from bridge.component import Options

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


class Tls(Options):
    """Certificates beside those that the system trusts."""

    ca: Path | None = Field(None, description="PEM file: trust only these authorities.")
    certificate: Path | None = Field(
        None, description="PEM file: the bridge's own certificate and its chain."
    )
    key: Path | None = Field(None, description="PEM file: the private key of the certificate.")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        return self


def client_context(tls: Tls) -> ssl.SSLContext:
    """What a connection is made with. Raises OSError where a file cannot be read or used."""
    context = ssl.create_default_context(cafile=tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is not None:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    return context


def untrusted(error: BaseException) -> str:
    """Why a server's certificate was not trusted, as a reason."""
    return _UNTRUSTED.get(getattr(error, "verify_code", 0), "tls-untrusted")


def client_certificate_refused(error: BaseException) -> bool:
    """Whether the server said by an alert that it does not take the bridge's certificate, or misses one."""
    seen: BaseException | None = error
    while seen is not None:
        for told in (seen, getattr(seen, "os_error", None)):
            reason = getattr(told, "reason", None) if isinstance(told, ssl.SSLError) else None
            if isinstance(reason, str) and reason.endswith(_CLIENT_CERTIFICATE_ALERTS):
                return True
        seen = seen.__cause__ or seen.__context__
    return False
