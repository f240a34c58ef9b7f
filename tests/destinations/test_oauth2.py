from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from aiohttp import web
from captured_logs import captured_logs
from http_peers import ENCOUNTER, TRACEPARENT, TokenServer, calling, issue, server_context, serving
from pydantic import ValidationError
from reactor_tests import in_reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from bridge.cli.fake_api import FakeApi, Fault
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.http_api import HttpApi
from bridge.destinations.in_loop import in_loop
from bridge.destinations.oauth2 import (
    COMPONENT,
    FAILED_WAIT_MAX_S,
    FORCED_AGAIN_MIN_S,
    LIFETIME_ASSUMED_S,
    LIFETIME_MAX_S,
    REFRESH_RATIO,
    REFRESH_SPREAD,
    REFUSED,
    RESPONSE_MAX_BYTES,
    TOKEN_MAX_BYTES,
    UNAVAILABLE,
    UNUSABLE,
    Granted,
    OAuth2Options,
    Tokens,
    read_response,
    refresh_ratio,
    token_request,
)
from bridge.errors import SecretUnavailable
from bridge.units import SecretRef

SECRET = "s3cret+of/the test"
SECOND_US = 1_000_000
AT_US = 784_111_777_000_000  # Sun, 06 Nov 1994 08:49:37 GMT, the date in RFC 9110 §5.6.7
CLOSING = Outcome(Verdict.RETRY, "closing")
DELIVERED = Outcome(Verdict.DELIVERED, "delivered", 200)


def options(url: str = "https://idp.example", **more: Any) -> OAuth2Options:
    written = {"token_url": f"{url}/oauth/token", "client_id": "bridge", "secret": "secret://env/RCM"}
    return OAuth2Options.model_validate(written | more)


def later(retry_after_s: float | None) -> Outcome:
    return Outcome(Verdict.RETRY, "auth-unavailable", None, retry_after_s)


def bearer(number: int) -> dict[str, str]:
    return {"Authorization": f"Bearer token-{number}"}


@dataclass
class World:
    """A clock and a secret, both of which change when a test says so."""

    now_us: int = AT_US
    secret: str = SECRET
    looked_up: list[str] = field(default_factory=list)

    def clock(self) -> int:
        return self.now_us

    def wait(self, seconds: float) -> None:
        self.now_us += round(seconds * SECOND_US)

    def secrets(self, reference: SecretRef) -> str:
        self.looked_up.append(str(reference))
        if not self.secret:
            raise SecretUnavailable(f"{reference}: not set")
        return self.secret


@asynccontextmanager
async def credential_of(server: TokenServer, world: World, **more: Any) -> AsyncIterator[Tokens]:
    async with serving(server) as url:
        credential = options(url, **more).open(world.secrets, world.clock)
        try:
            yield credential
        finally:
            await in_loop(credential.close())


Headers = Mapping[str, str] | Outcome


async def asked(credential: Tokens) -> Headers:
    return await in_loop(credential.headers())


async def asked_together(credential: Tokens, times: int) -> list[Headers]:
    return list(await gatherResults([in_loop(credential.headers()) for _ in range(times)]))


async def sent(api: HttpApi, number: int = 0) -> Outcome:
    request = api.prepare("putEncounter", ENCOUNTER)
    return await api.send(request, idempotency_key=f"d-{number}.0", traceparent=TRACEPARENT)


async def until_asked(server: TokenServer, times: int) -> None:
    for _ in range(1000):
        if len(server.asked) >= times:
            break
        await in_loop(asyncio.sleep(0.005))
    assert len(server.asked) == times


async def settled(credential: Tokens, found: Headers) -> None:
    """Wait until headers are as told: a request in the background has come to its end."""
    for _ in range(1000):
        if await asked(credential) == found:
            return
        await in_loop(asyncio.sleep(0.005))
    assert await asked(credential) == found


# What is asked

FORMS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    ({"scopes": ["encounters.write"]}, {"scope": "encounters.write"}),
    (
        {"scopes": ["a.write", "https://rcm.example/.default"]},
        {"scope": "a.write https://rcm.example/.default"},
    ),
    ({"audience": "https://rcm.example/"}, {"audience": "https://rcm.example/"}),
]


