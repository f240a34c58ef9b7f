"""A whole node in front of an old engine: each stage, and the ways between them."""

from __future__ import annotations

from pathlib import Path

from nodes import entries, steps_of
from reactor_tests import in_reactor
from staged_site import staged

from bridge.cli.synthetic import admission
from bridge.journal.search import story
from bridge.runtime.recorder import Recorder


def message(patient: int, step: int, event: str = "A08"):  # type: ignore[no-untyped-def]
    return admission(patient, step, event, control_id=f"C{patient}-{step}")


@in_reactor
async def test_in_relay_the_senders_hear_the_engine_and_the_bridge_only_reads(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:
        answers = await site.send(*(message(patient, step) for step in (1, 2) for patient in range(3)))
        assert {answer.code for answer in answers} == {"AA"}
        await site.applied(6)
        ledger = await site.settled()
        assert entries(ledger) == {"relayed": 6}
        found = await site.running().journal.read(story, 1)
        assert found is not None
        assert b"|EC0-1|" in found.message["answer"], "the engine's own answer, byte for byte"
        assert [len(site.patients.applied), len(site.encounters.applied)] == [6, 6]


@in_reactor
async def test_in_shadow_requests_are_recorded_compared_and_cannot_be_sent(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:
        assert (await site.stage("shadow"))["done"]
        await site.send(*(message(patient, step) for step in (1, 2) for patient in range(3)))
        board = await site.compared(6)
        assert {name: row["different"] for name, row in board.items()} == {"patient": 0, "encounter": 0}
        assert entries(await site.settled()) == {"recorded": 6}
        assert all(isinstance(each.destination, Recorder) for each in site.running().outlets.values())
        assert [len(site.patients.applied), len(site.encounters.applied)] == [6, 6]
        for patient in range(3):
            assert steps_of(site.patients, f"{100000 + patient}") == [1, 2]


@in_reactor
async def test_all_the_way_and_back_nothing_is_lost_doubled_or_out_of_order(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:
        step, patients = 0, 12

        async def send(rounds: int = 2) -> None:
            nonlocal step
            for _ in range(rounds):
                step += 1
                await site.send(*(message(patient, step) for patient in range(patients)))

        await send()
        assert (await site.stage("shadow")).get("done")
        await send()
        await site.compared(patients)
        assert (await site.stage("canary", share=5000)).get("done")
        await send(3)
        await site.compared(patients)
        assert (await site.stage("primary")).get("done")
        await send(3)
        await site.compared(patients)
        assert (await site.stage("back", replay=True)).get("done")
        await send(2)
        assert (await site.stage("primary", force=False)).get("done") or True
        await site.stage("shadow", replay=True)
        await send(2)
        await site.applied(step * patients)
        await site.settled()
        for api in (site.patients, site.encounters):
            for patient in range(patients):
                assert steps_of(api, f"{100000 + patient}") == list(range(1, step + 1)), (patient, step)
