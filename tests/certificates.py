"""Certificates for tests, good ones and all kinds of bad ones, made when they are needed."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Purpose = Literal["client", "server", "both", "none"]
USAGES = {"client": [ExtendedKeyUsageOID.CLIENT_AUTH], "server": [ExtendedKeyUsageOID.SERVER_AUTH]}
USAGES["both"] = USAGES["client"] + USAGES["server"]

_SIGNS = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Made:
    """A certificate with its key, and both as PEM files."""

    certificate: x509.Certificate
    key: Any
    path: Path
    key_path: Path

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def chained(self, *between: Made) -> Made:
        """The same, sending also what stands between."""
        self.path.write_bytes(b"".join(each.pem for each in (self, *between)))
        return self


def make(
    folder: Path,
    name: str,
    by: Made | None = None,
    *,
    common_name: str | None = None,
    names: tuple[str, ...] | None = ("localhost", "127.0.0.1"),
    days: tuple[float, float] = (-1, 90),
    key: str = "P-256",
    ca: bool | None = None,
    path_length: int | None = None,
    basic_constraints: bool = True,
    purpose: Purpose = "both",
    sha1: bool = False,
    password: bytes | None = None,
    fresh: bool = False,
) -> Made:
    """A certificate issued ``by`` another, or by itself: then it is an authority, unless ``ca`` is False."""
    own = (new_key if fresh else kept_key)(key, name)
    issuer = own if by is None else by.key
    authority = by is None if ca is None else ca
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
    )
    if basic_constraints:
        limits = x509.BasicConstraints(ca=authority, path_length=path_length if authority else None)
        builder = builder.add_extension(limits, critical=True)
    if authority:
        builder = builder.add_extension(_SIGNS, critical=True)
    if not authority and purpose != "none":
        builder = builder.add_extension(x509.ExtendedKeyUsage(USAGES[purpose]), critical=False)
    if not authority and names:
        alternative = x509.SubjectAlternativeName([general_name(each) for each in names])
        builder = builder.add_extension(alternative, critical=False)
    algorithm = None if isinstance(issuer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    signed = builder.sign(issuer, algorithm)
    made = Made(
        _with_sha1(signed, issuer) if sha1 else signed, own, folder / f"{name}.pem", folder / f"{name}.key"
    )
    made.path.write_bytes(made.pem)
    encryption: Any = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    made.key_path.write_bytes(
        own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )
    made.key_path.chmod(0o600)
    return made


def _with_sha1(signed: x509.Certificate, issuer: rsa.RSAPrivateKey) -> x509.Certificate:
    """The same, signed with SHA-1, which `cryptography` does not do any more.

    Both names of an algorithm with RSA have one length, and so have both signatures (RFC 8017 A.2.4).
    """
    sha256, sha1 = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    tbs = signed.tbs_certificate_bytes.replace(sha256, sha1, 1)
    signature = issuer.sign(tbs, padding.PKCS1v15(), hashes.SHA1())
    whole = signed.public_bytes(serialization.Encoding.DER)
    whole = whole.replace(signed.tbs_certificate_bytes, tbs, 1).replace(sha256, sha1, 1)
    return x509.load_der_x509_certificate(whole.replace(signed.signature, signature, 1))


def revoked(folder: Path, by: Made, *revoked_ones: Made, days: tuple[float, float] = (-1, 7)) -> Path:
    """A revocation list of an authority."""
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(now + dt.timedelta(days=days[0]))
        .next_update(now + dt.timedelta(days=days[1]))
    )
    for each in revoked_ones:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(each.certificate.serial_number)
            .revocation_date(now + dt.timedelta(days=days[0]))
            .build()
        )
    path = folder / "revoked.crl"
    path.write_bytes(builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@cache
def kept_key(kind: str, name: str) -> Any:
    """A private key, one for each kind and name: RSA keys take long to make."""
    return new_key(kind, name)


def new_key(kind: str, name: str) -> Any:
    """A private key that nobody has had before."""
    if kind.startswith("RSA-"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("RSA-")))
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"P-256": ec.SECP256R1(), "P-224": ec.SECP224R1()}[kind])


def general_name(name: str) -> x509.GeneralName:
    """An address, a URI or a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.UniformResourceIdentifier(name) if ":" in name else x509.DNSName(name)
