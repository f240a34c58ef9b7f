from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
import yaml
from captured_logs import captured_logs
from http_peers import ENCOUNTER, KEY, TRACEPARENT, calling, serving
from pydantic import ValidationError
from reactor_tests import in_reactor

from bridge.cli.fake_api import FakeApi, Fault
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.credentials import API_KEY, ApiKeyOptions, authorisation
from bridge.destinations.in_loop import in_loop
from bridge.errors import PeerUnavailable
from bridge.units import SecretRef

SECRET = "s3cret-of-the-test"
OPTIONS = ApiKeyOptions.model_validate({"key": "secret://env/EHR_API_KEY"})
UNAVAILABLE = Outcome(Verdict.HOLD, "auth-unavailable")
SECOND_US = 1_000_000


class Vault:
    """Secrets that change, and what was asked for."""

    def __init__(self, *secrets: str) -> None:
        self.secrets = list(secrets)
        self.asked: list[str] = []

    def __call__(self, reference: SecretRef) -> str:
        self.asked.append(str(reference))
        return self.secrets.pop(0) if len(self.secrets) > 1 else self.secrets[0]


@pytest.mark.parametrize(
    ("written", "headers"),
    [
        ({}, {"X-API-Key": SECRET}),
        ({"header": "apikey"}, {"apikey": SECRET}),
        ({"header": "Authorization", "prefix": "ApiKey"}, {"Authorization": f"ApiKey {SECRET}"}),
    ],
)
def test_the_key_goes_into_its_header(written: dict[str, str], headers: dict[str, str]) -> None:
    options = ApiKeyOptions.model_validate({"key": "secret://file/ehr", **written})
    assert authorisation(options, Vault(SECRET)) == headers


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": SECRET},
        {"header": "X API"},
        {"header": "X-A\r\nB"},
        {"header": ""},
        {"header": "idempotency-key"},
        {"header": "Host"},
        {"prefix": "a b"},
        {"prefix": "a\n"},
    ],
)
def test_mistaken_options_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ApiKeyOptions.model_validate({"key": "secret://env/K", **wrong})


BAD_SECRETS = [
    "",
    " ",
    f"{SECRET}\n",
    f"{SECRET}\r\nX-Admin: 1",
    f" {SECRET}",
    "a\tb",
    "a\x00",
    "schlüssel",
    "k" * 4097,
]


@pytest.mark.parametrize("secret", BAD_SECRETS)
def test_a_secret_that_cannot_be_a_header_is_not_used(secret: str) -> None:
    with captured_logs() as logs:
        assert authorisation(OPTIONS, Vault(secret)) == UNAVAILABLE
    told = json.loads(logs.getvalue())
    assert (told["event"], told["reference"]) == ("secret-not-used", str(OPTIONS.key))
    assert "no header can hold" in told["reason"]
    assert SECRET not in logs.getvalue()


@pytest.mark.parametrize("error", [KeyError, FileNotFoundError, PermissionError, ValueError, PeerUnavailable])
def test_a_secret_that_cannot_be_resolved_holds_and_does_not_raise(error: type[Exception]) -> None:
    def secrets(reference: SecretRef) -> str:
        raise error(SECRET)

    with captured_logs() as logs:
        assert authorisation(OPTIONS, secrets) == UNAVAILABLE
    told = json.loads(logs.getvalue())
    assert (told["reference"], told["reason"]) == (str(OPTIONS.key), error.__name__)


@in_reactor
async def test_a_key_is_kept_for_five_minutes_and_no_longer() -> None:
    now_us = 1_000 * SECOND_US
    vault = Vault("one", "two", "three")
    credential = OPTIONS.open(vault, lambda: now_us)
    expected = [(0, "one"), (299, "one"), (300, "two"), (299, "three"), (400, "three"), (600, "three")]
    for after_s, secret in expected:
        now_us = (1_000 + after_s) * SECOND_US
        assert await in_loop(credential.headers()) == {"X-API-Key": secret}
    assert len(vault.asked) == 4


@in_reactor
async def test_a_failed_look_up_is_not_kept() -> None:
    vault = Vault("", SECRET)
    credential = OPTIONS.open(vault, lambda: 0)
    assert await in_loop(credential.headers()) == UNAVAILABLE
    assert await in_loop(credential.headers()) == {"X-API-Key": SECRET}


@in_reactor
async def test_only_the_key_that_was_refused_is_forgotten() -> None:
    vault = Vault("one", "two", "three")
    credential = OPTIONS.open(vault, lambda: 0)
    first = await in_loop(credential.headers())
    assert isinstance(first, dict)
    credential.forget({"X-API-Key": "an older one"})
    assert await in_loop(credential.headers()) == first
    credential.forget(first)
    assert await in_loop(credential.headers()) == {"X-API-Key": "two"}
    credential.forget(first)
    assert await in_loop(credential.headers()) == {"X-API-Key": "two"}


