"""An old engine that sends over MLLP: its output passes a tap, is compared by field, and goes on or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mllp_site import OverMllp, over_mllp
from reactor_tests import in_reactor, pause, until

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_mllp import Fault
from bridge.cli.synthetic import Synthetic, admission
from bridge.journal.feeding import feed_counts
from bridge.journal.parity import clusters_of, tallies_of

FIRST, SECOND = (admission(7, step, "A08", control_id=f"M{step}") for step in (1, 2))


async def codes(site: OverMllp, message: Synthetic) -> list[str]:
    return [str(each.code) for each in await site.send(message)]


@in_reactor
async def test_output_over_mllp_is_compared_by_field_passed_on_and_kept_back(tmp_path: Path) -> None:
    async with over_mllp(tmp_path) as site:
        journal = site.running().journal
        await site.stage("shadow")
        assert await codes(site, FIRST) == ["AA"]
        assert len(site.engine.applied) == 1
        assert await site.engine_sends(FIRST, b"HORVAT^ADA", b"Horvat^ADA") == "AA"
        assert len(site.receiver.applied) == 1, "it is the old engine's"
        for _ in range(100):
            if found := await journal.read(clusters_of, CHANNEL):
                break
            await pause(0.1)
        assert {(each.kind, each.path, each.number) for each in found} >= {("value", "PID-5.1", 1)}
        assert (await site.stage("canary", share=10_000)).get("done")
        assert await codes(site, SECOND) == ["AA"]
        assert await site.engine_sends(SECOND) == "AA", "the engine hears that it was taken"
        await until(
            lambda: len(site.receiver.applied) == 2, "the bridge sends it once the key was handed over"
        )
        await pause(0.3)
        assert len(site.receiver.applied) == 2, "what the old engine made of it was kept back"
        assert await journal.read(tallies_of, CHANNEL)


@pytest.mark.parametrize("stage", ["relay", "shadow"])
@pytest.mark.parametrize(
    ("fault", "heard"), [(Fault("answer", code="AE"), "AE"), (Fault("answer", code="AR"), "AR")]
)
@in_reactor
async def test_what_the_receiver_did_not_take_goes_on_when_the_engine_sends_it_again(
    tmp_path: Path, fault: Fault, heard: str, stage: str
) -> None:
    async with over_mllp(tmp_path) as site:
        if stage == "shadow":
            await site.stage(stage)
        site.receiver.plant(fault)
        assert await codes(site, FIRST) == ["AA"]
        assert [await site.engine_sends(FIRST) for _ in range(3)] == [heard, "AA", "AA"]
        assert len(site.receiver.applied) == 1
        assert len(site.receiver.blocks) == 2, "what was taken goes on no more"


async def in_canary(site: OverMllp) -> None:
    """All keys are the bridge's."""
    await site.stage("shadow")
    assert await codes(site, FIRST) == ["AA"]
    assert await site.engine_sends(FIRST) == "AA"
    for _ in range(100):
        if (await site.stage("canary", share=10_000)).get("done"):
            return
        await pause(0.1)
    raise AssertionError("no canary")


@pytest.mark.parametrize("fault", [Fault("answer", code="AE"), Fault("garbage")])
@in_reactor
async def test_what_the_engine_refuses_of_the_bridges_is_taken_and_goes_out_once(
    tmp_path: Path, fault: Fault
) -> None:
    async with over_mllp(tmp_path) as site:
        await in_canary(site)
        site.engine.plant(fault)
        assert await codes(site, SECOND) == ["AA"], "the bridge has taken it"
        assert await codes(site, SECOND) == ["AA"], "and says so again"
        assert await site.engine_sends(SECOND) == "AA"
        await until(lambda: len(site.receiver.blocks) == 2, "the bridge sends it")
        await until(lambda: not site.running().parts.feeds[CHANNEL].owed, "the engine is asked again")
        await pause(0.3)
        assert len(site.receiver.blocks) == 2, "once"
        assert (await site.running().journal.read(feed_counts))[CHANNEL] == {"GIVEN": 2}


@in_reactor
async def test_what_was_not_taken_before_does_not_go_on_for_a_message_that_is_the_bridges(
    tmp_path: Path,
) -> None:
    async with over_mllp(tmp_path) as site:
        await site.stage("shadow")
        site.receiver.plant(Fault("answer", code="AR"))
        assert await codes(site, FIRST) == ["AA"]
        assert await site.engine_sends(FIRST) == "AR"
        for _ in range(100):
            if (await site.stage("canary", share=10_000)).get("done"):
                break
            await pause(0.1)
        other = replace(FIRST, body=FIRST.body.replace(b"ELM STREET", b"OAK STREET"))
        assert await codes(site, other) == ["AA"]
        assert await site.engine_sends(FIRST) == "AA", "it stands for the other, which is kept back"
        await until(lambda: len(site.receiver.blocks) == 2, "the bridge sends that")
        await pause(0.3)
        assert len(site.receiver.blocks) == 2


@pytest.mark.both_databases
@in_reactor
async def test_what_the_engine_makes_of_a_message_that_it_refused_is_whose_the_message_is(
    tmp_path: Path,
) -> None:
    async with over_mllp(tmp_path) as site:
        await site.stage("shadow")
        site.engine.plant(Fault("answer", code="AE"))
        assert await codes(site, FIRST) == ["AE"]
        await site.settled()
        for actor in ("user:anna", "user:bert"):
            await site.stage("canary", actor=actor, approve=True)
        said = await site.stage("canary", force=True, share=10_000)
        assert "done" in said, said
        assert await site.engine_sends(FIRST) == "AA"
        assert len(site.receiver.applied) == 1, "nobody else has it"