@pytest.mark.parametrize(("written", "form"), FORMS)
@in_reactor
async def test_the_token_server_gets_what_rfc_6749_asks_for(
    written: dict[str, Any], form: dict[str, str]
) -> None:
    server, world = TokenServer(), World()
    async with credential_of(server, world, **written) as credential:
        assert await asked(credential) == bearer(1)
    [request] = server.asked
    assert (request.method, request.path) == ("POST", "/oauth/token")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.form == {"grant_type": "client_credentials", **form}


@pytest.mark.parametrize(
    ("client_id", "secret", "pair"),
    [
        ("bridge", "word", "bridge:word"),
        ("bridge:north", SECRET, "bridge%3Anorth:s3cret%2Bof%2Fthe+test"),
        ("a b", "50%&=", "a+b:50%25%26%3D"),
    ],
)
def test_basic_encodes_id_and_secret_before_it_joins_them(client_id: str, secret: str, pair: str) -> None:
    headers, form = token_request(options(client_id=client_id), secret)
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == pair
    assert form == b"grant_type=client_credentials"


@in_reactor
async def test_post_puts_id_and_secret_into_the_form_alone() -> None:
    server, world = TokenServer(), World()
    async with credential_of(server, world, client_auth="post", client_id="a b&c") as credential:
        assert await asked(credential) == bearer(1)
    [request] = server.asked
    assert request.form == {
        "grant_type": "client_credentials",
        "client_id": "a b&c",
        "client_secret": SECRET,
    }
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    "wrong",
    [
        {"token_url": "http://idp.example/token"},
        {"token_url": "https://bridge:word@idp.example/token"},
        {"token_url": "idp.example"},
        {"client_id": ""},
        {"client_id": "a\nb"},
        {"secret": SECRET},
        {"scopes": ["a b"]},
        {"scopes": ['a"b']},
        {"scopes": [""]},
        {"audience": "a b"},
        {"client_auth": "none"},
        {"timeout": "0s"},
        {"timeout": 5, "retries": 3},
        {"tls": {"verify": False}},
    ],
)
def test_mistaken_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        options(**wrong)
    assert "word" not in str([each["msg"] for each in refused.value.errors()])


def test_the_example_is_one() -> None:
    example = OAuth2Options.model_validate(yaml.safe_load(COMPONENT.example))
    assert example.secret == SecretRef("file", "rcm-client")
    assert (COMPONENT.kind, COMPONENT.name) == ("credential", "oauth2_client_credentials")
    assert all(each.description for each in COMPONENT.options.model_fields.values())
    assert orjson.dumps(COMPONENT.options.model_json_schema())


# What is answered


def answer(**more: Any) -> bytes:
    return orjson.dumps({"access_token": "t0k-en", "token_type": "Bearer", **more})


def given(lifetime_s: float) -> Granted:
    return Granted("t0k-en", lifetime_s)


