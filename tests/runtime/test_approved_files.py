"""A node that runs by approved files only: what it refuses, and that it runs on as before."""

from __future__ import annotations

from pathlib import Path

import pytest
from approved_node import Approved, approved, refused_with
from contracted import document, write_contract
from lane_messages import message
from reactor_tests import in_reactor
from test_commands import command

from bridge.audit.notes import Signer
from bridge.errors import ConfigurationRefused, JournalRefused
from bridge.journal.actions import latest
from bridge.journal.bundles import known
from bridge.runtime.bundle_commands import retire_bundle

ADT = "channels/ehr-adt.yaml"
HOUR_US = 3600 * 1_000_000


@in_reactor
async def test_an_approved_change_is_loaded_and_the_journal_says_by_whose_word(tmp_path: Path) -> None:
    async with approved(tmp_path) as (hospital, site):
        assert hospital.node is not None
        site.change(ADT, "otherwise: reject", "otherwise: ignore")
        assert any(
            f"{ADT}:1:1: C199: this file is not as it was approved" in each
            for each in await hospital.refused()
        )
        site.propose()
        assert any(
            "is not approved: somebody of integration must agree" in each for each in await hospital.refused()
        )
        site.approve()
        await hospital.reloaded()
        row = (await hospital.node.journal.read(latest, limit=1))[0]
        assert (row.action, row.reason) == ("load", "approved by bob (integration); written by alice")
        states = sorted(each.state for each in (await hospital.node.journal.read(known)).bundles.values())
        assert states == ["active", "active", "deprecated"]
        status = hospital.node.approving.status()
        assert status is not None
        assert status["by"] == "bob (integration)"


@in_reactor
async def test_two_changes_may_be_approved_before_one_reload_and_a_stale_one_is_proposed_again(
    tmp_path: Path,
) -> None:
    async with approved(tmp_path) as (hospital, site):
        assert hospital.node is not None
        site.change(ADT, "otherwise: reject", "otherwise: ignore")
        site.approved()
        site.change(ADT, "owner: demonstration", "owner: somebody")
        site.approved()
        await hospital.reloaded()
        states = sorted(each.state for each in (await hospital.node.journal.read(known)).bundles.values())
        assert states == ["active", "active", "approved", "deprecated"]
        # One that was proposed, and approved only when others run.
        file = site.folder / ADT
        before = file.read_text()
        site.change(ADT, "otherwise: ignore", "otherwise: quarantine")
        site.propose()
        late = file.read_text()
        file.write_text(before.replace("owner: somebody", "owner: nobody"))
        site.approved()
        await hospital.reloaded()
        file.write_text(late)
        assert site.approve().status == 0
        await refused_with(hospital, "was not made from what runs")


@in_reactor
async def test_a_changed_byte_keeps_the_old_files_running_and_is_not_started_from(tmp_path: Path) -> None:
    async with approved(tmp_path) as (hospital, site):
        with (site.folder / ADT).open("a") as file:
            file.write("#\n")
        refused = await hospital.refused()
        assert refused[0].startswith(f"{ADT}:1:1: C199: this file is not as it was approved")
        assert [answer.code for answer in await hospital.send(message(1, 1))] == ["AA"]
        await hospital.settled()
        await hospital.stop()
        with pytest.raises(ConfigurationRefused, match="not as it was approved"):
            await hospital.start()
        (site.folder / ADT).write_text((site.folder / ADT).read_text().removesuffix("#\n"))
        await hospital.start()


@in_reactor
async def test_a_contract_is_approved_with_the_files_that_name_it(tmp_path: Path) -> None:
    async with approved(tmp_path) as (hospital, site):
        write_contract(site.folder, document())
        site.approved()
        await hospital.reloaded()
        contract = site.folder / "channels" / "contracts" / "ehr.json"
        contract.write_bytes(contract.read_bytes().replace(b"EHR", b"HER"))
        await refused_with(
            hospital, "channels/contracts/ehr.json:1:1: C199: this file is not as it was approved"
        )


