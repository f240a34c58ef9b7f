"""Certificates as files hold them: read within limits, and told apart from what must not be used."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from bridge.errors import CertificateRefused
from bridge.units import size_text

FILE_MAX_BYTES: Final = 1024**2
RSA_MIN_BITS: Final = 2048
CURVE_MIN_BITS: Final = 256
SHORTLY_S: Final = 30 * 86400
"""A certificate that ends within this needs somebody."""
UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension,
              x509.InvalidVersion, x509.UnsupportedGeneralNameType)  # fmt: skip
"""What `cryptography` raises on a certificate that it cannot make sense of."""


@dataclass(frozen=True, slots=True)
class Own:
    """Who the bridge is: its certificate, what stands between it and its authority, and its key."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes

    @property
    def ends_s(self) -> float:
        """When the first certificate of the chain ends, in seconds since 1970."""
        return min(each.not_valid_after_utc.timestamp() for each in self.chain)


def read_file(path: Path) -> bytes:
    """The file's bytes. Raises CertificateRefused where it cannot be read, is no file, or is too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CertificateRefused("unreadable", f"{path} is no file: name a PEM file")
            data = file.read(FILE_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "this cannot be the name of a file"
        text = f"{path} cannot be read: {why}; see whether it is there, and its rights"
        raise CertificateRefused("unreadable", text) from None
    if len(data) > FILE_MAX_BYTES:
        raise CertificateRefused(
            "unreadable", f"{path} is larger than {size_text(FILE_MAX_BYTES)}: is it PEM?"
        )
    return data


def certificates_in(data: bytes, path: Path) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file, at least one. Raises CertificateRefused."""
    if b"PRIVATE KEY-----" in data:
        text = f"{path} holds a private key: certificates are read by many, so take the key out"
        raise CertificateRefused("key-in-certificate", text)
    return _all_in(data, path)


def _all_in(data: bytes, path: Path) -> tuple[x509.Certificate, ...]:
    try:
        found = tuple(x509.load_pem_x509_certificates(data))
        for each in found:
            # Parts are parsed when they are asked for; ask now, so that nothing is found out too late.
            each.public_key(), each.extensions, each.subject, each.issuer
    except UNREADABLE:
        text = f"{path} holds no certificate in PEM, or one that cannot be read: look with openssl x509 -text"
        raise CertificateRefused("not-a-certificate", text) from None
    return found


def authorities_in(data: bytes, path: Path, now_s: float) -> tuple[x509.Certificate, ...]:
    """The authorities of a PEM file. Raises CertificateRefused where one is none, or all have ended."""
    found = certificates_in(data, path)
    for each in found:
        if not is_authority(each):
            text = (
                f"{path}: the certificate of {shown(each)} is not that of an authority (no CA:TRUE); "
                "name the file of the authority that signs the peers' certificates"
            )
            raise CertificateRefused("not-an-authority", text)
        if (flaw := weakness(each)) is not None:
            raise CertificateRefused(flaw, f"{path}: the authority {shown(each)} has a {_FLAWS[flaw]}")
    if all(each.not_valid_after_utc.timestamp() <= now_s for each in found):
        raise CertificateRefused("expired", f"{path}: every authority in it has expired; get the new one")
    return found


def revocations_in(data: bytes, path: Path, now_s: float) -> tuple[x509.CertificateRevocationList, ...]:
    """The revocation lists of a PEM file, each still valid. Raises CertificateRefused."""
    mark = b"-----BEGIN X509 CRL-----"
    try:
        found = tuple(x509.load_pem_x509_crl(mark + part) for part in data.split(mark)[1:])
    except UNREADABLE:
        found = ()
    if not found:
        text = f"{path} holds no revocation list in PEM (BEGIN X509 CRL)"
        raise CertificateRefused("not-a-revocation-list", text)
    for each in found:
        if (ends := each.next_update_utc) is None or ends.timestamp() <= now_s:
            text = f"{path}: a revocation list has passed its next update; fetch the new one"
            raise CertificateRefused("revocation-list-expired", text)
    return found


