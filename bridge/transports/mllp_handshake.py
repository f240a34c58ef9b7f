"""The handshake on an MLLP listener: who a sender is, or in one word why it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from zope.interface import implementer

from bridge.tls.certificates import UNREADABLE, is_authority, shown, shown_name, weakness
from bridge.tls.names import allowed_name, names_of

REFUSALS: Final = {
    "tls-no-certificate": "The sender shows no certificate.",
    "tls-unknown-ca": "Nobody of `client_ca` issued its certificate, or it leaves out what stands between.",
    "tls-self-signed": "Its certificate is signed by itself.",
    "tls-bad-signature": "Its certificate names an authority of `client_ca`, which has not signed it.",
    "tls-expired": "Its certificate, or one between, has expired.",
    "tls-not-yet-valid": "Its certificate, or one between, is not valid yet: see both clocks.",
    "tls-wrong-purpose": "Its certificate is not for clients (extended key usage clientAuth).",
    "tls-weak-key": "A key is too weak: RSA below 2048 bits, a curve below P-256, DSA.",
    "tls-weak-signature": "A signature is made with SHA-1 or MD5.",
    "tls-authority-as-peer": "Its certificate is that of an authority, and not one of a sender.",
    "tls-issuer-not-authority": "What issued its certificate is no authority, or may not issue so far down.",
    "tls-peer-not-allowed": "Its certificate has no name that `peers` allows.",
    "tls-revoked": "Its certificate is revoked.",
    "tls-revocation-unknown": "`crl` has no valid list of the authority that issued its certificate.",
    "tls-bad-certificate": "Its certificate cannot be read, or breaks a rule without a word here.",
    "tls-version": "It offers only versions of TLS that are not taken.",
    "tls-no-shared-cipher": "It offers no cipher, curve or signature that is taken.",
    "tls-not-trusted-by-peer": "It refuses the listener's certificate: see whom it trusts and what it calls.",
    "tls-handshake": "The handshake failed in another way.",
    "tls-handshake-cut": "It went away in the middle of the handshake.",
    "tls-handshake-timeout": "It took longer than `handshake`.",
    "tls-plain-text": "It speaks MLLP, or HTTP where that is taken, without TLS.",
    "http-on-mllp-port": "It speaks HTTP.",
    "tls-not-tls": "It speaks something else.",
    "tls-on-plain-port": "It speaks TLS, and the listener has no `tls`.",
}
"""Why a sender is refused before its first message: every word, and what it means."""

_BY_VERIFY_CODE: Final = {
    2: "tls-unknown-ca",
    3: "tls-revocation-unknown",
    7: "tls-bad-signature",
    9: "tls-not-yet-valid",
    10: "tls-expired",
    11: "tls-revocation-unknown",
    12: "tls-revocation-unknown",
    18: "tls-self-signed",
    19: "tls-unknown-ca",
    20: "tls-unknown-ca",
    21: "tls-unknown-ca",
    23: "tls-revoked",
    24: "tls-issuer-not-authority",
    25: "tls-issuer-not-authority",
    26: "tls-wrong-purpose",
    32: "tls-issuer-not-authority",
    66: "tls-weak-key",
    67: "tls-weak-key",
    68: "tls-weak-signature",
    79: "tls-issuer-not-authority",
}
"""By OpenSSL's X509_V_ERR codes (x509_vfy.h)."""

_BY_REASON: Final = (
    ("peer did not return a certificate", "tls-no-certificate"),
    ("unsupported protocol", "tls-version"),
    ("version too low", "tls-version"),
    ("no protocols available", "tls-version"),
    ("wrong version number", "tls-version"),
    ("no shared cipher", "tls-no-shared-cipher"),
    ("no suitable", "tls-no-shared-cipher"),
    ("no shared group", "tls-no-shared-cipher"),
    ("no common signature algorithms", "tls-no-shared-cipher"),
    ("wrong signature type", "tls-no-shared-cipher"),
    ("ca md too weak", "tls-weak-signature"),
    ("key too small", "tls-weak-key"),
    ("alert unknown ca", "tls-not-trusted-by-peer"),
    ("alert bad certificate", "tls-not-trusted-by-peer"),
    ("alert certificate", "tls-not-trusted-by-peer"),
    ("alert unsupported certificate", "tls-not-trusted-by-peer"),
    ("alert access denied", "tls-not-trusted-by-peer"),
    ("alert protocol version", "tls-version"),
    ("unexpected eof", "tls-handshake-cut"),
)
"""By what OpenSSL's texts contain."""

TLS_HANDSHAKE_RECORD: Final = 0x16
START_BLOCK: Final = 0x0B
_METHODS: Final = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"PRI ", b"DELE", b"TRAC")
BEGINNING_BYTES: Final = 4


def speaks(beginning: bytes) -> Literal["tls", "mllp", "http", "other", "unknown"]:
    """What a peer speaks, by its first bytes; unknown until they tell.

    >>> speaks(b"GET /"), speaks(b"\\x16\\x03\\x01"), speaks(b"\\x0bMSH"), speaks(b"GE")
    ('http', 'tls', 'mllp', 'unknown')
    """
    if not beginning:
        return "unknown"
    if beginning[0] == START_BLOCK:
        return "mllp"
    if beginning[0] == TLS_HANDSHAKE_RECORD:
        # The version of the record layer follows, 3.x in every TLS (RFC 8446 §5.1).
        return "unknown" if len(beginning) == 1 else "tls" if beginning[1] == 3 else "other"
    if beginning.startswith(_METHODS):
        return "http"
    cut = beginning[:BEGINNING_BYTES]
    if len(cut) < BEGINNING_BYTES and any(method.startswith(cut) for method in _METHODS):
        return "unknown"
    return "other"


