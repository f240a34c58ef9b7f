"""What changes beside an API file that stays as it is is taken up, and calls under way are not hurt."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from certificates import make
from http_peers import ENCOUNTER, KEY, TRACEPARENT, calling, issue, server_context, serving
from reactor_tests import in_reactor, until
from twisted.internet.defer import Deferred

from bridge.cli.fake_api import FakeApi, Fault
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.addresses import Addresses, AddressRefused
from bridge.destinations.http_api import HttpApi, HttpApiOptions, build
from bridge.destinations.in_loop import in_loop
from bridge.errors import CertificateRefused
from bridge.governance.target_guard import NetworkOptions
from bridge.tls.client import Tls, context_or_why

DELIVERED = Outcome(Verdict.DELIVERED, "delivered", 200)


async def sent(api: HttpApi) -> Outcome:
    request = api.prepare("putEncounter", ENCOUNTER)
    return await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)


def exchange(target: Path, content: bytes) -> None:
    """As those do who renew certificates: another file under the same name."""
    beside = target.with_suffix(".new")
    beside.write_bytes(content)
    os.replace(beside, target)


@in_reactor
async def test_another_authority_under_the_same_name_is_taken_up_and_calls_under_way_end_well(
    tmp_path: Path,
) -> None:
    ours, other = issue(tmp_path, "ours"), issue(tmp_path, "other")
    server = issue(tmp_path, "server", by=ours)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(ours.certificate_path.read_bytes())
    fake = FakeApi()
    async with serving(fake, server_context(server)) as url, calling(url, tls={"ca": str(trusted)}) as api:
        assert await sent(api) == DELIVERED
        fake.plant(Fault("delay", seconds=0.3))
        slow = Deferred.fromCoroutine(sent(api))
        await until(lambda: len(fake.attempts) == 2, "the call is under way")
        exchange(trusted, other.certificate_path.read_bytes())
        assert api.look_at_files() == ("",)
        assert await sent(api) == Outcome(Verdict.HOLD, "tls-untrusted")
        assert await slow == DELIVERED
        exchange(trusted, ours.certificate_path.read_bytes())
        api.look_at_files()
        assert await sent(api) == DELIVERED


@in_reactor
async def test_a_file_that_cannot_be_used_leaves_what_was_read(tmp_path: Path) -> None:
    ours = issue(tmp_path, "ours")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(ours.certificate_path.read_bytes())
    fake = FakeApi()
    server = server_context(issue(tmp_path, "server", by=ours))
    async with serving(fake, server) as url, calling(url, tls={"ca": str(trusted)}) as api:
        assert await sent(api) == DELIVERED
        assert api.look_at_files() == ()
        exchange(trusted, b"half of an exchange")
        [why] = api.look_at_files()
        assert "trusted.pem holds no certificate in PEM" in why
        assert await sent(api) == DELIVERED
        trusted.unlink()
        [why] = api.look_at_files()
        assert f"{trusted} cannot be read: No such file or directory" in why
        assert await sent(api) == DELIVERED


@in_reactor
async def test_files_of_an_api_that_was_never_called_are_told_where_they_cannot_be_used(
    tmp_path: Path,
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(issue(tmp_path, "ours").certificate_path.read_bytes())
    async with calling("https://127.0.0.1:9", tls={"ca": str(trusted)}) as api:
        assert api.look_at_files() == ()
        trusted.write_bytes(b"half of an exchange")
        assert len(api.look_at_files()) == 1
    async with calling("http://127.0.0.1:9", tls={"ca": str(trusted)}) as api:
        assert api.look_at_files() == ()


def test_a_key_that_is_encrypted_is_told_as_that_and_one_of_another_certificate_too(tmp_path: Path) -> None:
    ours, other = make(tmp_path, "ours"), make(tmp_path, "other")
    closed = make(tmp_path, "closed", password=b"opens it")
    for certificate, key, words in (
        (closed.path, closed.key_path, f"{closed.key_path} is encrypted: write it without a password"),
        (ours.path, other.key_path, f"{ours.path} and {other.key_path} do not belong together"),
        (ours.path, ours.path, f"{ours.path} is no private key in PEM"),
    ):
        with pytest.raises(CertificateRefused, match=re.escape(words)):
            context_or_why(Tls.model_validate({"certificate": certificate, "key": key}))


# The target guard


def guarded(url: str, **network: object) -> HttpApi:
    from http_peers import no_secrets, operations

    permits = NetworkOptions.model_validate(network).permits()
    options = HttpApiOptions.model_validate({"base_url": url})
    return build(options, operations(), None, no_secrets, lambda: 0, permits)


@pytest.mark.parametrize(
    ("network", "outcome", "steps"),
    [
        ({}, DELIVERED, "tiuso"),
        ({"addresses": ["127.0.0.0/8"]}, DELIVERED, "tiuso"),
        ({"addresses": ["10.0.0.0/8"]}, Outcome(Verdict.HOLD, "target-refused"), "t!target-refused"),
    ],
)
@in_reactor
async def test_only_an_address_of_the_targets_own_is_connected_to(
    network: dict[str, object], outcome: Outcome, steps: str
) -> None:
    fake = FakeApi()
    async with serving(fake) as url:
        api = guarded(url, **network)
        try:
            found = await sent(api)
        finally:
            await api.close()
    assert (found, found.steps) == (outcome, steps)
    assert len(fake.attempts) == (outcome is DELIVERED)


@in_reactor
async def test_a_name_is_looked_up_once_in_a_while_and_one_bad_address_refuses_all() -> None:
    asked: list[tuple[str, str]] = []

    def permits(host: str, address: str) -> bool:
        asked.append((host, address))
        return len(asked) == 1

    found = Addresses("127.0.0.1", 80, permits)
    for _ in range(3):
        await in_loop(found.look_up(5))
    assert asked == [("127.0.0.1", "127.0.0.1")]
    refusing = Addresses("127.0.0.1", 80, lambda *_: False)
    with pytest.raises(AddressRefused):
        await in_loop(refusing.look_up(5))
    assert not refusing.fresh(asyncio.get_running_loop().time())
