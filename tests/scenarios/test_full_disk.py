"""A disk that is filled on purpose: senders hear AE, nothing is lost, and all goes on without a restart."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from nodes import Hospital, entries, hospital
from reactor_tests import in_reactor, until
from small_disk import MIB, TOTAL_BYTES, small_disk

from bridge.cli.synthetic import Synthetic, admissions
from bridge.config.settings import DiskReserve
from bridge.journal.controls import Control
from bridge.runtime.service import Node

APIS = ("ehr.patients", "ehr.encounters")
PATIENTS = 10
STORY = list(admissions(PATIENTS))


def batch(step: int) -> list[Synthetic]:
    return [each for each in STORY if each.step == step]


def stopped(api: str) -> Control:
    return Control("api", api, False, None, 0, "user:anna", "drill")


def metric(node: Node, name: str) -> float:
    found = re.search(rf"^{name} ([\d.e+]+)$", node.metrics.exposition().decode(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


async def codes(site: Hospital, messages: list[Synthetic]) -> set[str]:
    return {answer.code for answer in await site.send(*messages)}


@in_reactor
async def test_senders_hear_ae_before_the_disk_is_full_and_aa_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.runtime.disk.LOOK_EVERY_S", 0.05)
    with small_disk(tmp_path, monkeypatch) as disk:
        async with hospital(disk.folder, disk_reserve=DiskReserve(16 * MIB, 0.9)) as site:
            node = site.node
            assert node is not None
            assert node.parts.disk is not None
            watch = node.parts.disk
            for name in APIS:
                await node.traffic.pause(stopped(name))
            assert await codes(site, batch(1)) == {"AA"}
            disk.fill(8 * MIB)
            await until(lambda: watch.low, "the watch sees it")
            assert await codes(site, batch(2)) == {"AE"}
            assert node.unready() == ["too little is left on the journal's disk"]
            assert metric(node, "bridge_disk_low") == 1
            assert metric(node, "bridge_disk_free_bytes") <= 8 * MIB

            # What was taken goes on in the reserve.
            for name in APIS:
                await node.traffic.resume(stopped(name))
            ledger = await site.settled()
            assert entries(ledger)["delivered"] == PATIENTS

            disk.again()
            await until(lambda: not watch.low, "the watch sees that there is room")
            assert await codes(site, batch(2)) == {"AA"}
            assert entries(await site.settled()) == {"delivered": 2 * PATIENTS}
            assert node.unready() == []


@pytest.mark.parametrize("how", ["deleted", "replaced", "moved away with its folder"])
@in_reactor
async def test_nothing_is_taken_into_a_journal_whose_file_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("bridge.runtime.disk.LOOK_EVERY_S", 0.05)
    folder = tmp_path / "hospital"
    folder.mkdir()
    async with hospital(folder) as site:
        node, file, kept = site.node, folder / "journal.db", tmp_path / "kept.db"
        assert node is not None
        assert node.parts.disk is not None
        watch = node.parts.disk
        assert await codes(site, batch(1)) == {"AA"}
        await site.settled()
        os.link(file, kept)
        match how:
            case "deleted":
                file.unlink()
            case "replaced":
                shutil.copy(file, tmp_path / "other.db")
                (tmp_path / "other.db").replace(file)
            case _:
                folder.rename(tmp_path / "elsewhere")
        await until(lambda: watch.gone, "the watch sees it")
        assert await codes(site, batch(2)) == {"AE"}
        assert node.unready() == [watch.trouble] != [""]
        if how == "moved away with its folder":
            (tmp_path / "elsewhere").rename(folder)
        else:
            kept.replace(file)
        await until(lambda: not watch.gone, "the watch sees that it is back")
        assert await codes(site, batch(2)) == {"AA"}
        assert entries(await site.settled()) == {"delivered": 2 * PATIENTS}
        assert node.unready() == []


@in_reactor
async def test_a_disk_that_is_full_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.runtime.deliver.JOURNAL_WAIT_S", 0.1)
    monkeypatch.setattr("bridge.runtime.translate.JOURNAL_WAIT_S", 0.1)
    with small_disk(tmp_path, monkeypatch) as disk:
        async with hospital(disk.folder, disk_reserve=DiskReserve(1, 0.9)) as site:
            assert await codes(site, batch(1)) == {"AA"}
            disk.fill(0)
            heard: list[str] = []
            # There may be room in the log's file for a while.
            for message in 40 * batch(2):
                heard += [answer.code for answer in await site.send(message)]
                if heard[-1] == "AE":
                    break
            assert heard[-1] == "AE"
            disk.again()
            assert await codes(site, batch(2)) == {"AA"}
            assert await codes(site, batch(3)) == {"AA"}
            found = entries(await site.settled())
            assert found["delivered"] == 3 * PATIENTS
            assert set(found) <= {"delivered", "duplicate"}


def test_the_reserve_is_never_more_than_the_disk() -> None:
    assert DiskReserve(1024**4, 0.9).of(TOTAL_BYTES) < TOTAL_BYTES