@in_reactor
async def test_a_step_back_needs_no_new_approval_and_a_retired_bundle_never_runs(tmp_path: Path) -> None:
    async with approved(tmp_path) as (hospital, site):
        assert hospital.node is not None
        journal = hospital.node.journal
        first = next(
            each for each in (await journal.read(known)).bundles.values() if each.bundle.kind == "files"
        )
        site.change(ADT, "otherwise: reject", "otherwise: ignore")
        site.approved()
        await hospital.reloaded()
        site.change(ADT, "otherwise: ignore", "otherwise: reject")
        await hospital.reloaded()
        assert (await journal.read(known)).bundles[first.digest].state == "active"
        site.change(ADT, "otherwise: reject", "otherwise: ignore")
        await hospital.reloaded()
        wanted = {"bundle": first.digest[:12], "reason": "wrong"}
        said = await retire_bundle(hospital.node.parts, "user:anna", wanted)
        assert "never runs again" in said["done"]
        site.change(ADT, "otherwise: ignore", "otherwise: reject")
        await refused_with(hospital, "was retired: it never runs again")


def emergency_until_s(hospital: Approved) -> float:
    assert hospital.node is not None
    lines = hospital.node.metrics.exposition().decode().splitlines()
    (line,) = [each for each in lines if each.startswith("bridge_emergency_until_timestamp_seconds ")]
    return float(line.split()[1])


@in_reactor
async def test_an_emergency_runs_for_a_while_and_until_it_is_reviewed(tmp_path: Path) -> None:
    async with approved(tmp_path) as (hospital, site):
        assert hospital.node is not None
        site.change(ADT, "otherwise: reject", "otherwise: ignore")
        site.propose()
        assert site.approve("dave", "--emergency", "--for", "4h").status == 0
        await hospital.reloaded()
        status = hospital.node.approving.status()
        assert status is not None
        assert status["review_missing"] == ["somebody of integration must agree"]
        assert emergency_until_s(hospital) > 1e9
        hospital.ahead_us = 5 * HOUR_US
        await refused_with(hospital, "has expired, and nobody has reviewed it")
        await hospital.node.approving.look()
        site.approve("bob")
        await hospital.node.approving.look()
        status = hospital.node.approving.status()
        assert status is not None
        assert status["review_missing"] == []
        assert emergency_until_s(hospital) == 0
        row = (await hospital.node.journal.read(latest, limit=1))[0]
        assert (row.action, row.reason) == ("review", "the emergency was reviewed by bob (integration)")
        await hospital.again()


@in_reactor
async def test_who_writes_files_cannot_put_a_key_of_their_own_beside_them(tmp_path: Path) -> None:
    async with approved(tmp_path) as (hospital, site):
        site.change(ADT, "otherwise: reject", "otherwise: ignore")
        mine = site.make_key("bob", "mallory's").read_text()
        persons = site.persons.read_text()
        line = next(each for each in persons.splitlines() if each.startswith("  bob:"))
        site.persons.write_text(
            persons.replace(
                line, f"  bob: {{key: {Signer.parse(mine).verifier.line}, groups: [integration]}}"
            )
        )
        site.propose()
        said = await command(
            hospital,
            "approve",
            "--key",
            site.keys / "bob.key",
            "--reason",
            "mine",
            "--config",
            site.folder,
            status=1,
        )
        assert "is not the file of persons that was approved" in said, "nobody is told that it is approved"
        refused = await hospital.refused()
        assert refused[0].startswith("approvals/approvers.yaml:1:1: C199: this is not the file of persons")
        assert "the key of bob was replaced" in refused[0]
        # With the word of two others it is his.
        site.propose("alice", "--approvers")
        site.approve("dave", "--approvers")
        site.approve("carol", "--approvers")
        await refused_with(hospital, "somebody of integration must agree")


@in_reactor
async def test_a_machine_that_lost_the_word_does_not_end_approvals_and_off_is_written_down(
    tmp_path: Path,
) -> None:
    async with approved(tmp_path) as (hospital, site):
        hospital.mode = ""
        with pytest.raises(JournalRefused, match="BRIDGE_APPROVALS is not set here"):
            await hospital.again()
        site.change(ADT, "otherwise: reject", "otherwise: ignore")
        hospital.mode = "off"
        node = await hospital.again()
        row = (await node.journal.read(latest, limit=1))[0]
        assert (row.action, row.reason) == ("approvals-end", "BRIDGE_APPROVALS=off")
        hospital.mode = ""
        await hospital.again()


@in_reactor
async def test_without_approvals_nothing_is_asked(tmp_path: Path) -> None:
    hospital = Approved(tmp_path)
    hospital.mode = ""
    await hospital.open()
    try:
        node = await hospital.start()
        assert node.approving.status() is None
        file = tmp_path / "site" / ADT
        file.write_text(file.read_text().replace("otherwise: reject", "otherwise: ignore"))
        await hospital.reloaded()
    finally:
        await hospital.close()
