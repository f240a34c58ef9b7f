"""TLS to the old engine, and from a tap to where its output goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates

from bridge.errors import PeerUnavailable
from bridge.tls.client import Tls


def tls_to(host: str, tls: Tls) -> IOpenSSLClientConnectionCreator:
    """What begins TLS with a host, whose certificate and name are verified. The files are read now.

    Raises PeerUnavailable where they cannot be used.
    """
    try:
        trusts: Any = platformTrust()
        if tls.ca is not None:
            trusts = trustRootFromCertificates([_certificate(each) for each in _all_of(tls.ca)])
        more: dict[str, Any] = {}
        if tls.certificate is not None and tls.key is not None:
            own, *between = _all_of(tls.certificate)
            more = {
                "certificate": crypto.X509.from_cryptography(own),
                "privateKey": crypto.load_privatekey(crypto.FILETYPE_PEM, Path(tls.key).read_bytes(), b""),
                "extraCertChain": [crypto.X509.from_cryptography(each) for each in between],
            }
        creator: IOpenSSLClientConnectionCreator = optionsForClientTLS(
            host, trustRoot=trusts, extraCertificateOptions=more
        )
    except (OSError, ValueError, crypto.Error, SSL.Error) as error:
        raise PeerUnavailable(f"the files of TLS cannot be used: {type(error).__name__}") from error
    return creator


def _all_of(file: Any) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(Path(file).read_bytes())


def _certificate(each: x509.Certificate) -> Certificate:
    return Certificate(crypto.X509.from_cryptography(each))