ANSWERS: list[tuple[int, bytes, Granted | Outcome]] = [
    (200, answer(expires_in=3600), given(3600.0)),
    (200, answer(expires_in=3600, scope="a", id_token=5), given(3600.0)),
    (200, answer(expires_in="3600"), given(3600.0)),
    (200, answer(expires_in=0.5), given(0.5)),
    (200, answer(), given(LIFETIME_ASSUMED_S)),
    (200, answer(expires_in=None), given(LIFETIME_ASSUMED_S)),
    (200, answer(expires_in=10**15), given(LIFETIME_MAX_S)),
    (200, answer(token_type="bearer"), given(LIFETIME_ASSUMED_S)),
    (200, answer(token_type="BEARER"), given(LIFETIME_ASSUMED_S)),
    (200, answer(padding="x" * 60_000), given(LIFETIME_ASSUMED_S)),
    (200, answer(padding="x" * RESPONSE_MAX_BYTES), UNUSABLE),
    (200, answer(expires_in=0), UNUSABLE),
    (200, answer(expires_in=-1), UNUSABLE),
    (200, answer(expires_in=True), UNUSABLE),
    (200, answer(expires_in="soon"), UNUSABLE),
    (200, answer(expires_in="٣"), UNUSABLE),
    (200, answer(expires_in=[1]), UNUSABLE),
    (200, answer(token_type="mac"), UNUSABLE),
    (200, answer(token_type=None), UNUSABLE),
    (200, orjson.dumps({"access_token": "t0k-en"}), UNUSABLE),
    (200, orjson.dumps({"token_type": "Bearer"}), UNUSABLE),
    (200, answer(access_token=""), UNUSABLE),
    (200, answer(access_token="a b"), UNUSABLE),
    (200, answer(access_token="a\r\nX-Admin: 1"), UNUSABLE),
    (200, answer(access_token="schlüssel"), UNUSABLE),
    (200, answer(access_token="t" * (TOKEN_MAX_BYTES + 1)), UNUSABLE),
    (200, answer(access_token=7), UNUSABLE),
    (200, b"<html>", UNUSABLE),
    (200, b"", UNUSABLE),
    (200, b'["access_token"]', UNUSABLE),
    (200, b"\xff", UNUSABLE),
    (204, b"", UNUSABLE),
    (302, answer(), UNUSABLE),
    (400, b'{"error": "invalid_client"}', REFUSED),
    (401, b"", REFUSED),
    (403, answer(), REFUSED),
    (404, answer(), UNUSABLE),
    (405, answer(), UNUSABLE),
    (408, b"", later(None)),
    (429, b"", later(None)),
    (500, answer(), later(None)),
    (503, b"", later(None)),
]


@pytest.mark.parametrize(("status", "body", "meaning"), ANSWERS)
def test_what_a_token_server_answers_has_one_meaning(
    status: int, body: bytes, meaning: Granted | Outcome
) -> None:
    assert read_response(status, {}, body, now_us=AT_US) == meaning


@pytest.mark.parametrize(
    ("text", "wait_s"), [("7", 7.0), ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0), ("99999", 900.0)]
)
def test_a_token_servers_retry_after_is_read(text: str, wait_s: float) -> None:
    assert read_response(429, {"Retry-After": text}, b"", now_us=AT_US) == later(wait_s)
    assert read_response(401, {"Retry-After": text}, b"", now_us=AT_US) == REFUSED


# One token for many calls


@in_reactor
async def test_a_call_carries_the_token_and_the_next_ones_too() -> None:
    server, world, fake = TokenServer(), World(), FakeApi()
    async with (
        serving(server) as token_url,
        serving(fake) as url,
        calling(url, credential=options(token_url), secrets=world.secrets, now_us=world.clock) as api,
    ):
        for number in range(3):
            assert await sent(api, number) == DELIVERED
    assert [attempt.headers["Authorization"] for attempt in fake.attempts] == ["Bearer token-1"] * 3
    assert len(server.asked) == 1


@in_reactor
async def test_five_hundred_calls_ask_once_for_a_token_that_is_not_there_or_has_ended() -> None:
    server, world = TokenServer(), World()
    async with credential_of(server, world) as credential:
        assert await asked_together(credential, 500) == [bearer(1)] * 500
        assert len(server.asked) == 1
        world.wait(3600)
        assert await asked_together(credential, 500) == [bearer(2)] * 500
    assert len(server.asked) == 2


@in_reactor
async def test_five_hundred_calls_hear_of_one_failure() -> None:
    server, world = TokenServer(web.Response(status=401)), World()
    async with credential_of(server, world) as credential:
        assert await asked_together(credential, 500) == [REFUSED] * 500
    assert len(server.asked) == 1


@in_reactor
async def test_a_call_that_is_given_up_takes_nothing_from_the_others() -> None:
    server, world = TokenServer(), World()
    server.open.clear()
    async with credential_of(server, world) as credential:
        first, second = in_loop(credential.headers()), in_loop(credential.headers())
        await until_asked(server, 1)
        first.cancel()
        with pytest.raises(CancelledError):
            await first
        server.open.set()
        assert await second == bearer(1)
    assert len(server.asked) == 1


