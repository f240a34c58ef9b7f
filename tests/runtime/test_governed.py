"""A whole node under its policies: what each lets through and stops, and what is kept of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lane_messages import message
from nodes import Hospital, entries
from reactor_tests import in_reactor, until

from bridge.catalog import STANDARD
from bridge.cli.fake_api import Fault
from bridge.component import Catalog
from bridge.governance import classify
from bridge.governance.base import policies
from bridge.governance.order import left_out
from bridge.journal.compliance import said, stopped
from bridge.journal.notices import notices
from bridge.journal.search import story


def patients_file(site: Hospital) -> Path:
    return site.folder / "site" / "channels" / "apis" / "ehr.patients.yaml"


@asynccontextmanager
async def node_with(folder: Path, more: str, *, catalog: Catalog = STANDARD) -> AsyncIterator[Hospital]:
    """A node whose file of ehr.patients says ``more``."""
    made = Hospital(folder)
    await made.open()
    file = patients_file(made)
    file.write_text(file.read_text() + more)
    try:
        await made.start(catalog)
        yield made
    finally:
        await made.close()


async def compliance(site: Hospital) -> dict[str, int]:
    """The letters that are missing in what was kept of all attempts; '' for those that miss none."""
    assert site.node is not None
    found: dict[str, int] = {}
    for each in await site.node.journal.read(said):
        missing = left_out(each.verdicts)
        found[missing] = found.get(missing, 0) + each.count
    return found


@in_reactor
async def test_every_attempt_has_passed_every_policy_also_those_that_failed(tmp_path: Path) -> None:
    async with node_with(tmp_path, "") as site:
        site.patients.plant(Fault("status", status=503, times=3), Fault("lose", times=2))
        await site.send(*(message(number % 7, number) for number in range(1, 31)))
        await site.settled()
        found = await compliance(site)
        assert set(found) == {""}
        assert found[""] >= 60 + 5


@pytest.mark.parametrize(
    "name", [each.name for each in STANDARD.components if each.kind == "policy" and not each.when_declared]
)
@in_reactor
async def test_a_policy_that_is_left_out_of_a_build_is_missed_in_every_attempt(
    tmp_path: Path, name: str
) -> None:
    less = Catalog(tuple(each for each in STANDARD.components if (each.kind, each.name) != ("policy", name)))
    letters = {"lifecycle": "lL", "target_guard": "t"}
    async with node_with(tmp_path, "", catalog=less) as site:
        await site.send(message(1, 1))
        await site.settled()
        assert await compliance(site) == {letters.get(name, name[0]): 2}


@in_reactor
async def test_what_goes_to_a_blocked_api_waits_until_it_is_active(tmp_path: Path) -> None:
    async with node_with(tmp_path, "lifecycle: {state: blocked}\n") as site:
        assert site.node is not None
        await site.send(message(1, 1), message(2, 1))
        await until(lambda: len(site.encounters.applied) == 2, "the other API takes its own")
        assert site.patients.attempts == []
        assert {gate.shut(0) for gate in site.node.outlets["ehr.patients"].gates.values()} == {"api-blocked"}
        file = patients_file(site)
        file.write_text(file.read_text().replace("blocked", "active"))
        await site.node.reload()
        ledger = await site.settled()
        assert entries(ledger) == {"delivered": 2}
        assert set(await compliance(site)) == {""}


@in_reactor
async def test_of_what_goes_to_a_retired_api_a_person_decides(tmp_path: Path) -> None:
    """No route may name it any more, and what was journaled before still does."""
    async with node_with(tmp_path, "lifecycle: {state: blocked}\n") as site:
        assert site.node is not None
        await site.send(message(1, 1))
        await until(lambda: len(site.encounters.applied) == 1, "the other API takes its own")
        file = patients_file(site)
        file.write_text(file.read_text().replace("state: blocked", "state: retired"))
        channel = site.folder / "site" / "channels" / "ehr-adt.yaml"
        start, _, rest = channel.read_text().partition("  - route: patient\n")
        channel.write_text(start + "  - route: encounter\n" + rest.partition("  - route: encounter\n")[2])
        await site.node.reload()
        ledger = await site.settled()
        assert entries(ledger) == {"quarantined": 1}
        found = await site.node.journal.read(story, 1)
        assert found is not None
        assert {(row["state"], row["reason"]) for row in found.deliveries} >= {("QUARANTINED", "api-retired")}
        assert site.patients.attempts == []


@in_reactor
async def test_a_label_above_the_ceiling_stops_the_record_and_nothing_of_it_leaves(tmp_path: Path) -> None:
    """The check of files would have refused this; here they were let through, and the record is not."""
    async with node_with(tmp_path, "carries: {phi: true}\n") as site:
        assert site.node is not None
        outlet = site.node.outlets["ehr.patients"]
        options = classify.CarriesOptions.model_validate({"financial": True})
        strict = policies([(classify.COMPONENT, options)], lambda reference: reference.name)
        outlet.use(outlet.api, outlet.destination, strict)
        channel = site.node.parts.topology.channels["ehr-adt"]
        site.node.translators["ehr-adt"].use(channel, site.node.parts.ways_out(channel))
        await site.send(message(1, 1))
        ledger = await site.settled()
        assert entries(ledger) == {"quarantined": 1}
        assert site.patients.attempts == []
        assert await site.node.journal.read(stopped) == {("ehr.patients", "c!label-exceeds-route"): 1}


@in_reactor
async def test_what_an_api_says_of_its_end_is_kept(tmp_path: Path) -> None:
    async with node_with(tmp_path, "") as site:
        assert site.node is not None
        site.patients.headers = {
            "Deprecation": "@1688169599",
            "Sunset": "Sun, 11 Nov 2035 23:59:59 GMT",
        }
        await site.send(message(1, 1))
        await site.settled()
        journal = site.node.journal
        kept = await journal.read(notices)
        assert [(each.api, each.operation, each.deprecated_at_us) for each in kept] == [
            ("ehr.patients", "putPatient", 1688169599_000_000)
        ]
        assert kept[0].sunset_at_us is not None