class Shaking:
    """What is known of one handshake: the peer's ``name``, or why it is refused and for which certificate."""

    __slots__ = ("certificate", "name", "refusal")

    def __init__(self) -> None:
        self.name = self.refusal = self.certificate = ""


def verification(
    peers: frozenset[str],
) -> Callable[[SSL.Connection, crypto.X509, int, int, int], bool]:
    """A callback for OpenSSL, which calls it for each certificate of a chain, the peer's own last.

    It adds to OpenSSL's own checks what these leave out, and notes on the connection what it found.
    """

    def verify(connection: SSL.Connection, found: crypto.X509, code: int, depth: int, good: int) -> bool:
        shaking = connection.get_app_data().shaking
        refusal = "" if good else _BY_VERIFY_CODE.get(code, "tls-bad-certificate")
        try:
            certificate = found.to_cryptography()
            refusal = refusal or _flaw(certificate, depth, peers, shaking)
            claims = f"{shown(certificate)}, issued by {shown_name(certificate.issuer)}"
        except UNREADABLE:
            refusal, claims = refusal or "tls-bad-certificate", "(unreadable)"
        if refusal and not shaking.refusal:
            shaking.refusal, shaking.certificate = refusal, claims
        return not refusal

    return verify


def _flaw(certificate: x509.Certificate, depth: int, peers: frozenset[str], shaking: Shaking) -> str:
    """What is wrong with a certificate that OpenSSL takes, as a refusal; else the peer's name is noted."""
    if (weak := weakness(certificate)) is not None:
        return f"tls-{weak}"
    if depth > 0:
        # OpenSSL also takes for authorities what only looks like one by its age or key usage.
        return "" if is_authority(certificate) else "tls-issuer-not-authority"
    if is_authority(certificate):
        return "tls-authority-as-peer"
    names = names_of(certificate)
    if peers and (allowed := allowed_name(names, peers)) is None:
        return "tls-peer-not-allowed"
    shaking.name = (allowed if peers else next(iter(names), None)) or "certificate-without-name"
    return ""


def refusal_of(error: BaseException | None) -> str:
    """The refusal that an error of the handshake amounts to, where verification has said nothing."""
    queue: Any = error.args[0] if isinstance(error, SSL.Error) and error.args else None
    if not isinstance(queue, list) or not queue:
        return "tls-handshake-cut"
    text = " ".join(str(entry[-1]) for entry in queue).casefold()
    return next((refusal for part, refusal in _BY_REASON if part in text), "tls-handshake")


class LookingTls(BufferingTLSTransport):
    """TLS between a socket and what is taken there; looks at the first bytes before OpenSSL does."""

    plain: Mapping[str, str] = MappingProxyType({})
    """By what a peer speaks without TLS: the refusal, other than `tls-not-tls`."""

    def __init__(self, factory: Any, wrapped: Protocol, connect: bool = True) -> None:
        super().__init__(factory, wrapped, connect)
        self.shaking = Shaking()
        self.heard = False
        self._beginning: bytes | None = b""

    def _decrypt(self, data: bytes) -> None:
        received: Any = super().dataReceived
        received(data)

    def dataReceived(self, data: bytes) -> None:
        """Hand bytes to TLS, once it is clear that they are TLS."""
        self.heard = True
        if self._beginning is None:
            self._decrypt(data)
            return
        self._beginning += data
        spoken = speaks(self._beginning)
        if spoken == "unknown":
            return
        if spoken == "tls":
            beginning, self._beginning = self._beginning, None
            self._decrypt(beginning)
            return
        self.shaking.refusal = self.plain.get(spoken, "tls-not-tls")
        # What was said is kept no longer: it may be a message, and nobody may take it.
        self._beginning = b""
        cut: Any = self.abortConnection
        cut()


class TlsConnection(LookingTls):
    """TLS between a socket and an `MllpConnection`."""

    plain = MappingProxyType({"mllp": "tls-plain-text", "http": "http-on-mllp-port"})

    def loseConnection(self) -> None:
        """Send what was written and the end of TLS; do not wait for the peer's (RFC 8446 §6.1)."""
        no_producer: Any = self.unregisterProducer
        no_producer()
        super().loseConnection()
        if self.transport is not None and not self._aborted:
            self.transport.loseConnection()


@implementer(IOpenSSLServerConnectionCreator)
class _Creator:
    def __init__(self, current: Callable[[], SSL.Context]) -> None:
        self._current = current

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._current(), None)
        connection.set_app_data(protocol)
        return connection


class TlsPort(TLSMemoryBIOFactory):
    """Wraps a listener's factory: ``current`` gives the context of each new connection."""

    protocol: type[LookingTls] = TlsConnection

    def __init__(self, current: Callable[[], SSL.Context], wrapped: Factory, clock: IReactorTime) -> None:
        super().__init__(_Creator(current), False, wrapped, clock)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection, or None where the listener wants none from there."""
        build: Any = self.wrappedFactory.buildProtocol
        inner = build(addr)
        return None if inner is None else self.protocol(self, inner)
