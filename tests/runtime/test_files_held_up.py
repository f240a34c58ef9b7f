"""A file that cannot be read, claimed or put away is told by its name, and stops no other."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from databases import journal_url
from fewer_rights import folder_of_nobody, without_rights
from file_hospital import drop, file_hospital, file_source, left_in, some, whole
from nodes import Hospital, entries
from reactor_tests import in_reactor, until
from structlog.testing import capture_logs
from test_files_reloaded import status, worries
from twisted.internet.threads import deferToThread

from bridge.cli import checks
from bridge.cli.demo import CHANNEL
from bridge.cli.story import print_node
from bridge.journal.ledger import ledger
from bridge.transports import collecting, file_drop_folder, setbacks, watching
from bridge.transports.base import FileUnusable
from bridge.transports.collecting import Claimed, End
from bridge.transports.file_drop_folder import LocalFile, LocalFolder
from bridge.transports.watching import Ready, Seen, Watch

WHOLE = "finished: renamed, poll: 100ms"


@asynccontextmanager
async def hospital_of_few_rights(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, options: str = WHOLE
) -> AsyncIterator[Hospital]:
    """A node that takes from a folder as a user without rights."""
    without_rights(monkeypatch, LocalFolder, "_opened")
    monkeypatch.setattr(setbacks, "WAIT_MAX_S", 0.1)
    made = Hospital(tmp_path)
    await made.open(file_source(folder, options))
    try:
        await made.start()
        yield made
    finally:
        await made.close()


@in_reactor
async def test_a_file_that_may_not_be_read_goes_where_errors_go_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder_of_nobody() as folder, capture_logs() as logs:
        drop(folder, "a_locked.hl7", whole(some(1))).chmod(0)
        drop(folder, "b_good.hl7", whole(some(1, first=1)))
        async with hospital_of_few_rights(tmp_path, folder, monkeypatch) as made:
            await until(lambda: "done/b_good.hl7" in left_in(folder), "the other is taken")
            assert left_in(folder) == [
                "done/b_good.hl7",
                "errors/a_locked.hl7",
                "errors/a_locked.hl7.reason.json",
            ]
            assert entries(await made.settled()) == {"delivered": 1}
            told = json.loads((folder / "errors" / "a_locked.hl7.reason.json").read_text())
            assert (told["reason"], told["number"]) == ("not-readable", 1)
            assert "give it that, and put the file back" in told["text"]
            locked = (folder / "errors" / "a_locked.hl7").rename(folder / "a_locked.hl7")
            locked.chmod(0o644)
            await until(lambda: "done/a_locked.hl7" in left_in(folder), "it is taken once it may be read")
            assert entries(await made.settled()) == {"delivered": 2}
    [held] = [each for each in logs if each["event"] == "file-held-up"]
    assert "give the bridge's user the right" in held["reason"]
    assert "a_locked" not in str(held), "a name may be a patient's number"
    assert not [each for each in logs if each["event"].startswith("files-")]


@in_reactor
async def test_a_file_that_stays_and_may_not_be_read_is_told_until_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder_of_nobody() as folder:
        locked = drop(folder, "a_locked.hl7", whole(some(1)))
        locked.chmod(0)
        drop(folder, "b_good.hl7", whole(some(1, first=1)))
        async with hospital_of_few_rights(tmp_path, folder, monkeypatch, f"{WHOLE}, after: keep") as made:
            assert made.node is not None
            intake = made.node.parts.intakes[CHANNEL]
            await until(lambda: getattr(intake, "held_up", ()) != (), "it is told")
            assert entries(await made.settled()) == {"delivered": 1}
            assert await worries(made) == [
                "a file of ehr-adt: a_locked.hl7: it cannot be read: Permission denied; "
                "give the bridge's user the right to read it"
            ]
            assert made.node.metrics.files_odd.labels(CHANNEL)._value.get() == 1
            locked.chmod(0o644)
            await until(lambda: getattr(intake, "held_up", ()) == (), "it is taken")
            assert entries(await made.settled()) == {"delivered": 2}
            assert await worries(made) == []


@in_reactor
async def test_files_that_cannot_be_put_away_are_taken_all_the_same_and_go_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder_of_nobody() as folder:
        done = folder / "done"
        done.mkdir(0o555)
        done.chmod(0o555)
        for name in ("a.hl7", "b.hl7"):
            drop(folder, name, whole(some(1, first=ord(name[0]))))
        async with hospital_of_few_rights(tmp_path, folder, monkeypatch) as made:
            assert made.node is not None
            intake = made.node.parts.intakes[CHANNEL]
            await until(lambda: len(getattr(intake, "held_up", ())) == 2, "both are told")
            assert entries(await made.settled()) == {"delivered": 2}
            said = await worries(made)
            assert [each.split(": ")[1] for each in said] == ["a.hl7", "b.hl7"]
            assert all("it cannot be put away: Permission denied" in each for each in said)
            done.chmod(0o777)
            await until(lambda: left_in(folder) == ["done/a.hl7", "done/b.hl7"], "they are put away")
            await until(lambda: getattr(intake, "held_up", ()) == (), "and told no more")
            assert entries(await made.settled()) == {"delivered": 2}


@in_reactor
async def test_a_file_that_cannot_be_claimed_is_left_where_it_is_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder_of_nobody() as folder:
        theirs = drop(folder, "a/theirs.hl7", whole(some(1))).parent
        theirs.chmod(0o555)
        drop(folder, "b_ours.hl7", whole(some(1, first=1)))
        async with hospital_of_few_rights(tmp_path, folder, monkeypatch, f"{WHOLE}, depth: 1") as made:
            assert made.node is not None
            intake = made.node.parts.intakes[CHANNEL]
            await until(lambda: getattr(intake, "held_up", ()) != (), "it is told")
            await until(lambda: left_in(folder) == ["a/theirs.hl7", "done/b_ours.hl7"], "the other is taken")
            assert list((folder / ".bridge-claims").iterdir()) == []
            [said] = await worries(made)
            assert "a/theirs.hl7: it cannot be claimed: Permission denied; " in said
            assert "needs to write into its folder" in said
            theirs.chmod(0o777)
            await until(lambda: "done/a/theirs.hl7" in left_in(folder), "it is taken later")


@in_reactor
async def test_a_file_that_is_written_to_while_it_is_read_is_read_again_and_no_folder_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rest = LocalFile.unchanged, [whole(some(1, first=1))]

    def written_to(file: LocalFile) -> bool:
        if rest:
            [late] = folder.glob(".bridge-claims/*/file/a.hl7")
            with late.open("ab") as writing:
                writing.write(rest.pop())
        return before(file)

    monkeypatch.setattr(LocalFile, "unchanged", written_to)
    with capture_logs() as logs:
        async with file_hospital(tmp_path, WHOLE) as (made, folder):
            drop(folder, "a.hl7", whole(some(1)))
            await until(lambda: left_in(folder) == ["done/a.hl7"], "all of it is taken")
            assert entries(await made.settled()) == {"delivered": 2}
    [written] = [each for each in logs if each["event"] == "file-written-to-while-read"]
    assert written["log_level"] == "info"
    assert not [each for each in logs if each["event"].startswith(("files-", "file-held-up"))]


@in_reactor
async def test_what_a_sender_writes_after_its_file_was_taken_is_told_while_it_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as logs:
        async with file_hospital(tmp_path, WHOLE) as (made, folder):
            assert made.node is not None
            intake, size_bytes = made.node.parts.intakes[CHANNEL], len(whole(some(1)))
            drop(folder, "b.hl7", whole(some(1, first=1)))
            hidden, done = folder / ".a.tmp", folder / "done" / "a.hl7"
            with hidden.open("wb") as writing:
                writing.write(whole(some(1)))
                writing.flush()
                hidden.rename(folder / "a.hl7")
                await until(lambda: left_in(folder) == ["done/a.hl7", "done/b.hl7"], "both are taken")
                writing.write(whole(some(1, first=2)))
            monkeypatch.setattr(setbacks, "LATER_MAX_COUNT", 0)  # the time has come
            await until(lambda: getattr(intake, "held_up", ()) != (), "it is told")
            [said] = await worries(made)
            words = f"a.hl7: its sender wrote to it after it was taken with {size_bytes} bytes"
            assert said.startswith(f"a file of ehr-adt: {words}")
            done.unlink()
            await until(lambda: getattr(intake, "held_up", ()) == (), "and no more once it was moved")
            assert entries(await made.settled()) == {"delivered": 2}
    assert len([each for each in logs if each["event"] == "file-grew-after-it-was-taken"]) == 1


@in_reactor
async def test_the_first_file_that_is_held_up_is_told_while_others_are_still_to_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(collecting, "TELL_EVERY_S", 0.01)
    put_away, goes_on = LocalFolder.put_away, threading.Event()

    def slowly(folder: LocalFolder, claimed: Claimed, end: End) -> str | None:
        if claimed.seen.name == "a.hl7" and not goes_on.is_set():
            raise FileUnusable("put away", "no room", denied=False)
        if claimed.seen.name == "b.hl7":
            goes_on.wait(60)
        return put_away(folder, claimed, end)

    monkeypatch.setattr(LocalFolder, "put_away", slowly)
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    for number, name in enumerate(("a.hl7", "b.hl7", "c.hl7")):
        drop(incoming, name, whole(some(1, first=number)))
    async with file_hospital(tmp_path, WHOLE) as (made, _):
        assert made.node is not None
        intake = made.node.parts.intakes[CHANNEL]
        await until(lambda: getattr(intake, "held_up", ()) != (), "it is told")
        [said] = await worries(made)
        assert said.startswith("a file of ehr-adt: a.hl7: it cannot be put away: no room")
        told = made.node.parts.status_of_files(CHANNEL)
        assert (told["files_queued"], told["files_waiting"]) == (2, 0)
        assert made.node.metrics.files_queued.labels(CHANNEL)._value.get() == 2
        print_node(await status(made))
        assert "files of ehr-adt: 2 to be taken, 0 waiting to be finished\n" in capsys.readouterr().out
        goes_on.set()
        done = ["done/a.hl7", "done/b.hl7", "done/c.hl7"]
        await until(lambda: left_in(incoming) == done, "all are put away")
        await until(lambda: _queued(made) == 0, "none is to be taken")


@in_reactor
async def test_many_files_that_are_held_up_are_never_compared_with_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison of each with each takes seconds of thousands, in which no live sender is answered."""

    def compared(*_: object) -> bool:
        raise AssertionError("two claims were compared")

    def no_room(_folder: LocalFolder, _claimed: Claimed, _end: End) -> str | None:
        tries.append(1)
        raise FileUnusable("put away", "no room", denied=False)

    tries: list[int] = []
    monkeypatch.setattr(Claimed, "__eq__", compared)
    monkeypatch.setattr(LocalFolder, "put_away", no_room)
    monkeypatch.setattr(setbacks, "WAIT_MAX_S", 0.01)
    async with file_hospital(tmp_path, WHOLE) as (made, folder):
        assert made.node is not None
        for number, name in enumerate(("a.hl7", "b.hl7", "c.hl7")):
            drop(folder, name, whole(some(1, first=number)))
        await until(lambda: len(tries) > 9, "all are tried again")
        told = made.node.parts.status_of_files(CHANNEL)
        assert (len(told["files_held_up"]), told["files_out_of_reach"]) == (3, "")


