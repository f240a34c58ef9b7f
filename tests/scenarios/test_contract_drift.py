"""Twelve ways in which an API changes: each is noticed, holds that operation alone, costs few messages, and
what waited goes in order once somebody has looked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from contracted import command, contracted, document, write_contract
from lane_messages import message
from nodes import Hospital, entries, steps_of
from reactor_tests import in_reactor, until
from shapes_held import holds

from bridge.cli.fake_api import Attempt
from bridge.journal.drifts import drifts, versions_open
from bridge.runtime.drift_commands import DriftCommands

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


async def noticed(site: Hospital, change: Change) -> list[Attempt]:
    """Let the API change, and send; the calls that met the change, once nothing is under way any more."""
    assert site.node is not None
    before = len(site.encounters.applied)
    met, site.patients.otherwise = changed_by(change, 0)
    await site.send(*(message(10 + number % 20, 2 + number // 20) for number in range(MESSAGES)))
    outlet = site.node.outlets["ehr.patients"]

    def is_held() -> bool:
        return bool(outlet.status()["operations"]["putPatient"]["changed"])

    await until(is_held, "the change is noticed")
    await until(lambda: len(site.encounters.applied) == before + MESSAGES, "all else goes on")
    await until(lambda: outlet.in_flight == 0, "what was under way has ended")
    return met


async def accepted(site: Hospital) -> list[str]:
    """A person lets it go on."""
    assert site.node is not None
    asked = {"api": "ehr.patients", "operation": "putPatient", "reason": "agreed with the vendor"}
    said = await DriftCommands(site.node.parts).named["accept-drift"]("user:test", asked)
    holds("apis accept", said)
    assert said["done"] == "ehr.patients/putPatient goes on"
    found: list[str] = said["accepted"]
    return found


def in_order(site: Hospital) -> None:
    """Each patient's messages were applied in the order in which they came."""
    for patient in range(10, 30):
        steps = steps_of(site.patients, str(100000 + patient))
        assert steps == sorted(steps)
        assert len(steps) == MESSAGES / 20


def patient_break(site: Hospital) -> None:
    """Let no call try again what is left alone, so that nothing heals before somebody has looked."""
    api = site.folder / "site" / "channels" / "apis" / "ehr.patients.yaml"
    text = api.read_text()
    assert "{open: 50ms, open_max: 200ms}" in text
    api.write_text(text.replace("{open: 50ms, open_max: 200ms}", "{open: 5m, open_max: 5m}"))


@pytest.mark.parametrize("change", CHANGES, ids=[each.name for each in CHANGES])
@in_reactor
async def test_a_change_of_an_api_costs_few_messages_and_nothing_else(tmp_path: Path, change: Change) -> None:
    async with contracted(tmp_path, document(answer=SCHEMA), before=patient_break) as site:
        assert site.node is not None
        site.patients.answer_with = answer()
        await site.send(*(message(number, 1) for number in range(1, 6)))
        await site.settled()
        assert await site.node.journal.read(drifts) == []

        met = await noticed(site, change)
        assert 1 <= len({each.idempotency_key for each in met}) <= AFFECTED_MAX
        rows = [each for each in await site.node.journal.read(drifts) if each.state == "held"]
        assert {(each.operation, each.kind) for each in rows} == {("putPatient", change.kind)}
        assert "Rivera" not in repr(rows)

        if change.kind in ("rejected", "gone", "scope"):
            site.patients.otherwise = None  # the API is as it was again, or the bridge has what it wants
        assert any(change.words in each for each in await accepted(site))
        assert entries(await site.settled()) == {"delivered": 5 + MESSAGES}
        in_order(site)
        ended = {(each.kind, each.state) for each in await site.node.journal.read(drifts)}
        assert (change.kind, "accepted") in ended
        assert not any(state == "held" for _, state in ended)


@in_reactor
async def test_what_is_held_stays_held_after_a_crash_and_is_let_go_by_a_command(tmp_path: Path) -> None:
    async with contracted(tmp_path, document(answer=SCHEMA)) as site:
        site.patients.answer_with = answer()
        met = await noticed(site, CHANGES[0])
        await site.stop()
        await site.start()
        assert site.node is not None
        outlet = site.node.outlets["ehr.patients"]
        assert outlet.status()["operations"]["putPatient"]["reason"] == "contract-drift"
        calls = len(met)
        await site.send(message(50, 1))
        await until(lambda: len(site.encounters.applied) == MESSAGES + 1, "all else goes on")
        assert len(met) == calls
        shown = await command(site, "apis", "drift", status=1)
        assert "/status (required)" in shown
        assert "/state (not in the contract)" in shown
        said = await command(
            site, "apis", "accept", "ehr.patients", "putPatient", "--reason", "agreed with the vendor"
        )
        assert "accepted: the answer lacks a field" in said
        assert entries(await site.settled()) == {"delivered": MESSAGES + 1}
        in_order(site)
        again = await command(site, "apis", "accept", "ehr.patients", "putPatient", "--reason", "x", status=1)
        assert "nothing of ehr.patients/putPatient is held" in again


@in_reactor
async def test_what_is_gone_and_comes_back_goes_on_by_itself(tmp_path: Path) -> None:
    async with contracted(tmp_path, document(answer=SCHEMA)) as site:
        assert site.node is not None
        site.patients.answer_with = answer()
        await noticed(site, CHANGES[-1])
        site.patients.otherwise = None
        outlet = site.node.outlets["ehr.patients"]
        if outlet.status()["operations"]["putPatient"]["reason"] == "contract-drift":
            await accepted(site)  # as many as may be had met it, and it waits for a person after all
        assert entries(await site.settled()) == {"delivered": MESSAGES}
        in_order(site)


@in_reactor
async def test_a_contract_that_is_observed_holds_nothing_and_tells_all(tmp_path: Path) -> None:
    async with contracted(tmp_path, document(answer=SCHEMA), ", check: observe") as site:
        assert site.node is not None
        site.patients.answer_with = answer()
        site.patients.otherwise = CHANGES[0].does
        await site.send(*(message(number, 1) for number in range(1, 11)))
        assert entries(await site.settled()) == {"delivered": 10}
        rows = await site.node.journal.read(drifts)
        assert {(each.kind, each.pointer, each.state) for each in rows} == {
            ("missing-field", "/status", "noticed"),
            ("new-field", "/state", "noticed"),
        }
        assert {each.times for each in rows} <= {8, 10}


@in_reactor
async def test_with_another_contract_nothing_is_held_and_what_waited_ends_as_it_began(tmp_path: Path) -> None:
    async with contracted(tmp_path, document(answer=SCHEMA)) as site:
        assert site.node is not None
        site.patients.answer_with = answer()
        await noticed(site, CHANGES[0])
        before = await site.node.journal.read(versions_open)
        waiting = [each for each in before if each.api == "ehr.patients"]
        assert [(each.contract.split()[0], each.open > 0) for each in waiting] == [("ehr.json@1.0.0", True)]
        newer = {**SCHEMA, "required": ["applied", "state"]}
        write_contract(site.folder / "site", document(answer=newer, version="2.0.0"))
        site.patients.otherwise = None
        await site.node.reload()
        assert entries(await site.settled()) == {"delivered": MESSAGES}
        in_order(site)
        # What waited was made by the older contract, and is held against that: it finds nothing missing.
        assert {each.state for each in await site.node.journal.read(drifts)} == {"over", "noticed"}
