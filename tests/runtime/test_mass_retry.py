"""What one cause has put into quarantine: counted by reason, listed in pages, and let go at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lane_messages import message
from nodes import Hospital, entries, hospital
from reactor_tests import in_reactor, until
from shapes_held import holds
from test_commands import actions, command

from bridge.cli.fake_api import Fault

PATIENTS = 5
BAD = ("--api", "ehr.patients", "--problem", "bad-request")


async def all_refused(site: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message is refused by the API, whose fault it is; pages are of two."""
    monkeypatch.setattr("bridge.runtime.mass_retry.AT_ONCE", 2)
    site.patients.plant(Fault("status", status=400, times=None))
    await site.send(*(message(patient, 1) for patient in range(1, PATIENTS + 1)))
    assert site.node is not None
    outlet = site.node.outlets["ehr.patients"]
    await until(lambda: outlet.status()["keys_blocked"] == PATIENTS, "each key waits for a person")


@pytest.mark.both_databases
@in_reactor
async def test_all_of_one_reason_goes_again_in_pages_once_it_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        await all_refused(site, monkeypatch)
        for words in (("--problem", "unprocessable"), ("--api", "ehr.encounters"), ("--problem", "bad")):
            await command(site, "quarantine", "retry", *words, status=1)
        assert "did you mean" in await command(site, "quarantine", "retry", "--api", "ehr.patient", status=2)
        await command(site, "quarantine", "retry", "d1", *BAD, "--reason", "x", status=2)
        await command(site, "quarantine", "retry", status=2)
        await command(site, "quarantine", "skip", "d1", "--reason", "by hand")
        counted = await command(site, "quarantine", "retry", *BAD)
        assert f"{PATIENTS - 1} would go again" in counted
        assert "nothing was done" in counted
        assert "say why" in await command(site, "quarantine", "retry", *BAD, "--yes", status=2)
        site.patients._faults.clear()
        done = await command(site, "quarantine", "retry", *BAD, "--yes", "--reason", "API mended")
        assert done == f"{PATIENTS - 1} to go again\n"
        await until(lambda: len(site.patients.applied) == PATIENTS - 1, "all but what is set aside")
        written = [each for each in await actions(site) if each[0] == "retry"]
        assert len(written) == PATIENTS - 1
        assert {each[2] for each in written} == {"API mended"}


@in_reactor
async def test_what_is_refused_again_is_tried_once_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        await all_refused(site, monkeypatch)
        before = len(site.patients.attempts)
        await command(site, "quarantine", "retry", *BAD, "--yes", "--reason", "to see")
        assert site.node is not None
        outlet = site.node.outlets["ehr.patients"]
        await until(lambda: len(site.patients.attempts) >= 2 * before, "each was tried as often as before")
        await until(lambda: outlet.status()["keys_blocked"] == PATIENTS, "each waits for a person again")
        assert entries(await site.settled()) == {"quarantined": PATIENTS}
        assert len(site.patients.attempts) == 2 * before


@in_reactor
async def test_the_list_says_what_each_is_and_how_to_see_more_and_its_advice_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        await all_refused(site, monkeypatch)
        assert "HTTP status" in await command(site, "show", 1)
        shown = await command(site, "quarantine", "list", "--limit", 2)
        assert "more: --after d" in shown
        assert "ADT^A" in shown
        assert "bad-request 400" in shown
        (summary,) = json.loads(await command(site, "quarantine", "summary", "--format", "json"))
        assert (summary["reason"], summary["count"], summary["aside"]) == ("bad-request", PATIENTS, 0)
        # Cells are folded: the advice is one row, however many it is about.
        assert shown.count(summary["advice"].split()[0]) == 1
        seen: list[object] = []
        after: tuple[str, ...] = ()
        while rows := await listed(site, "--limit", 2, *after):
            seen += [row["id"] for row in rows]
            after = ("--after", f"d{rows[-1]['id']}")
        assert seen == sorted(map(int, map(str, seen)))
        assert len(set(seen)) == PATIENTS
        assert "nothing more" in await command(site, "quarantine", "list", *after)


async def listed(site: Hospital, *options: object) -> list[dict[str, object]]:
    """A page, as a program reads it."""
    said = await command(site, "quarantine", "list", *options, "--format", "json")
    start, end = said.index("["), said.rindex("]") + 1
    rows: list[dict[str, object]] = json.loads(said[start:end])
    holds("quarantine list", rows)
    assert all(row["message_type"] and row["control_id"] and row["received_at_us"] for row in rows)
    return rows


@in_reactor
async def test_a_replay_says_how_many_an_api_has_taken_and_counts_no_refusal_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        await all_refused(site, monkeypatch)
        said = await command(site, "replay", "--problem", "bad-request")
        assert f"to ehr.patients: {PATIENTS}, of which it has taken 0" in said
        assert "ehr.patients knows a repeat" not in said
