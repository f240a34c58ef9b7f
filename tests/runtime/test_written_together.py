"""What is under way while the journal writes: the next messages are made, and the next calls begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from databases import in_thread
from lane_messages import change_api, message
from nodes import Hospital, entries, hospital, steps_of
from reactor_tests import in_reactor, until

from bridge.cli.demo import CHANNEL
from bridge.delivery.outcomes import Outcome
from bridge.journal.committing import Batch


class Batches:
    """The batches that a node's journal is given from now on; while ``held`` is set, none reaches it."""

    def __init__(self, site: Hospital) -> None:
        assert site.node is not None
        self.names: list[set[str]] = []
        self.held = False
        self._kept: list[Batch] = []
        place = in_thread(site.node.journal)
        self._put = place.put
        place.put = self._take  # type: ignore[method-assign]

    def _take(self, batch: Batch) -> None:
        self.names.append({work.name for work, _ in batch.parts})
        if self.held and "translate" in self.names[-1]:
            self._kept.append(batch)
        else:
            self._put(batch)

    def go(self) -> None:
        self.held = False
        for batch in self._kept:
            self._put(batch)


@in_reactor
async def test_the_next_messages_are_made_while_the_last_are_written_and_go_in_their_order(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        translate = site.node.translators[CHANNEL]
        translate.pause()
        await site.send(*(message(patient, step) for step in range(1, 21) for patient in range(5)))
        batches = Batches(site)
        batches.held = True
        translate.resume()
        await until(lambda: len(translate._making) > 0, "more is made while the first are written")
        assert translate._under_way
        batches.go()
        assert entries(await site.settled()) == {"delivered": 100}
        for patient in range(5):
            assert steps_of(site.patients, f"{100000 + patient}") == list(range(1, 21))


@pytest.mark.parametrize("in_flight", [1, 8])
@in_reactor
async def test_the_end_of_a_call_and_the_start_of_the_next_are_one_transaction(
    tmp_path: Path, in_flight: int
) -> None:
    async with hospital(tmp_path) as site:
        await site.stop()
        change_api(site, "ehr.patients", "limits: {in_flight: 8}", f"limits: {{in_flight: {in_flight}}}")
        await site.start()
        assert site.node is not None
        outlet, other = (site.node.outlets[name] for name in ("ehr.patients", "ehr.encounters"))
        call, at_once = outlet._calling.call, [0, 0]

        async def counted(*given: Any, **named: Any) -> Outcome:
            at_once[0] += 1
            at_once[1] = max(at_once)
            try:
                return await call(*given, **named)
            finally:
                at_once[0] -= 1

        outlet._calling.call = counted  # type: ignore[method-assign]
        for each in (outlet, other):
            each.pause("api")
        await site.send(*(message(patient, step) for step in (1, 2) for patient in range(30)))
        batches = Batches(site)
        outlet.resume("api")
        await until(lambda: len(site.patients.applied) == 60 and not outlet.in_flight, "all are sent")
        assert [each for each in batches.names if {"settle", "start"} <= each], "each has its own"
        other.resume("api")
        assert entries(await site.settled()) == {"delivered": 60}
        assert at_once == [0, in_flight], "its limit is of calls, and it is used"
        for patient in range(30):
            assert steps_of(site.patients, f"{100000 + patient}") == [1, 2]
