"""`bridge audit` and `bridge disclosures`, as somebody types them, on a journal that a node has left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, bridge
from journals import NOW_US, journal_in
from reactor_tests import in_reactor
from sqlalchemy import delete, insert, select
from test_journal_chain import SIGNER, delivered, sealed

from bridge.audit.fhir import DISCLOSURE
from bridge.journal import triggers
from bridge.journal.actions import NOTE, ActionRow
from bridge.journal.audit import verify_chain
from bridge.journal.audit_completeness import completeness
from bridge.journal.database import Database
from bridge.journal.disclosures import Asked, disclosed
from bridge.journal.retention import RETIRE, Retire
from bridge.journal.schema import attempts, transitions

DAY_US = 86_400_000_000


async def left(folder: Path) -> tuple[str, Path]:
    """A journal with deliveries about two patients, looks and a signed end; and a file of its anchor."""
    async with journal_in(folder) as journal:
        await delivered(journal, 3, patient="NORTH:1")
        await delivered(journal, 2, first=10, patient="EAST:1")
        await journal.submit(NOTE, ActionRow(NOW_US, "user:kim", "reveal", "message 3", "ticket 4711"))
        await journal.submit(RETIRE, Retire("messages", "adt", (1, 2), NOW_US + DAY_US, NOW_US + DAY_US))
        note = await sealed(journal)
    anchors = folder / "anchors.txt"
    anchors.write_text(f"{note}\n")
    return f"sqlite:///{folder / 'journal.db'}", anchors


def run(url: str, *words: str) -> Ended:
    return bridge(*words, "--journal", url)


@in_reactor
async def test_a_chain_is_verified_with_a_key_and_anchors_and_says_what_it_cannot_show(
    tmp_path: Path,
) -> None:
    url, anchors = await left(tmp_path)
    alone = run(url, "audit", "verify")
    assert alone.status == 0, alone.said
    assert "nothing was changed" in alone.out
    assert "only anchors can show" in alone.out
    key = ("--key", SIGNER.verifier.line)
    whole = run(url, "audit", "verify", *key, "--anchors", str(anchors), "--format", "json")
    said = json.loads(whole.out)
    assert (said["good"], said["limits"], said["retired"]) == (True, [], 10)
    assert said["anchored_up_to"] == said["last_commit"]
    other = run(url, "audit", "verify", "--key", "x+00000000+AQ==")
    assert other.status == 2
    assert "expected" in other.err or "Ed25519" in other.err


@in_reactor
async def test_one_deleted_row_is_noticed_both_ways(tmp_path: Path) -> None:
    url, _ = await left(tmp_path)
    whole = run(url, "audit", "complete")
    assert whole.status == 0
    assert "missing" not in whole.out
    database = Database(url)
    with database.writer.begin() as connection:
        triggers.remove(connection)
        connection.execute(delete(transitions).where(transitions.c.id == 25))
        triggers.install(connection)
    with database.reader.begin() as connection:
        found = completeness(connection, verify_chain(connection))
    database.close()
    assert not found.complete
    assert found.ratio < 1
    assert (found.wrong, found.broken + found.other_state + found.not_begun) == (1, 1)
    ended = run(url, "audit", "complete")
    assert ended.status == 1
    ended = run(url, "audit", "verify")
    assert (ended.status, "the first bad row: step 25 (missing)" in ended.out) == (1, True), ended.said


@in_reactor
async def test_who_did_what_is_found_and_exported_and_each_line_has_its_hash(tmp_path: Path) -> None:
    url, _ = await left(tmp_path)
    found = json.loads(run(url, "audit", "search", "--action", "reveal", "--format", "json").out)
    assert [(row["actor"], row["object"], row["reason"]) for row in found] == [
        ("user:kim", "message 3", "ticket 4711")
    ]
    steps = json.loads(run(url, "audit", "search", "--delivery", "3", "--format", "json").out)
    assert [row["to"] for row in steps] == ["READY", "IN_FLIGHT", "DELIVERED"]
    assert steps[-1]["detail"] == {"attempt": 1, "status": 200, "verdict": "delivered", "verdicts": "plcmv"}
    target = tmp_path / "out.ndjson"
    assert run(url, "audit", "export", str(target)).status == 0
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(lines) == 3 * 5 + 1
    assert all(len(line["hash"]) == 64 for line in lines)
    assert target.stat().st_mode & 0o777 == 0o600
    again = run(url, "audit", "export", str(target))
    assert (again.status, "is there already, and is not written over" in again.err) == (2, True)
    assert len(target.read_text().splitlines()) == 3 * 5 + 1


def _is_balp_disclosure(event: dict[str, Any]) -> None:
    """What IHE.BasicAudit.PrivacyDisclosure.Source asks of an AuditEvent beyond FHIR R4."""
    assert event["meta"]["profile"] == [DISCLOSURE]
    assert (event["type"]["code"], event["action"]) == ("110106", "R")
    assert any(each["code"] == "disclose" for each in event["subtype"])
    assert event["recorded"].endswith("Z")
    assert event["outcome"] == "0"
    agents = {each["type"]["coding"][0]["code"]: each for each in event["agent"]}
    assert set(agents) == {"110153", "110152"}
    assert all(each["who"] and each["network"] for each in agents.values())
    assert agents["110153"]["who"] == event["source"]["observer"]
    patients = [each for each in event["entity"] if each["type"]["code"] == "1"]
    assert [each["role"]["code"] for each in patients] == ["1"]
    assert len(event["entity"]) > 1


@in_reactor
async def test_audit_events_have_the_shape_of_balp_and_of_fhir(tmp_path: Path) -> None:
    url, _ = await left(tmp_path)
    target = tmp_path / "out.ndjson"
    assert run(url, "audit", "export", str(target), "--as", "fhir").status == 0
    events = [json.loads(line) for line in target.read_text().splitlines()]
    disclosed = [event for event in events if event["type"]["code"] == "110106"]
    assert len(disclosed) == 3
    for event in disclosed:
        _is_balp_disclosure(event)
    for event in events:
        assert event["resourceType"] == "AuditEvent"
        assert {"type", "recorded", "agent", "source"} <= set(event)
        assert event["source"]["observer"]
        assert all(isinstance(agent["requestor"], bool) for agent in event["agent"])
        assert 1 <= len(event["id"]) <= 64
    looked = [event for event in events if event["subtype"][0]["code"] == "reveal"]
    assert [event["purposeOfEvent"][0]["text"] for event in looked] == ["ticket 4711"]


@in_reactor
async def test_what_went_where_is_told_of_a_release_also_where_retention_deleted_it(tmp_path: Path) -> None:
    url, _ = await left(tmp_path)
    found = json.loads(run(url, "disclosures", "--mapping", "adt-admit@1", "--format", "json").out)
    assert [(row["message_id"], row["kept"], row["outcome"]) for row in found] == [
        (number, number > 2, "DELIVERED") for number in (1, 2, 3, 4, 5)
    ]
    assert len({row["patient"] for row in found}) == 2
    people = json.loads(
        run(url, "disclosures", "--mapping", "adt-admit", "--by-patient", "--format", "json").out
    )
    assert sorted(each["deliveries"] for each in people) == [2, 3]
    none = run(url, "disclosures", "--mapping", "adt-admit@2")
    assert none.status == 1
    alone = run(url, "disclosures", "NORTH:1", "--reason", "asked")
    assert (alone.status, "no node answers" in alone.err) == (3, True)
    assert run(url, "disclosures").status == 2


@in_reactor
async def test_what_went_again_later_is_told_of_the_time_in_which_it_went_before(tmp_path: Path) -> None:
    url, _ = await left(tmp_path)
    database, that_day = Database(url), Asked(since_us=NOW_US - DAY_US, until_us=NOW_US + DAY_US)
    with database.reader.begin() as connection:
        before = [(each.delivery_id, each.at_us) for each in disclosed(connection, that_day)]
    with database.writer.begin() as connection:
        again = [
            dict(row._mapping) | {"number": 2, "ended_at_us": NOW_US + 2 * DAY_US}
            for row in connection.execute(select(attempts))
        ]
        connection.execute(insert(attempts), again)
    with database.reader.begin() as connection:
        assert [(each.delivery_id, each.at_us) for each in disclosed(connection, that_day)] == before
        assert len(list(disclosed(connection, Asked(since_us=NOW_US + DAY_US)))) == len(again)
    database.close()
    assert before


def test_a_key_is_made_once_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_SECRETS", str(tmp_path / "secrets"))
    made = bridge("audit", "key", "new", "hospital-north/bridge")
    assert made.status == 0, made.said
    line = made.out.splitlines()[1]
    assert line.startswith("hospital-north/bridge+")
    assert bridge("audit", "key", "show").out.strip() == line
    again = bridge("audit", "key", "new", "hospital-north/bridge")
    assert (again.status, "is there already" in again.err) == (3, True)
    assert (tmp_path / "secrets" / "audit-key").stat().st_mode & 0o077 == 0
    assert "PRIVATE" not in made.said
