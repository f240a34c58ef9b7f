"""Claims of a folder: each is finished by its own channel, whatever was changed since, and by no other; what
is nobody's is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from file_hospital import QUICK, drop, file_hospital, file_source, left_in, some, whole
from nodes import Hospital, entries
from reactor_tests import in_reactor, until
from structlog.testing import capture_logs
from test_files_reloaded import change, worries

from bridge.cli.demo import CHANNEL
from bridge.runtime import file_intake
from bridge.transports import other_claims
from bridge.transports.collecting import Claimed
from bridge.transports.file_drop_folder import LocalFile, LocalFolder

LAB = f"{CHANNEL}-lab"
"""Its name begins as the other's does."""


@asynccontextmanager
async def two_channels(tmp_path: Path, one: str, other: str) -> AsyncIterator[tuple[Hospital, Path]]:
    """A node that is not started, with two channels on one folder, by these options."""
    folder = tmp_path / "in"
    folder.mkdir()
    made = Hospital(tmp_path)
    await made.open(file_source(folder, f"{QUICK}, {one}"))
    channels = tmp_path / "site" / "channels"
    text = (channels / f"{CHANNEL}.yaml").read_text().replace(f"channel: {CHANNEL}", f"channel: {LAB}")
    (channels / f"{LAB}.yaml").write_text(text.replace(one, other))
    try:
        yield made, folder
    finally:
        await made.close()


async def received(made: Hospital) -> dict[str, int]:
    """How many messages each channel has taken."""
    return dict((await made.settled()).received)


def held_up(made: Hospital) -> int:
    """How many files of the first channel somebody must see to."""
    assert made.node is not None
    return len(getattr(made.node.parts.intakes[CHANNEL], "held_up", ()))


def claim_of(folder: Path, word: str, name: str, first: int) -> Path:
    """A file that a process had claimed, and not read, when it was killed."""
    path = folder / ".bridge-claims" / word / "file" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(whole(some(1, first=first)))
    return path


def is_done(folder: Path, name: str) -> bool:
    """Whether a file was taken and put away."""
    return f"done/{name}" in left_in(folder)


async def journal_id(made: Hospital) -> str:
    """Of the journal, which is made by that; the node is not running after it."""
    word = str((await made.start()).journal.facts.journal_id)
    await made.stop()
    return word


@in_reactor
async def test_channels_that_share_a_folder_take_each_its_own_files_and_no_claims_of_the_other(
    tmp_path: Path,
) -> None:
    one = f'include: ["A*"], done: {tmp_path}/missing/done'
    async with two_channels(tmp_path, one, 'include: ["O*"]') as (made, folder):
        for number in range(3):
            drop(folder, f"A{number}.hl7", whole(some(1, first=number)))
            drop(folder, f"O{number}.hl7", whole(some(1, first=10 + number)))
        for late in ("O8.hl7", "O9.hl7"):  # the claims of the first stay, also over a start
            await made.start()
            await until(lambda: held_up(made) == 3, "the first puts nothing away")
            drop(folder, late, whole(some(1, first=int(late[1]) + 20)))
            await until(partial(is_done, folder, late), "the other looks further")
            counts = await received(made)
            await made.stop()
        assert counts == {CHANNEL: 3, LAB: 5}
        done = [path.removeprefix("done/") for path in left_in(folder) if path.startswith("done/")]
        assert done == ["O0.hl7", "O1.hl7", "O2.hl7", "O8.hl7", "O9.hl7"]


@in_reactor
async def test_claims_of_an_earlier_version_are_taken_once_by_a_channel_that_wants_them(
    tmp_path: Path,
) -> None:
    async with two_channels(tmp_path, 'include: ["A*", "B*"]', 'include: ["O*", "B*"]') as (made, folder):
        ours = await journal_id(made)
        for number, name in enumerate(("A1.hl7", "B1.hl7", "B2.hl7", "O1.hl7", "O2.hl7")):
            claim_of(folder, f"{ours}-{number:016x}", name, number)
        await made.start()
        done = [f"done/{name}" for name in ("A1.hl7", "B1.hl7", "B2.hl7", "O1.hl7", "O2.hl7")]
        await until(lambda: left_in(folder) == done, "all are put away")
        counts = await received(made)
        assert counts[CHANNEL] >= 1
        assert counts[LAB] >= 2
        assert sum(counts.values()) == 5


