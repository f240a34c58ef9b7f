"""APIs that end: told by files, contracts and answers; waited for once the day is over, or not."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import orjson
from contracted import command, contracted, document, write_contract
from lane_messages import message
from nodes import entries
from reactor_tests import in_reactor, until

from bridge.runtime.calendar import DAY_US, calendar, left_s

PAST, NEXT_WEEK_DAYS = "Sun, 11 Nov 2018 23:59:59 GMT", 6


def said_by_contract(day: str) -> dict[str, Any]:
    made = document()
    made["paths"]["/patients/{id}/merge"]["post"] |= {"deprecated": True, "x-sunset": day}
    return made


@in_reactor
async def test_an_operation_waits_once_its_api_has_said_that_it_has_ended(tmp_path: Path) -> None:
    async with contracted(tmp_path) as site:
        assert site.node is not None
        site.patients.headers["Sunset"] = PAST
        await site.send(message(1, 1))
        await site.settled()
        await site.send(message(2, 1))
        await until(lambda: len(site.encounters.applied) == 2, "all else goes on")
        outlet = site.node.outlets["ehr.patients"]
        assert outlet.status()["operations"]["putPatient"]["reason"] == "sunset-passed"
        await site.stop()
        await site.start()
        assert site.node is not None
        outlet = site.node.outlets["ehr.patients"]
        assert outlet.status()["operations"]["putPatient"]["reason"] == "sunset-passed"
        assert len(site.patients.applied) == 1
        api = site.folder / "site" / "channels" / "apis" / "ehr.patients.yaml"
        api.write_text(api.read_text() + "lifecycle: {heed_sunset: false}\n")
        await site.node.reload()
        assert entries(await site.settled()) == {"delivered": 2}


@in_reactor
async def test_the_calendar_has_what_files_contracts_and_answers_say(tmp_path: Path) -> None:
    soon = datetime.fromtimestamp(datetime.now(UTC).timestamp() + NEXT_WEEK_DAYS * 86_400, UTC)
    async with contracted(tmp_path) as site:
        assert site.node is not None
        site.patients.headers["Sunset"] = format_datetime(soon, usegmt=True)
        site.patients.headers["Deprecation"] = "@1688169599"
        await site.send(message(1, 1))
        await site.settled()
        write_contract(site.folder / "site", said_by_contract("2099-01-01"))
        await site.node.reload()
        folder = site.folder / "site"
        told = orjson.loads(
            await command(site, "apis", "sunset", "--config", folder, "--format", "json", status=1)
        )
        assert [(each["operation"], each["by"], each["then"]) for each in told] == [
            ("putPatient", "answers", "waits"),
            ("mergePatients", "contract", "waits"),
        ]
        assert told[0]["days_left"] < NEXT_WEEK_DAYS + 1
        shown = await command(site, "doctor", "--config", folder, status=1)
        assert "ehr.patients/putPatient ends in" in shown
        apis = site.node.parts.topology.apis
        (ends,) = calendar(apis, [])
        assert ends.ends_at_us is not None
        assert left_s(apis, [], ends.ends_at_us - DAY_US) == {("ehr.patients", "mergePatients"): 86_400.0}
