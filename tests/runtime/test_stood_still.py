"""A process that stood still: what it was allowed to send before may be another's by now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lane_messages import message
from nodes import Hospital, entries, hospital
from reactor_tests import in_reactor, until

from bridge.errors import JournalUnavailable
from bridge.journal.barriers import BARRED
from bridge.journal.deliveries import START
from bridge.journal.journal import Journal
from bridge.runtime.outlet_words import START_GOOD_S

API = "ehr.patients"


class StandsStill:
    """A reactor whose process stands still for so long with each start that the journal writes."""

    def __init__(self, reactor: Any) -> None:
        self._reactor, self.gone_s = reactor, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def seconds(self) -> float:
        return float(self._reactor.seconds()) + self.gone_s


class Away:
    """A journal that stands still with each start, and answers no question until it is found again."""

    def __init__(self, journal: Journal, reactor: StandsStill, stands_s: float) -> None:
        self._journal, self._reactor, self._stands_s = journal, reactor, stands_s
        self.found, self.answers_after_s = False, 0.0
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def submit_all(self, work: Any, items: Any, **how: Any) -> Any:
        ends = await self._journal.submit_all(work, items, **how)
        self._reactor.gone_s += self._stands_s if work is START else 0.0
        return ends

    async def submit(self, work: Any, item: Any, **how: Any) -> Any:
        if work is BARRED:
            self.asked += 1
            if not self.found:
                raise JournalUnavailable("another node has this journal")
            self._reactor.gone_s += self.answers_after_s
        return await self._journal.submit(work, item, **how)


def stand_still(site: Hospital, stands_s: float) -> Away:
    """Each start of one API takes so long from now on."""
    assert site.node is not None
    outlet = site.node.outlets[API]
    reactor = StandsStill(outlet._world.reactor)
    outlet._world = replace(outlet._world, reactor=reactor)
    away = Away(outlet._journal, reactor, stands_s)
    outlet._journal = outlet._refill._journal = away  # type: ignore[assignment]
    return away


@in_reactor
async def test_what_was_let_begin_long_ago_is_sent_only_once_the_journal_answers_again(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        journal = stand_still(site, START_GOOD_S + 1)
        await site.send(message(1, 1))
        await until(lambda: journal.asked > 1, "the journal is asked, and asked again")
        assert site.patients.applied == [], "nothing is sent that may be another's"
        journal.found = True
        assert entries(await site.settled()) == {"delivered": 1}
        assert len(site.patients.applied) == 1


@pytest.mark.parametrize("stands_s", [0.0, START_GOOD_S / 2])
@in_reactor
async def test_what_was_let_begin_just_now_is_sent_without_another_question(
    tmp_path: Path, stands_s: float
) -> None:
    async with hospital(tmp_path) as site:
        journal = stand_still(site, stands_s)
        await site.send(message(1, 1))
        assert entries(await site.settled()) == {"delivered": 1}
        assert not journal.asked


@in_reactor
async def test_on_a_disk_that_is_always_slow_everything_goes(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        journal = stand_still(site, START_GOOD_S * 3)
        journal.found, journal.answers_after_s = True, START_GOOD_S * 3
        await site.send(message(1, 1), message(2, 1))
        assert entries(await site.settled()) == {"delivered": 2}
        assert journal.asked