@in_reactor
async def test_the_next_token_is_asked_for_early_while_calls_go_on_with_the_last() -> None:
    server, world = TokenServer(), World()
    async with credential_of(server, world) as credential:
        assert await asked(credential) == bearer(1)
        early_s = 3600 * refresh_ratio("bridge")
        world.wait(early_s - 1)
        assert await asked(credential) == bearer(1)
        await in_loop(asyncio.sleep(0.02))
        assert len(server.asked) == 1, "it was asked for too early"
        server.open.clear()
        world.wait(1)
        assert await asked_together(credential, 100) == [bearer(1)] * 100
        await until_asked(server, 2)
        assert await asked_together(credential, 100) == [bearer(1)] * 100
        server.open.set()
        await settled(credential, bearer(2))
    assert len(server.asked) == 2


@in_reactor
async def test_a_token_lives_on_while_the_next_cannot_be_had() -> None:
    server, world = TokenServer(), World()
    async with credential_of(server, world) as credential:
        assert await asked(credential) == bearer(1)
        server.planted += [web.Response(status=503), web.Response(status=503)]
        world.wait(3000)
        assert await asked(credential) == bearer(1)
        await until_asked(server, 2)
        await in_loop(asyncio.sleep(0.02))
        assert await asked_together(credential, 50) == [bearer(1)] * 50
        await in_loop(asyncio.sleep(0.02))
        assert len(server.asked) == 2, "a failed request is not repeated at once"
        world.wait(600)
        assert await asked(credential) == later(2.0)
    assert len(server.asked) == 3


LIVES: list[tuple[Any, float]] = [(60, 60.0), (None, LIFETIME_ASSUMED_S), (10**9, LIFETIME_MAX_S)]


@pytest.mark.parametrize(("told_s", "lives_s"), LIVES)
@in_reactor
async def test_no_token_is_used_after_its_lifetime(told_s: Any, lives_s: float) -> None:
    server, world = TokenServer(), World()
    server.lifetime_s = told_s
    async with credential_of(server, world) as credential:
        assert await asked(credential) == bearer(1)
        server.open.clear()
        world.wait(lives_s - 0.001)
        assert await asked(credential) == bearer(1)
        world.wait(0.001)
        waiting = in_loop(credential.headers())
        server.open.set()
        assert await waiting == bearer(2)


@in_reactor
async def test_after_a_clock_was_set_back_a_token_of_unknown_age_is_not_used() -> None:
    server, world = TokenServer(), World()
    async with credential_of(server, world) as credential:
        assert await asked(credential) == bearer(1)
        world.wait(-7200)
        assert await asked(credential) == bearer(2)
        assert await asked(credential) == bearer(2)
    assert len(server.asked) == 2


def test_clients_do_not_all_come_at_one_moment() -> None:
    ratios = [refresh_ratio(f"bridge-{number}") for number in range(100)]
    assert all(REFRESH_RATIO - REFRESH_SPREAD <= ratio <= REFRESH_RATIO for ratio in ratios)
    assert len({round(ratio, 2) for ratio in ratios}) > 5
    assert ratios == [refresh_ratio(f"bridge-{number}") for number in range(100)]


# A token that the API refuses


@asynccontextmanager
async def api_that_wants(
    token: str, server: TokenServer, world: World
) -> AsyncIterator[tuple[HttpApi, FakeApi]]:
    fake = FakeApi(api_key=("Authorization", f"Bearer {token}"))
    async with (
        serving(server) as token_url,
        serving(fake) as url,
        calling(url, credential=options(token_url), secrets=world.secrets, now_us=world.clock) as api,
    ):
        yield api, fake


@in_reactor
async def test_two_hundred_calls_refused_with_one_token_force_one_request() -> None:
    server, world = TokenServer(), World()
    async with api_that_wants("token-2", server, world) as (api, fake):
        calls = [Deferred.fromCoroutine(sent(api, number)) for number in range(200)]
        assert list(await gatherResults(calls)) == [DELIVERED] * 200
        refused = [attempt for attempt in fake.attempts if attempt.answered == 401]
        assert len(refused) > 1, "the calls were not refused together"
    assert len(server.asked) == 2


