from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from http_peers import ENCOUNTER, KEY, OPERATIONS, TRACEPARENT, calling, serving
from pydantic import ValidationError
from reactor_tests import in_reactor
from twisted.internet.defer import Deferred, gatherResults

from bridge import __version__
from bridge.cli.fake_api import FakeApi, Fault
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.http_api import COMPONENT, HttpApi, HttpApiOptions, HttpOperation
from bridge.destinations.in_loop import in_loop

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def sent(api: HttpApi, operation: str = "putEncounter", key: str = KEY) -> Outcome:
    return await api.send(api.prepare(operation, ENCOUNTER), idempotency_key=key, traceparent=TRACEPARENT)


async def answered_by(serve: Serve, **options: Any) -> Outcome:
    """The outcome of one call to a server that does what `serve` does with each connection."""
    server = await in_loop(asyncio.start_server(serve, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    try:
        async with calling(f"http://127.0.0.1:{port}", **options) as api:
            return await sent(api)
    finally:
        server.close()


@in_reactor
async def test_the_call_arrives_as_prepared_with_its_headers() -> None:
    fake = FakeApi()
    async with serving(fake) as url, calling(url + "/api/v2/") as api:
        assert await sent(api) == Outcome(Verdict.DELIVERED, "delivered", 200)
    [attempt] = fake.attempts
    assert (attempt.method, attempt.path) == ("PUT", "/api/v2/encounters/V-1")
    assert attempt.body == b'{"key":"V-1","patient":"P-1","ward":null}'
    assert attempt.headers == {
        "Host": url.removeprefix("http://"),
        "Accept": "application/json, application/problem+json",
        "Accept-Encoding": "identity",
        "Content-Length": str(len(attempt.body)),
        "Content-Type": "application/json",
        "Idempotency-Key": KEY,
        "traceparent": TRACEPARENT,
        "User-Agent": f"interface-bridge/{__version__}",
    }


@in_reactor
async def test_a_delete_has_no_body() -> None:
    fake = FakeApi()
    async with serving(fake) as url, calling(url) as api:
        assert (await sent(api, "cancelEncounter")).verdict is Verdict.DELIVERED
    [attempt] = fake.attempts
    assert (attempt.method, attempt.body) == ("DELETE", b"")
    assert "Content-Type" not in attempt.headers


@in_reactor
async def test_a_redirect_is_not_followed() -> None:
    fake, elsewhere = FakeApi(), FakeApi()
    async with serving(fake) as url, serving(elsewhere) as other, calling(url) as api:
        fake.plant(Fault("redirect", location=f"{other}/stolen"))
        assert await sent(api) == Outcome(Verdict.HOLD, "unexpected-redirect", 307)
    assert elsewhere.attempts == []
    assert len(fake.attempts) == 1


STATUSES = [
    ("putEncounter", Fault("status", 503, retry_after="7"), Outcome(Verdict.RETRY, "unavailable", 503, 7.0)),
    ("putEncounter", Fault("status", 404), Outcome(Verdict.NOT_FOUND, "not-found", 404)),
    ("putEncounter", Fault("status", 410), Outcome(Verdict.NOT_FOUND, "not-found", 410)),
    ("putEncounter", Fault("status", 405), Outcome(Verdict.HOLD, "contract-gone", 405)),
    ("postNote", Fault("status", 404), Outcome(Verdict.HOLD, "contract-gone", 404)),
    ("postNote", Fault("status", 410), Outcome(Verdict.NOT_FOUND, "declared-410", 410)),
    ("cancelEncounter", Fault("status", 410), Outcome(Verdict.NOT_FOUND, "not-found", 410)),
    ("cancelEncounter", Fault("status", 404), Outcome(Verdict.DELIVERED, "declared-404", 404)),
    ("putEncounter", Fault("status", 401), Outcome(Verdict.HOLD, "unauthorised", 401)),
    ("putEncounter", Fault("status", 422), Outcome(Verdict.POISON, "unprocessable", 422)),
    (
        "putEncounter",
        Fault("status", 409, problem="idempotency-in-progress"),
        Outcome(Verdict.RETRY, "idempotency-in-progress", 409, 1.0),
    ),
]


@pytest.mark.parametrize(("operation", "fault", "outcome"), STATUSES)
@in_reactor
async def test_statuses_arrive_as_outcomes(operation: str, fault: Fault, outcome: Outcome) -> None:
    fake = FakeApi()
    async with serving(fake) as url, calling(url) as api:
        fake.plant(fault)
        assert await sent(api, operation) == outcome
    assert fake.applied == []


@pytest.mark.parametrize("operation", ["putEncounter", "postNote", "cancelEncounter"])
@in_reactor
async def test_a_lost_answer_is_ambiguous_and_the_repeat_is_harmless(operation: str) -> None:
    fake = FakeApi()
    async with serving(fake) as url, calling(url) as api:
        fake.plant(Fault("lose"))
        assert await sent(api, operation) == Outcome(Verdict.AMBIGUOUS, "disconnected")
        assert len(fake.attempts) == len(fake.applied) == 1
        assert await sent(api, operation) == Outcome(Verdict.DELIVERED, "delivered", 200)
        assert (len(fake.attempts), len(fake.applied)) == (2, 1)


@pytest.mark.parametrize("operation", ["putEncounter", "postNote", "cancelEncounter"])
@in_reactor
async def test_a_call_on_a_reused_connection_is_never_repeated_by_itself(operation: str) -> None:
    fake = FakeApi()
    async with serving(fake) as url, calling(url) as api:
        assert (await sent(api, operation, "first.0")).verdict is Verdict.DELIVERED
        fake.plant(Fault("cut"))
        assert await sent(api, operation, "second.0") == Outcome(Verdict.AMBIGUOUS, "disconnected")
    assert [attempt.idempotency_key for attempt in fake.attempts] == ["first.0", "second.0"]


@in_reactor
async def test_an_answer_that_does_not_come_is_ambiguous() -> None:
    fake = FakeApi()
    async with serving(fake) as url, calling(url, timeouts={"connect": "50ms", "request": "100ms"}) as api:
        fake.plant(Fault("hang"))
        assert await sent(api) == Outcome(Verdict.AMBIGUOUS, "request-timeout")
        assert await sent(api) == Outcome(Verdict.DELIVERED, "delivered", 200)


@in_reactor
async def test_a_refused_connection_is_tried_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with calling(f"http://127.0.0.1:{unused.getsockname()[1]}") as api:
            assert await sent(api) == Outcome(Verdict.RETRY, "connect-failed")


@in_reactor
async def test_a_name_that_does_not_resolve_is_tried_again() -> None:
    async with calling("https://bridge-test.invalid") as api:
        assert await sent(api) == Outcome(Verdict.RETRY, "name-not-resolved")


@pytest.mark.parametrize(
    "timeouts",
    [{"connect": "100ms"}, {"connect": "100ms", "request": "100ms"}],
    ids=["connect first", "both at once"],
)
@in_reactor
async def test_a_connection_that_does_not_come_about_is_tried_again(timeouts: dict[str, str]) -> None:
    # Nobody accepts, so the handshake of TLS never starts.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with calling(f"https://127.0.0.1:{silent.getsockname()[1]}", timeouts=timeouts) as api:
            outcome = await sent(api)
    assert outcome.verdict is Verdict.RETRY
    assert outcome.reason in {"connect-timeout", "request-timeout"}


async def _answer(writer: asyncio.StreamWriter, *parts: bytes) -> None:
    for part in parts:
        writer.write(part)
        await writer.drain()


@in_reactor
async def test_a_connection_closed_unread_is_ambiguous() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    assert await answered_by(serve) == Outcome(Verdict.AMBIGUOUS, "disconnected")


@in_reactor
async def test_an_answer_that_is_not_http_is_ambiguous() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        await _answer(writer, b"MSH|^~\\&|NOT|HTTP\r\n\r\n")
        writer.close()

    assert (await answered_by(serve)).verdict is Verdict.AMBIGUOUS


@in_reactor
async def test_a_status_counts_though_its_body_is_cut() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        await _answer(writer, b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{")
        writer.close()

    assert await answered_by(serve) == Outcome(Verdict.DELIVERED, "delivered", 201)


@in_reactor
async def test_a_status_counts_though_its_body_never_ends() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        await _answer(writer, b"HTTP/1.1 422 No\r\nContent-Length: 50\r\n\r\n{")
        await reader.read()
        writer.close()

    outcome = await answered_by(serve, timeouts={"connect": "50ms", "request": "200ms"})
    assert outcome == Outcome(Verdict.POISON, "unprocessable", 422)


@in_reactor
async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"}")
        await _answer(writer, b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        try:
            while written < 500_000_000:
                await _answer(writer, b"x" * 65_536)
                written += 65_536
        except ConnectionError:
            pass
        writer.close()

    assert await answered_by(serve) == Outcome(Verdict.DELIVERED, "delivered", 200)
    assert written < 50_000_000


@in_reactor
async def test_cookies_are_not_kept_and_proxies_of_the_environment_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            heads.append(await reader.readuntil(b"}"))
            await _answer(writer, b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server = await in_loop(asyncio.start_server(serve, "127.0.0.1", 0))
    async with calling(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as api:
        assert (await sent(api)).verdict is Verdict.DELIVERED
        assert (await sent(api)).verdict is Verdict.DELIVERED
    server.close()
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)


@in_reactor
async def test_connections_are_used_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while not reader.at_eof():
            try:
                await reader.readuntil(b"}")
            except asyncio.IncompleteReadError:
                break
            await _answer(writer, b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno")
        writer.close()

    server = await in_loop(asyncio.start_server(serve, "127.0.0.1", 0))
    async with calling(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as api:
        for _ in range(5):
            assert (await sent(api)).verdict is Verdict.RETRY
    server.close()
    assert connections == 1


@in_reactor
async def test_calls_run_side_by_side() -> None:
    fake = FakeApi()
    async with serving(fake) as url, calling(url) as api:
        fake.plant(Fault("delay", seconds=0.05, times=20))
        calls = [Deferred.fromCoroutine(sent(api, "postNote", f"d-{number}.0")) for number in range(20)]
        outcomes = await gatherResults(calls)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}
    assert len(fake.applied) == 20


@in_reactor
async def test_closing_ends_calls_under_way_and_refuses_later_ones() -> None:
    fake = FakeApi()
    async with serving(fake) as url, calling(url) as api:
        fake.plant(Fault("hang"))
        under_way = Deferred.fromCoroutine(sent(api))
        while not fake.attempts:
            await in_loop(asyncio.sleep(0.005))
        await api.close()
        assert (await under_way).verdict is Verdict.AMBIGUOUS
        assert await sent(api) == Outcome(Verdict.RETRY, "closing")
        await api.close()
    assert len(fake.attempts) == 1


@pytest.mark.parametrize(
    ("request_bytes", "key", "outcome"),
    [
        (b"{}", KEY, Outcome(Verdict.POISON, "request-unreadable")),
        (None, "two words", Outcome(Verdict.POISON, "request-unreadable")),
        (None, "a\r\nX: y", Outcome(Verdict.POISON, "request-unreadable")),
        (
            b'{"body":{},"method":"PUT","operation":"gone","path":"/a"}',
            KEY,
            Outcome(Verdict.HOLD, "operation-unknown"),
        ),
    ],
)
@in_reactor
async def test_what_must_not_be_sent_is_not(request_bytes: bytes | None, key: str, outcome: Outcome) -> None:
    fake = FakeApi()
    async with serving(fake) as url, calling(url) as api:
        request = api.prepare("putEncounter", ENCOUNTER) if request_bytes is None else request_bytes
        assert await api.send(request, idempotency_key=key, traceparent=TRACEPARENT) == outcome
    assert fake.attempts == []


@in_reactor
async def test_nothing_of_the_record_or_the_answer_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fake = FakeApi(reject=["V-1"])
    async with serving(fake) as url, calling(url) as api:
        outcome = await sent(api)
        assert outcome.verdict is Verdict.POISON
        fake.plant(Fault("lose"), Fault("cut"))
        told = f"{outcome} {await sent(api)} {await sent(api)} {api!r} {caplog.text}"
    assert not any(value in told for value in ("V-1", "P-1", "not to be sent"))


BASE_URLS = [
    ("https://rcm.example", "https://rcm.example"),
    ("https://rcm.example/", "https://rcm.example"),
    ("https://rcm.example:443/api/v2/", "https://rcm.example/api/v2"),
    ("https://rcm.example:8443/api", "https://rcm.example:8443/api"),
    ("http://127.0.0.1:8080/api", "http://127.0.0.1:8080/api"),
    ("http://localhost:8080", "http://localhost:8080"),
    ("http://[::1]:8080", "http://[::1]:8080"),
    ("http://rcm.example", None),
    ("http://127.0.0.1.evil.example", None),
    ("http://10.0.0.1", None),
    ("ftp://rcm.example", None),
    ("rcm.example", None),
    ("value://rcm-north", None),
    ("https://", None),
    ("https://user:word@rcm.example", None),
    ("https://rcm.example?a=b", None),
    ("https://rcm.example/#a", None),
    ("https://rcm.example/a/../b", None),
    ("https://rcm.example/a b", None),
    ("https://rcm.example:99999", None),
]


@pytest.mark.parametrize(("written", "read"), BASE_URLS)
def test_a_base_url_is_read_strictly(written: str, read: str | None) -> None:
    if read is not None:
        assert HttpApiOptions.model_validate({"base_url": written}).base_url == read
        return
    with pytest.raises(ValidationError):
        HttpApiOptions.model_validate({"base_url": written})


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "encounters"},
        {"path": "/a?x={key}"},
        {"path": "/a/../{key}"},
        {"path": "/a/{key"},
        {"path": "/a/{Key}"},
        {"path": "//{key}"},
        {"path": "/a%2F{key}"},
        {"method": "GET"},
        {"errors": {200: "poison"}},
        {"errors": {404: "ambiguous"}},
        {"method": "DELETE", "send_only": ["key", "patient"]},
        {"sendonly": ["key"]},
    ],
)
def test_a_mistaken_operation_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpOperation.model_validate(OPERATIONS["putEncounter"] | wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeouts": {"connect": "31s"}},
        {"timeouts": {"connect": "0s"}},
        {"timeouts": {"connect": "5"}},
        {"tls": {"certificate": "a.pem"}},
        {"tls": {"verify": False}},
        {"max_body": "0B"},
    ],
)
def test_mistaken_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpApiOptions.model_validate({"base_url": "https://rcm.example", **wrong})


LIMITS: list[tuple[dict[str, Any], tuple[int | None, float | None, int | None]]] = [
    ({}, (None, None, None)),
    ({"limits": {}}, (None, None, None)),
    ({"limits": {"in_flight": 2}}, (2, None, None)),
    ({"limits": {"rate": "90/m"}}, (None, 1.5, None)),
    ({"limits": {"in_flight": 1024, "rate": "20/s", "burst": 10_000}}, (1024, 20.0, 10_000)),
]


@pytest.mark.parametrize(("written", "read"), LIMITS)
def test_an_operation_may_have_limits_of_its_own(
    written: dict[str, Any], read: tuple[int | None, float | None, int | None]
) -> None:
    limits = HttpOperation.model_validate(OPERATIONS["putEncounter"] | written).limits
    assert (limits.in_flight, limits.rate, limits.burst) == read


@pytest.mark.parametrize(
    "limits",
    [
        {"in_flight": 0},
        {"in_flight": 1025},
        {"rate": "0/s"},
        {"rate": "20"},
        {"rate": "20/s", "burst": 0},
        {"rate": "20/s", "burst": 10_001},
        {"burst": 5},
        {"calls": 5},
    ],
)
def test_a_mistaken_limit_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpOperation.model_validate(OPERATIONS["putEncounter"] | {"limits": limits})


def test_files_of_tls_are_paths() -> None:
    options = HttpApiOptions.model_validate({"base_url": "https://rcm.example", "tls": {"ca": "ca.pem"}})
    assert options.tls.ca == Path("ca.pem")


def test_the_component_is_found_by_its_marker() -> None:
    assert (COMPONENT.kind, COMPONENT.marker, COMPONENT.operation) == (
        "destination",
        "base_url",
        HttpOperation,
    )
    assert "base_url" in COMPONENT.options.model_fields
    assert orjson.dumps(COMPONENT.options.model_json_schema())
