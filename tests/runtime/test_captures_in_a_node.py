"""What an API answers is what later calls about the same record say, in a whole node, and across starts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from lane_messages import message
from nodes import Hospital, entries
from reactor_tests import in_reactor, pause, until

from bridge.destinations.http_api import HttpApiOptions, HttpOperation, HttpRequests
from bridge.destinations.http_captures import filled, found_in, needs_of
from bridge.destinations.http_requests import read_request
from bridge.destinations.in_loop import in_loop
from bridge.journal.search import story
from bridge.message import Record

APIS = Path("site") / "channels" / "apis"


class Numbering:
    """An API that gives each record a number of its own, and takes updates under that number alone."""

    def __init__(self) -> None:
        self.numbers: dict[str, str] = {}
        self.calls: list[tuple[str, str, Any, str]] = []
        self.refuse = 0
        self.mute = False
        self.cut = 0
        self.version = 0
        self.matches: list[str | None] = []
        self.sequences: list[int] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _answer(self, request: web.Request) -> web.Response:
        self.sequences.append(int(request.headers["X-Bridge-Sequence"]))
        if request.path.startswith("/versioned/"):
            return self._versioned(request)
        body = orjson.loads(await request.read() or b"null")
        self.calls.append((request.method, request.path_qs, body, request.headers.get("X-Number", "")))
        if self.refuse:
            self.refuse -= 1
            return web.Response(status=503)
        if request.method == "POST":
            key = request.headers["Idempotency-Key"]
            number = self.numbers.setdefault(key, f"P {len(self.numbers) + 1}/x")
            if self.cut:
                self.cut -= 1
                assert request.transport is not None
                request.transport.close()
            made = {} if self.mute else {"data": [{"number": number}]}
            return web.json_response(made, status=201, headers={"Location": f"/people/{len(self.numbers)}"})
        return web.Response(status=204)

    def _versioned(self, request: web.Request) -> web.Response:
        """As RFC 9110 §13.1.1 says: who names another state than the present one is refused."""
        said, now = request.headers.get("If-Match"), f'"{self.version}"'
        self.matches.append(said)
        if said not in (None, now):
            return web.Response(status=412)
        self.version += 1
        return web.Response(status=204, headers={"ETag": f'"{self.version}"'})

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


API = """\
api: ehr.patients
base_url: {url}
repeat_safety: header
carries: {{phi: true}}
owner: {{team: ehr}}
retry: {{base: 50ms, cap: 100ms, not_found_for: {patience}}}
operations:
  createPatient:
    method: POST
    path: /people
    send_only: [key, family]
    capture: {{number: /data/0/number, place: header Location}}
  updatePatient:
    method: PUT
    path: /people/{{captured.number}}
    params: {{at: "{{captured.place}}", site: hub}}
    headers: {{X-Number: "{{captured.place}}"}}
    send_only: [key, line1]
    send_captured: [number]
  putPatient:
    method: PUT
    path: /versioned/{{key}}
    headers: {{If-Match: "{{captured.version?}}"}}
    capture: {{version: header ETag}}
    send_only: [key, line1]
"""
ROUTES = """\
  - route: created
    when: MSH-9.2 = 'A01'
    mapping: adt-admit
    record: patient
    to: {api: ehr.patients, operation: createPatient}
  - route: updated
    when: MSH-9.2 = 'A08'
    mapping: adt-admit
    record: patient
    to: {api: ehr.patients, operation: updatePatient}
  - route: versioned
    when: MSH-9.2 = 'A03'
    mapping: adt-admit
    record: patient
    to: {api: ehr.patients, operation: putPatient}
