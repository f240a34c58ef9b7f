"""What leaves is what the API's contract describes, and what does not is told by its place."""

from __future__ import annotations

from pathlib import Path

import orjson
from contracted import PATIENT, command, contracted, document, write_contract
from lane_messages import message
from nodes import entries
from reactor_tests import in_reactor

from bridge.governance.order import in_words, left_out
from bridge.journal.compliance import said
from bridge.journal.drifts import versions_open
from bridge.journal.search import story


def but(name: str, **schema: object) -> dict[str, object]:
    return {**PATIENT, "properties": {**PATIENT["properties"], name: schema}}


@in_reactor
async def test_a_request_that_the_contract_describes_leaves_and_says_that_it_was_asked(
    tmp_path: Path,
) -> None:
    async with contracted(tmp_path) as site:
        assert site.node is not None
        await site.send(message(1, 1), message(2, 2))
        assert entries(await site.settled()) == {"delivered": 2}
        kept = await site.node.journal.read(said)
        of_patients = [each for each in kept if each.api == "ehr.patients"]
        assert [each.verdicts for each in of_patients] == ["(x)plcmvx(d)Lbkratiusodn"]
        assert {left_out(each.verdicts) for each in kept} == {""}
        contract = site.node.parts.topology.apis["ehr.patients"].contract
        assert contract is not None


@in_reactor
async def test_a_request_that_it_does_not_is_in_quarantine_with_the_place_and_no_value(
    tmp_path: Path,
) -> None:
    wanted = document(but("birth_date", type="string", pattern="^[0-9]{8}$"))
    async with contracted(tmp_path, wanted) as site:
        assert site.node is not None
        await site.send(message(1, 1))
        assert entries(await site.settled()) == {"quarantined": 1}
        found = await site.node.journal.read(story, 1)
        assert found is not None
        (row,) = [each for each in found.deliveries if each["api"] == "ehr.patients"]
        assert row["reason"] == "request-invalid: /birth_date pattern"
        assert in_words(row["verdicts"]) == "stopped by contract: request-invalid"
        assert site.patients.attempts == []


@in_reactor
async def test_a_contract_that_is_observed_stops_nothing_and_is_told_with_the_message(tmp_path: Path) -> None:
    wanted = document(but("birth_date", type="string", pattern="^[0-9]{8}$"))
    async with contracted(tmp_path, wanted, ", check: observe") as site:
        assert site.node is not None
        await site.send(message(1, 1))
        assert entries(await site.settled()) == {"delivered": 1}
        found = await site.node.journal.read(story, 1)
        assert found is not None
        issues = orjson.loads(found.message["issues"])
        assert [(each["mapping"], each["code"], each["field"]) for each in issues] == [
            ("contract ehr.json@1.0.0", "request-invalid", "/birth_date")
        ]


@in_reactor
async def test_with_another_contract_what_was_in_quarantine_is_made_anew(tmp_path: Path) -> None:
    wanted = document(but("birth_date", type="string", pattern="^[0-9]{8}$"))
    async with contracted(tmp_path, wanted) as site:
        assert site.node is not None
        await site.send(message(1, 1))
        await site.settled()
        write_contract(site.folder / "site", document(version="1.1.0"))
        await site.node.reload()
        found = await site.node.journal.read(story, 1)
        assert found is not None
        (row,) = [each for each in found.deliveries if each["api"] == "ehr.patients"]
        delivery = f"d{row['id']}"
        as_it_is = await command(site, "quarantine", "retry", delivery, "--reason", "again", status=1)
        assert "retry --remap makes one" in as_it_is
        said_of_it = await command(
            site, "quarantine", "retry", delivery, "--remap", "--reason", "contract 1.1.0"
        )
        assert said_of_it == f"{delivery}: done\n"
        assert entries(await site.settled()) == {"delivered": 1}
        assert await site.node.journal.read(versions_open) == []