@in_reactor
async def test_a_token_refused_again_holds_and_forces_nothing_more() -> None:
    server, world = TokenServer(), World()
    async with api_that_wants("another", server, world) as (api, fake):
        assert await sent(api) == Outcome(Verdict.HOLD, "unauthorised", 401)
        assert [attempt.headers["Authorization"] for attempt in fake.attempts] == [
            "Bearer token-1",
            "Bearer token-2",
        ]
        for number in range(1, 20):
            assert await sent(api, number) == Outcome(Verdict.HOLD, "unauthorised", 401)
        assert len(server.asked) == 2
        world.wait(FORCED_AGAIN_MIN_S)
        fake.api_key = ("Authorization", "Bearer token-3")
        assert await sent(api, 20) == DELIVERED
    assert len(server.asked) == 3


@in_reactor
async def test_a_server_that_gives_the_refused_token_again_is_not_asked_on_and_on() -> None:
    server, world = TokenServer(), World()
    server.same = True
    async with api_that_wants("another", server, world) as (api, fake):
        calls = [Deferred.fromCoroutine(sent(api, number)) for number in range(50)]
        assert {outcome.reason for outcome in await gatherResults(calls)} == {"unauthorised"}
        assert len(fake.attempts) == 50, "the same token is not tried twice"
    assert len(server.asked) == 2


@in_reactor
async def test_where_no_other_token_can_be_had_the_refusal_is_not_the_last_word() -> None:
    server, world = TokenServer(), World()
    async with api_that_wants("token-3", server, world) as (api, fake):
        assert isinstance(api, HttpApi)
        fake.api_key = ("Authorization", "Bearer token-1")
        assert await sent(api) == DELIVERED
        fake.api_key = ("Authorization", "Bearer token-3")
        server.planted.append(web.Response(status=503, headers={"Retry-After": "40"}))
        assert await sent(api, 1) == later(40.0)
        world.wait(40)
        assert await sent(api, 2) == DELIVERED
    assert [attempt.answered for attempt in fake.attempts] == [200, 401, 200]


@in_reactor
async def test_only_the_token_that_was_refused_is_forgotten() -> None:
    server, world = TokenServer(), World()
    async with credential_of(server, world) as credential:
        assert await asked(credential) == bearer(1)
        credential.forget(bearer(9))
        assert await asked(credential) == bearer(1)
        credential.forget(bearer(1))
        assert await asked(credential) == bearer(2)
        credential.forget(bearer(1))
        assert await asked(credential) == bearer(2)
    assert len(server.asked) == 2


# A token server that fails

FAILURES: list[tuple[int, dict[str, str], float, Outcome]] = [
    (400, {}, 1.0, REFUSED),
    (401, {}, 1.0, REFUSED),
    (404, {}, 1.0, UNUSABLE),
    (500, {}, 1.0, later(1.0)),
    (429, {"Retry-After": "30"}, 30.0, later(30.0)),
    (503, {"Retry-After": "0"}, 1.0, later(1.0)),
]


@pytest.mark.parametrize(("status", "headers", "wait_s", "outcome"), FAILURES)
@in_reactor
async def test_a_request_that_failed_is_not_repeated_at_once_whoever_asks(
    status: int, headers: dict[str, str], wait_s: float, outcome: Outcome
) -> None:
    server, world = TokenServer(web.Response(status=status, headers=headers)), World()
    async with credential_of(server, world) as credential:
        assert await asked(credential) == outcome
        world.wait(wait_s - 0.25)
        again = await asked(credential)
        assert again == (later(0.25) if outcome.verdict is Verdict.RETRY else outcome)
        assert len(server.asked) == 1
        world.wait(0.25)
        assert await asked(credential) == bearer(2)


@in_reactor
async def test_a_secret_that_the_token_server_refused_is_asked_for_anew() -> None:
    server, world = TokenServer(web.Response(status=500), web.Response(status=401)), World()
    asked_for: list[bool] = []

    def secrets(reference: SecretRef) -> str:
        asked_for.append(reference.anew)
        return SECRET

    async with serving(server) as url:
        credential = options(url).open(secrets, world.clock)
        for _ in range(3):
            await asked(credential)
            world.wait(FAILED_WAIT_MAX_S)
        await in_loop(credential.close())
    assert asked_for == [False, False, True]


