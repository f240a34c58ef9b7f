"""MLLP over TLS: nothing is said to a receiver that cannot be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from http_peers import Issued, issue, server_context, telling
from mllp_peers import message, receiving, sender, sent
from reactor_tests import in_reactor

from bridge.cli.fake_mllp import FakeReceiver
from bridge.delivery.outcomes import Outcome, Verdict

DELIVERED = Outcome(Verdict.DELIVERED, "answered-aa")


@dataclass(frozen=True)
class Pki:
    folder: Path
    ours: Issued
    other: Issued

    def ca(self, name: str = "ours") -> str:
        return str(self.folder / f"{name}.pem")


@pytest.fixture(name="pki", scope="module")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("mllp-pki")
    return Pki(folder, issue(folder, "ours"), issue(folder, "other"))


@pytest.mark.parametrize(
    ("server", "trusted", "outcome"),
    [
        ({}, {"ca": "ours"}, DELIVERED),
        ({}, {"ca": "other"}, Outcome(Verdict.HOLD, "tls-untrusted")),
        ({}, {}, Outcome(Verdict.HOLD, "tls-untrusted")),
        ({"days": (-3, -1)}, {"ca": "ours"}, Outcome(Verdict.HOLD, "tls-untrusted-expired")),
        ({"days": (1, 3)}, {"ca": "ours"}, Outcome(Verdict.HOLD, "tls-untrusted-not-yet-valid")),
        (
            {"hosts": ("elsewhere.example",)},
            {"ca": "ours"},
            Outcome(Verdict.HOLD, "tls-untrusted-wrong-host"),
        ),
        ({"hosts": ("engine.example",)}, {"ca": "ours", "server_name": "engine.example"}, DELIVERED),
    ],
    ids=["good", "other authority", "not of the system", "expired", "not yet", "wrong host", "its own name"],
)
@in_reactor
async def test_a_receiver_is_trusted_by_its_certificate_alone(
    pki: Pki, server: dict[str, Any], trusted: dict[str, str], outcome: Outcome
) -> None:
    context = server_context(issue(pki.folder, "server", by=pki.ours, **server))
    tls = {**trusted, **({"ca": pki.ca(trusted["ca"])} if "ca" in trusted else {})}
    async with receiving(tls=context, options_tls=tls) as (receiver, destination):
        assert await sent(destination, message("C1")) == outcome
        assert len(receiver.blocks) == (outcome == DELIVERED)
        if outcome == DELIVERED:
            assert await sent(destination, message("C2")) == DELIVERED
            assert receiver.connections == 1, "what TLS itself says in a rest ends no connection"


@pytest.mark.parametrize("tls13", [True, False], ids=["TLS 1.3", "TLS 1.2"])
@in_reactor
async def test_a_receiver_that_asks_for_a_certificate_gets_ours(pki: Pki, tls13: bool) -> None:
    context = server_context(issue(pki.folder, "server", by=pki.ours), client_ca=pki.ours, tls13=tls13)
    ours = issue(pki.folder, "client", by=pki.ours)
    tls = {"ca": pki.ca(), "certificate": str(ours.certificate_path), "key": str(ours.key_path)}
    async with receiving(tls=context, options_tls=tls) as (_, destination):
        assert await sent(destination, message()) == DELIVERED


@pytest.mark.parametrize(
    ("client", "tls13", "reason"),
    [
        ("other", True, "tls-client-certificate"),
        (None, True, "tls-client-certificate"),
        ("other", False, "tls-client-certificate"),
        (None, False, "tls-handshake"),
    ],
)
@in_reactor
async def test_a_certificate_of_ours_that_is_refused_by_alert_is_held(
    pki: Pki, client: str | None, tls13: bool, reason: str
) -> None:
    context = server_context(issue(pki.folder, "server", by=pki.ours), client_ca=pki.ours, tls13=tls13)
    tls = {"ca": pki.ca()}
    if client is not None:
        issued = issue(pki.folder, "client", by=pki.other)
        tls |= {"certificate": str(issued.certificate_path), "key": str(issued.key_path)}
    with telling(context) as url:
        destination = sender("tcp:" + url.removeprefix("https://"), tls=tls)
        outcome = await sent(destination, message())
        await destination.close()
    assert outcome == Outcome(Verdict.HOLD, reason)


@in_reactor
async def test_a_receiver_without_tls_hears_no_message(pki: Pki) -> None:
    async with receiving(options_tls={"ca": pki.ca()}, connect_within="1s") as (receiver, destination):
        outcome = await sent(destination, message())
        assert outcome.verdict in {Verdict.HOLD, Verdict.RETRY}
        assert receiver.blocks == []


@in_reactor
async def test_files_that_cannot_be_used_hold_the_call_until_they_are_corrected(pki: Pki) -> None:
    ca = pki.folder / "late.pem"
    context = server_context(issue(pki.folder, "server", by=pki.ours))
    async with receiving(FakeReceiver(), context, options_tls={"ca": str(ca)}) as (_, destination):
        assert await sent(destination, message()) == Outcome(Verdict.HOLD, "tls-files-unusable")
        ca.write_bytes(b"no certificate")
        assert await sent(destination, message()) == Outcome(Verdict.HOLD, "tls-files-unusable")
        ca.write_bytes(pki.ours.certificate_path.read_bytes())
        assert await sent(destination, message()) == DELIVERED