@in_reactor
async def test_a_folder_is_looked_through_in_a_thread_while_live_senders_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, threads = Watch.look, set()

    def noted(watch: Watch, files: list[Seen], now_s: float) -> tuple[list[Ready], int]:
        threads.add(threading.current_thread())
        return look(watch, files, now_s)

    monkeypatch.setattr(Watch, "look", noted)
    async with file_hospital(tmp_path, WHOLE) as (_, folder):
        drop(folder, "a.hl7", whole(some(1)))
        await until(lambda: left_in(folder) == ["done/a.hl7"], "it is taken")
    assert threads
    assert threading.current_thread() not in threads


@in_reactor
async def test_a_refused_file_of_which_nothing_came_is_told_until_its_name_is_taken(tmp_path: Path) -> None:
    async with file_hospital(tmp_path, f"{WHOLE}, max_size: 1KiB") as (made, folder):
        assert made.node is not None

        def told() -> list[str]:
            return [each for each in checks.worries(url, counts, None) if "not taken since" in each]

        url, counts = journal_url(tmp_path), await made.node.journal.read(ledger)
        drop(folder, "a.hl7", whole(some(20)))
        drop(folder, "b.hl7", b"")
        refused = {"errors/a.hl7", "errors/b.hl7"}
        await until(lambda: refused <= set(left_in(folder)), "both are refused")
        assert await deferToThread(told) == [
            "1 file of ehr-adt in the last day refused, empty, and not taken since: "
            "The file is empty. `bridge files list --state REFUSED`",
            "1 file of ehr-adt in the last day refused, too-large, and not taken since: "
            "The file is larger than `max_size` of its channel. `bridge files list --state REFUSED`",
        ]
        drop(folder, "a.hl7", whole(some(1)))
        drop(folder, "b.hl7", whole(some(1, first=1)))
        taken = {"done/a.hl7", "done/b.hl7"}
        await until(lambda: taken <= set(left_in(folder)), "others of these names are taken")
        assert await deferToThread(told) == []
        drop(folder, "b.hl7", whole(some(1, first=1)))
        await until(lambda: len(left_in(folder)) == 8, "it came before, and goes where errors go")
        assert await deferToThread(told) == [], "all that it holds came in"


