"""What the old engine is given once more, after a step back: all of it, though messages come meanwhile, and
before whatever came later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodes import steps_of
from reactor_tests import in_reactor, until
from staged_site import Queuing, staged
from twisted.internet.defer import Deferred

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.cli.synthetic import admission
from bridge.journal.stages import STAND


@in_reactor
async def test_messages_that_come_at_the_moment_of_the_step_hide_none_of_what_is_given_again(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as site:
        await site.stage("shadow")
        await site.send(*(admission(patient, 1, "A08", control_id=f"C{patient}-1") for patient in range(4)))
        await site.compared(4)
        assert (await site.stage("canary", share=10_000)).get("done")
        for api in (site.patients, site.encounters):
            api.plant(Fault("status", status=503, times=None))
        await site.send(*(admission(patient, 2, "A08", control_id=f"C{patient}-2") for patient in range(4)))
        await site.pause(1.0)
        for api in (site.patients, site.encounters):
            api._faults.clear()
        journal = site.running().journal
        submit = journal.submit
        sent: list[None] = []

        def stands(work: Any, item: Any, **more: Any) -> Deferred[Any]:
            done = submit(work, item, **more)
            if work is not STAND:
                return done

            async def with_others() -> Any:
                stood = await done
                # Taken after that was written, and before anybody has heard of it.
                patient = len(sent)
                sent.append(None)
                await site.send(admission(patient, 3, "A08", control_id=f"C{patient}-3"))
                return stood

            return Deferred.fromCoroutine(with_others())

        journal.submit = stands  # type: ignore[method-assign]
        await site.stage("shadow", replay=True)
        journal.submit = submit  # type: ignore[method-assign]
        assert len(sent) == 2
        await site.applied(10)
        await site.settled()
        for api in (site.patients, site.encounters):
            for patient in range(4):
                steps = [1, 2, 3] if patient < 2 else [1, 2]
                assert steps_of(api, f"{100000 + patient}") == steps, patient


@in_reactor
async def test_what_an_engine_has_queued_at_the_step_back_does_not_overtake_what_it_is_given_again(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as site:
        await site.stage("shadow")
        await site.send(*(admission(patient, 1, "A08", control_id=f"C{patient}-1") for patient in range(4)))
        await site.compared(4)
        assert (await site.stage("canary", f"{CHANNEL}/encounter", share=10_000)).get("done")
        site.encounters.plant(Fault("status", status=503, times=None))
        await site.send(*(admission(patient, 2, "A08", control_id=f"C{patient}-2") for patient in range(4)))
        await until(lambda: bool(site.encounters.attempts), "the bridge calls")
        await site.pause(1.0)
        site.encounters._faults.clear()
        engine = Queuing(site)
        translate = site.running().parts.translators[CHANNEL]
        # One of them is translated at the step back, the other is not.
        await site.send(admission(0, 3, "A08", control_id="C0-3"))
        await site.pause(0.3)
        await translate.hold()
        await site.send(admission(1, 3, "A08", control_id="C1-3"))
        await site.stage("shadow", f"{CHANNEL}/encounter", replay=True)
        translate.let_go()
        await site.pause(0.1)
        engine.go_on()
        await site.applied(10)
        await site.settled()
        for api in (site.patients, site.encounters):
            for patient in range(4):
                steps = [1, 2, 3] if patient < 2 else [1, 2]
                assert steps_of(api, f"{100000 + patient}") == steps, patient
