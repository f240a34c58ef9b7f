"""Twelve ways in which an API changes: each is noticed, holds that operation alone, costs few messages, and
what waited goes in order once somebody has looked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from contracted import command, contracted, document
from lane_messages import message
from nodes import Hospital, entries
from reactor_tests import in_reactor, pause, until

from bridge.cli.fake_api import Attempt
from bridge.journal.drifts import drifts

AFFECTED_MAX = 20
MESSAGES = 60
Said = dict[str, Any]


def answer(**changed: Any) -> Said:
    """What the API answered until today, with something otherwise; None takes a field away."""
    said: Said = {
        "applied": 1,
        "status": "active",
        "at": "2026-05-06T07:08:09Z",
        "version": 7,
        "person": {"id": "P1", "name": "x"},
        "items": [{"id": "I1"}],
    } | changed
    return {name: value for name, value in said.items() if value is not None}


SCHEMA: Said = {
    "type": "object",
    "required": ["applied", "status", "person", "items"],
    "properties": {
        "applied": {"type": "integer"},
        "status": {"type": "string", "enum": ["active", "merged"]},
        "at": {"type": "string", "format": "date-time"},
        "version": {"type": "integer"},
        "person": {
            "type": "object",
            "required": ["id"],
            "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
        },
        "items": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "string"}}}},
    },
}


def answers(**changed: Any) -> Callable[[Attempt], web.Response]:
    return lambda _: web.json_response(answer(**changed))


def refuses(status: int, pointer: str) -> Callable[[Attempt], web.Response]:
    problem = {"type": "about:blank", "errors": [{"pointer": pointer, "detail": "Rivera is not allowed"}]}
    return lambda _: web.json_response(problem, status=status, content_type="application/problem+json")


def status(code: int, **headers: str) -> Callable[[Attempt], web.Response]:
    return lambda _: web.Response(status=code, headers=headers)


@dataclass(frozen=True)
class Change:
    """A change of an API: what it does from then on, and how it is told."""

    name: str
    does: Callable[[Attempt], web.Response]
    kind: str
    words: str


CHANGES = [
    Change("rename", answers(status=None, state="active"), "missing-field", "/status (required)"),
    Change("type", answers(items={"I1": {}}), "changed-field", "/items (object, not list)"),
    Change("required", refuses(422, "#/consent"), "rejected", "/consent (422)"),
    Change("enum", answers(status="paused"), "new-value", "/status (enum)"),
    Change("format", refuses(400, "/postal_code"), "rejected", "/postal_code (400)"),
    Change("nesting", answers(person={"data": {"id": "P1"}}), "missing-field", "/person/id (required)"),
    Change("date format", answers(at="06/05/2026 07:08"), "changed-field", "/at (format date-time)"),
    Change("number to string", answers(version="7"), "changed-field", "/version (text, not integer)"),
    Change(
        "pagination",
        lambda _: web.json_response({"items": [answer()], "next": "/patients?page=2"}),
        "missing-field",
        "/applied (required)",
    ),
    Change(
        "auth scope",
        status(403, **{"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="patients.admin"'}),
        "scope",
        "403 insufficient scope",
    ),
    Change("path", status(404), "gone", "404"),
    Change("removed", status(410), "gone", "410"),
]


def changed_by(change: Change, after: int) -> tuple[list[Attempt], Callable[[Attempt], web.Response | None]]:
    """What an API does that changes after so many calls, and the calls that met the change."""
    met: list[Attempt] = []
    calls = 0

    def does(attempt: Attempt) -> web.Response | None:
        nonlocal calls
        if attempt.method == "GET":
            return None
        calls += 1
        if calls <= after:
            return None
        met.append(attempt)
        return change.does(attempt)

    return met, does


@pytest.mark.parametrize("change", CHANGES, ids=[each.name for each in CHANGES])
@in_reactor
async def test_a_change_of_an_api_costs_few_messages_and_nothing_else(tmp_path: Path, change: Change) -> None:
    async with contracted(tmp_path, document(answer=SCHEMA)) as site:
        assert site.node is not None
        site.patients.answer_with = answer()
        await site.send(*(message(number, 1) for number in range(1, 6)))
        await site.settled()
        assert await site.node.journal.read(drifts) == []

        met, site.patients.otherwise = changed_by(change, 0)
        sent = [message(10 + number % 20, 2 + number // 20) for number in range(MESSAGES)]
        await site.send(*sent)
        outlet = site.node.outlets["ehr.patients"]
        await until(
            lambda: bool(outlet.status()["operations"]["putPatient"]["changed"]), "the change is noticed"
        )
        await until(lambda: len(site.encounters.applied) == 5 + MESSAGES, "all else goes on")
        await until(lambda: outlet.in_flight == 0, "what was under way has ended")
        for _ in range(5):
            await pause(0.05)
        affected = (
            {each.path for each in met} if change.kind == "gone" else {each.idempotency_key for each in met}
        )
        assert 1 <= len(affected) <= AFFECTED_MAX

        rows = [each for each in await site.node.journal.read(drifts) if each.state == "held"]
        assert {(each.operation, each.kind) for each in rows} == {("putPatient", change.kind)}
        assert all("Rivera" not in repr(each) for each in rows)
        shown = await command(site, "apis", "drift", status=1)
        assert change.words.split(" ")[0] in shown
        assert "putPatient" in shown

        await _looked_at(site, change)
        ledger = await site.settled()
        assert entries(ledger) == {"delivered": 5 + MESSAGES}
        for patient in range(10, 30):
            mine = [each for each in site.patients.applied if f"/{100000 + patient}" in each.path]
            assert [int(each.mark.split()[0]) for each in mine] == sorted(
                int(each.mark.split()[0]) for each in mine
            )


async def _looked_at(site: Hospital, change: Change) -> None:
    """The API is as it was again, or its change is what is expected now; a person lets it go on."""
    if change.kind in ("rejected", "gone", "scope"):
        site.patients.otherwise = None
    said = await command(
        site, "apis", "accept", "ehr.patients", "putPatient", "--reason", "agreed with the vendor"
    )
    assert change.words in said
    assert "goes on" in said