@in_reactor
async def test_a_call_carries_the_key_and_none_is_made_without_it() -> None:
    fake = FakeApi(api_key=("X-API-Key", SECRET))
    vault = Vault("", SECRET)
    async with serving(fake) as url, calling(url, credential=OPTIONS, secrets=vault) as api:
        request = api.prepare("putEncounter", ENCOUNTER)
        assert await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT) == UNAVAILABLE
        assert fake.attempts == []
        outcome = await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
        assert outcome.verdict is Verdict.DELIVERED
    assert len(fake.attempts) == 1


@in_reactor
async def test_a_rotated_key_is_looked_up_anew_within_the_attempt() -> None:
    fake = FakeApi(api_key=("X-API-Key", "new"))
    async with serving(fake) as url, calling(url, credential=OPTIONS, secrets=Vault("old", "new")) as api:
        request = api.prepare("putEncounter", ENCOUNTER)
        outcome = await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
    assert outcome.verdict is Verdict.DELIVERED
    assert [attempt.answered for attempt in fake.attempts] == [401, 200]


@in_reactor
async def test_a_refused_key_is_asked_for_anew_and_no_other() -> None:
    asked: list[bool] = []

    def secrets(reference: SecretRef) -> str:
        asked.append(reference.anew)
        return "new" if reference.anew else "old"

    fake = FakeApi(api_key=("X-API-Key", "new"))
    async with serving(fake) as url, calling(url, credential=OPTIONS, secrets=secrets) as api:
        request = api.prepare("putEncounter", ENCOUNTER)
        outcome = await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
    assert outcome.verdict is Verdict.DELIVERED
    assert asked == [False, True]


@in_reactor
async def test_a_secret_that_takes_its_time_holds_up_nothing_else() -> None:
    given = threading.Event()
    asked: list[str] = []

    def secrets(reference: SecretRef) -> str:
        asked.append(str(reference))
        assert given.wait(60)
        return SECRET

    credential = OPTIONS.open(secrets, lambda: 0)
    waiting = [in_loop(credential.headers()) for _ in range(3)]
    await in_loop(asyncio.sleep(0))  # the loop goes on
    given.set()
    assert [await each for each in waiting] == [{"X-API-Key": SECRET}] * 3
    assert len(asked) == 1


@in_reactor
async def test_a_refused_key_that_has_not_changed_is_tried_once() -> None:
    fake = FakeApi(api_key=("X-API-Key", "other"))
    async with serving(fake) as url, calling(url, credential=OPTIONS, secrets=Vault(SECRET)) as api:
        request = api.prepare("putEncounter", ENCOUNTER)
        outcome = await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
    assert outcome == Outcome(Verdict.HOLD, "unauthorised", 401)
    assert len(fake.attempts) == 1


@pytest.mark.parametrize("said", ["credential", "sign"])
@in_reactor
async def test_a_fault_of_ours_in_who_the_bridge_is_sends_nothing_and_holds_the_operation(said: str) -> None:
    def secrets(_: SecretRef) -> str:
        raise RuntimeError(SECRET)

    fake = FakeApi()
    options: dict[str, Any] = {"sign": {"key": "secret://file/k", "key_id": "k"}} if said == "sign" else {}
    credential = OPTIONS if said == "credential" else None
    async with serving(fake) as url, calling(url, credential=credential, secrets=secrets, **options) as api:
        request = api.prepare("putEncounter", ENCOUNTER)
        with captured_logs() as logged:
            outcome = await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)
    assert outcome == Outcome(Verdict.HOLD, "fault-of-ours")
    assert outcome.steps.endswith("u!fault-of-ours")
    assert not fake.attempts
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert [each["fault"] for each in lines if each["event"] == "attempt-fault"] == ["RuntimeError"]
    assert SECRET not in logged.getvalue()


@in_reactor
async def test_the_secret_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fake = FakeApi()
    vault = Vault(SECRET)
    async with serving(fake) as url, calling(url, credential=OPTIONS, secrets=vault) as api:
        fake.plant(Fault("lose"), Fault("status", 401), Fault("status", 500))
        request = api.prepare("putEncounter", ENCOUNTER)
        outcomes = [await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT) for _ in range(4)]
        credential = OPTIONS.open(vault, lambda: 0)
        await in_loop(credential.headers())
        shown = f"{outcomes} {api!r} {credential!r} {OPTIONS!r} {request!r} {caplog.text} {fake.attempts}"
    assert fake.attempts[0].headers["X-API-Key"] == SECRET
    assert SECRET not in shown
    assert "secret://env/EHR_API_KEY" in shown


def test_the_example_is_one() -> None:
    assert API_KEY.options.model_validate(yaml.safe_load(API_KEY.example)) == OPTIONS
