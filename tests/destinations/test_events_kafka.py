"""Events into Kafka's protocol, spoken by brokers of our own: keys, repeats, leaders that move, refusals.

What Apache Kafka does with them, how it replicates, syncs and elects, is not shown here.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import make
from event_peers import ORIGIN, PUBLISH, encounter, events_out
from http_peers import TRACEPARENT, no_secrets
from kafka_broker import NOT_AUTHORIZED, NOT_LEADER, TOO_FEW_REPLICAS, TOO_LARGE, FakeKafka, crc32c
from reactor_tests import in_reactor
from twisted.internet.defer import Deferred

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import Origin, Secrets
from bridge.destinations.events import EventsOut
from bridge.destinations.in_loop import in_loop


def out_to(servers: list[str], *, secrets: Secrets = no_secrets, **more: Any) -> EventsOut:
    way = {"servers": servers, "topic": "bridge.events", "within": "5s", "connect_within": "1s"}
    way |= {
        name: more.pop(name) for name in tuple(more) if name in {"user", "password", "topic", "within", "tls"}
    }
    return events_out({"kafka": way}, secrets=secrets, **more)


@asynccontextmanager
async def brokers(**options: Any) -> AsyncIterator[tuple[FakeKafka, list[str]]]:
    kafka = FakeKafka(**options)
    servers: list[str] = await in_loop(kafka.start())
    try:
        yield kafka, servers
    finally:
        await in_loop(kafka.stop())


async def send(out: EventsOut, number: int = 1, origin: Origin = ORIGIN, **fields: Any) -> Outcome:
    request = out.prepare(PUBLISH, encounter(number, **fields), origin)
    return await out.send(request, idempotency_key=f"0a1b-{number}-1", traceparent=TRACEPARENT)


def of_lane(lane: bytes) -> Origin:
    return Origin("adt", 17, ORIGIN.received_at_us, lane, ORIGIN.alias)


@pytest.mark.parametrize("mode", ["structured", "binary"])
@in_reactor
async def test_an_event_is_keyed_by_its_partition_key_and_each_key_has_one_partition(mode: str) -> None:
    async with brokers(partitions=16) as (kafka, servers):
        out = out_to(servers, mode=mode, guarded=True)
        for number in range(30):
            outcome = await send(out, number, of_lane(b"%d" % (number % 10)), status="finished")
            assert outcome == Outcome(Verdict.DELIVERED, "kept-there")
            assert outcome.steps == "tiuso"
        await out.close()
    partitions: dict[bytes, set[int]] = {}
    for kept in kafka.kept:
        assert kept.key is not None
        partitions.setdefault(kept.key, set()).add(kept.partition)
    assert len(partitions) == 10
    assert all(len(each) == 1 for each in partitions.values())
    assert len(set.union(*partitions.values())) > 1
    first = kafka.kept[0]
    event = json.loads(first.value)
    if mode == "structured":
        assert first.headers["content-type"].startswith("application/cloudevents+json")
        assert event["id"] == "0a1b-0-1"
        assert first.key == event["partitionkey"].encode()
    else:
        assert event["key"] == "V-0"
        assert first.headers["ce_id"] == "0a1b-0-1"
        assert first.headers["ce_type"] == "encounter.discharged"
        assert first.key == first.headers["ce_partitionkey"].encode()


@pytest.mark.parametrize("fault", ["cut", "lose", NOT_LEADER])
@in_reactor
async def test_what_the_library_sends_again_is_known_by_its_sequence_and_kept_once(fault: str | int) -> None:
    async with brokers(partitions=1) as (kafka, servers):
        out = out_to(servers)
        assert (await send(out, 1)).verdict is Verdict.DELIVERED
        kafka.faults.append(fault)
        assert (await send(out, 2)).verdict is Verdict.DELIVERED
        assert [json.loads(each.value)["id"] for each in kafka.kept] == ["0a1b-1-1", "0a1b-2-1"]
        assert kafka.produced == 3
        await out.close()


@in_reactor
async def test_a_leader_that_moves_is_followed_and_order_stays() -> None:
    async with brokers(brokers=3, partitions=1) as (kafka, servers):
        out = out_to(servers[:1])
        for number in range(9):
            kafka.leaders[0] = number // 3
            assert (await send(out, number)).verdict is Verdict.DELIVERED
        assert [json.loads(each.value)["id"] for each in kafka.kept] == [f"0a1b-{n}-1" for n in range(9)]
        await out.close()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (TOO_LARGE, Outcome(Verdict.POISON, "too-large")),
        (NOT_AUTHORIZED, Outcome(Verdict.HOLD, "not-permitted")),
    ],
)
@in_reactor
async def test_what_a_broker_refuses_is_one_outcome_and_the_next_goes(fault: int, expected: Outcome) -> None:
    async with brokers() as (kafka, servers):
        out = out_to(servers)
        kafka.faults.append(fault)
        assert await send(out, 1) == expected
        assert (await send(out, 2)).verdict is Verdict.DELIVERED
        assert [json.loads(each.value)["id"] for each in kafka.kept] == ["0a1b-2-1"]
        await out.close()


@in_reactor
async def test_too_few_replicas_are_waited_for_within_the_time_of_a_call() -> None:
    async with brokers() as (kafka, servers):
        out = out_to(servers)
        kafka.faults += [TOO_FEW_REPLICAS] * 3
        assert (await send(out)).verdict is Verdict.DELIVERED
        await out.close()


@in_reactor
async def test_what_was_given_up_goes_out_neither_later_nor_behind_what_follows() -> None:
    async with brokers(partitions=1) as (kafka, servers):
        out = out_to(servers, within="1s")
        assert (await send(out, 1)).verdict is Verdict.DELIVERED
        kafka.faults.append("hang empty")
        assert await send(out, 2) == Outcome(Verdict.AMBIGUOUS, "publish-timeout")
        for number in (2, 3):
            assert (await send(out, number)).verdict is Verdict.DELIVERED
        await out.close()
        kept = [json.loads(each.value)["id"] for each in kafka.kept]
    assert kept == ["0a1b-1-1", "0a1b-2-1", "0a1b-3-1"]


@in_reactor
async def test_brokers_that_are_away_are_waited_for_and_found_again() -> None:
    async with brokers() as (kafka, servers):
        out = out_to(servers, within="2s")
        assert (await send(out, 1)).verdict is Verdict.DELIVERED
        await in_loop(kafka.stop())
        assert (await send(out, 2)).verdict in {Verdict.AMBIGUOUS, Verdict.RETRY}
        assert (await send(out, 2)).verdict is Verdict.RETRY
        await in_loop(kafka.start())
        assert (await send(out, 2)).verdict is Verdict.DELIVERED
        await out.close()


@in_reactor
async def test_a_topic_that_is_not_there_stops_the_operation() -> None:
    async with brokers(topic="bridge.other") as (kafka, servers):
        out = out_to(servers)
        assert await send(out) == Outcome(Verdict.HOLD, "topic-missing")
        assert kafka.produced == 0
        await out.close()


@in_reactor
async def test_user_and_password_come_from_secrets_and_wrong_ones_stop_the_operation() -> None:
    known = {"U": "bridge", "P": "right"}
    login: dict[str, Any] = {"user": "secret://env/U", "password": "secret://env/P"}
    async with brokers(login=("bridge", "right")) as (_, servers):
        out = out_to(servers, secrets=lambda reference: known[reference.name], **login)
        assert (await send(out)).verdict is Verdict.DELIVERED
        await out.close()
        wrong = {**known, "P": "wrong"}
        out = out_to(servers, secrets=lambda reference: wrong[reference.name], **login)
        assert await send(out) == Outcome(Verdict.HOLD, "auth-refused")
        await out.close()
        out = out_to(servers, **login)
        assert await send(out) == Outcome(Verdict.HOLD, "auth-unavailable")
        await out.close()


@pytest.mark.parametrize(
    ("names", "trusted", "expected"),
    [
        (("127.0.0.1",), "ca", Outcome(Verdict.DELIVERED, "kept-there")),
        (("kafka.example",), "ca", Outcome(Verdict.HOLD, "tls-untrusted-wrong-host")),
        (("127.0.0.1",), "other", Outcome(Verdict.HOLD, "tls-untrusted")),
    ],
)
@in_reactor
async def test_a_broker_is_who_its_certificate_says(
    tmp_path: Path, names: tuple[str, ...], trusted: str, expected: Outcome
) -> None:
    authorities = {name: make(tmp_path, name) for name in ("ca", "other")}
    shown = make(tmp_path, "broker", authorities["ca"], names=names, purpose="server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.path, shown.key_path)
    async with brokers(tls=context) as (_, servers):
        out = out_to(servers, tls={"ca": authorities[trusted].path})
        assert await send(out) == expected
        await out.close()


@in_reactor
async def test_many_at_once_are_all_kept_and_closing_ends_what_hangs() -> None:
    async with brokers() as (kafka, servers):
        out = out_to(servers)
        calls = [Deferred.fromCoroutine(send(out, number)) for number in range(100)]
        assert {(await call).verdict for call in calls} == {Verdict.DELIVERED}
        assert len({json.loads(each.value)["id"] for each in kafka.kept}) == 100
        await out.close()


def test_the_brokers_know_a_checksum() -> None:
    assert crc32c(b"123456789") == 0xE3069283
