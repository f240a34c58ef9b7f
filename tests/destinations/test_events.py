"""Events as they leave: their attributes, their types, and that they name nobody outside their data."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any, get_args

import orjson
import pytest
from event_peers import ORIGIN, PUBLISH, encounter, events_out
from http_peers import NOW_US, TRACEPARENT
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from reactor_tests import in_reactor
from twisted.internet.defer import Deferred

from bridge.canonical.records import RECORDS
from bridge.cli.fake_api import FakeApi, Fault
from bridge.component import OperationOptions
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import UNKNOWN, Origin, TellsOrigin
from bridge.destinations.events import EventRequests, EventsOut
from bridge.destinations.events_cloud import read_event, sent_event, structured
from bridge.destinations.events_options import EventOperation, EventsOptions
from bridge.destinations.events_types import TYPE, TYPES, otherwise, type_of
from bridge.destinations.in_loop import in_loop
from bridge.errors import PeerUnavailable
from bridge.journal.hashes import Hashes
from bridge.message import OPERATIONS, Record, Shaped

HTTP = {"http": {"url": "http://127.0.0.1:9/events"}}


def made(record: Record, origin: Origin = ORIGIN, **more: Any) -> dict[str, Any]:
    out = events_out(HTTP, **more)
    event = read_event(out.completed(out.prepare(PUBLISH, record, origin), NOW_US, ""))
    assert event is not None
    sent = sent_event(event, "0a1b-17-1", TRACEPARENT)
    assert sent is not None
    whole: dict[str, Any] = json.loads(structured(sent))
    return whole


def test_an_event_has_all_that_cloudevents_wants_and_what_the_bridge_adds() -> None:
    record = encounter(7, status="finished", event_time="2026-03-04T11:00:00-06:00")
    event = made(record)
    assert event.pop("data") == {
        "key": "V-7", "patient": "P-1", "ward": "W", "status": "finished",
        "event_time": "2026-03-04T11:00:00-06:00",
    }  # fmt: skip
    assert event == {
        "specversion": "1.0",
        "id": "0a1b-17-1",
        "type": "encounter.discharged",
        "source": "urn:interface-bridge:adt",
        "subject": f"encounter/{ORIGIN.alias('subject', b'encounter V-7')}",
        "time": "2026-03-04T11:00:00-06:00",
        "datacontenttype": "application/json",
        "dataschema": "urn:interface-bridge:canonical/1/encounter",
        "partitionkey": ORIGIN.alias("partition", b"lane"),
        "traceparent": TRACEPARENT,
    }


@pytest.mark.parametrize("said", [None, "", "2026-03", "2026-03-04", "2026-03-04T11:00:00", "yesterday"])
def test_a_time_that_is_not_exact_gives_way_to_that_of_the_arrival(said: str | None) -> None:
    assert made(encounter(event_time=said))["time"] == "2023-11-14T22:13:20.000000Z"


def test_what_may_not_leave_decides_neither_type_nor_time() -> None:
    record = encounter(status="finished", event_time="2026-03-04T11:00:00-06:00")
    event = made(record, send_only=("key", "ward"))
    assert event["type"] == "encounter.updated"
    assert event["time"].startswith("2023-11-14")
    assert event["data"] == {"key": "V-1", "ward": "W"}


@given(number=st.from_regex(r"[G-Z]{2}[A-Z0-9]{4,8}", fullmatch=True))
def test_no_number_of_a_patient_is_outside_the_data(number: str) -> None:
    hashes = Hashes(b"k" * 32)
    origin = Origin("adt", 17, NOW_US, hashes.hash(b"adt", b"key", number.encode()), hashes.alias)
    event = made(Record("patient", number, "upsert", {"account_number": number}), origin)
    event.pop("data")
    assert number.lower() not in json.dumps(event).lower()
    other = Hashes(b"l" * 32)
    again = made(
        Record("patient", number, "upsert", {}),
        Origin("adt", 17, NOW_US, other.hash(b"adt", b"key", number.encode()), other.alias),
    )
    assert event["subject"] != again["subject"], "without the key nobody makes the same of a number"
    assert event["partitionkey"] != again["partitionkey"]


def test_the_same_key_is_the_same_partition_and_what_leaves_is_no_hash_of_the_journal() -> None:
    hashes = Hashes(b"k" * 32)
    lane = hashes.hash(b"adt", b"key", b"100234")
    first, second = (made(encounter(n), Origin("adt", n, NOW_US, lane, hashes.alias)) for n in (1, 2))
    assert first["partitionkey"] == second["partitionkey"] != lane.hex()
    assert first["subject"] != second["subject"]


def test_a_body_of_another_shape_is_the_data_digit_for_digit_and_has_its_own_schema() -> None:
    options = EventsOptions.model_validate({"events": HTTP})
    for body, schema in (("rcm-visit", "mapping/rcm-visit"), ("envelope", "canonical/1/envelope")):
        operation = EventOperation.model_validate({"send_only": ["key"], "body": body})
        requests = EventRequests(options, {PUBLISH: operation})
        event = read_event(requests.prepare(PUBLISH, Shaped(encounter(), b'{"n":1.10}'), ORIGIN))
        assert event is not None
        assert event.data == b'{"n":1.10}'
        assert event.attributes["dataschema"] == f"urn:interface-bridge:{schema}"


def test_without_a_journal_an_event_is_made_all_the_same() -> None:
    event = made(encounter(), UNKNOWN)
    assert event["partitionkey"] == "0" * 32
    assert "subject" not in event


def test_a_replay_says_of_which_event_and_is_otherwise_the_same() -> None:
    out = events_out(HTTP)
    assert isinstance(out, TellsOrigin)
    request = out.prepare(PUBLISH, encounter(), ORIGIN)
    event = read_event(out.completed(request, NOW_US, ""))
    replay = read_event(out.completed(request, NOW_US, "0a1b-3-1"))
    assert event is not None
    assert replay is not None
    assert replay.attributes == {**event.attributes, "replayof": "0a1b-3-1"}
    assert replay.data == event.data
    assert out.completed(b"no request", NOW_US, "0a1b-3-1") == b"no request"


# Types.


@pytest.mark.parametrize(
    ("record", "operation", "fields", "expected"),
    [
        ("encounter", "upsert", {"status": "in-progress", "class": "inpatient"}, "encounter.admitted"),
        ("encounter", "upsert", {"status": "in-progress", "class": "emergency"}, "encounter.started"),
        ("encounter", "upsert", {"status": "finished"}, "encounter.discharged"),
        ("encounter", "cancel", {"status": "finished"}, "encounter.cancelled"),
        ("encounter", "upsert", {"status": None}, "encounter.updated"),
        ("inventory_consumption", "upsert", {"reason": "use"}, "inventory.consumed"),
        ("inventory_consumption", "upsert", {}, "inventory.consumed"),
        ("claim_status", "upsert", {"category": "F1"}, "claim.adjudicated"),
        ("claim_status", "upsert", {"category": "A2"}, "claim.acknowledged"),
        ("claim_status", "upsert", {}, "claim.status-changed"),
        ("patient", "merge", {}, "patient.merged"),
        ("gl_posting", "upsert", {"status": "posted"}, "ledger.posted"),
    ],
)
def test_the_type_follows_from_record_operation_and_course(
    record: str, operation: str, fields: dict[str, Any], expected: str
) -> None:
    assert type_of(record, operation, fields) == expected


def test_a_row_of_the_site_comes_first_and_an_operation_before_all() -> None:
    record = encounter(status="finished")
    rules = [{"record": "encounter", "where": {"status": "finished"}, "type": "stay.over"}]
    assert made(record, types=rules, type_prefix="org.example.")["type"] == "org.example.stay.over"
    assert made(record, type_prefix="org.example.")["type"] == "org.example.encounter.discharged"
    options = EventsOptions.model_validate({"events": {**HTTP, "types": rules}})
    operation = EventOperation.model_validate({"send_only": ["key", "status"], "type": "visit.told"})
    event = read_event(EventRequests(options, {PUBLISH: operation}).prepare(PUBLISH, record, ORIGIN))
    assert event is not None
    assert event.type == "visit.told"


def test_each_row_of_the_table_can_be_of_a_record() -> None:
    for row in TYPES:
        fields = {info.alias or name: info for name, info in RECORDS[row.record].model_fields.items()}
        assert row.operations <= set(OPERATIONS)
        assert TYPE.fullmatch(row.type)
        for name, values in row.where.items():
            literals = _literals(fields[name].annotation)
            assert not literals or set(values) <= literals, (row, set(values) - literals)


def _literals(annotation: Any) -> set[str]:
    arguments = get_args(annotation)
    found = {each for each in arguments if isinstance(each, str)}
    return found.union(*(_literals(each) for each in arguments if not isinstance(each, str)))


def test_no_row_is_hidden_behind_one_before_it() -> None:
    for at, row in enumerate(TYPES):
        for before in TYPES[:at]:
            hides = (
                before.record == row.record
                and (not before.operations or (bool(row.operations) and row.operations <= before.operations))
                and all(
                    name in row.where and set(row.where[name]) <= set(values)
                    for name, values in before.where.items()
                )
            )
            assert not hides, (before, row)


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_record_has_a_type_for_whatever_is_asked(record: str, operation: str) -> None:
    assert TYPE.fullmatch(type_of(record, operation, {}))
    assert TYPE.fullmatch(otherwise(record, operation))


# What a file may say.


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ({}, "expected one of `http`, `nats` and `kafka`"),
        ({**HTTP, "kafka": {"servers": ["127.0.0.1:9092"], "topic": "t"}}, "expected one of"),
        ({"http": {"url": "http://events.example"}}, "https"),
        ({**HTTP, "source": "urn:x:{patient}"}, "expected a URI"),
        ({"http": {"url": "http://127.0.0.1:9", "batch": 2}, "mode": "binary"}, "headers are of one event"),
        ({**HTTP, "type_prefix": "Org"}, "type_prefix"),
        ({**HTTP, "types": [{"record": "encouter", "type": "a.b"}]}, "name of a record"),
        ({**HTTP, "types": [{"record": "encounter", "type": "Discharged"}]}, "small letters"),
        (
            {**HTTP, "types": [{"record": "encounter", "where": {"statuss": "x"}, "type": "a.b"}]},
            "did you mean 'status'",
        ),
        ({"nats": {"servers": ["n:4222"], "monitors": ["https://n:8222"], "stream": "S"}}, "in the clear"),
        ({"nats": {"servers": ["127.0.0.1:4222"], "monitors": ["http://n:8222"], "stream": "S"}}, "https"),
        ({"nats": {"servers": ["127.0.0.1"], "monitors": ["https://n:8222"], "stream": "S"}}, "HOST:PORT"),
        (
            {
                "nats": {
                    "servers": ["127.0.0.1:4222"], "monitors": ["http://127.0.0.1:8222"], "stream": "S",
                    "user": "secret://env/U",
                }
            },
            "`user` and `password` go together",
        ),
        ({"nats": {"servers": ["127.0.0.1:4222"], "monitors": [], "stream": "S"}}, "at least 1"),
        ({"kafka": {"servers": ["k:9092"], "topic": "t"}}, "in the clear"),
        ({"kafka": {"servers": ["127.0.0.1:9092"], "topic": "a b"}}, "topic"),
        (
            {
                "kafka": {
                    "servers": ["127.0.0.1:9092"], "topic": "t", "mechanism": "PLAIN",
                    "user": "secret://env/U", "password": "secret://env/P",
                }
            },
            "sends the password as it is",
        ),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_meant_is_refused(events: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        EventsOptions.model_validate({"events": events})
    assert words in str(refused.value)


@pytest.mark.parametrize("way", ["nats", "kafka"])
def test_a_library_that_is_missing_is_named_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setitem(sys.modules, f"bridge.destinations.events_{way}", None)
    options: dict[str, Any] = {"servers": ["127.0.0.1:9"]}
    options |= {"topic": "t"} if way == "kafka" else {"monitors": ["http://127.0.0.1:9"], "stream": "S"}
    with pytest.raises(PeerUnavailable, match=rf"pip install 'interface-bridge\[{way}\]'"):
        events_out({way: options})


# To an endpoint.


@in_reactor
async def test_an_endpoint_hears_each_event_in_the_mode_of_the_file() -> None:
    api = FakeApi()
    url: str = await in_loop(api.start())
    for mode in ("structured", "binary"):
        out = events_out({"http": {"url": url}}, mode=mode)
        request = out.prepare(PUBLISH, encounter(status="finished"), ORIGIN)
        outcome = await out.send(request, idempotency_key=f"0a1b-{mode}-1", traceparent=TRACEPARENT)
        assert outcome.verdict is Verdict.DELIVERED
        await out.close()
    whole, bare = api.attempts
    event = orjson.loads(whole.body)
    assert event["type"] == "encounter.discharged"
    assert event["id"] == whole.idempotency_key == "0a1b-structured-1"
    assert orjson.loads(bare.body) == event["data"]
    await in_loop(api.stop())


async def _at_once(out: EventsOut, count: int) -> list[Outcome]:
    requests = [out.prepare(PUBLISH, encounter(number), ORIGIN) for number in range(count)]
    calls = [
        Deferred.fromCoroutine(out.send(each, idempotency_key=f"0a1b-{number}-1", traceparent=TRACEPARENT))
        for number, each in enumerate(requests)
    ]
    return [await call for call in calls]


@in_reactor
async def test_events_whose_turn_comes_at_once_go_in_batches_where_the_endpoint_takes_them() -> None:
    api = FakeApi()
    url: str = await in_loop(api.start())
    out = events_out({"http": {"url": url, "batch": 5}})
    outcomes = await _at_once(out, 12)
    assert {each.verdict for each in outcomes} == {Verdict.DELIVERED}
    assert {each.steps for each in outcomes} == {"iuso"}
    bodies = sorted((orjson.loads(each.body) for each in api.attempts), key=lambda body: body[0]["id"])
    assert sorted(map(len, bodies)) == [2, 5, 5]
    assert sorted(event["id"] for body in bodies for event in body) == sorted(
        f"0a1b-{n}-1" for n in range(12)
    )
    assert [each.verdict for each in await _at_once(out, 1)] == [Verdict.DELIVERED]
    assert orjson.loads(api.attempts[-1].body)["id"] == api.attempts[-1].idempotency_key == "0a1b-0-1"
    await out.close()
    await in_loop(api.stop())


@pytest.mark.parametrize(
    ("fault", "expected", "posts"),
    [
        (Fault("status", status=413), Verdict.DELIVERED, 4),
        (Fault("status", status=503), Verdict.RETRY, 1),
        (Fault("status", status=401), Verdict.HOLD, 1),
        (Fault("lose"), Verdict.AMBIGUOUS, 1),
    ],
)
@in_reactor
async def test_what_becomes_of_a_batch_becomes_of_each_and_a_refused_one_goes_apart(
    fault: Fault, expected: Verdict, posts: int
) -> None:
    api = FakeApi()
    url: str = await in_loop(api.start())
    out = events_out({"http": {"url": url, "batch": 5}})
    api.plant(fault)
    assert {each.verdict for each in await _at_once(out, 3)} == {expected}
    assert len(api.attempts) == posts
    await out.close()
    await in_loop(api.stop())


@in_reactor
async def test_a_batch_that_fails_counts_once_and_what_was_in_it_goes_by_itself_the_next_time() -> None:
    api = FakeApi()
    url: str = await in_loop(api.start())
    out = events_out({"http": {"url": url, "batch": 5}})
    api.plant(Fault("status", status=500))
    outcomes = await _at_once(out, 3)
    assert [(each.status, each.shared) for each in outcomes] == [(500, False), (500, True), (500, True)]
    for _ in range(2):
        assert {each.verdict for each in await _at_once(out, 4)} == {Verdict.DELIVERED}
    events = [orjson.loads(each.body) for each in api.attempts]
    together = [len(each) for each in events if isinstance(each, list)]
    assert (together, len(events)) == ([3, 4], 6), "three by themselves, and the fourth had nobody beside it"
    await out.close()
    await in_loop(api.stop())


GARBAGE = (
    b"",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"INFO \r\n",
    b"INFO [1]\r\n",
    b"INFO {}\r\n",
    b'INFO {"max_payload": "x", "connect_urls": 7}\r\nPONG\r\nMSG x\r\n',
    b"INFO {}\r\nPONG\r\n" + b"\xff" * 5000,
    b"\0\0\0\x0a" + b"\0" * 10,
    b"\x7f\xff\xff\xff" + b"\0" * 100,
    b"A" * 100_000,
)


@pytest.mark.parametrize("way", ["nats", "kafka"])
@in_reactor
async def test_whatever_a_peer_says_is_an_outcome(way: str) -> None:
    said = b""

    async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        with suppress(OSError):
            await writer.drain()
            await reader.read(10)
            await asyncio.sleep(0.05)
        writer.close()

    served = await in_loop(asyncio.start_server(came, "127.0.0.1", 0))
    server = f"127.0.0.1:{served.sockets[0].getsockname()[1]}"
    options: dict[str, Any] = {"servers": [server], "within": "1s", "connect_within": "1s"}
    more = {"topic": "t"} if way == "kafka" else {"monitors": [f"http://{server}"], "stream": "S"}
    for said in GARBAGE:
        out = events_out({way: options | more})
        (outcome,) = await _at_once(out, 1)
        assert outcome.verdict in {Verdict.RETRY, Verdict.HOLD}, (said[:20], outcome)
        await out.close()
    served.close()


def test_an_operation_says_nothing_but_what_a_publication_has() -> None:
    with pytest.raises(ValidationError):
        EventOperation.model_validate({"send_only": []})
    assert issubclass(EventOperation, OperationOptions)
