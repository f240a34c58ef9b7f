"""Whose data went where, asked of a node that runs: who asks, and who looks at names, is written down."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from command_line import Ended, bridge
from databases import journal_url
from nodes import hospital
from reactor_tests import in_reactor
from twisted.internet.threads import deferToThread

from bridge.cli.synthetic import admission


@in_reactor
async def test_who_asks_about_a_patient_or_looks_at_names_is_written_down_by_the_node(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(*(admission(patient, 1, "A01", control_id=f"C{patient}") for patient in range(3)))
        await site.settled()
        url = journal_url(tmp_path)

        async def run(*words: Any) -> Ended:
            # The node answers on this thread.
            ended: Ended = await deferToThread(partial(bridge, *words, "--journal", url))
            return ended

        release = ("disclosures", "--mapping", "adt-admit", "--by-patient")
        touched = await run(*release, "--format", "json")
        people = json.loads(touched.out)
        assert (len(people), {each["revealed"] for each in people}) == (3, {None})
        assert "reason" in (await run(*release, "--reveal")).err
        shown = json.loads((await run(*release, "--reveal", "--reason", "recall 7", "--format", "json")).out)
        names = {each["revealed"] for each in shown}
        assert len(names) == 3
        number, _, authority = sorted(names)[1].partition("^^^")
        key = f"{authority.partition('^')[0]}:{number}"
        rows = json.loads((await run("disclosures", key, "--reason", "asked", "--format", "json")).out)
        assert {row["patient"] for row in rows} < {each["patient"] for each in people}
        assert {row["api"] for row in rows} == {"ehr.patients", "ehr.encounters"}
        assert (await run("disclosures", "NORTH:nobody", "--reason", "asked")).status == 1
        seen = json.loads((await run("audit", "search", "--action", "disclosures", "--format", "json")).out)
        assert [row["reason"] for row in seen] == ["recall 7", "asked", "asked"]
        assert all(row["actor"].startswith("user:") and number not in row["object"] for row in seen)
        assert (await run("audit", "verify")).status == 0
