"""Files that go on to where an old job looks: byte for byte, whole, once, also through a crash at any "
"point."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from file_hospital import drop, file_source, some, whole
from nodes import Hospital, entries
from reactor_tests import in_reactor, until

from bridge.cli.demo import CHANNEL
from bridge.errors import PeerUnavailable
from bridge.journal.feeding_files import FED_FILE, FedFile
from bridge.migration.relay.placing import Placing
from bridge.runtime.commands import Commands
from bridge.runtime.file_feed import FileFeed


@asynccontextmanager
async def relaying(folder: Path) -> AsyncIterator[tuple[Hospital, Path, Path]]:
    """A node whose channel takes files and passes them on, and both folders."""
    incoming, job = folder / "incoming", folder / "job"
    incoming.mkdir()
    job.mkdir()
    site = Hospital(folder)

    def change(text: str) -> str:
        legacy = f"legacy: {{file: {{directory: {job}}}}}\n"
        source = file_source(incoming, "stable_for: 0s, poll: 100ms, depth: 2")
        return source(text).replace("routes:", legacy + "routes:", 1)

    await site.open(change)
    await site.start()
    try:
        yield site, incoming, job
    finally:
        await site.close()


def feed_of(site: Hospital) -> FileFeed:
    assert site.node is not None
    feed = site.node.parts.feeds[CHANNEL]
    assert isinstance(feed, FileFeed)
    return feed


def lies_in(job: Path) -> dict[str, bytes]:
    """Every file that the job could see or not see, by its path there."""
    return {str(each.relative_to(job)): each.read_bytes() for each in job.rglob("*") if each.is_file()}


@in_reactor
async def test_files_reach_the_old_job_byte_for_byte_whatever_they_are(tmp_path: Path) -> None:
    async with relaying(tmp_path) as (site, incoming, job):
        files = {
            "a.hl7": whole(some(3)),
            "b.hl7": b"no HL7 at all\r\n\x00\xff",
            "c.hl7": b"",
            "d.hl7": whole(some(3)),
        }
        for name, content in files.items():
            drop(incoming, name, content)
            await until(lambda name=name: name in lies_in(job), f"{name} to arrive")  # type: ignore[misc]
        assert lies_in(job) == files, "a repeat and what is no message too"
        assert entries(await site.settled()) == {"relayed": 3, "duplicate": 3}


@in_reactor
async def test_a_file_whose_name_is_still_there_waits_and_keeps_its_order(tmp_path: Path) -> None:
    async with relaying(tmp_path) as (site, incoming, job):
        drop(incoming, "daily.hl7", whole(some(1)))
        await until(lambda: "daily.hl7" in lies_in(job), "the first")
        second = whole(some(1, first=5, prefix="G"))
        drop(incoming, "daily.hl7", second)
        await until(lambda: "same name" in feed_of(site).away, "the second to wait")
        drop(incoming, "later.hl7", whole(some(1, first=9, prefix="H")))
        assert site.node is not None
        commands = Commands(site.node.parts, site.node.traffic, site.node.reload, site.node.stages)
        engines = (await commands("user:anna", "status", {}))["engines"]
        assert "same name" in engines[CHANNEL]["away"]
        assert engines[CHANNEL]["owed"] >= 1
        (job / "daily.hl7").unlink()
        await until(lambda: {"daily.hl7", "later.hl7"} <= set(lies_in(job)), "both")
        assert lies_in(job)["daily.hl7"] == second


@pytest.mark.parametrize("point", ["written", "noted", "shown", "shown and taken"])
@in_reactor
async def test_a_crash_at_any_point_leaves_one_file(tmp_path: Path, point: str) -> None:
    async with relaying(tmp_path) as (site, incoming, job):
        show, submit = Placing.show, site.node.journal.submit if site.node is not None else None
        assert site.node is not None
        assert submit is not None
        reached: list[str] = []

        def ends() -> None:
            reached.append(point)
            raise PeerUnavailable("as if the bridge had ended here")

        def shows(self: Placing, name: str, hidden: str) -> str:
            if point == "noted":
                ends()
            said = show(self, name, hidden)
            if point == "shown and taken":
                (job / name).unlink()
            ends()
            return said

        def notes(work: object, item: object, **more: object) -> object:
            if work is FED_FILE and isinstance(item, FedFile) and item.state == "PLACING":
                ends()
            return submit(work, item, **more)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            if point == "written":
                patch.setattr(site.node.journal, "submit", notes)
            else:
                patch.setattr(Placing, "show", shows)
            drop(incoming, "a.hl7", whole(some(2)))
            await until(lambda: bool(reached), point)
            await site.stop()
        await site.start()
        await until(lambda: not feed_of(site)._running, "to end")
        taken = point == "shown and taken"
        assert lies_in(job) == ({} if taken else {"a.hl7": whole(some(2))}), "once, and nothing beside it"


@in_reactor
async def test_folders_come_along_and_a_folder_that_is_away_costs_time_alone(tmp_path: Path) -> None:
    async with relaying(tmp_path) as (site, incoming, job):
        away = job.rename(tmp_path / "away")
        drop(incoming, "ward/a.hl7", whole(some(1)))
        await until(lambda: "No such file" in feed_of(site).away, "to be told")
        away.rename(job)
        await until(lambda: "ward/a.hl7" in lies_in(job), "the file")
        await until(lambda: feed_of(site).away == "", "to be told that it is there again")


@in_reactor
async def test_a_step_back_cannot_replay_what_went_in_whole_files(tmp_path: Path) -> None:
    async with relaying(tmp_path) as (site, _, _):
        assert site.node is not None
        commands = Commands(site.node.parts, site.node.traffic, site.node.reload, site.node.stages)
        arguments = {"target": CHANNEL, "reason": "test"}
        assert (await commands("user:anna", "stage", {**arguments, "stage": "shadow"})).get("done")
        said = await commands("user:anna", "stage", {**arguments, "stage": "relay", "replay": True})
        assert "leave --replay out" in said["error"]
