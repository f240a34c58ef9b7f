"""Calls that an API accepts and does later: asked about until it says what became of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from lane_messages import message
from nodes import Hospital, entries
from reactor_tests import in_reactor, pause, until

from bridge.delivery.outcomes import Verdict
from bridge.destinations.http_confirming import confirmed, target_in
from bridge.destinations.in_loop import in_loop
from bridge.journal.compliance import said
from bridge.journal.search import story

APIS = Path("site") / "channels" / "apis"
API = """\
api: ehr.patients
base_url: {url}/v1
repeat_safety: natural_key
carries: {{phi: true}}
owner: {{team: ehr}}
retry: {{base: 50ms, cap: 100ms}}
operations:
  putPatient:
    method: PUT
    path: /patients/{{key}}
    send_only: [key, line1]
    confirm: {{every: 10ms, within: {within}{more}}}
  mergePatients: {{method: POST, path: "/patients/{{key}}/merge", send_only: [key, replaces]}}
"""


class Slow:
    """An API that accepts calls and does them when it is told to."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.asked: list[str] = []
        self.word = ""
        self.status = 202
        self.location = "/jobs/{number}?of=us"
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        app = web.Application()
        app.router.add_get("/jobs/{number}", self._job)
        app.router.add_route("*", "/v1/{rest:.*}", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _take(self, request: web.Request) -> web.Response:
        self.accepted.append(request.path)
        location = self.location.format(number=len(self.accepted))
        return web.Response(status=202, headers={"Location": location} if location else {})

    async def _job(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        if self.word:
            return web.json_response({"job": {"status": self.word}})
        return web.Response(status=self.status)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


class Site(Hospital):
    async def rests(self, number: int, state: str, reason: str) -> None:
        assert self.node is not None
        row: Mapping[str, Any] = {"state": "", "reason": ""}
        for _ in range(600):
            found = await self.node.journal.read(story, number)
            ours = (
                [] if found is None else [each for each in found.deliveries if each["api"] == "ehr.patients"]
            )
            row = ours[0] if ours else row
            if (row["state"], row["reason"]) == (state, reason):
                return
            self.look()
            await pause(0.05)
        raise AssertionError(f"{row['state']} {row['reason']}, and not {state} {reason}")

    def look(self) -> None:
        """Ask about what is due now."""
        assert self.node is not None
        self.node.outlets["ehr.patients"].waits.look_again()


@asynccontextmanager
async def accepting(folder: Path, api: Slow, *, within: str = "1h", more: str = "") -> AsyncIterator[Site]:
    site = Site(folder)
    await site.open()
    url = await in_loop(api.start())
    (folder / APIS / "ehr.patients.yaml").write_text(API.format(url=url, within=within, more=more))
    try:
        await site.start()
        yield site
    finally:
        await site.close()
        await in_loop(api.stop())


@in_reactor
async def test_what_is_accepted_is_asked_about_until_it_is_done_and_its_key_waits(tmp_path: Path) -> None:
    api = Slow()
    async with accepting(tmp_path, api) as site:
        await site.send(message(1, 1), message(1, 2), message(2, 1))
        await site.rests(1, "ACCEPTED", "accepted")
        await site.rests(3, "ACCEPTED", "accepted")
        for _ in range(3):
            site.look()
            await pause(0.02)
        await until(lambda: len(api.asked) >= 2, "it is asked")
        assert set(api.asked) == {"/jobs/1?of=us", "/jobs/2?of=us"}
        assert len(api.accepted) == 2
        api.status = 200
        await site.rests(1, "DELIVERED", "confirmed")
        await site.rests(2, "DELIVERED", "confirmed")
        assert entries(await site.settled()) == {"delivered": 3}
        assert len(api.accepted) == 3
        assert site.node is not None
        assert {each.verdicts[-1] for each in await site.node.journal.read(said)} == {"n"}


@in_reactor
async def test_what_was_accepted_before_a_start_is_asked_about_after_it_and_never_sent_again(
    tmp_path: Path,
) -> None:
    api = Slow()
    async with accepting(tmp_path, api) as site:
        await site.send(message(1, 1), message(1, 2))
        await site.rests(1, "ACCEPTED", "accepted")
        await site.stop()
        await site.start()
        site.look()
        await until(lambda: len(api.asked) >= 1, "it is asked again")
        assert len(api.accepted) == 1
        api.status = 303
        await site.rests(2, "DELIVERED", "confirmed")
        assert len(api.accepted) == 2


@pytest.mark.parametrize(("word", "state", "reason"), [
    ("completed", "DELIVERED", "confirmed"),
    ("failed", "QUARANTINED", "confirmed-failed"),
])  # fmt: skip
@in_reactor
async def test_a_word_says_how_far_it_is(tmp_path: Path, word: str, state: str, reason: str) -> None:
    api = Slow()
    api.word = "running"
    async with accepting(tmp_path, api, more=", status: /job/status") as site:
        await site.send(message(1, 1), message(1, 2))
        await site.rests(1, "ACCEPTED", "accepted")
        api.word = word
        await site.rests(1, state, reason)
        if state == "QUARANTINED":
            await pause(0.1)
            assert len(api.accepted) == 1, "its key waits for a person"


@in_reactor
async def test_what_is_never_answered_needs_a_person_after_its_time(tmp_path: Path) -> None:
    api = Slow()
    async with accepting(tmp_path, api, within="50ms") as site:
        await site.send(message(1, 1))
        await site.rests(1, "QUARANTINED", "confirm-unknown")


@pytest.mark.parametrize("location", ["", "https://elsewhere.example/jobs/1", "//169.254.169.254/x"])
@in_reactor
async def test_an_address_that_is_not_the_apis_own_is_never_asked(tmp_path: Path, location: str) -> None:
    api = Slow()
    api.location = location
    async with accepting(tmp_path, api) as site:
        await site.send(message(1, 1))
        await site.rests(1, "QUARANTINED", "confirm-target-refused")
        assert api.asked == []


BASE = "https://api.example/v1"
TARGETS = [
    ("header Location", {"location": "https://api.example/jobs/1"}, b"", "/jobs/1"),
    ("header Location", {"location": "https://api.example:443/jobs/1"}, b"", None),
    ("header Location", {"location": "http://api.example/jobs/1"}, b"", None),
    ("header Location", {"location": "https://x@api.example/jobs/1"}, b"", None),
    ("header Location", {"location": "jobs/1"}, b"", "/v1/jobs/1"),
    ("header Location", {"location": "/a b"}, b"", None),
    ("header Location", {}, b"", None),
    ("/status", {}, b'{"status": "/jobs/2"}', "/jobs/2"),
    ("/status", {}, b'{"status": 2}', None),
    ("/status", {}, b"<html>", None),
    ("/status", {}, b'{"status": "/' + b"x" * 3000 + b'"}', None),
]


@pytest.mark.parametrize(("place", "headers", "body", "target"), TARGETS)
def test_where_to_ask_is_of_the_apis_own_host(
    place: str, headers: Mapping[str, str], body: bytes, target: str | None
) -> None:
    assert target_in(place, headers, body, BASE) == target


@pytest.mark.parametrize(
    ("pointer", "status", "body", "verdict"),
    [
        ("", 200, b"", Verdict.DELIVERED),
        ("", 202, b"", Verdict.RETRY),
        ("", 303, b"", Verdict.DELIVERED),
        ("", 404, b"", Verdict.POISON),
        ("", 410, b"", Verdict.POISON),
        ("", 401, b"", Verdict.RETRY),
        ("", 429, b"", Verdict.RETRY),
        ("", 503, b"", Verdict.RETRY),
        ("/s", 200, b'{"s": "done"}', Verdict.DELIVERED),
        ("/s", 200, b'{"s": "failed"}', Verdict.POISON),
        ("/s", 200, b'{"s": "running"}', Verdict.RETRY),
        ("/s", 200, b"<html>", Verdict.RETRY),
    ],
)
def test_what_an_answer_to_such_a_question_means(
    pointer: str, status: int, body: bytes, verdict: Verdict
) -> None:
    assert confirmed(pointer, ("done",), ("failed",), status, body).verdict is verdict
