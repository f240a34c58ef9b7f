"""An old engine that is held up: what it had queued is told apart by whose the messages are, however late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nodes import steps_of
from reactor_tests import in_reactor, until
from sqlalchemy import Connection, func, select
from staged_site import Queuing, Staged, staged

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.cli.synthetic import admission
from bridge.destinations.in_loop import in_loop
from bridge.journal.stage_schema import IS_UNPAIRED, pairs

PATIENTS = 4
pytestmark = pytest.mark.both_databases


async def send(site: Staged, step: int) -> None:
    await site.send(*(admission(each, step, "A08", control_id=f"C{each}-{step}") for each in range(PATIENTS)))


async def forced(site: Staged, stage: str, **more: Any) -> None:
    """Move both routes, whatever the gates say."""
    for route in ("patient", "encounter"):
        for actor in ("user:anna", "user:bert"):
            await site.ask("stage", actor=actor, target=f"{CHANNEL}/{route}", stage=stage, approve=True)
    said = await site.stage(stage, force=True, **more)
    assert "done" in said, said


async def missed(site: Staged, number: int) -> None:
    """Wait until so many pairs of each route have ended, most of them without the engine."""
    board = await site.compared(number)
    assert all(row["different"] for row in board.values())


async def nothing_awaited(site: Staged) -> None:
    """Wait until no pair waits for its other side."""
    for _ in range(200):
        if not await site.running().journal.read(_awaited):
            return
        await site.pause(0.1)
    raise AssertionError("pairs wait on")


def _awaited(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(pairs).where(IS_UNPAIRED)).scalar_one()


def in_order(site: Staged, steps: list[int]) -> None:
    for api in (site.patients, site.encounters):
        for patient in range(PATIENTS):
            assert steps_of(api, f"{100000 + patient}") == steps, patient


@in_reactor
async def test_what_the_engine_had_queued_before_a_move_passes_however_late_it_comes(tmp_path: Path) -> None:
    async with staged(tmp_path, within="300ms") as site:
        await site.stage("shadow")
        await send(site, 1)
        await site.applied(PATIENTS)
        engine = Queuing(site)
        await send(site, 2)
        await missed(site, 2 * PATIENTS)
        await forced(site, "canary", share=10_000)
        await forced(site, "primary")
        engine.go_on()
        await site.applied(2 * PATIENTS)
        await send(site, 3)
        await site.applied(3 * PATIENTS)
        await site.settled()
        in_order(site, [1, 2, 3])
        assert {row["different"] for row in (await site.board()).values()} == {0}


@in_reactor
async def test_what_the_engine_is_given_again_passes_however_long_its_api_is_away(tmp_path: Path) -> None:
    async with staged(tmp_path, within="300ms") as site:
        await site.stage("shadow")
        await send(site, 1)
        await site.compared(PATIENTS)
        await forced(site, "canary", share=10_000)
        await forced(site, "primary")
        for api in (site.patients, site.encounters):
            api.plant(Fault("status", status=503, times=None))
        await send(site, 2)
        await site.compared(PATIENTS)  # the engine's are swallowed
        engine = Queuing(site)
        said = await site.stage("shadow", replay=True)
        assert "done" in said
        await nothing_awaited(site)
        for api in (site.patients, site.encounters):
            api._faults.clear()
        engine.go_on()
        await site.applied(2 * PATIENTS)
        await site.settled()
        in_order(site, [1, 2])


@in_reactor
async def test_nothing_counts_as_missing_while_the_engine_cannot_get_through(tmp_path: Path) -> None:
    async with staged(tmp_path, within="1s") as site:
        await site.stage("shadow")
        for api in (site.patients, site.encounters):
            api.plant(Fault("status", status=503, times=None))
        for step in (1, 2, 3):
            await send(site, step)
        await until(lambda: len(site.patients.attempts) > PATIENTS, "the engine tries")
        await site.pause(2.5)
        assert {row["different"] for row in (await site.board()).values()} == {0}
        for api in (site.patients, site.encounters):
            api._faults.clear()
        await site.applied(3 * PATIENTS)
        board = await site.compared(3 * PATIENTS)
        assert {row["different"] for row in board.values()} == {0}
        in_order(site, [1, 2, 3])


@in_reactor
async def test_what_has_passed_is_a_repeat_though_another_of_its_control_id_is_still_missed(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, within="300ms") as site:
        await site.stage("shadow")
        calls: list[Any] = []
        post = site.engine._post

        async def lose_the_first(*call: Any) -> None:
            calls.append(call)
            if len(calls) > 2:
                await post(*call)

        site.engine._post = lose_the_first  # type: ignore[method-assign, assignment]
        for step in (1, 2):
            await site.send(admission(0, step, "A08", control_id="SAME"))
            await site.compared(step)
        await site.applied(1)
        attempts = len(site.patients.attempts), len(site.encounters.attempts)
        for call in calls[2:]:
            await in_loop(post(*call))
        assert (len(site.patients.attempts), len(site.encounters.attempts)) == attempts


@in_reactor
async def test_a_call_that_was_not_taken_goes_on_when_the_engine_makes_it_again(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:
        site.patients.plant(Fault("status", status=409))
        url = f"http://127.0.0.1:{site.ports['patients']}/patients/P7"
        headers = {"X-Message-ID": "C7", "Idempotency-Key": "K7"}

        async def call() -> list[int]:
            async with aiohttp.ClientSession() as session:
                found = []
                for _ in range(3):
                    async with session.put(url, headers=headers, json={"key": "P7"}) as answer:
                        found.append(answer.status)
                return found

        assert await in_loop(call()) == [409, 200, 200]
        assert len(site.patients.attempts) == 2, "what was taken goes on no more"