@in_reactor
async def test_each_failure_in_a_row_doubles_the_wait_up_to_a_minute() -> None:
    server, world = TokenServer(), World()
    waits_s = []
    async with credential_of(server, world) as credential:
        for _ in range(2):
            server.planted += [web.Response(status=500) for _ in range(9)]
            for _ in range(9):
                failed = await asked(credential)
                assert isinstance(failed, Outcome)
                assert failed.retry_after_s is not None
                waits_s.append(failed.retry_after_s)
                world.wait(failed.retry_after_s)
            assert isinstance(await asked(credential), dict)
            world.wait(3600)
    assert waits_s == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] + [FAILED_WAIT_MAX_S] * 3 + waits_s[:9]


@in_reactor
async def test_a_clock_that_is_set_back_does_not_prolong_the_wait() -> None:
    server, world = TokenServer(web.Response(status=500)), World()
    async with credential_of(server, world) as credential:
        assert await asked(credential) == later(1.0)
        world.wait(-7200)
        assert await asked(credential) == bearer(2)


@in_reactor
async def test_a_token_server_that_is_not_there_is_asked_again_later_and_nothing_is_sent() -> None:
    server, world, fake = TokenServer(), World(), FakeApi()
    async with serving(server) as gone:
        pass
    async with (
        serving(fake) as url,
        calling(url, credential=options(gone), secrets=world.secrets, now_us=world.clock) as api,
    ):
        assert await sent(api) == later(1.0)
    assert fake.attempts == []


@in_reactor
async def test_why_there_is_no_token_is_logged_once_and_not_in_the_servers_own_words() -> None:
    server, world = TokenServer(), World()
    own = b'{"error": "invalid_client", "error_description": "hunter2"}'
    with captured_logs() as logged:
        async with credential_of(server, world) as credential:
            assert await asked(credential) == bearer(1)
            server.planted += [web.Response(status=400, body=own) for _ in range(2)]
            server.planted += [web.Response(status=503)]
            for waits_s, times in ((3000, 2), (2, 3), (5, 4)):
                world.wait(waits_s)
                assert await asked(credential) == bearer(1), "it lives on"
                await until_asked(server, times)
                await in_loop(asyncio.sleep(0.02))
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    told = [
        (each["reason"], each["status"], each["error"]) for each in lines if each["event"] == "token-not-had"
    ]
    assert told == [("auth-refused", 400, "invalid_client"), ("auth-unavailable", 503, "")]
    assert "hunter2" not in logged.getvalue()


@in_reactor
async def test_a_token_server_that_does_not_answer_is_not_waited_for_longer_than_the_timeout() -> None:
    server, world = TokenServer(), World()
    server.open.clear()
    async with credential_of(server, world, timeout="50ms") as credential:
        assert await asked(credential) == later(1.0)


async def _serve_raw(serve: Callable[[asyncio.StreamWriter], Any], world: World) -> Headers:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"client_credentials")
        with suppress(ConnectionError):
            await serve(writer)
        writer.close()

    raw = await in_loop(asyncio.start_server(connected, "127.0.0.1", 0))
    url = f"http://127.0.0.1:{raw.sockets[0].getsockname()[1]}"
    credential = options(url, timeout="5s").open(world.secrets, world.clock)
    try:
        return await asked(credential)
    finally:
        await in_loop(credential.close())
        raw.close()


