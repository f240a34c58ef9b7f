"""TLS as a client: whom to trust, who the bridge is, and what a failed handshake says.

Host names are always checked, and nothing older than TLS 1.2 is spoken.
"""

from __future__ import annotations

import ssl
from typing import Final, Self

from pydantic import Field, model_validator

from bridge.component import Options
from bridge.errors import CertificateRefused
from bridge.tls.certificates import Own, certificates_in, own_pair, read_file
from bridge.units import SiteFile

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!aDSS:@SECLEVEL=2"
"""Of TLS 1.2: forward secrecy and authenticated encryption only; level 2 refuses RSA below 2048 and SHA-1."""

_UNTRUSTED: Final = {
    9: "tls-untrusted-not-yet-valid",
    10: "tls-untrusted-expired",
    18: "tls-untrusted-self-signed",
    24: "tls-untrusted-issuer-not-authority",
    25: "tls-untrusted-issuer-not-authority",
    26: "tls-untrusted-wrong-purpose",
    32: "tls-untrusted-issuer-not-authority",
    62: "tls-untrusted-wrong-host",
    64: "tls-untrusted-wrong-host",
    66: "tls-untrusted-weak-key",
    67: "tls-untrusted-weak-key",
    68: "tls-untrusted-weak-signature",
    79: "tls-untrusted-issuer-not-authority",
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

    ca: SiteFile | None = Field(None, description="PEM file: trust only these authorities.")
    certificate: SiteFile | None = Field(
        None, description="PEM file: the bridge's own certificate and its chain."
    )
    key: SiteFile | None = Field(None, description="PEM file: the private key of the certificate.")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        return self


def client_context(tls: Tls) -> ssl.SSLContext:
    """A context that verifies the server's certificate and its name. Raises OSError where a file of ``tls``
    cannot be read or used."""
    context = ssl.create_default_context(cafile=tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    if tls.ca is not None:
        # What the site names is trusted as it stands, also an intermediate without its root.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if tls.certificate is not None:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    return context


Stamp = tuple[tuple[int, int, int] | None, ...]


def stamp(tls: Tls) -> Stamp:
    """What tells whether the files of ``tls`` are other ones than before; None for one that is not there."""
    found: list[tuple[int, int, int] | None] = []
    for file in (tls.ca, tls.certificate, tls.key):
        try:
            seen = None if file is None else file.stat()
        except OSError:
            seen = None
        found.append(None if seen is None else (seen.st_mtime_ns, seen.st_size, seen.st_ino))
    return tuple(found)


def context_or_why(tls: Tls) -> ssl.SSLContext:
    """`client_context`, for a person. Raises CertificateRefused, which says what to look at."""
    try:
        return client_context(tls)
    except OSError:
        raise why_unusable(tls) from None


def own_of(tls: Tls) -> Own | None:
    """Who ``tls`` says that the bridge is; None where it does not. Raises CertificateRefused."""
    if tls.certificate is None or tls.key is None:
        return None
    certificate, key = read_file(tls.certificate), read_file(tls.key).decode(errors="surrogateescape")
    try:
        return own_pair(certificate, tls.certificate, key, str(tls.key), None)
    except CertificateRefused as refused:
        if refused.reason != "wrong-password":
            raise
        text = f"{tls.key} is encrypted: write it without a password, for the bridge's user alone to read"
        raise CertificateRefused(refused.reason, text) from None


def ends_of(tls: Tls) -> dict[str, float]:
    """When each of the files of ``tls`` ends, in seconds since 1970: of ``ca`` the last authority, of
    ``certificate`` the first that does. Raises CertificateRefused."""
    ends_s: dict[str, float] = {}
    if tls.ca is not None:
        trusted = certificates_in(read_file(tls.ca), tls.ca)
        ends_s["ca"] = max(each.not_valid_after_utc.timestamp() for each in trusted)
    if (own := own_of(tls)) is not None:
        ends_s["certificate"] = own.ends_s
    return ends_s


def why_unusable(tls: Tls) -> CertificateRefused:
    """Which of the files of ``tls`` OpenSSL does not take, and why, as far as it can be told."""
    try:
        if tls.ca is not None:
            certificates_in(read_file(tls.ca), tls.ca)
        own_of(tls)
    except CertificateRefused as refused:
        return refused
    files = ", ".join(str(each) for each in (tls.ca, tls.certificate, tls.key) if each is not None)
    return CertificateRefused("unusable", f"{files} cannot be used: TLS does not take them")


Exchanges = tuple[str, ...]
"""Of files of TLS that are other ones than before, for each set: why it is not in use, empty where it is."""


def look_again(tls: Tls | None, before: Stamp | None) -> tuple[ssl.SSLContext | None, Exchanges]:
    """A context of the files of ``tls`` where they are others than at ``before``, and what became of them.

    ``before`` is None where none of them is in use: then only is told what cannot be used. Does not raise.
    """
    if tls is None or not (tls.ca or tls.certificate) or stamp(tls) == before:
        return None, ()
    try:
        made = context_or_why(tls)
    except CertificateRefused as refused:
        return None, (str(refused),)  # half of an exchange, perhaps; what was read stays good
    return (None, ()) if before is None else (made, ("",))


def untrusted(error: BaseException) -> str:
    """Why a server's certificate was not trusted, as a reason."""
    return untrusted_by(getattr(error, "verify_code", 0))


def untrusted_by(code: int) -> str:
    """The reason that an X509_V_ERR code of OpenSSL amounts to."""
    return _UNTRUSTED.get(code, "tls-untrusted")


def refuses_certificate(alert: str) -> bool:
    """Whether OpenSSL's name or text of an alert means that a client's certificate, or none, is not taken."""
    return alert.upper().replace(" ", "_").endswith(_CLIENT_CERTIFICATE_ALERTS)


def client_certificate_refused(error: BaseException) -> bool:
    """Whether the server said by an alert that it does not take the bridge's certificate, or misses one."""
    seen: BaseException | None = error
    while seen is not None:
        for told in (seen, getattr(seen, "os_error", None)):
            reason = getattr(told, "reason", None) if isinstance(told, ssl.SSLError) else None
            if isinstance(reason, str) and refuses_certificate(reason):
                return True
        seen = seen.__cause__ or seen.__context__
    return False
