"""Signed calls: what an API can check of them, the examples of RFC 9421, and keys that cannot sign."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from http_message_signatures import (
    ContentDigest,
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)
from http_peers import ENCOUNTER, KEY, SM2_KEY, TRACEPARENT, calling
from reactor_tests import in_reactor

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.http_signing import (
    UNAVAILABLE,
    UNUSABLE,
    Signer,
    SignOptions,
    key_of,
    signer_with,
)
from bridge.destinations.in_loop import in_loop
from bridge.errors import SecretUnavailable
from bridge.units import SecretRef

SIGN = {"key": "secret://file/signing.pem", "key_id": "bridge-1"}


def pem(key: Any, password: bytes | None = None) -> str:
    how = (
        serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    )
    text: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    return text.decode()


ED, OTHER_ED = (ed25519.Ed25519PrivateKey.generate() for _ in range(2))
P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
RSA, WEAK = (rsa.generate_private_key(65537, bits) for bits in (2048, 1024))
SHARED = base64.b64encode(bytes(range(40))).decode()


@dataclass
class Call:
    """A call as an API got it."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Api:
    """An API that keeps what it gets."""

    calls: list[Call] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.calls.append(Call(request.method, str(request.url), dict(request.headers), await request.read()))
        return web.Response(status=204)


@asynccontextmanager
async def listening(api: Api) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(api.answer, access_log=None), shutdown_timeout=0.2)
    await in_loop(runner.setup())
    await in_loop(web.TCPSite(runner, "127.0.0.1", 0).start())
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await in_loop(runner.cleanup())


class _Public(HTTPSignatureKeyResolver):
    def __init__(self, key: Any) -> None:
        self._key = key

    def resolve_public_key(self, key_id: str) -> Any:
        assert key_id == "bridge-1"
        return self._key

    def resolve_private_key(self, key_id: str) -> Any:
        raise LookupError(key_id)


ALGORITHMS: Mapping[str, tuple[str, Any, Any]] = {
    "ed25519": (pem(ED), algorithms.ED25519, ED.public_key()),
    "ecdsa-p256-sha256": (pem(P256), algorithms.ECDSA_P256_SHA256, P256.public_key()),
    "rsa-pss-sha512": (pem(RSA), algorithms.RSA_PSS_SHA512, RSA.public_key()),
    "hmac-sha256": (SHARED, algorithms.HMAC_SHA256, base64.b64decode(SHARED)),
}


def now_us() -> int:
    return time.time_ns() // 1000