@in_reactor
async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    written = 0

    async def serve(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        while written < 500_000_000:
            writer.write(b" " * 65_536)
            written += 65_536
            await writer.drain()

    assert await _serve_raw(serve, World()) == UNUSABLE
    assert written < 50_000_000


@in_reactor
async def test_an_answer_that_is_cut_is_asked_for_again_later() -> None:
    async def serve(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + answer())
        await writer.drain()

    assert await _serve_raw(serve, World()) == later(1.0)


@in_reactor
async def test_a_redirect_is_not_followed() -> None:
    elsewhere, world = TokenServer(), World()
    async with serving(elsewhere) as other:
        moved = web.Response(status=307, headers={"Location": f"{other}/stolen"})
        server = TokenServer(moved)
        async with credential_of(server, world) as credential:
            assert await asked(credential) == UNUSABLE
    assert elsewhere.asked == []
    assert len(server.asked) == 1


@in_reactor
async def test_a_token_server_is_trusted_by_its_certificate_alone(tmp_path: Path) -> None:
    authority = issue(tmp_path, "authority")
    context = server_context(issue(tmp_path, "server", by=authority))
    server, world = TokenServer(), World()
    async with serving(server, context) as url:
        untrusting = options(url).open(world.secrets, world.clock)
        trusting = options(url, tls={"ca": authority.certificate_path}).open(world.secrets, world.clock)
        unusable = options(url, tls={"ca": tmp_path / "absent.pem"}).open(world.secrets, world.clock)
        try:
            assert await asked(untrusting) == Outcome(Verdict.HOLD, "auth-tls-untrusted")
            assert server.asked == []
            assert await asked(unusable) == Outcome(Verdict.HOLD, "auth-tls-files-unusable")
            assert await asked(trusting) == bearer(1)
        finally:
            for credential in (untrusting, trusting, unusable):
                await in_loop(credential.close())


# The secret


@in_reactor
async def test_the_secret_is_looked_up_for_each_request_and_nothing_is_asked_without_it() -> None:
    server, world = TokenServer(), World()
    async with credential_of(server, world, client_auth="post") as credential:
        assert await asked(credential) == bearer(1)
        world.secret = "rotated"
        credential.forget(bearer(1))
        assert await asked(credential) == bearer(2)
        world.wait(3600)
        for unusable in ("", "two\nlines", "schlüssel", "x" * 4097):
            world.secret = unusable
            assert await asked(credential) == UNAVAILABLE
            world.wait(FAILED_WAIT_MAX_S)
        world.secret = "mended"
        assert await asked(credential) == bearer(3)
    assert [request.form["client_secret"] for request in server.asked] == [SECRET, "rotated", "mended"]
    assert world.looked_up == ["secret://env/RCM"] * 7


@in_reactor
async def test_secret_and_token_are_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world = World(secret="s3cret-word")
    told = web.Response(status=400, body=b'{"error": "invalid_client s3cret-word"}')
    server = TokenServer(told)
    fake = FakeApi()
    async with (
        serving(server) as token_url,
        serving(fake) as url,
        calling(url, credential=options(token_url), secrets=world.secrets, now_us=world.clock) as api,
    ):
        credential = options(token_url).open(world.secrets, world.clock)
        outcomes = [await sent(api)]
        world.wait(60)
        outcomes.append(await sent(api))
        fake.plant(Fault("status", 401), Fault("lose"), Fault("status", 500))
        outcomes += [await sent(api, number) for number in range(3)]
        headers = await asked(credential)
        shown = f"{outcomes} {api!r} {credential!r} {options(token_url)!r} {caplog.text} {fake.attempts}"
        shown += repr(read_response(200, {}, answer(), now_us=AT_US)) + repr(vars(COMPONENT.options))
        await in_loop(credential.close())
    used = {attempt.headers["Authorization"] for attempt in fake.attempts} | {str(headers)}
    assert any("token-" in each for each in used)
    for hidden in ("s3cret-word", "token-", "t0k-en", base64.b64encode(b"bridge:s3cret-word").decode()):
        assert hidden not in shown
    assert "secret://env/RCM" in shown


# The end


@in_reactor
async def test_closing_gives_up_what_is_under_way_and_asks_no_more() -> None:
    server, world, fake = TokenServer(), World(), FakeApi()
    server.open.clear()
    async with (
        serving(server) as token_url,
        serving(fake) as url,
        calling(url, credential=options(token_url), secrets=world.secrets, now_us=world.clock) as api,
    ):
        under_way = [Deferred.fromCoroutine(sent(api, number)) for number in range(5)]
        await until_asked(server, 1)
        await api.close()
        assert list(await gatherResults(under_way)) == [CLOSING] * 5
        assert await sent(api) == CLOSING
        await api.close()
    assert fake.attempts == []
    assert len(server.asked) == 1
