"""A journal of which an older copy was put back: its node waits, says why, and repeats nothing blindly."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import bridge_process
from databases import journal_url
from file_hospital import drop, file_hospital, file_row, some, whole
from lane_messages import change_api, message
from nodes import Hospital, entries
from reactor_tests import in_reactor, pause, until
from staged_site import Staged, staged
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.delivery.files import FileState
from bridge.destinations.in_loop import in_loop
from bridge.errors import JournalUnavailable
from bridge.journal import beside
from bridge.journal.beside import Beside, path_of, read_beside, write_beside
from bridge.journal.history import check
from bridge.journal.restored import is_rest_doubtful
from bridge.journal.search import find_messages, story
from bridge.journal.spool import INLINE_MAX_BYTES, Spool
from bridge.journal.taken_files import TakenFile
from bridge.runtime import file_intake
from bridge.runtime.file_intake import FileIntake
from bridge.runtime.retention import Retention
from bridge.runtime.service import Node, real_surroundings

URL = "sqlite:///{}"
FILE_MESSAGES, PART_MESSAGES = 800, 50


def journal_of(site: Hospital) -> Path:
    return site.folder / "journal.db"


def copied(site: Hospital, name: str) -> Path:
    """The journal as it is on disk now, with its log and the bytes of large files beside it."""
    folder = site.folder / name
    folder.mkdir()
    for file in site.folder.glob("journal.db*"):
        (shutil.copytree if file.is_dir() else shutil.copy)(file, folder / file.name)
    return folder


def put_back(site: Hospital, folder: Path, *, with_beside: bool = False) -> None:
    """The journal of then in the place of the one of now."""
    for file in site.folder.glob("journal.db*"):
        if file.is_file() and not file.name.endswith((".lock", beside.ENDING)):
            file.unlink()
    for file in folder.iterdir():
        if file.is_file() and (with_beside or not file.name.endswith((".lock", beside.ENDING))):
            shutil.copy(file, site.folder / file.name)


async def said(site: Hospital, *arguments: object, status: int | None = 0) -> str:
    words = *arguments, "--journal", journal_url(site.folder)
    ended = await deferToThread(
        bridge_process, *words, NO_COLOR="1", COLUMNS="200", BRIDGE_STATE=str(site.folder)
    )
    assert status in (None, ended.status), ended.said
    return ended.said


async def stopped(site: Hospital) -> list[Any]:
    found: list[Any] = json.loads(await said(site, "status", "--format", "json", status=None))["node"][
        "stopped"
    ]
    return found


@in_reactor
async def test_an_older_copy_starts_paused_says_why_and_is_resumed_by_command(tmp_path: Path) -> None:
    site = Hospital(tmp_path)
    await site.open()
    try:
        await site.start()
        await site.send(message(1, 1))
        await site.settled()
        await site.stop()
        older = copied(site, "older")
        await site.start()
        await site.send(message(2, 1), message(3, 1))
        await site.settled()
        await site.stop()
        keys_before = _keys(site)
        put_back(site, older)
        node = await site.start()
        (row,) = await stopped(site)
        assert (row["subject"], row["intake"]) == (f"channel {CHANNEL}", True)
        assert "was started 1 times, and this node has started it 2 times" in row["reason"]
        assert node.addresses().get(CHANNEL) is None
        assert "goes on" in await said(site, "resume", "--all", "--reason", "looked at it")
        assert await stopped(site) == []
        await site.send(message(4, 1))
        await site.settled()
        fresh = {
            each.idempotency_key for each in (*site.patients.applied, *site.encounters.applied)
        } - keys_before
        # The ids are those of messages 2 and 3 in the time that was lost; their keys are not used again.
        assert len(fresh) == 2
        assert {key.rpartition("-")[2] for key in fresh} == {node.journal.facts.epochs.split(":")[2]}
        found = await node.journal.read(
            check, calls=[(each.idempotency_key, each.body_sha256) for each in site.patients.applied][-1:]
        )
        assert found.violations == ()
        await site.stop()
        await site.start()
        assert await stopped(site) == []
    finally:
        await site.close()


@in_reactor
async def test_what_was_open_in_the_copy_may_have_been_sent(tmp_path: Path) -> None:
    site = Hospital(tmp_path)
    await site.open()
    change_api(site, "ehr.encounters", "repeat_safety: header", "repeat_safety: none")
    try:
        for api in (site.patients, site.encounters):
            api.plant(Fault("status", times=None))
        await site.start()
        await site.send(message(1, 1))
        await until(lambda: len(site.patients.attempts) > 1 and len(site.encounters.attempts) > 1, "calls")
        assert site.node is not None
        await said(site, "pause", CHANNEL, "--reason", "to copy it")
        await site.send(message(2, 1))
        await site.stop()
        older = copied(site, "older")
        for api in (site.patients, site.encounters):
            api._faults.clear()
        await site.start()
        await said(site, "resume", CHANNEL, "--reason", "copied")
        await site.settled()
        await site.stop()
        applied = {each.idempotency_key for each in site.patients.applied}
        put_back(site, older)
        node = await site.start()
        rows = {row["api"]: row for row in (await _story(site, 1)).deliveries}
        assert (rows["ehr.patients"]["state"], rows["ehr.patients"]["reason"]) == ("READY", "restored")
        assert (rows["ehr.encounters"]["state"], rows["ehr.encounters"]["reason"]) == (
            "QUARANTINED", "outcome-unknown",
        )  # fmt: skip
        assert "AMBIGUOUS" in {row["to_state"] for row in (await _story(site, 1)).transitions}
        await said(site, "resume", "--all", "--reason", "looked")
        await until(lambda: "RECEIVED" not in _states(site), "translated")
        await site.settled()
        # The same call under the same key: the API knows it, and nothing happened twice.
        assert {each.idempotency_key for each in site.patients.applied} == applied
        (stuck,) = await node.journal.read(find_messages, state="QUARANTINED", channel=CHANNEL, limit=1)
        assert (stuck["id"], stuck["reason"]) == (2, "restored")
        assert entries(await site.settled())["quarantined"] == 2
        await said(site, "quarantine", "retry", "m2", "--reason", "it was not sent")
        await until(lambda: len(site.patients.applied) > len(applied), "message 2")
        assert (await node.journal.read(check)).violations == ()
    finally:
        await site.close()


def _keys(site: Hospital) -> set[str]:
    return {each.idempotency_key for each in (*site.patients.applied, *site.encounters.applied)}


async def _story(site: Hospital, number: int) -> Any:
    assert site.node is not None
    return await site.node.journal.read(story, number)


def _states(site: Hospital) -> set[str]:
    return {row["state"] for row in _rows(site)}


def _rows(site: Hospital) -> list[Any]:
    assert site.node is not None
    with site.node.journal.database.reader.begin() as connection:
        return find_messages(connection, limit=10_000)


NOW = Beside("abc", 5, 100, 200, 900)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (NOW, ""),
        (Beside("abc", 4, 90, 150, 800), ""),
        (Beside("abc", 6, 100, 200, 900), "was started 5 times, and this node has started it 6 times"),
        (Beside("abc", 5, 101, 200, 900), "messages up to number 100"),
        (Beside("abc", 5, 100, 201, 900), "deliveries up to number 200"),
        (Beside("abc", 5, 100, 200, 901), "transitions up to number 900"),
        (Beside("other", 5, 100, 200, 900), "belongs to another one"),
        (None, "is missing"),
    ],
)
def test_a_journal_is_in_doubt_where_it_knows_less_than_the_file(kept: Beside | None, words: str) -> None:
    class Known:
        backup, kept_beside = "", True

    assert (words in beside.doubt(Known(), NOW, kept)) if words else beside.doubt(Known(), NOW, kept) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"journal_id": 1}', b'{"journal_id":"a","starts":"x"}']
)
def test_a_file_that_cannot_be_read_counts_as_missing(content: bytes, tmp_path: Path) -> None:
    path = path_of(tmp_path / "journal.db")
    write_beside(path, NOW)
    assert read_beside(path) == NOW
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(content)
    assert read_beside(path) is None


@in_reactor
async def test_a_journal_that_moves_with_its_file_is_not_in_doubt(tmp_path: Path) -> None:
    site = Hospital(tmp_path)
    await site.open()
    try:
        await site.start()
        await site.send(message(1, 1))
        await site.settled()
        await site.stop()
        put_back(site, copied(site, "moved"), with_beside=True)
        await site.start()
        assert await stopped(site) == []
        await site.stop()
        path_of(journal_of(site)).unlink()
        await site.start()
        assert "is missing" in (await stopped(site))[0]["reason"]
    finally:
        await site.close()


@in_reactor
async def test_a_journal_that_is_made_where_another_was_is_in_doubt(tmp_path: Path) -> None:
    site = Hospital(tmp_path)
    await site.open()
    try:
        await site.start()
        await site.send(message(1, 1))
        await site.settled()
        await site.stop()
        journal_of(site).unlink()
        await site.start()
        assert "that held messages up to number 1 was gone" in (await stopped(site))[0]["reason"]
    finally:
        await site.close()


@in_reactor
async def test_a_first_start_that_was_cut_off_leaves_no_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Hospital(tmp_path)
    await site.open()
    written: list[Beside] = []

    def cut_off(path: Path, now: Beside) -> None:
        written.append(now)
        if now.starts:  # the journal has counted its start, and the process ends before the file says so
            raise OSError(errno.EIO, "Input/output error")
        write_beside(path, now)

    try:
        with monkeypatch.context() as patched:
            patched.setattr(beside, "write_beside", cut_off)
            with pytest.raises(JournalUnavailable, match="cannot be used"):
                await site.start()
        assert [each.starts for each in written] == [0, 1]
        await site.start()
        assert await stopped(site) == []
    finally:
        await site.close()


@asynccontextmanager
async def _copied_half_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Hospital, int]]:
    """A hospital whose journal was copied in the middle of a file of `FILE_MESSAGES`, and put back after all
    of it had been delivered; with how many of its messages are in the copy. Its node is stopped."""
    async with file_hospital(folder) as (site, incoming):
        with monkeypatch.context() as patched:
            patched.setattr(file_intake, "PART_MAX_MESSAGES", PART_MESSAGES)
            patched.setattr(FileIntake, "_hand_on", _leave_the_file(FileIntake._hand_on))
            content = whole(some(FILE_MESSAGES))
            assert len(content) > INLINE_MAX_BYTES, "small files are taken at once with all their messages"
            drop(incoming, "adt.hl7", content)
            await until(lambda: bool(_states(site)), "the first part")
            await site.stop()
        older = copied(site, "older")
        await site.start()
        file = await file_row(site, 1)
        assert file is not None
        assert file.state is FileState.TAKEN
        assert 0 < file.messages < FILE_MESSAGES
        await until((incoming / "done" / "adt.hl7").exists, "all of it is taken", at_most_s=90)
        assert entries(await site.settled())["delivered"] == FILE_MESSAGES
        await site.stop()
        put_back(site, older)
        yield site, file.messages


def _leave_the_file(hand_on: Any) -> Any:
    def handed_on(intake: FileIntake, *arguments: Any) -> None:
        hand_on(intake, *arguments)
        intake.hurry()

    return handed_on


@in_reactor
async def test_the_rest_of_a_file_that_the_copy_held_half_of_waits_for_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _copied_half_way(tmp_path, monkeypatch) as (site, half):
        applied = _keys(site)
        node = await site.start()
        await said(site, "resume", "--all", "--reason", "looked")

        async def held() -> list[Any]:
            return await node.journal.read(find_messages, state="QUARANTINED", limit=FILE_MESSAGES)

        file: TakenFile | None = None
        while file is None or file.state is not FileState.SPLIT or "RECEIVED" in _states(site):
            await pause(0.05)
            file = await file_row(site, 1)
        await site.settled()
        assert _keys(site) == applied, "an API got what it had"
        rest = {row["id"] for row in await held()}
        assert {row["reason"] for row in await held()} == {"restored"}
        assert rest >= set(range(half + 1, FILE_MESSAGES + 1))
        found = await said(site, "quarantine", "list", "--limit", "1", status=None)
        assert "look at its APIs" in found
        # A person finds that one of them was not sent.
        await said(site, "quarantine", "retry", f"m{FILE_MESSAGES}", "--reason", "it was not sent")
        await until(lambda: len(_keys(site)) > len(applied), "it goes")
        assert (await node.journal.read(check)).violations == ()


@in_reactor
async def test_what_a_person_has_taken_again_of_such_a_file_and_what_comes_later_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _copied_half_way(tmp_path, monkeypatch) as (site, _):
        node = await site.start()
        await said(site, "resume", "--all", "--reason", "looked")
        await until(lambda: len(_rows(site)) == FILE_MESSAGES, "all of it is taken", at_most_s=90)
        await site.settled()
        before = len(site.encounters.applied)
        drop(tmp_path / "incoming", "next.hl7", whole(some(3, first=FILE_MESSAGES)))
        await until(lambda: len(site.encounters.applied) == before + 3, "a file of now")
        assert not await node.journal.read(is_rest_doubtful, 2)
        assert await node.journal.read(is_rest_doubtful, 1)
        await said(site, "files", "take", "1", "--reason", "the APIs have lost all of it")
        assert not await node.journal.read(is_rest_doubtful, 1)


def taken(site: Staged) -> int:
    """How many messages the old engine was given."""
    return len((site.folder / "engine" / "taken.jsonl").read_bytes().splitlines())


@in_reactor
async def test_an_engine_is_given_what_an_older_copy_owes_it_only_once_a_person_has_looked(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, acknowledge="journaled") as site:
        await in_loop(site.engine.stop())
        await site.send(message(1, 1), message(2, 1))
        await site.stop()
        older = copied(site, "older")
        await site.start_engine()
        await site.start()
        await until(lambda: taken(site) == 2, "the engine is given what it is owed")
        await site.stop()
        put_back(site, older)
        for _ in range(3):  # neither a further start nor a pause by a person changes anything about it
            await site.start()
            await site.pause(0.7)
            assert taken(site) == 2
            await site.ask("pause", scope="channel", name=CHANNEL)
            await site.stop()
        await site.start()
        await site.ask("resume", scope="channel", name=CHANNEL)
        await until(lambda: taken(site) == 4, "a person wants it")


async def after_days(node: Node, days: int) -> tuple[int, int]:
    """How many messages, and how many bodies, a round of retention deletes so many days from now."""
    world = real_surroundings(reactor)
    then = replace(world, now_us=lambda: world.now_us() + days * 86_400_000_000, believed=None)
    done = await Retention(node.journal, then).round(node.parts.topology.channels)
    return done["messages"], done["bodies"]


def kept_for_a_month(text: str) -> str:
    return text + "retention: {messages: 30d, bodies: 10d}\n"


@pytest.mark.both_databases
@in_reactor
async def test_nothing_of_a_restored_journal_goes_before_holds_can_be_made_again(tmp_path: Path) -> None:
    site, file = Hospital(tmp_path), tmp_path / "monday.db"
    await site.open(kept_for_a_month)
    try:
        await site.start()
        await site.send(*(message(patient, 1) for patient in range(1, 5)))
        await site.settled()
        await said(site, "journal", "backup", file)
        await site.stop()
        site.folder = tmp_path / "again"
        shutil.copytree(tmp_path / "site", site.folder / "site")
        again = await deferToThread(bridge_process, "journal", "restore", file, journal_url(site.folder))
        assert (again.status, "deletes nothing of one before" in again.said) == (0, True), again.said
        await _nothing_goes_before_a_person_has_resumed(site)
    finally:
        await site.close()


@in_reactor
async def test_nothing_of_a_journal_that_was_put_back_by_hand_goes_before_holds_can_be_made_again(
    tmp_path: Path,
) -> None:
    site = Hospital(tmp_path)
    await site.open(kept_for_a_month)
    try:
        await site.start()
        await site.send(*(message(patient, 1) for patient in range(1, 5)))
        await site.settled()
        await site.stop()
        older = copied(site, "older")
        await site.start()
        await site.stop()
        put_back(site, older)
        await _nothing_goes_before_a_person_has_resumed(site)
    finally:
        await site.close()


async def _nothing_goes_before_a_person_has_resumed(site: Hospital) -> None:
    """Of a journal that was put back with messages of four patients."""
    for _ in range(2):  # a further start changes nothing about it, nor does a pause by a person
        node = await site.start()
        assert await after_days(node, 31) == (0, 0)
        (row,) = await stopped(site)
        if row["actor"] == "bridge":
            assert "nothing of a channel is deleted before it is resumed" in row["reason"]
        await said(site, "pause", CHANNEL, "--reason", "it is looked at")
        assert await after_days(node, 31) == (0, 0)
        await site.stop()
    node = await site.start()
    key = message(2, 1).body.split(b"PID|")[1].split(b"|")[2].split(b"^")[0].decode()
    await said(site, "legal-hold", "add", key, "--reason", "made after the backup")
    await said(site, "resume", "--all", "--reason", "looked")
    assert await after_days(node, 31) == (2, 1)
    assert [row["id"] for row in _rows(site)] == [4, 2], "the newest stays, and what is held"


@in_reactor
async def test_bytes_that_came_after_an_older_copy_stay_until_a_start_after_a_person_has_resumed(
    tmp_path: Path,
) -> None:
    site = Hospital(tmp_path)
    await site.open()
    try:
        await site.start()
        await site.stop()
        older = copied(site, "older")
        await site.start()
        await site.stop()
        put_back(site, older)
        folder = Spool(journal_of(site)).folder
        folder.mkdir(exist_ok=True)
        (folder / "later").write_bytes(b"of a file that the copy does not know")
        await site.start()
        assert os.listdir(folder) == ["later"]
        await said(site, "resume", "--all", "--reason", "looked")
        await site.stop()
        await site.start()
        assert os.listdir(folder) == []
    finally:
        await site.close()
