"""Negative controls: a bridge made faulty on purpose, and the checker of histories that must see it.

Each runs beside the same messages through a bridge that is whole, of which the checker says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from lane_messages import change_api, message
from nodes import Hospital, hospital
from reactor_tests import in_reactor, pause, until

from bridge.cli.fake_api import Fault
from bridge.delivery.lanes import Lanes
from bridge.delivery.state import after_attempt
from bridge.journal.chain import Whose
from bridge.journal.deliveries import START, AsMade, Call, Start
from bridge.journal.history import check
from bridge.journal.writer import Transaction, Work

pytestmark = pytest.mark.both_databases

SAFETY = {"ehr.patients": "none", "ehr.encounters": "header"}


async def rules_broken(site: Hospital) -> list[str]:
    """The rules that were broken, by the journal and by what the APIs saw."""
    assert site.node is not None
    calls = [(each.idempotency_key, each.body_sha256) for api in apis(site) for each in api.attempts]
    found = await site.node.journal.read(check, repeat_safety=SAFETY, calls=calls)
    return sorted({each.invariant for each in found.violations})


def apis(site: Hospital) -> Iterator[Any]:
    yield from (site.patients, site.encounters)


def skip_instead_of_block(patch: pytest.MonkeyPatch) -> None:
    """What is in quarantine is taken for done, and its key goes on."""
    patch.setattr(Lanes, "block", Lanes.finished)


def in_flight_not_committed(patch: pytest.MonkeyPatch) -> None:
    """The call leaves, and that it has left is on no disk."""

    def start(tx: Transaction, starts: Sequence[Start]) -> Sequence[Call | AsMade | None]:
        with tx.connection.begin_nested() as unwritten:
            calls = START.run(
                Transaction(tx.connection, tx.facts, {"transitions": 10**9}, tx.head, Whose("x", 1, "")),
                starts,
            )
            unwritten.rollback()
        return calls

    patch.setattr("bridge.runtime.deliver.START", Work("start", start))
    patch.setattr("bridge.runtime.deliver.DRAIN_MAX_S", 0.2)


def blind_repeat(patch: pytest.MonkeyPatch) -> None:
    """What may have happened is sent again to an API that cannot tell."""

    def after(*arguments: Any, **named: Any) -> Any:
        return after_attempt(*arguments, **{**named, "repeat_safety": "header"})

    patch.setattr("bridge.runtime.deliver.after_attempt", after)


CONTROLS: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    skip_instead_of_block: "I4",
    in_flight_not_committed: "I6",
    blind_repeat: "I6",
}
"""Each with the rule that it breaks; it may break others too."""


@pytest.mark.parametrize("broken", [None, *CONTROLS], ids=lambda each: each.__name__ if each else "whole")
@in_reactor
async def test_the_checker_sees_what_a_faulty_bridge_does_and_says_nothing_of_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None] | None
) -> None:
    async with hospital(tmp_path) as site:
        await site.stop()
        change_api(site, "ehr.patients", "repeat_safety: header", "repeat_safety: none")
        if broken is not None:
            broken(monkeypatch)
        await site.start()
        site.patients.plant(Fault("lose", path="100002"), Fault("status", status=422, path="100001", times=3))
        await site.send(*(message(patient, step) for step in (1, 2) for patient in (1, 2, 3)))
        await until(lambda: len(site.patients.attempts) >= (3 if broken else 6), "calls are made")
        await pause(0.5)
        rules = await rules_broken(site)
        assert rules == [] if broken is None else CONTROLS[broken] in rules