@in_reactor
async def test_a_claim_that_an_earlier_version_had_taken_already_is_put_away_and_not_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        await made.stop()
        (folder / "done").touch()
        drop(folder, "a.hl7", whole(some(1)))
        with monkeypatch.context() as earlier:
            earlier.setattr(file_intake, "owner_of", "{}-".format)
            await made.start()
            await until(lambda: held_up(made) == 1, "it cannot be put away")
            await made.stop()
        (folder / "done").unlink()
        await made.start()
        await until(lambda: left_in(folder) == ["done/a.hl7"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 1}


@pytest.mark.parametrize("options", ["claim: false", "after: keep", 'include: ["*.other"]'])
@in_reactor
async def test_what_was_claimed_is_finished_or_told_whatever_the_options_are_since(
    tmp_path: Path, options: str
) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        (folder / "done").touch()
        for name in ("a.hl7", "b.hl7"):
            drop(folder, name, whole(some(1, first=ord(name[0]))))
        await until(lambda: held_up(made) == 2, "both are told")
        await change(made, QUICK, f"{QUICK}, {options}")
        await until(lambda: held_up(made) == 2, "as they are after it")
        assert len([each for each in await worries(made) if "it cannot be put away" in each]) == 2
        await made.stop()
        (folder / "done").unlink()
        await made.start()
        await until(lambda: left_in(folder) == ["done/a.hl7", "done/b.hl7"], "they are put away")
        assert entries(await made.settled()) == {"delivered": 2}


@pytest.mark.parametrize("options", ["claim: false", "after: keep"])
@in_reactor
async def test_what_was_claimed_and_not_read_is_taken_where_nothing_is_claimed_any_more(
    tmp_path: Path, options: str
) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        assert made.node is not None
        owner = getattr(made.node.parts.intakes[CHANNEL], "owner", "")
        await made.stop()
        claim_of(folder, f"{owner}0123456789abcdef", "big.hl7", 0)
        await made.start()
        await change(made, QUICK, f"{QUICK}, {options}")
        await until(lambda: left_in(folder) == ["done/big.hl7"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 1}
        assert await worries(made) == []


@pytest.mark.parametrize("options", ["claim: true", "claim: false", "after: keep"])
@in_reactor
async def test_a_claim_that_is_nobodys_is_told_by_its_files_name_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    monkeypatch.setattr(other_claims, "OLD_S", 0.0)
    async with file_hospital(tmp_path, f"{QUICK}, {options}") as (made, folder):
        assert made.node is not None
        await made.stop()
        left = claim_of(folder, "00000000-another@1", "big.hl7", 0)
        node = await made.start()
        await until(lambda: node.parts.status_of_files(CHANNEL)["files_odd"] == 1, "it is seen")
        [said] = await worries(made)
        assert "big.hl7: another bridge or channel claimed it over " in said
        assert "move the file back out of .bridge-claims/00000000-another@1" in said
        assert left.exists()
        assert await received(made) == {}


@in_reactor
async def test_a_claimed_file_that_is_gone_before_it_was_read_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = LocalFolder.open

    def taken_away(place: LocalFolder, claimed: Claimed) -> LocalFile:
        for path in Path(place.peer).glob(".bridge-claims/*/file/a.hl7"):
            path.unlink()
        return opened(place, claimed)

    monkeypatch.setattr(LocalFolder, "open", taken_away)
    with capture_logs() as logs:
        async with file_hospital(tmp_path) as (made, folder):
            drop(folder, "a.hl7", whole(some(1)))
            await until(lambda: "claimed-file-gone" in {each["event"] for each in logs}, "it is told")
            await until(lambda: not list((folder / ".bridge-claims").iterdir()), "and its claim let go")
            assert await received(made) == {}
