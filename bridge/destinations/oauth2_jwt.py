"""How the bridge tells an API who it is: a token, asked for with a signed assertion (RFC 7523 §2.2).

With ES384 or RS384 and scopes as in ``system/Patient.cruds`` this is SMART Backend Services. The private key
stays here; the token server has the public one. It is read anew for each token, so that a new key is taken up
with the next token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Final, Literal, TypeGuard
from urllib.parse import urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from pydantic import Field

from bridge.component import Component
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import Secrets
from bridge.destinations.oauth2 import UNAVAILABLE, TokenOptions, TokenRequest, Tokens, grant
from bridge.errors import BridgeError
from bridge.message import Microseconds
from bridge.units import SecretRef

LIFETIME_S: Final = 240
"""Of an assertion; SMART Backend Services lets one live 300 s at most, and clocks differ."""
KEY_MAX_CHARACTERS: Final = 16_384
RSA_MIN_BITS: Final = 2048
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
UNUSABLE_KEY: Final = Outcome(Verdict.HOLD, "auth-key-unusable")

Algorithm = Literal["ES384", "RS384", "ES256", "RS256"]
_CURVES: Final = {"ES384": "secp384r1", "ES256": "secp256r1"}


class PrivateKeyJwtOptions(TokenOptions):
    """The bridge signs who it is, asks a token server for a token, and shows that to the API."""

    key: SecretRef = Field(description="Where the private key is kept, as PEM, never the key itself.")
    algorithm: Algorithm = Field(
        "ES384", description="How the assertion is signed; SMART servers take ES384 and RS384."
    )
    key_id: Annotated[str, Field(pattern=r"^[!-~]{0,255}$")] = Field(
        "", description="The key's name at the token server (kid); left out, its thumbprint (RFC 7638)."
    )

    def open(self, secrets: Secrets, now_us: Callable[[], Microseconds]) -> Tokens:
        """The credential that these options describe."""
        count = 0

        def request(secrets: Secrets) -> TokenRequest | Outcome:
            nonlocal count
            count += 1
            return assertion_request(self, secrets, now_us(), count)

        return Tokens(self, str(self.key), request, secrets, now_us)


COMPONENT = Component(
    kind="credential",
    name="private_key_jwt",
    summary="A token from a token server, asked for with a signed assertion (SMART Backend Services).",
    options=PrivateKeyJwtOptions,
    example="token_url: https://idp.example/oauth2/token\nclient_id: bridge\nkey: secret://file/ehr-key.pem\n"
    "scopes: [system/Patient.cruds]\n",
)


def assertion_request(
    options: PrivateKeyJwtOptions, secrets: Secrets, now_us: Microseconds, number: int
) -> TokenRequest | Outcome:
    """Headers and form of a token request; ``number`` differs for each within a process.

    HOLD ``auth-unavailable`` where there is no key, ``auth-key-unusable`` for one that is no PEM, is
    encrypted, or does not fit the algorithm.
    """
    try:
        pem = secrets(options.key)
    except (LookupError, OSError, ValueError, BridgeError):
        return UNAVAILABLE
    signed = None if len(pem) > KEY_MAX_CHARACTERS else assertion(options, pem, now_us, number)
    if signed is None:
        return UNUSABLE_KEY
    headers, form = grant(options)
    form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
    return headers, urlencode(form).encode()


def assertion(options: PrivateKeyJwtOptions, pem: str, now_us: Microseconds, number: int) -> str | None:
    """A signed assertion that lives for `LIFETIME_S`, or None where the key cannot sign it."""
    try:
        private = load_pem_private_key(pem.encode(), None)
        if not _fits(private, options.algorithm):
            return None
        key = ECKey.import_key(pem) if options.algorithm in _CURVES else RSAKey.import_key(pem)
        issued_s = now_us // 1_000_000
        claims = {
            "iss": options.client_id,
            "sub": options.client_id,
            "aud": options.token_url,
            "iat": issued_s,
            "exp": issued_s + LIFETIME_S,
            "jti": _used_once(private, f"{options.client_id} {now_us} {number}".encode()),
        }
        header = {"alg": options.algorithm, "typ": "JWT", "kid": options.key_id or key.thumbprint()}
        return jwt.encode(header, claims, key, algorithms=[options.algorithm])
    except (JoseError, ValueError, TypeError, UnsupportedAlgorithm):
        # The text of such an error may quote the key; the reason is all that is told.
        return None


def _fits(key: object, algorithm: Algorithm) -> TypeGuard[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.curve.name == _CURVES.get(algorithm)
    return isinstance(key, rsa.RSAPrivateKey) and algorithm not in _CURVES and key.key_size >= RSA_MIN_BITS


def _used_once(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, about: bytes) -> str:
    """An id that no assertion had before, of whatever process, and whatever its clock said.

    Both signatures have random bits of their own, and who has no key cannot foresee them.
    """
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(about, ec.ECDSA(hashes.SHA256()))
    else:
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
        signature = key.sign(about, pss, hashes.SHA256())
    return hashlib.sha256(signature).hexdigest()[:32]
