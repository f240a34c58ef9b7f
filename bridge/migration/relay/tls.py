"""TLS to the old engine, and from a tap to where its output goes on, by the rules of calls to APIs."""

from __future__ import annotations

from typing import Any, Final

from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from bridge.destinations.reasons import advice
from bridge.errors import CertificateRefused, PeerSilent, PeerUnavailable
from bridge.tls.certificates import UNREADABLE
from bridge.tls.client import (
    CIPHERS,
    Tls,
    context_or_why,
    own_of,
    refuses_certificate,
    untrusted_by,
    why_unusable,
)
from bridge.transports.mllp_tls import present

_OTHER_HOST: Final = 62
"""X509_V_ERR_HOSTNAME_MISMATCH, which OpenSSL says where it compares names itself."""


def tls_to(host: str, tls: Tls) -> TlsTo:
    """What begins TLS with a host on one connection. The files are read now.

    Raises PeerUnavailable where they cannot be used, with the file that is at fault.
    """
    try:
        # What calls to APIs would not take is refused here too.
        rules = context_or_why(tls)
        return TlsTo(host, _context(tls, rules.verify_flags))
    except CertificateRefused as refused:
        raise PeerUnavailable(str(refused)) from None
    except UnicodeError:
        raise PeerUnavailable(f"{host} cannot be the name of a host") from None
    except (SSL.Error, crypto.Error, OSError):
        raise PeerUnavailable(str(why_unusable(tls))) from None


def _context(tls: Tls, verify_flags: int) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS.encode())
    context.set_options(SSL.OP_NO_COMPRESSION)
    if tls.ca is None:
        context.set_default_verify_paths()
    else:
        context.load_verify_locations(str(tls.ca))
    store = context.get_cert_store()
    assert store is not None, "a context has a store"
    store.set_flags(int(verify_flags))
    if (own := own_of(tls)) is not None:
        present(context, own)
    return context


@implementer(IOpenSSLClientConnectionCreator)
class TlsTo:
    """Begins TLS on one connection, verifies certificate and name, and knows why it broke."""

    def __init__(self, host: str, context: SSL.Context) -> None:
        self._is_address = isIPAddress(host) or isIPv6Address(host)
        self._host = host if self._is_address else host.encode("idna").decode("ascii")
        self._untrusted = 0
        # Made now: an error inside of Twisted's callback would leave who connects waiting for ever.
        self._connection = SSL.Connection(context, None)
        if not self._is_address:
            self._connection.set_tlsext_host_name(self._host.encode("ascii"))
        self._connection.set_verify(SSL.VERIFY_PEER, self._verify)

    @property
    def creator(self) -> IOpenSSLClientConnectionCreator:
        """As `Over` says."""
        made: IOpenSSLClientConnectionCreator = self
        return made

    def clientConnectionForTLS(self, _protocol: Any) -> SSL.Connection:
        """As Twisted asks for it, once."""
        return self._connection

    def _verify(self, _: SSL.Connection, found: crypto.X509, code: int, depth: int, good: int) -> bool:
        if good and depth == 0 and not self._is_hosts(found):
            good, code = 0, _OTHER_HOST
        if not good and not self._untrusted:
            self._untrusted = code
        return bool(good)

    def _is_hosts(self, found: crypto.X509) -> bool:
        verify = verify_certificate_ip_address if self._is_address else verify_certificate_hostname
        try:
            verify(found.to_cryptography(), self._host)
        except (VerificationError, CertificateError, *UNREADABLE):
            return False
        return True

    def failure(self, error: BaseException | None, *, begun: bool) -> PeerUnavailable | None:
        """What a connection broke of, where TLS says it; ``begun`` once both sides have agreed.

        Who refuses our certificate has read nothing of what was sent (RFC 8446 §4.4.2.4), so that is not
        PeerSilent.
        """
        if self._untrusted:
            return PeerUnavailable(_words(untrusted_by(self._untrusted)))
        if not isinstance(error, SSL.Error):
            return None
        queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
        if any(refuses_certificate(str(entry[-1])) for entry in queue):
            return PeerUnavailable(_words("tls-client-certificate"))
        return PeerSilent("TLS broke") if begun else PeerUnavailable(_words("tls-handshake"))


def _words(reason: str) -> str:
    return f"{reason}: {advice(reason).removesuffix('.')}"
