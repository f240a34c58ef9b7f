from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from http_peers import (
    ENCOUNTER,
    KEY,
    TRACEPARENT,
    Issued,
    calling,
    issue,
    server_context,
    serving,
    telling,
)
from reactor_tests import in_reactor

from bridge.cli.fake_api import FakeApi
from bridge.delivery.outcomes import Outcome, Verdict

DELIVERED = Outcome(Verdict.DELIVERED, "delivered", 200)


@dataclass(frozen=True)
class Pki:
    folder: Path
    ours: Issued
    other: Issued


@pytest.fixture(name="pki", scope="module")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    return Pki(folder, issue(folder, "ours"), issue(folder, "other"))


async def called(url: str, tls: dict[str, Any]) -> Outcome:
    async with calling(url, tls=tls) as api:
        request = api.prepare("putEncounter", ENCOUNTER)
        return await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)


@pytest.mark.parametrize(
    ("server", "trusted", "outcome"),
    [
        ({}, "ours", DELIVERED),
        ({}, "other", Outcome(Verdict.HOLD, "tls-untrusted")),
        ({}, None, Outcome(Verdict.HOLD, "tls-untrusted")),
        ({"days": (-3, -1)}, "ours", Outcome(Verdict.HOLD, "tls-untrusted-expired")),
        ({"days": (1, 3)}, "ours", Outcome(Verdict.HOLD, "tls-untrusted-not-yet-valid")),
        ({"hosts": ("elsewhere.example",)}, "ours", Outcome(Verdict.HOLD, "tls-untrusted-wrong-host")),
    ],
    ids=["good", "wrong authority", "authority not of the system", "expired", "not yet", "wrong host"],
)
@in_reactor
async def test_a_server_is_trusted_by_its_certificate_alone(
    pki: Pki, server: dict[str, Any], trusted: str | None, outcome: Outcome
) -> None:
    fake = FakeApi()
    context = server_context(issue(pki.folder, "server", by=pki.ours, **server))
    async with serving(fake, context) as url:
        tls = {} if trusted is None else {"ca": str(pki.folder / f"{trusted}.pem")}
        assert await called(url, tls) == outcome
    assert len(fake.attempts) == (1 if outcome == DELIVERED else 0)


@in_reactor
async def test_a_name_is_checked_where_the_url_has_a_name(pki: Pki) -> None:
    context = server_context(issue(pki.folder, "by-address", by=pki.ours, hosts=("127.0.0.1",)))
    async with serving(FakeApi(), context) as url:
        tls = {"ca": str(pki.ours.certificate_path)}
        assert await called(url, tls) == DELIVERED
        named = url.replace("127.0.0.1", "localhost")
        assert await called(named, tls) == Outcome(Verdict.HOLD, "tls-untrusted-wrong-host")


TLS_VERSIONS = pytest.mark.parametrize("tls13", [True, False], ids=["TLS 1.3", "TLS 1.2"])
CLIENTS = pytest.mark.parametrize("client", ["other", None], ids=["wrong authority", "missing"])


def presenting(pki: Pki, client: str | None) -> dict[str, str]:
    """Options that trust our authority, and present a certificate of the one that is named."""
    tls = {"ca": str(pki.ours.certificate_path)}
    if client is not None:
        issued = issue(pki.folder, "client", by=pki.ours if client == "ours" else pki.other)
        tls |= {"certificate": str(issued.certificate_path), "key": str(issued.key_path)}
    return tls


@TLS_VERSIONS
@in_reactor
async def test_a_server_that_asks_for_a_client_certificate_gets_it(pki: Pki, tls13: bool) -> None:
    context = server_context(issue(pki.folder, "server", by=pki.ours), client_ca=pki.ours, tls13=tls13)
    async with serving(FakeApi(), context) as url:
        assert await called(url, presenting(pki, "ours")) == DELIVERED


@pytest.mark.parametrize(
    ("client", "tls13", "reason"),
    [
        ("other", True, "tls-client-certificate"),
        (None, True, "tls-client-certificate"),
        ("other", False, "tls-client-certificate"),
        (None, False, "tls-handshake"),  # RFC 5246 §7.4.6 has no alert of its own for an absent certificate
    ],
)
@in_reactor
async def test_a_client_certificate_that_is_refused_by_alert_is_held(
    pki: Pki, client: str | None, tls13: bool, reason: str
) -> None:
    context = server_context(issue(pki.folder, "server", by=pki.ours), client_ca=pki.ours, tls13=tls13)
    with telling(context) as url:
        outcome = await called(url, presenting(pki, client))
    assert outcome == Outcome(Verdict.HOLD, reason)


@CLIENTS
@pytest.mark.parametrize(
    ("tls13", "outcome"),
    [
        (True, Outcome(Verdict.AMBIGUOUS, "disconnected-after-handshake")),
        (False, Outcome(Verdict.RETRY, "connect-failed")),
    ],
    ids=["TLS 1.3", "TLS 1.2"],
)
@in_reactor
async def test_a_client_certificate_that_is_refused_in_silence_is_told_by_its_moment(
    pki: Pki, client: str | None, tls13: bool, outcome: Outcome
) -> None:
    fake = FakeApi()
    context = server_context(issue(pki.folder, "server", by=pki.ours), client_ca=pki.ours, tls13=tls13)
    async with serving(fake, context) as url:
        assert await called(url, presenting(pki, client)) == outcome
    assert fake.attempts == []


@in_reactor
async def test_a_server_that_speaks_no_tls_is_held() -> None:
    async with serving(FakeApi()) as url:
        outcome = await called(url.replace("http:", "https:"), {})
    assert outcome == Outcome(Verdict.HOLD, "tls-handshake")


@in_reactor
async def test_files_that_cannot_be_used_hold_the_call_until_they_are_corrected(pki: Pki) -> None:
    ca = pki.folder / "late.pem"
    context = server_context(issue(pki.folder, "server", by=pki.ours))
    async with serving(FakeApi(), context) as url, calling(url, tls={"ca": str(ca)}) as api:
        request = api.prepare("putEncounter", ENCOUNTER)
        for content in (None, b"no certificate", pki.ours.certificate_path.read_bytes()):
            if content is not None:
                ca.write_bytes(content)
            outcome = await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
            usable = content is not None and content.startswith(b"-----BEGIN")
            assert outcome == (DELIVERED if usable else Outcome(Verdict.HOLD, "tls-files-unusable"))


@in_reactor
async def test_a_key_that_asks_for_a_password_is_not_waited_for(pki: Pki) -> None:
    locked = pki.folder / "locked.key"
    locked.write_bytes(
        pki.ours.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a password"),
        )
    )
    tls = {"certificate": str(pki.ours.certificate_path), "key": str(locked)}
    assert await called("https://127.0.0.1:9", tls) == Outcome(Verdict.HOLD, "tls-files-unusable")