def own_certificate(
    data: bytes, path: Path, key_pem: str, key_name: str, password: str | None, now_s: float
) -> Own:
    """The bridge's own certificate, which must be fit for servers at ``now_s``, and its key.

    Raises CertificateRefused. ``key_name`` is what the key is called in the text of the error.
    """
    certificates_in(data, path)
    own = own_pair(data, path, key_pem, key_name, password)
    chain, leaf = own.chain, own.chain[0]
    for each in chain:
        _in_time(each, path, now_s)
        if (flaw := weakness(each)) is not None:
            raise CertificateRefused(flaw, f"{path}: {shown(each)} has a {_FLAWS[flaw]}; have a new one made")
    if not _for_servers(leaf):
        text = f"{path}: {shown(leaf)} may not be used by servers; ask for extended key usage serverAuth"
        raise CertificateRefused("wrong-purpose", text)
    for each, issuer in pairwise(chain):
        if not _issued(each, issuer):
            text = (
                f"{path}: {shown(issuer)} did not issue {shown(each)}; put each issuer after what it issued"
            )
            raise CertificateRefused("chain-order", text)
    return own


def own_pair(data: bytes, path: Path, key_pem: str, key_name: str, password: str | None) -> Own:
    """A certificate and its key, whatever they are fit for. Raises as `own_certificate`."""
    chain = _all_in(data, path)
    key = _private_key(key_pem, key_name, password)
    if chain[0].public_key() != key.public_key():
        text = (
            f"{path} and {key_name} do not belong together: the key is not that of the first "
            "certificate; put the bridge's own certificate first, or name its key"
        )
        raise CertificateRefused("key-mismatch", text)
    return Own(chain, key)


def weakness(certificate: x509.Certificate) -> str | None:
    """``weak-key`` or ``weak-signature`` (NIST SP 800-131A) where a certificate proves too little."""
    if _weak_key(certificate.public_key()):
        return "weak-key"
    if certificate.issuer == certificate.subject:
        return None  # a trust anchor is trusted for being in the file; its signature proves nothing
    digest = certificate.signature_hash_algorithm
    return "weak-signature" if isinstance(digest, hashes.SHA1 | hashes.MD5) else None


def _weak_key(key: PublicKeyTypes) -> bool:
    match key:
        case rsa.RSAPublicKey():
            return key.key_size < RSA_MIN_BITS
        case ec.EllipticCurvePublicKey():
            return key.key_size < CURVE_MIN_BITS
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return False
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it says CA:TRUE (RFC 5280 §4.2.1.9)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def shown(certificate: x509.Certificate) -> str:
    """A certificate's subject for a person, printable and short."""
    return shown_name(certificate.subject)


def shown_name(name: x509.Name) -> str:
    """A distinguished name for a person, printable and short."""
    text = "".join(each if each.isprintable() else "?" for each in name.rfc4514_string())
    return text if 0 < len(text) <= 120 else (text[:117] + "..." if text else "(no name)")


def _private_key(pem: str, name: str, password: str | None) -> PrivateKeyTypes:
    # A variable of the environment may hold bytes that are no text.
    given = None if password is None else password.encode(errors="surrogateescape")
    try:
        return serialization.load_pem_private_key(pem.encode(errors="surrogateescape"), given)
    except TypeError:
        wrong = (
            "needs a password: name it with key_password"
            if given is None
            else "has no password: leave key_password out"
        )
        raise CertificateRefused("wrong-password", f"{name} {wrong}") from None
    except (ValueError, UnsupportedAlgorithm):
        # `from None`: the original error may show parts of what it read.
        if given is not None and "ENCRYPTED" in pem:
            raise CertificateRefused("wrong-password", f"{name}: key_password does not open it") from None
        raise CertificateRefused("not-a-key", f"{name} is no private key in PEM") from None


def _in_time(certificate: x509.Certificate, path: Path, now_s: float) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends.timestamp() <= now_s:
        text = f"{path}: {shown(certificate)} has expired at {ends:%Y-%m-%d %H:%M} UTC; have a new one made"
        raise CertificateRefused("expired", text)
    if begins.timestamp() > now_s:
        now = datetime.fromtimestamp(now_s, UTC)
        text = (
            f"{path}: {shown(certificate)} is valid from {begins:%Y-%m-%d %H:%M} UTC on, and it is "
            f"{now:%Y-%m-%d %H:%M}; see whether the clock is right"
        )
        raise CertificateRefused("not-yet-valid", text)


def _for_servers(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return bool({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage))


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


_FLAWS: Final = {
    "weak-key": f"key that is too weak: RSA of {RSA_MIN_BITS} bits, P-256, Ed25519 or more is needed",
    "weak-signature": "signature with SHA-1 or MD5, which anybody can forge: SHA-256 is needed",
}
