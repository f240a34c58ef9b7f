"""Tokens by a signed assertion: what a token server can check of it, and keys that cannot sign."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from http_peers import SM2_KEY, TokenServer, serving
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey, RSAKey
from reactor_tests import in_reactor

from bridge.delivery.outcomes import Outcome
from bridge.destinations.credentials import UNAVAILABLE, BasicOptions
from bridge.destinations.in_loop import in_loop
from bridge.destinations.oauth2_jwt import (
    ASSERTION_TYPE,
    LIFETIME_S,
    UNUSABLE_KEY,
    PrivateKeyJwtOptions,
    assertion,
    assertion_request,
)
from bridge.errors import SecretUnavailable
from bridge.units import SecretRef

NOW_US = 1_800_000_000_000_000
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def pem(key: Private, password: bytes | None = None) -> str:
    how = (
        serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()


P384, P256 = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
RSA, WEAK = (rsa.generate_private_key(65537, bits) for bits in (2048, 1024))


def options(url: str = "https://idp.example/token", **more: Any) -> PrivateKeyJwtOptions:
    return PrivateKeyJwtOptions.model_validate(
        {"token_url": url, "client_id": "bridge", "key": "secret://file/key.pem", **more}
    )


def public(key: Private) -> ECKey | RSAKey:
    kind = RSAKey if isinstance(key, rsa.RSAPrivateKey) else ECKey
    text = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return kind.import_key(text)


@pytest.mark.parametrize(
    ("algorithm", "key"), [("ES384", P384), ("ES256", P256), ("RS384", RSA), ("RS256", RSA)]
)
@in_reactor
async def test_the_token_server_can_check_who_asks(algorithm: str, key: Private) -> None:
    server = TokenServer()
    async with serving(server) as url:
        made = options(url, algorithm=algorithm, scopes=["system/Patient.cruds"])
        credential = made.open(lambda _: pem(key), lambda: NOW_US)
        try:
            assert await in_loop(credential.headers()) == {"Authorization": "Bearer token-1"}
        finally:
            await in_loop(credential.close())
    form = server.asked[0].form
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion_type"] == ASSERTION_TYPE
    assert form["scope"] == "system/Patient.cruds"
    assert "client_secret" not in form
    assert "Authorization" not in server.asked[0].headers
    told = jwt.decode(form["client_assertion"], public(key), algorithms=[algorithm])
    assert told.header == {"alg": algorithm, "typ": "JWT", "kid": public(key).thumbprint()}
    assert (told.claims["iss"], told.claims["sub"], told.claims["aud"]) == (
        "bridge",
        "bridge",
        made.token_url,
    )
    assert 0 < told.claims["exp"] - NOW_US // 1_000_000 <= 300
    with pytest.raises(BadSignatureError):
        jwt.decode(form["client_assertion"][:-6] + "AAAAAA", public(key), algorithms=[algorithm])


@given(now_us=st.integers(0, 2**52), number=st.integers(1, 2**31))
def test_no_assertion_lives_longer_than_it_may(now_us: int, number: int) -> None:
    made = assertion(options(algorithm="ES256"), pem(P256), now_us, number)
    assert made is not None
    claims = jwt.decode(made, public(P256), algorithms=["ES256"]).claims
    assert claims["exp"] - claims["iat"] == LIFETIME_S <= 300


def test_no_id_comes_twice_also_where_clock_and_count_do() -> None:
    made = [assertion(options(algorithm="ES256"), pem(P256), NOW_US, 1) for _ in range(300)]
    ids = {jwt.decode(each or "", public(P256), algorithms=["ES256"]).claims["jti"] for each in made}
    assert len(ids) == 300


UNUSABLE: list[tuple[str, str, str]] = [
    ("an RSA key for a curve", "ES384", pem(RSA)),
    ("another curve", "ES384", pem(P256)),
    ("a curve that is not known", "ES384", SM2_KEY),
    ("a curve for RSA", "RS384", pem(P384)),
    ("a short RSA key", "RS384", pem(WEAK)),
    ("an encrypted key", "ES384", pem(P384, b"password")),
    ("a public key", "ES384", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"),
    ("no key", "ES384", "hunter2"),
    ("far too much", "ES384", "x" * 100_000),
]  # fmt: skip


@pytest.mark.parametrize(("what", "algorithm", "key"), UNUSABLE, ids=[row[0] for row in UNUSABLE])
def test_a_key_that_cannot_sign_is_told_by_a_reason_alone(what: str, algorithm: str, key: str) -> None:
    assert assertion_request(options(algorithm=algorithm), lambda _: key, NOW_US, 1) == UNUSABLE_KEY, what


def test_a_key_that_is_not_there_holds_the_operation() -> None:
    def secrets(reference: SecretRef) -> str:
        raise SecretUnavailable(str(reference))

    assert assertion_request(options(), secrets, NOW_US, 1) == UNAVAILABLE


def test_a_new_key_is_taken_up_with_the_next_token() -> None:
    keys = [P256, ec.generate_private_key(ec.SECP256R1())]
    made = [assertion_request(options(algorithm="ES256"), lambda _, k=k: pem(k), NOW_US, 1) for k in keys]  # type: ignore[misc]
    assert not any(isinstance(each, Outcome) for each in made)
    assert made[0] != made[1]


# A name and a password


@in_reactor
async def test_a_password_goes_with_its_name_and_a_new_one_is_taken_up() -> None:
    passwords = ["open sesame"]
    basic = BasicOptions.model_validate({"username": "Aladdin", "password": "secret://env/P"})
    credential = basic.open(lambda _: passwords[-1], lambda: NOW_US)
    # RFC 7617 §2 has this very example.
    first = {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
    assert await in_loop(credential.headers()) == first
    passwords.append("another")
    assert await in_loop(credential.headers()) == first
    credential.look_at_files()
    assert await in_loop(credential.headers()) != first
    assert "sesame" not in repr(credential)


@pytest.mark.parametrize("name", ["", "a:b", " a", "a\n", "é"])
def test_a_name_that_could_be_read_as_another_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="username"):
        BasicOptions.model_validate({"username": name, "password": "secret://env/P"})
