"""``bridge events`` and what `bridge doctor` says of streams, against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from command_line import bridge, bridge_process
from nats_server import NatsServer, connected, make_stream
from reactor_tests import in_reactor

from bridge.catalog import STANDARD
from bridge.cli.demo_site import write_site
from bridge.cli.doctor_events import findings
from bridge.config.load import load
from bridge.destinations.base import Origin
from bridge.destinations.events import build
from bridge.destinations.events_options import EventOperation, EventsOptions
from bridge.destinations.in_loop import in_loop
from bridge.message import Record

NOW_US = 1_700_000_000_000_000
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORIGIN = Origin("adt", 17, NOW_US)

API = """\
api: stream.clinical
events:
  nats: {{servers: ["{server}"], monitors: ["{monitor}"], stream: BRIDGE, connect_within: 2s, within: 5s}}
repeat_safety: header
operations:
  publish: {{send_only: [key, ward, status]}}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    made = NatsServer(tmp_path / "nats")
    made.start()
    yield made
    made.stop()


def site(folder: Path, server: NatsServer) -> Path:
    nowhere = "http://127.0.0.1:9"
    made = write_site(folder / "site", patients_url=nowhere, encounters_url=nowhere)
    text = API.format(server=server.address, monitor=server.monitor)
    (made / "channels" / "apis" / "stream.clinical.yaml").write_text(text)
    return made


def elsewhere(work: Any) -> Any:
    """The result of a coroutine in a thread, and a loop, of its own."""
    with ThreadPoolExecutor(1) as one:
        return one.submit(asyncio.run, work).result()


async def _make(server: NatsServer) -> None:
    client = await connected(server)
    await make_stream(client)
    await client.close()


async def publish(server: NatsServer, count: int) -> None:
    await in_loop(_make(server))
    way = {"servers": [server.address], "monitors": [server.monitor], "stream": "BRIDGE"}
    options = EventsOptions.model_validate({"events": {"nats": way}})
    operation = EventOperation.model_validate({"send_only": ["key", "ward", "status"]})
    out = build(options, {"publish": operation}, None, lambda _: "", lambda: NOW_US)
    for number in range(count):
        status = "finished" if number % 2 else "arrived"
        record = Record("encounter", f"V-{number}", "upsert", {"ward": "W", "status": status})
        request = out.completed(
            out.prepare("publish", record, ORIGIN), NOW_US, "a-1-1" if number == 3 else ""
        )
        await out.send(request, idempotency_key=f"a-{number}-1", traceparent=TRACEPARENT)
    await out.close()


@in_reactor
async def test_the_last_events_of_a_stream_are_shown_without_what_they_say(
    tmp_path: Path, server: NatsServer
) -> None:
    await publish(server, 6)
    folder = site(tmp_path, server)
    words = ("events", "tail", "stream.clinical", "--config", folder, "-n", 4, "--count", 4)
    ended = bridge_process(*words)
    assert ended.status == 0, ended.said
    lines = ended.said.splitlines()
    assert [line.split()[0] for line in lines] == ["3", "4", "5", "6"]
    assert "encounter.discharged" in lines[1]
    assert "replay of a-1-1" in lines[1]
    assert "key ‹3 characters›" in lines[0]
    assert "V-2" not in ended.said
    typed = bridge_process(
        *words[:-4], "-n", 6, "--count", 3, "--type", "encounter.arrived", "--format", "json"
    )
    told = [json.loads(line) for line in typed.said.splitlines()]
    assert [each["id"] for each in told] == ["a-0-1", "a-2-1", "a-4-1"]
    assert {each["data"]["ward"] for each in told} == {"‹1 characters›"}


@in_reactor
async def test_who_wants_to_see_what_they_say_must_be_known_to_a_node(
    tmp_path: Path, server: NatsServer
) -> None:
    folder = site(tmp_path, server)
    ended = bridge_process(
        "events", "tail", "stream.clinical", "--config", folder, "--journal", f"sqlite:///{tmp_path}/j.db",
        "--reveal", "--reason", "ticket 4711",
    )  # fmt: skip
    assert ended.status == 3
    assert "V-" not in ended.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tail", "stream.clinica"), "did you mean 'stream.clinical'"),
        (("types", "encouter"), "did you mean 'encounter'"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest(
    tmp_path: Path, server: NatsServer, words: tuple[str, ...], said: str
) -> None:
    more = ("--config", site(tmp_path, server)) if words[0] == "tail" else ()
    ended = bridge("events", *words, *more)
    assert ended.status == 2
    assert said in ended.said


def test_the_types_of_a_record_are_listed() -> None:
    ended = bridge("events", "types", "encounter", "--format", "json")
    rows = json.loads(ended.out)
    discharged = next(row for row in rows if row["type"] == "encounter.discharged")
    assert discharged["where"] == {"status": ["finished"]}
    assert discharged["operations"] == []
    assert {row["record"] for row in rows} == {"encounter"}


def looked(folder: Path) -> list[tuple[str, str, str]]:
    topology = load(folder, STANDARD)

    def find() -> list[tuple[str, str, str]]:
        return [(each.grade, each.found, each.advice) for each in findings(topology, lambda _: "")]

    with ThreadPoolExecutor(1) as one:
        return one.submit(find).result()


def test_a_doctor_says_whether_a_stream_keeps_what_it_acknowledges(
    tmp_path: Path, server: NatsServer
) -> None:
    folder = site(tmp_path, server)
    ((grade, found, advice),) = looked(folder)
    assert (grade, found) == ("bad", "stream-missing")
    assert "nats stream add" in advice
    elsewhere(_make(server))
    good, *doubts = looked(folder)
    assert good[:2] == ("good", "BRIDGE on n1: synced before it is acknowledged")
    assert [each[0] for each in doubts] == ["warning"]
    assert "one server holds the stream" in doubts[0][1]
    server.stop()
    server.sync = ""
    server.start()
    ((grade, found, advice),) = looked(folder)
    assert (grade, found) == ("bad", "stream-not-sync-always")
    assert "sync_interval: always" in advice
    server.stop()
    ((grade, found, advice),) = looked(folder)
    assert (grade, found) == ("bad", "connect-failed")
