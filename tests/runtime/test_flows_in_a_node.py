"""Flows: steps at several APIs, one after others, isolated from each other, and undone where one fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from lane_messages import line, message
from nodes import Hospital
from reactor_tests import in_reactor, pause, until

from bridge.cli.fake_api import Attempt, Fault
from bridge.journal.history import check
from bridge.journal.quarantine import quarantined
from bridge.journal.resolutions import RESOLVE, Action, Resolution
from bridge.journal.search import Story, story
from bridge.runtime.flows import LOOKED_AT_MAX_MESSAGES, Flows

ENCOUNTER = """\
  - route: encounter
    after: [patient]
    if_fails: {if_fails}
    mapping: adt-admit
"""
SAFE = {"ehr.patients": "header", "ehr.encounters": "header"}


class Site(Hospital):
    async def of(self, number: int) -> Story:
        assert self.node is not None
        found = await self.node.journal.read(story, number)
        assert found is not None
        return found

    async def rests(self, number: int, *expected: tuple[str, str]) -> None:
        """Wait until the deliveries of a message are (operation or route, state), in order."""
        found: list[tuple[str, str]] = []
        for _ in range(400):
            rows: list[Mapping[str, Any]] = list((await self.of(number)).deliveries)
            found = [(row["operation"] or row["reason"], row["state"]) for row in rows]
            if found == list(expected):
                return
            await pause(0.02)
        raise AssertionError(f"{found}, and not {expected}")

    async def decide(self, delivery_id: int, action: Action) -> None:
        assert self.node is not None
        node = self.node
        resolution = Resolution(delivery_id, None, action, "ines", "as agreed", 1)
        resolved = await node.journal.submit(RESOLVE, resolution)
        assert resolved.done, resolved.why_not
        await node.outlets[resolved.api].relax(resolved.keys)
        node.parts.flows.look(resolved.message_id)

    def look(self) -> None:
        assert self.node is not None
        self.node.parts.flows.look(1)

    async def orderly(self) -> None:
        assert self.node is not None
        found = await self.node.journal.read(lambda connection: check(connection, repeat_safety=SAFE))
        assert found.violations == ()


UNDO = '  undoPatient: {method: POST, path: "/patients/{key}/undo", send_only: [key]}\n'


def refuses(*paths: str, status: int = 422) -> Callable[[Attempt], web.Response | None]:
    """An API that does not take what has one of these in its path."""
    return lambda each: (
        web.json_response({}, status=status) if any(path in each.path for path in paths) else None
    )


@asynccontextmanager
async def flowing(folder: Path, *, undo: str, if_fails: str = "person") -> AsyncIterator[Site]:
    site = Site(folder)

    def change(text: str) -> str:
        old = "  - route: encounter\n    mapping: adt-admit\n"
        text = line(old, ENCOUNTER.format(if_fails=if_fails))(text)
        return text.replace("  - route: patient\n", f"  - route: patient\n{undo}")

    await site.open(change)
    apis = folder / "site" / "channels" / "apis" / "ehr.patients.yaml"
    apis.write_text(apis.read_text() + UNDO)
    try:
        await site.start()
        yield site
    finally:
        await site.close()


def calls(site: Site) -> list[tuple[str, str]]:
    """What was applied at the API of patients: method and last part of the path."""
    return [(each.method, each.path.rpartition("/")[2]) for each in site.patients.applied]


PATIENT, ENCOUNTER_DONE = ("putPatient", "DELIVERED"), ("putEncounter", "DELIVERED")


@in_reactor
async def test_a_step_goes_once_those_before_it_are_done_and_nothing_else_waits(tmp_path: Path) -> None:
    async with flowing(tmp_path, undo="") as site:
        site.patients.otherwise = refuses("100001", status=503)
        await site.send(message(1, 1), message(2, 1))
        await site.rests(2, PATIENT, ENCOUNTER_DONE)
        first, second = (await site.of(1)).deliveries
        assert first["state"] in ("RETRY_WAIT", "READY", "IN_FLIGHT")
        assert (second["state"], second["attempts"]) == ("READY", 0)
        assert not any("100001" in each.path for each in site.encounters.attempts)
        assert site.node is not None
        assert site.node.parts.flows.waiting == 1
        site.patients.otherwise = None
        await site.rests(1, PATIENT, ENCOUNTER_DONE)
        assert site.node.parts.flows.waiting == 0
        await site.orderly()


@in_reactor
async def test_what_waits_for_a_step_still_waits_after_a_start(tmp_path: Path) -> None:
    async with flowing(tmp_path, undo="") as site:
        site.patients.otherwise = refuses("100001", status=503)
        await site.send(message(1, 1))
        await site.stop()
        await site.start()
        assert site.encounters.attempts == []
        site.patients.otherwise = None
        await site.rests(1, PATIENT, ENCOUNTER_DONE)
        await site.orderly()


@pytest.mark.both_databases
@in_reactor
async def test_a_step_that_a_person_discards_undoes_what_was_done_before_it(tmp_path: Path) -> None:
    async with flowing(tmp_path, undo="    undo: undoPatient\n") as site:
        site.encounters.otherwise = refuses("/encounters/")
        await site.send(message(1, 1))
        await site.rests(1, PATIENT, ("putEncounter", "QUARANTINED"))
        number = (await site.of(1)).deliveries[1]["id"]
        assert site.node is not None
        (listed,) = await site.node.journal.read(quarantined)
        assert listed["advice"].endswith("or discard it (which undoes delivery 1)")
        await site.decide(number, "discard")
        await site.rests(1, PATIENT, ("putEncounter", "DISCARDED"), ("undoPatient", "DELIVERED"))
        assert [each for each, _ in calls(site)] == ["PUT", "POST"]
        assert calls(site)[1] == ("POST", "undo")
        words = (await site.of(1)).flow
        assert list(words.values()) == ["first, undo: undoPatient", "after patient", "undoes delivery 1"]
        await site.orderly()


@in_reactor
async def test_a_flow_is_undone_without_a_person_where_its_file_says_so(tmp_path: Path) -> None:
    async with flowing(tmp_path, undo="    undo: undoPatient\n", if_fails="undo") as site:
        site.encounters.otherwise = refuses("/encounters/")
        await site.send(message(1, 1))
        await site.rests(1, PATIENT, ("putEncounter", "DISCARDED"), ("undoPatient", "DELIVERED"))
        reason = (await site.of(1)).deliveries[1]["reason"]
        assert reason.startswith("flow-undone: ")
        await site.orderly()


@in_reactor
async def test_a_step_that_may_have_happened_undoes_nothing_by_itself(tmp_path: Path) -> None:
    async with flowing(tmp_path, undo="    undo: undoPatient\n", if_fails="undo") as site:
        site.encounters.plant(Fault("lose", times=1))
        api = tmp_path / "site" / "channels" / "apis" / "ehr.encounters.yaml"
        api.write_text(line("repeat_safety: header", "repeat_safety: none")(api.read_text()))
        await site.stop()
        await site.start()
        await site.send(message(1, 1))
        await site.rests(1, PATIENT, ("putEncounter", "QUARANTINED"))
        site.look()
        await pause(0.2)
        await site.rests(1, PATIENT, ("putEncounter", "QUARANTINED"))


@in_reactor
async def test_what_a_person_undoes_is_a_task_that_holds_up_no_key(tmp_path: Path) -> None:
    async with flowing(tmp_path, undo="    undo: by_hand\n", if_fails="undo") as site:
        site.encounters.otherwise = refuses("/encounters/")
        await site.send(message(1, 1))
        await site.rests(1, PATIENT, ("putEncounter", "DISCARDED"), ("undo-by-hand", "QUARANTINED"))
        site.encounters.otherwise = None
        await site.send(message(1, 2))
        await site.rests(2, PATIENT, ENCOUNTER_DONE)
        await site.decide((await site.of(1)).deliveries[2]["id"], "discard")
        await site.orderly()


@pytest.mark.both_databases
@in_reactor
async def test_a_step_whose_undoing_was_begun_when_the_node_stopped_is_undone_once(tmp_path: Path) -> None:
    async with flowing(tmp_path, undo="    undo: undoPatient\n", if_fails="undo") as site:
        site.encounters.otherwise = refuses("/encounters/")
        site.patients.otherwise = refuses("/undo", status=503)
        await site.send(message(1, 1))
        for _ in range(3):
            await until(lambda: any("/undo" in each.path for each in site.patients.attempts), "it is asked")
            site.patients.attempts.clear()
            await site.stop()
            await site.start()
        site.patients.otherwise = None
        await site.rests(1, PATIENT, ("putEncounter", "DISCARDED"), ("undoPatient", "DELIVERED"))
        assert [each for each, _ in calls(site)] == ["PUT", "POST"]
        await site.orderly()


@pytest.mark.parametrize("count", [1, LOOKED_AT_MAX_MESSAGES, LOOKED_AT_MAX_MESSAGES + 1])
def test_each_look_sees_some_of_what_waits_and_a_few_see_all(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Flows, "look", lambda _self, message_id: seen.append(message_id))
    waiting: dict[int, Any] = {number: {} for number in range(count)}
    flows = Flows.__new__(Flows)
    flows._waiting, flows._turn = waiting, 0
    for _ in range(4):
        before = len(seen)
        flows.look_again()
        assert len(seen) > before
    assert set(seen) == set(waiting)
