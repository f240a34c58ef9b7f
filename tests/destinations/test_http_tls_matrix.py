"""Bad servers, one way each: every call is held with its reason, and not a byte of the request is sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from certificates import Made, make
from http_peers import ENCOUNTER, KEY, TRACEPARENT, calling, serving
from reactor_tests import in_reactor

from bridge.cli.fake_api import FakeApi
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.in_loop import in_loop


@dataclass(frozen=True)
class Pki:
    folder: Path
    ca: Made
    other: Made
    between: Made

    def server(self, by: Made | None = None, name: str = "server", **options: object) -> Made:
        """A server's certificate; a good one, if nothing else is said."""
        return make(self.folder, name, by or self.ca, **({"purpose": "server"} | options))  # type: ignore[arg-type]


@pytest.fixture(name="pki", scope="module")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    ca = make(folder, "ca")
    return Pki(folder, ca, make(folder, "other"), make(folder, "between", ca, ca=True))


def _by(pki: Pki, name: str, sha1: bool = False, **options: object) -> Made:
    """A server's certificate, issued by what it sends too."""
    between = make(pki.folder, name, pki.ca, **({"ca": True} | options))  # type: ignore[arg-type]
    return pki.server(between, sha1=sha1).chained(between)


def _too_deep(pki: Pki) -> Made:
    top = make(pki.folder, "top", pki.ca, ca=True, path_length=0)
    low = make(pki.folder, "low", top, ca=True)
    return pki.server(low).chained(low, top)


async def called(pki: Pki, server: Made, *, tls12: bool = False) -> tuple[Outcome, list[object]]:
    """The outcome of one call of a server with this certificate, and what the server saw of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2 if tls12 else ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(server.path, server.key_path)
    fake = FakeApi()
    async with serving(fake, context) as url, calling(url, tls={"ca": str(pki.ca.path)}) as api:
        request = api.prepare("putEncounter", ENCOUNTER)
        outcome = await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
        return outcome, list(fake.attempts)


GOOD: dict[str, Callable[[Pki], Made]] = {
    "P-256": lambda pki: pki.server(),
    "RSA 2048": lambda pki: pki.server(key="RSA-2048"),
    "Ed25519": lambda pki: pki.server(key="Ed25519"),
    "no purpose named": lambda pki: pki.server(purpose="none"),
    "an intermediate is sent": lambda pki: pki.server(pki.between).chained(pki.between),
}
BAD: dict[str, tuple[Callable[[Pki], Made], str]] = {
    "self-signed": (lambda pki: make(pki.folder, "self", ca=False), "tls-untrusted-self-signed"),
    "another authority": (lambda pki: pki.server(pki.other), "tls-untrusted"),
    "another authority, which is sent too": (
        lambda pki: pki.server(pki.other).chained(pki.other),
        "tls-untrusted",
    ),
    "an authority of the same name": (
        lambda pki: pki.server(make(pki.folder, "impostor", common_name="ca")),
        "tls-untrusted",
    ),
    "expired": (lambda pki: pki.server(days=(-9, -1)), "tls-untrusted-expired"),
    "not yet valid": (lambda pki: pki.server(days=(1, 9)), "tls-untrusted-not-yet-valid"),
    "for clients only": (lambda pki: pki.server(purpose="client"), "tls-untrusted-wrong-purpose"),
    "another name": (lambda pki: pki.server(names=("elsewhere.example",)), "tls-untrusted-wrong-host"),
    "its name only as common name": (
        lambda pki: pki.server(names=("elsewhere.example",), common_name="127.0.0.1"),
        "tls-untrusted-wrong-host",
    ),
    "RSA 1024": (lambda pki: pki.server(key="RSA-1024"), "tls-untrusted-weak-key"),
    "signed with SHA-1": (
        lambda pki: _by(pki, "rsa", sha1=True, key="RSA-2048"),
        "tls-untrusted-weak-signature",
    ),
    "an intermediate is missing": (lambda pki: pki.server(pki.between), "tls-untrusted"),
    "an intermediate that is no authority": (
        lambda pki: _by(pki, "leaf", ca=False),
        "tls-untrusted-issuer-not-authority",
    ),
    "an intermediate without basic constraints": (
        lambda pki: _by(pki, "old", ca=False, basic_constraints=False),
        "tls-untrusted-issuer-not-authority",
    ),
    "an intermediate too many": (_too_deep, "tls-untrusted-issuer-not-authority"),
    "an expired intermediate": (lambda pki: _by(pki, "ended", days=(-9, -1)), "tls-untrusted-expired"),
    "a weak intermediate": (lambda pki: _by(pki, "weak", key="RSA-1024"), "tls-untrusted-weak-key"),
}
VERSIONS = pytest.mark.parametrize("tls12", [False, True], ids=["TLS 1.3", "TLS 1.2"])


@VERSIONS
@pytest.mark.parametrize("case", GOOD)
@in_reactor
async def test_a_good_server_is_called(pki: Pki, case: str, tls12: bool) -> None:
    outcome, attempts = await called(pki, GOOD[case](pki), tls12=tls12)
    assert outcome == Outcome(Verdict.DELIVERED, "delivered", 200)
    assert len(attempts) == 1


@VERSIONS
@pytest.mark.parametrize("case", BAD)
@in_reactor
async def test_a_bad_server_is_not_called_and_the_delivery_is_held(pki: Pki, case: str, tls12: bool) -> None:
    made, reason = BAD[case]
    outcome, attempts = await called(pki, made(pki), tls12=tls12)
    assert outcome == Outcome(Verdict.HOLD, reason)
    assert attempts == []


RAW = {
    "an older TLS only": (b"\x15\x03\x01\x00\x02\x02\x46", Outcome(Verdict.HOLD, "tls-handshake")),
    "plain text": (b"HTTP/1.1 400 Bad Request\r\n\r\n", Outcome(Verdict.HOLD, "tls-handshake")),
    "half an answer": (b"\x16\x03\x03\x00\x7a\x02\x00\x00", Outcome(Verdict.RETRY, "connect-failed")),
}


@pytest.mark.parametrize("case", RAW)
@in_reactor
async def test_a_server_that_cannot_shake_hands_gets_nothing_but_a_hello(pki: Pki, case: str) -> None:
    answer, expected = RAW[case]
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(65_536))
        writer.write(answer)
        writer.write_eof()
        heard.extend(await reader.read())
        writer.close()

    server: asyncio.Server = await in_loop(asyncio.start_server(serve, "127.0.0.1", 0))
    try:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with calling(url, tls={"ca": str(pki.ca.path)}) as api:
            request = api.prepare("putEncounter", ENCOUNTER)
            outcome = await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
    finally:
        server.close()
        await in_loop(server.wait_closed())
    assert outcome == expected
    assert heard[:2] == b"\x16\x03"
    assert KEY.encode() not in heard