"""


class Site(Hospital):
    async def row_of(self, number: int, route: str) -> Mapping[str, Any]:
        assert self.node is not None
        found = await self.node.journal.read(story, number)
        ours = [] if found is None else [row for row in found.deliveries if row["route"] == route]
        return next((row for row in ours if row["state"] != "FILTERED"), {"state": "", "reason": ""})

    async def rests(self, number: int, route: str, state: str, reason: str) -> None:
        row: Mapping[str, Any] = {}
        assert self.node is not None
        for _ in range(600):
            row = await self.row_of(number, route)
            if (row["state"], row["reason"]) == (state, reason):
                return
            if (patients := self.node.outlets.get("ehr.patients")) is not None:
                patients.waits.pinning.look_again(now=True)
            await pause(0.05)
        raise AssertionError(f"{row['state']} {row['reason']}, and not {state} {reason}")


@asynccontextmanager
async def numbered(folder: Path, api: Numbering, patience: str = "1h") -> AsyncIterator[Site]:
    site = Site(folder)
    await site.open()
    url = await in_loop(api.start())
    (folder / APIS / "ehr.patients.yaml").write_text(API.format(url=url, patience=patience))
    channel = folder / "site" / "channels" / "ehr-adt.yaml"
    head, _, rest = channel.read_text().partition("  - route: patient\n")
    channel.write_text(head + ROUTES + "  - route: encounter\n" + rest.partition("  - route: encounter\n")[2])
    try:
        await site.start()
        yield site
    finally:
        await site.close()
        await in_loop(api.stop())


@in_reactor
async def test_an_update_says_the_number_that_the_create_was_answered_with(tmp_path: Path) -> None:
    api = Numbering()
    async with numbered(tmp_path, api) as site:
        api.refuse = 3
        await site.send(message(1, 1, "A01"), message(1, 2), message(2, 1, "A01"), message(2, 2))
        await site.settled()
        updates = [call for call in api.calls if call[0] == "PUT"]
        told = {path for _, path, _, _ in updates}
        # What the API called them, escaped, and not what we do.
        assert told <= {f"/people/P%20{n}%2Fx?site=hub&at={m}" for n in (1, 2) for m in (1, 2)}
        assert sorted(body["number"] for _, _, body, _ in updates) == ["P 1/x", "P 2/x"]
        assert all(number in ("1", "2") for *_, number in updates)
        # A repeat sends the same bytes.
        assert entries(await site.settled()) == {"delivered": 4}


@in_reactor
async def test_a_call_says_which_state_it_means_once_one_is_known_and_another_writer_is_seen(
    tmp_path: Path,
) -> None:
    api = Numbering()
    async with numbered(tmp_path, api) as site:
        await site.send(*(message(1, number, "A03") for number in (1, 2, 3)))
        await site.settled()
        assert api.matches == [None, '"1"', '"2"']
        api.version = 9
        await site.send(message(1, 4, "A03"))
        await site.rests(4, "versioned", "QUARANTINED", "precondition-failed")
        # Of two calls about one key, the later made has the higher number.
        assert len(set(api.sequences)) == 4
        assert api.sequences == sorted(api.sequences)


@in_reactor
async def test_what_is_not_there_yet_waits_and_goes_on_once_the_create_is_through_also_after_a_start(
    tmp_path: Path,
) -> None:
    api = Numbering()
    async with numbered(tmp_path, api) as site:
        assert site.node is not None
        await site.send(message(1, 1))
        await site.rests(1, "updated", "HELD", "captured-missing")
        assert api.calls == []
        await site.stop()
        await site.start()
        await site.rests(1, "updated", "HELD", "captured-missing")
        # A create of the same record that came by another way: here, of a message that is not in its lane.
        about = "patient NORTH:100001"
        row = (await site.row_of(1, "updated"))["id"]
        kept = {"number": "77", "place": "9"}
        await site.node.journal.submit(*_kept(row, about, kept))
        for outlet in site.node.outlets.values():
            outlet.waits.pinning.look_again(now=True)
        await site.settled()
        assert [call[:2] for call in api.calls] == [("PUT", "/people/77?site=hub&at=9")]


def _kept(delivery_id: int, about: str, values: dict[str, str]) -> tuple[Any, Any]:
    """Keep what an answer said, as settling its call does."""
    from bridge.journal.captures import Captured, keep_captured
    from bridge.journal.transaction import Transaction, Work

    def keep(tx: Transaction, items: Any) -> list[None]:
        keep_captured(tx, [(delivery_id, Captured(about, values), 1) for _ in items])
        return [None] * len(items)

    return Work("keep-captured", keep), None


@in_reactor
async def test_what_never_comes_needs_a_person_after_its_time_and_so_does_what_follows(
    tmp_path: Path,
) -> None:
    api = Numbering()
    api.mute = True
    async with numbered(tmp_path, api, patience="100ms") as site:
        assert site.node is not None
        await site.send(message(1, 1, "A01"), message(1, 2), message(1, 3), message(2, 1, "A01"))
        await site.rests(2, "updated", "QUARANTINED", "captured-missing")
        await until(lambda: len(api.calls) == 2, "the other patient's create goes")
        assert {call[0] for call in api.calls} == {"POST"}
        assert (await site.row_of(3, "updated"))["state"] == "READY"


@in_reactor
async def test_an_attempt_that_is_pinned_sends_the_same_whatever_is_answered_later(tmp_path: Path) -> None:
    api = Numbering()
    async with numbered(tmp_path, api) as site:
        await site.send(message(1, 1, "A01"))
        await site.settled()
        api.refuse = 10**6
        await site.send(message(1, 2))
        await until(lambda: sum(call[0] == "PUT" for call in api.calls) >= 2, "two attempts")
        row = await site.row_of(2, "updated")
        assert site.node is not None
        await site.node.journal.submit(*_kept(row["id"], "patient NORTH:100001", {"number": "other"}))
        await site.stop()
        api.refuse = 0
        await site.start()
        await site.settled()
        assert len({call[1] for call in api.calls if call[0] == "PUT"}) == 1


@in_reactor
async def test_an_answer_that_was_lost_is_given_again_and_captured_then(tmp_path: Path) -> None:
    api = Numbering()
    api.cut = 2
    async with numbered(tmp_path, api) as site:
        await site.send(message(1, 1, "A01"), message(1, 2))
        await site.settled()
        assert [call[0] for call in api.calls] == ["POST", "POST", "POST", "PUT"]
        assert api.calls[-1][1].startswith("/people/P%201%2Fx?")


@in_reactor
async def test_what_was_captured_is_sealed(tmp_path: Path) -> None:
    api = Numbering()
    async with numbered(tmp_path, api) as site:
        await site.send(message(1, 1, "A01"))
        await site.settled()
        assert site.node is not None
        file = site.node.journal.database.file
    if file is not None:
        with closing(sqlite3.connect(file)) as connection:
            rows = connection.execute("SELECT about_hash, name, value FROM captured").fetchall()
        assert sorted(name for _, name, _ in rows) == ["number", "place"]
        assert not any(b"100001" in about for about, _, _ in rows)


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("/id", "7"),
        ("/list/1/a~1b", "deep"),
        ("/list/9", None),
        ("/list/x", None),
        ("/flag", None),
        ("/none", None),
        ("/long", None),
        ("/newline", None),
        ("/object", None),
        ("header Location", "42"),
        ("header ETag", 'W/"3"'),
        ("header X-None", None),
    ],
)
def test_a_value_is_found_by_pointer_or_header_or_not_at_all(place: str, found: str | None) -> None:
    body = {"id": 7, "list": [0, {"a/b": "deep"}], "flag": True, "none": None, "long": "x" * 300,
            "newline": "a\nb", "object": {}}  # fmt: skip
    headers = {"location": "https://api.example/people/42/_history/3", "etag": 'W/"3"'}
    got = found_in({"it": place}, headers, json.dumps(body).encode())
    assert got == ({} if found is None else {"it": found})
    assert found_in({"it": "/id"}, {}, b"<html>") == {}


def test_a_request_is_whole_only_once_it_is_filled_and_nothing_gets_out_of_its_segment() -> None:
    request = orjson.dumps({
        "about": "order 1", "body": {"a": 1}, "into": {"body": ["n"], "headers": {}, "params": {"p": "n"}},
        "method": "PUT", "needs": ["n"], "operation": "put", "path": "/orders/{captured.n}/x",
    })  # fmt: skip
    assert read_request(request) is None
    assert needs_of(request) == ("order 1", ("n",))
    assert filled(request, {}) is None
    made = filled(request, {"n": "a/../b?c"})
    assert made is not None
    read = read_request(made)
    assert read is not None
    assert (read.target, read.body) == (
        "/orders/a%2F..%2Fb%3Fc/x?p=a%2F..%2Fb%3Fc",
        b'{"a":1,"n":"a/../b?c"}',
    )
    dots = filled(request, {"n": ".."})
    assert dots is not None
    assert read_request(dots) is None
    assert needs_of(made) is None


def test_what_a_call_can_do_without_is_left_out_where_it_is_not_there() -> None:
    options = HttpOperation.model_validate({
        "method": "PUT", "path": "/a/{key}", "params": {"x": "{captured.two?}"},
        "headers": {"If-Match": "{captured.etag?}"}, "send_only": ["key"],
    })  # fmt: skip
    assert (options.needs, options.takes) == ((), ("two", "etag"))
    made = HttpRequests(HttpApiOptions.model_validate({"base_url": "https://a.example"}), {"put": options})
    request = made.prepare("put", Record("patient", "p1", "upsert", {"key": "p1"}))
    assert needs_of(request) == ("patient p1", ())
    for known, target, said in (
        ({}, "/a/p1", {}),
        ({"two": "2", "etag": '"7"'}, "/a/p1?x=2", {"If-Match": '"7"'}),
    ):
        read = read_request(filled(request, known) or b"")
        assert read is not None
        assert (read.target, read.headers) == (target, said)


def test_what_a_call_needs_is_known_of_its_options() -> None:
    options = HttpOperation.model_validate({
        "method": "PUT", "path": "/a/{captured.one}/{key}", "params": {"x": "{captured.two}", "y": "{ward}"},
        "send_captured": ["three"], "send_only": ["key", "ward"],
    })  # fmt: skip
    assert options.needs == ("one", "two", "three")
    with pytest.raises(ValueError, match="pointer"):
        HttpOperation.model_validate({"method": "POST", "path": "/a", "capture": {"x": "id"}})
