"""Whose data went where, asked of a node that runs: who asks, and who looks at names, is written down."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from command_line import Ended, bridge
from databases import journal_url
from lane_messages import ORDER_BY_MERGE, merge, message
from nodes import hospital
from reactor_tests import in_reactor, until
from test_consent_in_a_node import asking, consent
from twisted.internet.threads import deferToThread

from bridge.cli.fake_api import Fault
from bridge.cli.synthetic import admission


async def run(folder: Path, *words: Any) -> Ended:
    """A command, while the node answers on this thread."""
    ended: Ended = await deferToThread(partial(bridge, *words, "--journal", journal_url(folder)))
    return ended


async def told(folder: Path, patient: int) -> tuple[int, list[dict[str, Any]]]:
    """How an account of what went about a patient ends, and its rows."""
    asked = "disclosures", f"NORTH:{100000 + patient}", "--reason", "asked", "--format", "json"
    ended = await run(folder, *asked)
    return ended.status, json.loads(ended.out)


def _disclosed(event: dict[str, Any]) -> bool:
    return bool(event["type"]["code"] == "110106")


@in_reactor
async def test_a_merge_is_told_of_the_patient_that_it_ends_too_under_that_ones_own_number(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path, ORDER_BY_MERGE) as site:
        await site.send(merge(9, 8))
        await site.settled()
        (kept, kept_rows), (ended, ended_rows) = await told(tmp_path, 9), await told(tmp_path, 8)
        assert (kept, ended) == (0, 0)
        assert [row["delivery_id"] for row in kept_rows] == [row["delivery_id"] for row in ended_rows]
        shown = await run(tmp_path, "disclosures", "NORTH:100008", "--reveal", "--reason", "asked")
        assert "100008^^^NORTH" in shown.out
        assert "100009" not in shown.out
        both = await run(tmp_path, "disclosures", "--since", "1h")
        assert "1 delivery about 2 patients" in both.out
        file = tmp_path / "events.ndjson"
        assert (await run(tmp_path, "audit", "export", file, "--as", "fhir")).status == 0
        events = [json.loads(line) for line in file.read_text().splitlines()]
        about = [event["entity"][0]["what"]["identifier"]["value"] for event in events if _disclosed(event)]
        assert len(set(about)) == 2, "one event has room for one patient"
        assert len({event["id"] for event in events}) == len(events)


@in_reactor
async def test_what_is_denied_from_the_start_went_nowhere_and_what_was_sent_before_it_was_denied_did(
    tmp_path: Path,
) -> None:
    def only(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if row["api"] == "ehr.patients"]

    async with asking(tmp_path, consent(1, "permit"), consent(2, "deny")) as site:
        site.patients.plant(Fault("status", status=503, times=None))
        await site.send(message(1, 1), message(2, 1))
        await until(lambda: len(site.patients.attempts) >= 1, "a first attempt")
        site.write(consent(1, "deny"), consent(2, "deny"))
        await site.look()
        await site.settled()
        assert only((await told(tmp_path, 2))[1]) == []
        (row,) = only((await told(tmp_path, 1))[1])
        assert row["outcome"] == "SENT, THEN SUPPRESSED"
        none = ("disclosures", "NORTH:100002", "--api", "ehr.patients", "--reason", "asked")
        assert (await run(tmp_path, *none)).status == 1


@in_reactor
async def test_who_asks_about_a_patient_or_looks_at_names_is_written_down_by_the_node(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(*(admission(patient, 1, "A01", control_id=f"C{patient}") for patient in range(3)))
        await site.settled()
        release = ("disclosures", "--mapping", "adt-admit", "--by-patient")
        touched = await run(tmp_path, *release, "--format", "json")
        people = json.loads(touched.out)
        assert (len(people), {each["revealed"] for each in people}) == (3, {None})
        assert "reason" in (await run(tmp_path, *release, "--reveal")).err
        shown = json.loads(
            (await run(tmp_path, *release, "--reveal", "--reason", "recall 7", "--format", "json")).out
        )
        names = {each["revealed"] for each in shown}
        assert len(names) == 3
        number, _, authority = sorted(names)[1].partition("^^^")
        key = f"{authority.partition('^')[0]}:{number}"
        rows = json.loads(
            (await run(tmp_path, "disclosures", key, "--reason", "asked", "--format", "json")).out
        )
        assert {row["patient"] for row in rows} < {each["patient"] for each in people}
        assert {row["api"] for row in rows} == {"ehr.patients", "ehr.encounters"}
        assert (await run(tmp_path, "disclosures", "NORTH:nobody", "--reason", "asked")).status == 1
        seen = json.loads(
            (await run(tmp_path, "audit", "search", "--action", "disclosures", "--format", "json")).out
        )
        assert [row["reason"] for row in seen] == ["recall 7", "asked", "asked"]
        assert all(row["actor"].startswith("user:") and number not in row["object"] for row in seen)
        assert (await run(tmp_path, "audit", "verify")).status == 0
