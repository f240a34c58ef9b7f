"""Signed calls: what was sent, and that nobody changed it on the way (RFC 9421, with the digest of RFC 9530).

TLS ends at the first proxy; a signature is still there when the API reads the request.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from pydantic import Field

from bridge.component import Options
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import SECRET_KEPT_MAX_S, Secrets
from bridge.errors import BridgeError
from bridge.message import Microseconds
from bridge.tls.client import Exchanges
from bridge.units import DurationS, SecretRef

LABEL: Final = "bridge"
KEY_MAX_CHARACTERS: Final = 16_384
HMAC_MIN_BYTES: Final = 32
RSA_MIN_BITS: Final = 2048
UNAVAILABLE: Final = Outcome(Verdict.HOLD, "sign-key-unavailable")
UNUSABLE: Final = Outcome(Verdict.HOLD, "sign-key-unusable")

Algorithm = Literal["ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512", "hmac-sha256"]
_ALGORITHMS: Final[Mapping[str, Any]] = {
    "ed25519": algorithms.ED25519,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
    "hmac-sha256": algorithms.HMAC_SHA256,
}
COVERED: Final = ("@method", "@target-uri", "idempotency-key", "content-type")
"""What a signature covers of a call, as far as it is there, and the digest of its body where it has one."""


class SignOptions(Options):
    """Each call is signed: method, address, Idempotency-Key, and the digest of its body."""

    key: SecretRef = Field(
        description="Where the private key is kept, as PEM (the shared one of hmac-sha256 as base64), never "
        "the key itself."
    )
    key_id: Annotated[str, Field(pattern=r"^[!#-\[\]-~]{1,255}$")] = Field(
        description="The key's name, as the API's owner knows it (keyid)."
    )
    algorithm: Algorithm = Field("ed25519", description="How calls are signed (RFC 9421 §3.3).")
    lasts: DurationS = Field(
        300.0, ge=10, le=3600, description="How long a signature counts; the API's clock may differ."
    )


class _Keys(HTTPSignatureKeyResolver):
    def __init__(self, key: object) -> None:
        self._key = key

    def resolve_private_key(self, key_id: str) -> Any:  # noqa: ARG002 - there is one
        return self._key

    def resolve_public_key(self, key_id: str) -> Any:
        raise LookupError(key_id)  # nothing is verified here


class _Call:
    """A call as the library wants it."""

    def __init__(self, method: str, url: str, headers: dict[str, str]) -> None:
        self.method, self.url, self.headers = method, url, headers


class Signer:
    """Signs the calls of one API. The key is kept for `SECRET_KEPT_MAX_S`, so that another is taken up."""

    def __init__(self, options: SignOptions, secrets: Secrets, now_us: Callable[[], Microseconds]) -> None:
        self._options, self._secrets, self._now_us = options, secrets, now_us
        self._kept: HTTPMessageSigner | None = None
        self._kept_at_us: Microseconds = 0

    def __repr__(self) -> str:
        return f"<{self._options.algorithm} with {self._options.key}>"

    def signed(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> dict[str, str] | Outcome:
        """The headers with those of a signature; HOLD where there is no key, or it does not fit."""
        now_us = self._now_us()
        signer = self._signer(now_us)
        if isinstance(signer, Outcome):
            return signer
        call = _Call(method, url, dict(headers))
        there = {name.lower() for name in call.headers}
        created_s = now_us // 1_000_000
        signer.sign(
            call,
            key_id=self._options.key_id,
            created=datetime.fromtimestamp(created_s, UTC),
            expires=datetime.fromtimestamp(created_s + int(self._options.lasts), UTC),
            label=LABEL,
            covered_component_ids=[name for name in COVERED if name.startswith("@") or name in there],
            body=body,
        )
        return call.headers

    def look_at_files(self) -> Exchanges:
        """Look the key up again at the next call."""
        self._kept = None
        return ()

    def _signer(self, now_us: Microseconds) -> HTTPMessageSigner | Outcome:
        if self._kept is not None and 0 <= now_us - self._kept_at_us < SECRET_KEPT_MAX_S * 1_000_000:
            return self._kept
        self._kept = None
        try:
            text = self._secrets(self._options.key)
        except (LookupError, OSError, ValueError, BridgeError):
            return UNAVAILABLE
        key = key_of(text, self._options.algorithm)
        if key is None:
            return UNUSABLE
        self._kept, self._kept_at_us = signer_with(key, self._options.algorithm), now_us
        return self._kept


def signer_with(key: object, algorithm: Algorithm) -> HTTPMessageSigner:
    """What signs with a key of `key_of`."""
    return HTTPMessageSigner(signature_algorithm=_ALGORITHMS[algorithm], key_resolver=_Keys(key))


def key_of(text: str, algorithm: Algorithm) -> object | None:
    """The key that a secret holds; None where it is none, encrypted, too small, or not of this algorithm."""
    if len(text) > KEY_MAX_CHARACTERS:
        return None
    try:
        if algorithm == "hmac-sha256":
            shared = base64.b64decode("".join(text.split()), validate=True)
            return shared if len(shared) >= HMAC_MIN_BYTES else None
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The text of such an error may quote the key; the reason is all that is told.
        return None
    match algorithm:
        case "ed25519":
            fits = isinstance(key, Ed25519PrivateKey)
        case "ecdsa-p256-sha256":
            fits = isinstance(key, EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
        case "rsa-pss-sha512":
            fits = isinstance(key, RSAPrivateKey) and key.key_size >= RSA_MIN_BITS
    return key if fits else None