@in_reactor
async def test_files_of_other_names_keep_none_from_being_taken_however_many_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_drop_folder, "FILES_MAX_COUNT", 4)
    monkeypatch.setattr(collecting, "FILES_MAX_COUNT", 4)
    monkeypatch.setattr(watching, "PARTS_MAX_COUNT", 1)
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    others = [f"{number}.{ending}" for number in range(10) for ending in ("bak", "hl7.part")]
    for name in others:
        (incoming / name).write_bytes(b"x")
    async with file_hospital(tmp_path, f'{WHOLE}, include: ["*.hl7"]') as (made, folder):
        drop(folder, "a.hl7", whole(some(1)))
        drop(folder, "b.hl7", whole(some(1, first=1)))
        drop(folder, "c.hl7", whole(some(1, first=2)))
        done = [*others, "done/a.hl7", "done/b.hl7", "done/c.hl7"]
        await until(lambda: left_in(folder) == sorted(done), "all that are wanted are taken")
        assert await worries(made) == []


@in_reactor
async def test_a_file_that_its_sender_never_finished_is_told_while_it_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LEFT_AFTER_S", 0)
    async with file_hospital(tmp_path, f'{WHOLE}, include: ["*.hl7"]') as (made, folder):
        assert made.node is not None
        parts = made.node.parts
        (folder / "a.hl7.part").write_bytes(b"MSH|")
        (folder / ".profile").write_bytes(b"x")
        await until(lambda: parts.status_of_files(CHANNEL)["files_odd"] == 1, "it is seen")
        [said] = await worries(made)
        assert "a.hl7.part: a temporary name, not written to for an hour" in said
        (folder / "a.hl7.part").rename(folder / "a.hl7")
        await until(lambda: parts.status_of_files(CHANNEL)["files_odd"] == 0, "no more")


@in_reactor
async def test_where_more_files_stay_than_are_looked_at_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_drop_folder, "FILES_MAX_COUNT", 3)
    monkeypatch.setattr(collecting, "FILES_MAX_COUNT", 3)
    async with file_hospital(tmp_path, f"{WHOLE}, after: keep") as (made, folder):
        assert made.node is not None
        parts = made.node.parts
        for number, name in enumerate("abcde"):
            drop(folder, name, whole(some(1, first=number)))
        await until(lambda: parts.status_of_files(CHANNEL)["files_odd"] == 1, "it is seen")
        [said] = await worries(made)
        assert "one of too many files in one place" in said
        for name in "de":
            (folder / name).unlink()
        await until(lambda: parts.status_of_files(CHANNEL)["files_odd"] == 0, "no more")
        assert await worries(made) == []


def _queued(made: Hospital) -> int:
    assert made.node is not None
    queued: int = made.node.parts.status_of_files(CHANNEL)["files_queued"]
    return queued
