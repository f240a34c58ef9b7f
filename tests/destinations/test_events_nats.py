"""Events into a real NATS server: where they stand, what is refused, and that nothing is sent unproven."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from captured_logs import captured_logs
from certificates import Made, make
from event_peers import ORIGIN, PUBLISH, NatsProxy, encounter, events_out
from http_peers import TRACEPARENT, no_secrets
from nats_server import NatsServer, connected, kept, make_stream
from reactor_tests import in_reactor, until

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import Secrets
from bridge.destinations.events import EventsOut
from bridge.destinations.events_nats import NatsStream
from bridge.destinations.events_nats_keys import NKey
from bridge.destinations.events_nats_line import answered
from bridge.destinations.events_nats_proof import ADVICE, covers, holders, not_proven, told_by
from bridge.destinations.in_loop import in_loop

SEED = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"
"""Made for this test, and of no use elsewhere."""


async def send(out: EventsOut, number: int = 1, **fields: Any) -> Outcome:
    request = out.prepare(PUBLISH, encounter(number, **fields), ORIGIN)
    return await out.send(request, idempotency_key=f"0a1b-{number}-1", traceparent=TRACEPARENT)


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    stream: dict[str, Any] | None = None,
    as_who: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[NatsServer]:
    """A server, with a stream where ``stream`` is given."""
    server = NatsServer(folder / "nats", **options)
    server.start()
    try:
        if stream is not None:
            await in_loop(_make(server, stream, as_who or {}))
        yield server
    finally:
        server.stop()


async def _make(server: NatsServer, stream: dict[str, Any], as_who: dict[str, Any]) -> None:
    client = await connected(server, **as_who)
    if "config" in stream:
        await client.jetstream().add_stream(**stream["config"])
    else:
        await make_stream(client, **stream)
    await client.close()


async def all_kept(server: NatsServer) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    async def ask() -> list[tuple[str, dict[str, Any], dict[str, str]]]:
        client = await connected(server)
        try:
            return await kept(client)
        finally:
            await client.close()

    return await in_loop(ask())


def out_to(server: NatsServer, *, secrets: Secrets | None = None, **more: Any) -> EventsOut:
    way = {"servers": [server.address], "monitors": [server.monitor], "stream": "BRIDGE", "within": "5s"}
    known = {"user", "password", "token", "nkey", "tls", "plain", "servers", "within", "connect_within"}
    way |= {name: more.pop(name) for name in tuple(more) if name in known}
    return events_out({"nats": way}, secrets=no_secrets if secrets is None else secrets, **more)


@in_reactor
async def test_an_event_stands_under_its_partition_and_type_and_once(tmp_path: Path) -> None:
    async with serving(tmp_path, stream={}) as server:
        out = out_to(server, guarded=True)
        assert await send(out, 1, status="finished") == Outcome(Verdict.DELIVERED, "kept-there")
        again = await send(out, 1, status="finished")
        assert again == Outcome(Verdict.DELIVERED, "known-there")
        assert again.steps == "tiuso"
        found = await all_kept(server)
        await out.close()
    ((subject, event, headers),) = found
    partition = int(event["partitionkey"][:8], 16) % 64
    assert subject == f"bridge.evt.{partition}.encounter.discharged"
    assert headers["Nats-Msg-Id"] == event["id"] == "0a1b-1-1"
    assert headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
    assert event["data"]["key"] == "V-1"


@in_reactor
async def test_in_binary_mode_attributes_are_headers(tmp_path: Path) -> None:
    async with serving(tmp_path, stream={}) as server:
        out = out_to(server, mode="binary")
        assert (await send(out)).verdict is Verdict.DELIVERED
        ((_, data, headers),) = await all_kept(server)
        await out.close()
    assert data == {"key": "V-1", "patient": "P-1", "ward": "W"}
    assert headers["ce-id"] == "0a1b-1-1"
    assert headers["ce-type"] == "encounter.updated"
    assert headers["content-type"] == "application/json"


REFUSED: list[tuple[str, dict[str, Any] | None, dict[str, Any], Outcome]] = [
    ("default sync", {}, {"sync": ""}, Outcome(Verdict.HOLD, "stream-not-sync-always")),
    ("sync every second", {}, {"sync": '"1s"'}, Outcome(Verdict.HOLD, "stream-not-sync-always")),
    ("no stream", None, {}, Outcome(Verdict.HOLD, "stream-missing")),
    (
        "in memory",
        {"config": {"name": "BRIDGE", "subjects": ["bridge.evt.>"], "storage": "memory"}},
        {},
        Outcome(Verdict.HOLD, "stream-in-memory"),
    ),
    (
        "without acknowledgements",
        {"config": {"name": "BRIDGE", "subjects": ["bridge.evt.>"], "no_ack": True}},
        {},
        Outcome(Verdict.HOLD, "stream-without-acks"),
    ),
    (
        "acknowledged before it is written",
        {"config": {"name": "BRIDGE", "subjects": ["bridge.evt.>"], "persist_mode": "async"}},
        {},
        Outcome(Verdict.HOLD, "stream-persists-later"),
    ),
    (
        "other subjects",
        {"subjects": ("bridge.evt.*.patient.>",)},
        {},
        Outcome(Verdict.HOLD, "stream-takes-other-subjects"),
    ),
]


@pytest.mark.parametrize(
    ("stream", "options", "expected"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
@in_reactor
async def test_a_stream_that_does_not_keep_what_it_acknowledges_gets_nothing(
    tmp_path: Path, stream: dict[str, Any] | None, options: dict[str, Any], expected: Outcome
) -> None:
    async with serving(tmp_path, stream=stream, **options) as server:
        out = out_to(server)
        assert await send(out) == expected
        assert expected.reason in ADVICE
        if stream is not None and "storage" not in stream.get("config", {}):
            assert await all_kept(server) == []
        await out.close()


@in_reactor
async def test_the_log_says_once_which_setting_to_change(tmp_path: Path) -> None:
    async with serving(tmp_path, stream={}, sync="") as server:
        with captured_logs() as logged:
            out = out_to(server)
            for number in range(3):
                assert (await send(out, number)).reason == "stream-not-sync-always"
            await out.close()
    assert logged.getvalue().count("sync_interval: always") == 1
    assert "V-1" not in logged.getvalue()


@in_reactor
async def test_a_server_that_is_set_right_is_used_without_a_start_of_the_bridge(tmp_path: Path) -> None:
    async with serving(tmp_path, stream={}, sync="") as server:
        out = out_to(server)
        assert (await send(out)).reason == "stream-not-sync-always"
        server.stop()
        assert (await send(out)).verdict is Verdict.RETRY
        server.sync = "always"
        server.start()
        assert (await send(out)).verdict is Verdict.DELIVERED
        server.stop()
        server.sync = ""
        server.start()
        said = await send(out, 2)
        if said.reason.startswith("disconnected"):  # the end of the connection was not seen before
            said = await send(out, 2)
        assert said.reason == "stream-not-sync-always", "a new connection is proven anew"
        await out.close()


@in_reactor
async def test_a_monitor_that_is_none_or_says_nothing_proves_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, stream={}) as server:
        for monitor, expected in (
            ("http://127.0.0.1:9", Outcome(Verdict.RETRY, "stream-not-proven")),
            (f"{server.monitor}/nothing", Outcome(Verdict.HOLD, "monitor-unusable")),
        ):
            way = {"servers": [server.address], "monitors": [monitor], "stream": "BRIDGE"}
            out = events_out({"nats": way})
            assert await send(out) == expected
            await out.close()
        assert await all_kept(server) == []


@in_reactor
async def test_a_connection_that_was_given_up_is_closed(tmp_path: Path) -> None:
    async with serving(tmp_path, stream={}) as server:
        proxy = NatsProxy(server.port)
        port = await in_loop(proxy.start())
        out = out_to(server, servers=[f"127.0.0.1:{port}"], within="1s", connect_within="1s")
        stream = out.stream
        assert isinstance(stream, NatsStream)
        for number in range(3):
            proxy.faults.append("hang")
            assert (await send(out, number)).verdict is Verdict.AMBIGUOUS
            await until(lambda: stream.connections == 0, "what was in doubt is closed")
        assert (await send(out, 9)).verdict is Verdict.DELIVERED
        assert stream.connections == 1
        await out.close()
        await until(lambda: stream.connections == 0, "closed")
        await in_loop(proxy.stop())


@in_reactor
async def test_the_next_server_is_taken_where_one_is_away(tmp_path: Path) -> None:
    async with serving(tmp_path, stream={}) as server:
        out = out_to(server, servers=["127.0.0.1:9", server.address])
        assert (await send(out)).verdict is Verdict.DELIVERED
        await out.close()


@in_reactor
async def test_what_is_larger_than_the_server_takes_is_refused_before_it_leaves(tmp_path: Path) -> None:
    async with serving(tmp_path, stream={}, more="max_payload: 1024") as server:
        out = out_to(server)
        assert await send(out, ward="W" * 1000) == Outcome(Verdict.POISON, "too-large")
        assert (await send(out, 2)).verdict is Verdict.DELIVERED
        await out.close()


LOGINS: list[tuple[str, str, dict[str, Any], dict[str, str]]] = [
    (
        "password",
        "authorization {{ user: bridge, password: right }}",
        {"user": "secret://env/U", "password": "secret://env/P"},
        {"U": "bridge", "P": "right"},
    ),
    ("token", 'authorization {{ token: "right-token" }}', {"token": "secret://env/T"}, {"T": "right-token"}),
    ("nkey", "authorization {{ users: [ {{ nkey: {nkey} }} ] }}", {"nkey": "secret://env/K"}, {"K": SEED}),
]


@pytest.mark.parametrize(
    ("more", "way", "known"), [row[1:] for row in LOGINS], ids=[row[0] for row in LOGINS]
)
@in_reactor
async def test_who_the_bridge_is_comes_from_secrets_and_a_wrong_one_stops_the_operation(
    tmp_path: Path, more: str, way: dict[str, Any], known: dict[str, str]
) -> None:
    more = more.format(nkey=NKey(SEED).public)
    # The stream is made before the server asks who is there.
    async with serving(tmp_path, stream={}) as open_server:
        open_server.stop()
        server = open_server
        server._more = more
        server.start()
        out = out_to(server, secrets=lambda reference: known[reference.name], **way)
        assert (await send(out)).verdict is Verdict.DELIVERED
        await out.close()
        wrong = {**known, next(iter(reversed(known))): "wrong"}
        out = out_to(server, secrets=lambda reference: wrong[reference.name], **way)
        said = await send(out)
        assert said.verdict is Verdict.HOLD
        assert said.reason in {"auth-refused", "auth-unusable"}
        await out.close()
        out = out_to(server, **way)
        unavailable = await send(out)
        assert unavailable == Outcome(Verdict.HOLD, "auth-unavailable")
        assert unavailable.steps == "iu!auth-unavailable"
        await out.close()


@in_reactor
async def test_what_the_login_may_not_publish_stops_the_operation(tmp_path: Path) -> None:
    rights = """
    authorization { users: [ { user: bridge, password: right, permissions: {
      publish: ["$JS.API.>"], subscribe: ["_INBOX.>"] } } ] }
    """
    async with serving(
        tmp_path, stream={}, as_who={"user": "bridge", "password": "right"}, more=rights
    ) as server:
        known = {"U": "bridge", "P": "right"}
        out = out_to(
            server,
            secrets=lambda reference: known[reference.name],
            user="secret://env/U",
            password="secret://env/P",
        )
        assert await send(out) == Outcome(Verdict.HOLD, "not-permitted")
        await out.close()


@in_reactor
async def test_nothing_is_said_to_a_server_without_tls_where_tls_was_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path, stream={}) as server:
        out = out_to(server, tls={})
        assert await send(out) == Outcome(Verdict.HOLD, "tls-not-offered")
        await out.close()


def test_the_seed_of_a_key_is_looked_at_and_shown_nowhere() -> None:
    key = NKey(SEED)
    assert key.public.startswith("U")
    assert len(key.public) == 56
    assert SEED not in repr(key)
    for wrong in (
        "",
        "SU",
        SEED[:-1],
        SEED[:-1] + ("A" if SEED[-1] != "A" else "B"),
        "SA" + SEED[2:],
        SEED.lower(),
    ):
        with pytest.raises(ValueError, match="seed") as refused:
            NKey(wrong)
        assert len(wrong) < 3 or wrong not in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"stream": "BRIDGE", "seq": 7}, Outcome(Verdict.DELIVERED, "kept-there")),
        ({"stream": "BRIDGE", "seq": 7, "duplicate": True}, Outcome(Verdict.DELIVERED, "known-there")),
        ({"error": {"code": 400, "err_code": 10054}}, Outcome(Verdict.POISON, "too-large")),
        ({"error": {"code": 400, "err_code": 10060}}, Outcome(Verdict.HOLD, "stream-is-another")),
        ({"error": {"code": 503, "err_code": 10077}}, Outcome(Verdict.RETRY, "stream-error-10077", 503)),
        ({"error": {"code": 503}}, Outcome(Verdict.RETRY, "stream-error", 503)),
        ({}, Outcome(Verdict.AMBIGUOUS, "answer-unreadable")),
        ({"seq": "7", "stream": "BRIDGE"}, Outcome(Verdict.AMBIGUOUS, "answer-unreadable")),
    ],
)
def test_an_answer_is_one_outcome(answer: dict[str, Any], expected: Outcome) -> None:
    assert answered(answer) == expected


# The proof, by itself.


def _info(leader: str, *replicas: dict[str, Any]) -> dict[str, Any]:
    return {"cluster": {"leader": leader, "replicas": list(replicas)}}


def _told(*servers: str, always: bool = True) -> Any:
    told = [
        told_by({"server_name": each, "jetstream": {"config": {"sync_always": always}}}) for each in servers
    ]
    return {each.server: each for each in told if each is not None}


HERE = {"name": "n2", "current": True, "active": 1_000}
BEHIND = {"name": "n3", "current": False, "active": 2_000_000_000}
GONE = {"name": "n3", "current": False, "active": 60_000_000_000}
OFFLINE = {"name": "n3", "current": False, "offline": True, "active": 0}


@pytest.mark.parametrize(
    ("info", "told", "expected"),
    [
        (_info("n1", HERE, BEHIND), _told("n1", "n2", "n3"), None),
        (_info("n1", HERE, GONE), _told("n1", "n2"), None),
        (_info("n1", HERE, OFFLINE), _told("n1", "n2"), None),
        (_info("n1", HERE, BEHIND), _told("n1", "n2"), "stream-not-proven"),
        (_info("n3", HERE), _told("n1", "n2"), "stream-not-proven"),
        (_info("n1", HERE), {**_told("n1"), **_told("n2", always=False)}, "stream-not-sync-always"),
        (_info("n1", HERE), {**_told("n1"), "n2": told_by({"server_name": "n2"})}, "jetstream-off"),
        ({}, _told("n1"), None),
        ({}, _told("n2"), "stream-not-proven"),
    ],
)
def test_each_server_that_holds_the_stream_and_is_there_proves_itself(
    info: dict[str, Any], told: Any, expected: str | None
) -> None:
    found = not_proven(info, "n1", told)
    assert (None if found is None else found.reason) == expected
    assert list(holders(info, "n1"))


@pytest.mark.parametrize("varz", [None, [], "x", {}, {"server_name": 7}, {"jetstream": {}}])
def test_what_is_no_answer_of_a_monitor_is_seen(varz: Any) -> None:
    assert told_by(varz) is None


@pytest.mark.parametrize(
    ("pattern", "yes"),
    [
        (">", True),
        ("bridge.>", True),
        ("bridge.evt.>", True),
        ("*.*.>", True),
        ("bridge.evt.*", False),
        ("bridge.evt.1.>", False),
        ("bridge", False),
        ("other.>", False),
        ("bridge.evt.>.x", False),
    ],
)
def test_whether_a_stream_takes_all_subjects(pattern: str, yes: bool) -> None:
    assert covers(pattern, "bridge.evt.>") is yes


# TLS.


@dataclass(frozen=True)
class Hospital:
    """An authority, what it has issued, and another authority."""

    ca: Made
    server: Made
    elsewhere: Made
    bridge: Made
    stranger: Made


def certificates(folder: Path) -> Hospital:
    ca, other = make(folder, "ca"), make(folder, "other")
    return Hospital(
        ca,
        make(folder, "server", ca, names=("localhost", "127.0.0.1"), purpose="server"),
        make(folder, "elsewhere", ca, names=("nats.example",), purpose="server"),
        make(folder, "bridge", ca, purpose="client"),
        other,
    )


@pytest.mark.parametrize(
    ("shows", "trusts", "own", "expected"),
    [
        ("server", "ca", "bridge", Outcome(Verdict.DELIVERED, "kept-there")),
        ("elsewhere", "ca", "bridge", Outcome(Verdict.HOLD, "tls-untrusted-wrong-host")),
        ("server", "stranger", "bridge", Outcome(Verdict.HOLD, "tls-untrusted")),
        ("server", "ca", None, Outcome(Verdict.HOLD, "tls-client-certificate")),
    ],
)
@in_reactor
async def test_a_server_is_who_its_certificate_says_and_the_bridge_too(
    tmp_path: Path, shows: str, trusts: str, own: str | None, expected: Outcome
) -> None:
    made = certificates(tmp_path)
    shown: Made = getattr(made, shows)
    async with serving(tmp_path, stream={}) as server:
        server.stop()
        server._more = f"""
        tls {{
          cert_file: "{shown.path}", key_file: "{shown.key_path}", ca_file: "{made.ca.path}", verify: true
        }}
        """
        server.start()
        tls = {"ca": getattr(made, trusts).path}
        if own is not None:
            tls |= {"certificate": getattr(made, own).path, "key": getattr(made, own).key_path}
        out = out_to(server, tls=tls)
        said = await send(out)
        # Whether the server's alert is read before the end of the connection is chance.
        silent = [Outcome(Verdict.RETRY, each) for each in ("disconnected-after-handshake", "connect-failed")]
        assert said == expected or (own is None and said in silent), said
        await out.close()