def covered(call: Call, algorithm: str, key: Any = None) -> set[str]:
    """What the signature of a call covers; raises where it, or the digest, does not fit."""
    _, kind, public = ALGORITHMS[algorithm]
    verifier = HTTPMessageVerifier(signature_algorithm=kind, key_resolver=_Public(key or public))
    (found,) = verifier.verify(call, body=call.body)
    return {name.strip('"') for name in found.covered_components} - {"@signature-params"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@in_reactor
async def test_an_api_can_check_method_address_key_and_body(algorithm: str) -> None:
    api, (secret, _, _) = Api(), ALGORITHMS[algorithm]
    sign = {**SIGN, "algorithm": algorithm}
    async with (
        listening(api) as url,
        calling(f"{url}/v1", secrets=lambda _: secret, now_us=now_us, sign=sign) as destination,
    ):
        for operation in ("putEncounter", "cancelEncounter"):
            request = destination.prepare(operation, ENCOUNTER)
            done = await destination.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
            assert done.verdict is Verdict.DELIVERED
    put, delete = api.calls
    named = {"@method", "@target-uri", "idempotency-key"}
    assert covered(put, algorithm) == named | {"content-type", "content-digest"}
    assert covered(delete, algorithm) == named
    assert 'keyid="bridge-1"' in put.headers["Signature-Input"]


def signed(secret: str = pem(ED), **options: Any) -> Call:
    signer = Signer(SignOptions.model_validate({**SIGN, **options}), lambda _: secret, now_us)
    headers = {"Idempotency-Key": KEY, "Content-Type": "application/json"}
    made = signer.signed("POST", "https://ehr.example/v1/notes?a=b", headers, BODY)
    assert not isinstance(made, Outcome)
    return Call("POST", "https://ehr.example/v1/notes?a=b", made, BODY)


BODY = b'{"patient":"P-1","ward":"3 North"}'


@pytest.mark.parametrize(
    "change",
    [
        lambda call: replace(call, method="PUT"),
        lambda call: replace(call, url=call.url.replace("notes", "orders")),
        lambda call: replace(call, url=call.url.replace("a=b", "a=c")),
        lambda call: replace(call, headers={**call.headers, "Idempotency-Key": "another"}),
        lambda call: replace(call, headers={**call.headers, "Content-Type": "text/plain"}),
        lambda call: replace(call, headers={**call.headers, "Content-Digest": ContentDigest.create(b"x")}),
        lambda call: replace(call, body=b""),
    ],
)
def test_what_was_changed_on_the_way_is_noticed(change: Callable[[Call], Call]) -> None:
    call = signed()
    assert covered(call, "ed25519")
    with pytest.raises(HTTPMessageSignaturesException):
        covered(change(call), "ed25519")
    with pytest.raises(HTTPMessageSignaturesException):
        covered(call, "ed25519", OTHER_ED.public_key())


def test_a_flipped_bit_of_the_body_is_noticed_always() -> None:
    call, chance = signed(), random.Random(9421)
    bits = [chance.randrange(8 * len(BODY)) for _ in range(1000)]
    for bit in bits:
        body = bytearray(BODY)
        body[bit // 8] ^= 1 << bit % 8
        with pytest.raises(HTTPMessageSignaturesException):
            covered(replace(call, body=bytes(body)), "ed25519")


EXAMPLES = {
    # RFC 9421, B.2.6 and B.2.5.
    "ed25519": (
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n"
        "-----END PRIVATE KEY-----\n",
        "test-key-ed25519",
        ("date", "@method", "@path", "@authority", "content-type", "content-length"),
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    ),
    "hmac-sha256": (
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==",
        "test-shared-secret",
        ("date", "@authority", "content-type"),
        "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
    ),
}


@pytest.mark.parametrize("algorithm", EXAMPLES)
def test_the_examples_of_the_standard_come_out(algorithm: Any) -> None:
    secret, key_id, names, signature = EXAMPLES[algorithm]
    key = key_of(secret, algorithm)
    headers = {
        "Date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "Content-Type": "application/json",
        "Content-Length": "18",
    }
    call = Call("POST", "https://example.com/foo?param=Value&Pet=dog", headers)
    signer_with(key, algorithm).sign(
        call,
        key_id=key_id,
        created=datetime.fromtimestamp(1618884473, UTC),
        label="example",
        include_alg=False,
        covered_component_ids=names,
    )
    assert call.headers["Signature"] == f"example=:{signature}:"


@pytest.mark.parametrize(
    ("secret", "algorithm"),
    [
        ("", "ed25519"),
        ("no key", "ed25519"),
        (pem(ED, b"password"), "ed25519"),
        (pem(P256), "ed25519"),
        (pem(ED), "ecdsa-p256-sha256"),
        (pem(P384), "ecdsa-p256-sha256"),
        (SM2_KEY, "ecdsa-p256-sha256"),
        (pem(WEAK), "rsa-pss-sha512"),
        (pem(ED), "rsa-pss-sha512"),
        ("not base64!", "hmac-sha256"),
        (base64.b64encode(bytes(31)).decode(), "hmac-sha256"),
        (pem(ED) + "x" * 20_000, "ed25519"),
    ],
)
def test_a_key_that_cannot_sign_holds_the_operation(secret: str, algorithm: str) -> None:
    options = SignOptions.model_validate({**SIGN, "algorithm": algorithm})
    signer = Signer(options, lambda _: secret, now_us)
    assert signer.signed("GET", "https://ehr.example/", {}, None) == UNUSABLE
    if secret:
        assert secret not in repr(signer)


@in_reactor
async def test_without_its_key_nothing_is_sent_and_a_new_one_is_taken_up() -> None:
    secrets: dict[str, str] = {}

    def secret(reference: SecretRef) -> str:
        if reference.name not in secrets:
            raise SecretUnavailable("it is not there")
        return secrets[reference.name]

    api = Api()
    async with (
        listening(api) as url,
        calling(url, secrets=secret, now_us=now_us, sign=SIGN) as destination,
    ):
        request = destination.prepare("postNote", ENCOUNTER)
        held = await destination.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
        assert (held.verdict, held.reason, api.calls) == (UNAVAILABLE.verdict, UNAVAILABLE.reason, [])
        for key in (ED, OTHER_ED):
            secrets["signing.pem"] = pem(key)
            destination.look_at_files()
            await destination.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
            assert covered(api.calls[-1], "ed25519", key.public_key())
