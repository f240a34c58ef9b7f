"""Other files for a node that takes files: by what rules, from where, and what is said of it meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from file_hospital import QUICK, drop, file_hospital, left_in, some, whole
from nodes import Hospital, entries
from reactor_tests import in_reactor, until

from bridge.cli.checks import of_node
from bridge.cli.demo import CHANNEL
from bridge.runtime.commands import Commands


async def change(made: Hospital, old: str, new: str) -> None:
    """Another word in the channel's file, and a reload."""
    assert made.node is not None
    path = made.folder / "site" / "channels" / f"{CHANNEL}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    await made.node.reload()


@in_reactor
async def test_files_are_taken_by_the_rules_of_now_and_from_the_folder_of_now(tmp_path: Path) -> None:
    rules = f'{QUICK}, include: ["*.hl7"]'
    async with file_hospital(tmp_path, rules) as (made, folder):
        assert made.node is not None
        first = made.node.doors[CHANNEL]._listener
        drop(folder, "a.txt", whole(some(1)))
        drop(folder, "b.hl7", whole(some(1, first=1)))
        await until(lambda: left_in(folder) == ["a.txt", "done/b.hl7"], "one of them is put away")
        await change(made, '"*.hl7"', '"*.txt"')
        assert made.node.doors[CHANNEL]._listener is first, "nothing is stopped for another rule"
        await until(lambda: left_in(folder) == ["done/a.txt", "done/b.hl7"], "so is the other")
        other = tmp_path / "other"
        other.mkdir()
        await change(made, f"directory: {folder}", f"directory: {other}")
        assert made.node.doors[CHANNEL]._listener is not first
        drop(folder, "c.txt", whole(some(1, first=2)))
        drop(other, "d.txt", whole(some(1, first=3)))
        await until(lambda: left_in(other) == ["done/d.txt"], "it is taken where files lie now")
        assert left_in(folder) == ["c.txt", "done/a.txt", "done/b.hl7"]
        assert entries(await made.settled()) == {"delivered": 3}


@in_reactor
async def test_a_missed_file_and_a_folder_out_of_reach_are_told_by_status(tmp_path: Path) -> None:
    async with file_hospital(tmp_path, f"{QUICK}, expect_every: 1h") as (made, folder):
        assert made.node is not None
        tending = made.node.parts.tending[CHANNEL]
        await tending.look()
        assert await worries(made) == []
        tending._began_us -= 3601 * 1_000_000
        await tending.look()
        [missed] = await worries(made)
        assert "a file of ehr-adt is missed" in missed
        drop(folder, "a.hl7", whole(some(1)))
        await until(lambda: left_in(folder) == ["done/a.hl7"], "it has come")
        await tending.look()
        assert await worries(made) == []
        folder.rename(tmp_path / "unmounted")
        reach = made.node.parts.intakes[CHANNEL]
        await until(lambda: bool(getattr(reach, "out_of_reach", "")), "it is seen")
        [away] = await worries(made)
        assert "the files of ehr-adt are out of reach" in away
        (tmp_path / "unmounted").rename(folder)
        await until(lambda: not getattr(reach, "out_of_reach", "x"), "it is back")


@in_reactor
async def test_what_is_no_plain_file_is_never_taken_and_somebody_is_told(tmp_path: Path) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        (folder / "li\x1bnk.hl7").symlink_to("/etc/hostname")
        assert made.node is not None
        parts = made.node.parts
        await until(lambda: parts.status_of_files(CHANNEL)["files_odd"] == 1, "it is seen")
        words = "1 name where the files of ehr-adt come from are not taken: "
        assert await worries(made) == [f"{words}li\\x1bnk.hl7: no plain file"]
        (folder / "li\x1bnk.hl7").unlink()
        drop(folder, "adt.hl7", whole(some(1)))
        await until(lambda: left_in(folder) == ["done/adt.hl7"], "others are")
        assert await worries(made) == []


async def worries(made: Hospital) -> list[str]:
    return of_node(await status(made))


async def status(made: Hospital) -> dict[str, Any]:
    assert made.node is not None
    node = made.node
    commands = Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)
    return await commands("somebody", "status", {})
