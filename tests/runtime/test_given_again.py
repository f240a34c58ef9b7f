"""What the old engine is given once more, after a step back: all of it, though messages come meanwhile, and
before whatever came later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodes import steps_of
from reactor_tests import in_reactor
from staged_site import staged
from twisted.internet.defer import Deferred

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
