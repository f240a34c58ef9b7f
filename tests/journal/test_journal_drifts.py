"""What is kept of drift, what a person decides about it, and what is open of which version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from journals import NOW_US, arrival, journal_in, translation
from reactor_tests import in_reactor

from bridge.delivery.state import DeliveryState
from bridge.journal.actions import latest
from bridge.journal.deliveries import START, Call, Start
from bridge.journal.drifts import DECIDE, DRIFT, Decided, Drifted, VersionOpen, drifts, versions_open
from bridge.journal.messages import RECEIVE, TRANSLATE

pytestmark = pytest.mark.both_databases

MISSING = Drifted("ehr", "put", "missing-field", "/id", "required", "d1", "held", 1, NOW_US, NOW_US)


@in_reactor
async def test_the_newest_word_of_a_place_stands_and_when_it_was_first_seen_stays(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        again = replace(MISSING, times=4, first_seen_at_us=NOW_US + 5, seen_at_us=NOW_US + 5)
        other = replace(MISSING, pointer="/name", state="noticed", seen_at_us=NOW_US - 1)
        for each in (MISSING, other, again):
            await journal.submit(DRIFT, each)
        assert await journal.read(drifts) == [replace(again, first_seen_at_us=NOW_US), other]


@in_reactor
async def test_a_decision_is_about_what_is_held_of_one_operation_and_has_its_audit_row(
    tmp_path: Path,
) -> None:
    async with journal_in(tmp_path) as journal:
        elsewhere = replace(MISSING, operation="cancel")
        noticed = replace(MISSING, kind="new-field", state="noticed")
        for each in (MISSING, elsewhere, noticed):
            await journal.submit(DRIFT, each)
        decided = Decided("ehr", "put", "accepted", NOW_US + 9, "user:ana", "agreed with the vendor")
        assert await journal.submit(DECIDE, decided) == 1
        states = {(each.operation, each.kind): each.state for each in await journal.read(drifts)}
        assert states == {
            ("put", "missing-field"): "accepted",
            ("cancel", "missing-field"): "held",
            ("put", "new-field"): "noticed",
        }
        (row, *_) = await journal.read(latest)
        assert (row.actor, row.action, row.subject) == ("user:ana", "accept-drift", "operation ehr/put")


@in_reactor
async def test_what_is_open_is_counted_by_the_versions_that_it_was_made_by(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        for number, digest in enumerate(("old", "new", "new")):
            message_id = (await journal.submit(RECEIVE, arrival(journal, b"%d" % number))).message_id
            made = translation(message_id)
            made = made._replace(
                deliveries=tuple(each._replace(contract_digest=digest) for each in made.deliveries)
            )
            (delivery_id,) = await journal.submit(TRANSLATE, made)
        call = await journal.submit(START, Start(delivery_id, NOW_US))
        assert isinstance(call, Call)
        assert call.contract_digest == "new"
        stuck = translation(
            (await journal.submit(RECEIVE, arrival(journal, b"9"))).message_id,
            state=DeliveryState.QUARANTINED,
        )
        await journal.submit(TRANSLATE, stuck)
        assert await journal.read(versions_open) == [
            VersionOpen("ehr", "adt-admit@1", "", 0, 1),
            VersionOpen("ehr", "adt-admit@1", "contract new", 2, 0),
            VersionOpen("ehr", "adt-admit@1", "contract old", 1, 0),
        ]
