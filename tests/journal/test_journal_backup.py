"""Backups: made while a node runs, looked at, put back into either database, told from the original."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest
from command_line import bridge
from databases import journal_url
from faulty_disk import Fault, FaultyDisk, installed
from journals import arrival, journal_in, translation
from reactor_tests import in_reactor
from small_files import files_of_at_most
from sqlalchemy import update
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from bridge.errors import JournalRefused, JournalUnavailable
from bridge.journal import backup as backup_module
from bridge.journal import copying
from bridge.journal.audit import verify_chain
from bridge.journal.backup import Backup, back_up, digest_path, look, note_bytes, restore
from bridge.journal.database import SCHEMA, Database, Facts
from bridge.journal.journal import Journal
from bridge.journal.ledger import ledger
from bridge.journal.messages import RECEIVE, TRANSLATE
from bridge.journal.schema import facts
from bridge.journal.search import find_messages, story

pytestmark = pytest.mark.both_databases


def opened(url: str, *, create: bool = False) -> Database:
    return Database(url, create=create, random_bytes=os.urandom)


def backed_up(url: str, path: Path) -> Backup:
    source = opened(url)
    try:
        return back_up(
            source,
            path,
            at="2026-11-23T06:00:00Z",
            opened=lambda to: opened(to, create=True),
            random_bytes=os.urandom,
            progress=lambda _: None,
        )
    finally:
        source.close()


def looked_at(path: Path) -> tuple[list[str], int]:
    backup = opened(f"sqlite:///{path}")
    try:
        found = look(backup, path, lambda _: None)
    finally:
        backup.close()
    broken = () if found.history is None else found.history.violations
    return [*found.wrong, *(each.what for each in broken)], found.opened


async def fill(journal: Journal, count: int, prefix: str = "C") -> None:
    for number in range(count):
        body = random.Random(number).randbytes(500) + b"MSH" * 2000
        receipt = await journal.submit(RECEIVE, arrival(journal, body, f"{prefix}{number}"))
        await journal.submit(TRANSLATE, translation(receipt.message_id))


@in_reactor
async def test_a_backup_is_one_moment_of_a_journal_that_is_written_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "backup.db"
    async with journal_in(tmp_path) as journal:
        await fill(journal, 60)
        under_way: Deferred[Backup] = deferToThread(backed_up, journal_url(tmp_path), path)
        await fill(journal, 60, "D")
        made = await under_way
        assert made.messages >= 60
        assert len(await journal.read(find_messages, limit=1000)) == 120
    names = [name for name in os.listdir(tmp_path) if name.startswith("backup")]
    assert sorted(names) == ["backup.db", "backup.db.sha256"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    wrong, bodies = looked_at(path)
    assert wrong == []
    assert bodies >= 3 * 60
    with pytest.raises(JournalRefused, match="there already"):
        backed_up(journal_url(tmp_path), path)


@in_reactor
async def test_a_backup_is_put_back_as_it_was_and_says_that_it_is_one(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "backup.db", tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with journal_in(tmp_path) as journal:
        await fill(journal, 20)
        before = await journal.read(ledger)
        lane = journal.facts.hash(b"k")
    backed_up(journal_url(tmp_path), path)
    backup, target = opened(f"sqlite:///{path}"), opened(journal_url(elsewhere), create=True)
    try:
        assert restore(backup, target, random_bytes=os.urandom, progress=lambda _: None).messages == 20
        with pytest.raises(JournalRefused, match="holds tables already"):
            restore(backup, target, random_bytes=os.urandom, progress=lambda _: None)
        with target.reader.begin() as connection:
            assert "this is a backup of" in Facts(connection).backup
    finally:
        backup.close()
        target.close()
    async with journal_in(elsewhere) as journal:
        assert await journal.read(ledger) == before
        assert journal.facts.hash(b"k") == lane
        found = await journal.read(story, 3)
        assert found is not None
        assert found.message["body"].endswith(b"MSH")
        assert journal.facts.backup == ""
        assert journal.facts.sent_as(21, 1).startswith("21-1-")
        assert journal.facts.sent_as(20, 1) == "20-1"
        await fill(journal, 1, "E")
        chain = await journal.read(verify_chain)
        assert (chain.good, chain.epochs) == (True, {1: 1, 2: 41}), chain.findings


@in_reactor
async def test_no_folder_is_made_for_a_backup_whose_disk_may_not_be_mounted(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await fill(journal, 1)
    with pytest.raises(JournalRefused, match="is its disk mounted"):
        backed_up(journal_url(tmp_path), tmp_path / "nowhere" / "backup.db")
    assert not (tmp_path / "nowhere").exists()


@in_reactor
async def test_a_backup_in_which_a_bit_has_flipped_is_told(tmp_path: Path) -> None:
    path = tmp_path / "backup.db"
    async with journal_in(tmp_path) as journal:
        await fill(journal, 5)
    backed_up(journal_url(tmp_path), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    changed = "the bytes of backup.db are not those that backup.db.sha256 says"
    assert looked_at(path)[0] == [changed]
    put_back = bridge("journal", "restore", path, f"sqlite:///{tmp_path / 'again.db'}")
    assert (put_back.status, changed in put_back.err) == (3, True)
    assert not (tmp_path / "again.db").exists()
    digest_path(path).unlink()
    assert "missing" in looked_at(path)[0][0]
    path.write_bytes(bytes(content[: len(content) // 3]))
    assert "the database is damaged" in looked_at(path)[0][1]
    put_back = bridge("journal", "restore", path, f"sqlite:///{tmp_path / 'again.db'}")
    assert (put_back.status, f"{path} is damaged" in put_back.err) == (3, True), put_back.said
    assert not (tmp_path / "again.db").exists()


@in_reactor
async def test_a_backup_that_an_older_version_made_is_put_back_once_it_is_upgraded(tmp_path: Path) -> None:
    path, target = tmp_path / "backup.db", f"sqlite:///{tmp_path / 'again.db'}"
    async with journal_in(tmp_path) as journal:
        await fill(journal, 5)
    backed_up(journal_url(tmp_path), path)
    older = opened(f"sqlite:///{path}")
    try:
        with older.writer.begin() as connection:
            before = b"%d" % (SCHEMA - 1)
            connection.execute(update(facts).where(facts.c.name == "schema").values(value=before))
    finally:
        older.close()
    refused = bridge("journal", "upgrade", "--journal", f"sqlite:///{path}")
    assert (refused.status, "it is no backup any more" in refused.err) == (3, True), refused.said
    note_bytes(path)
    refused = bridge("journal", "restore", path, target)
    assert (refused.status, "run `bridge journal upgrade` with its `--journal`" in refused.err) == (3, True)
    assert not (tmp_path / "again.db").exists()
    upgraded = bridge("journal", "upgrade", "--journal", f"sqlite:///{path}")
    assert (upgraded.status, f"were of version {SCHEMA - 1}" in upgraded.out) == (0, True), upgraded.said
    assert looked_at(path)[0] == []
    put_back = bridge("journal", "restore", path, target)
    assert (put_back.status, "5 messages" in put_back.out) == (0, True), put_back.said


@in_reactor
async def test_whoever_is_killed_before_a_backup_has_been_looked_at_leaves_nothing_to_begin_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, elsewhere = tmp_path / "backup.db", tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with journal_in(tmp_path) as journal:
        await fill(journal, 5)
    backed_up(journal_url(tmp_path), path)
    backup, target = opened(f"sqlite:///{path}"), opened(journal_url(elsewhere), create=True)
    seen: list[str] = []

    def looks(_backup: Database, _pragma: str) -> str:
        with target.reader.begin() as connection:
            seen.append(Facts(connection).arriving)
        return "ok"

    monkeypatch.setattr(backup_module, "_damage", looks)
    try:
        restore(backup, target, random_bytes=os.urandom, progress=lambda _: None)
    finally:
        backup.close()
        target.close()
    assert seen == [backup_module.RESTORING]


class Ended(Exception):
    """The process ended here."""


@pytest.mark.parametrize("step", ["upgrade", "write", "copy_spool", "compare", "forget_bytes"])
@in_reactor
async def test_wherever_putting_back_ends_no_node_starts_there_and_it_can_be_done_again(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, elsewhere = tmp_path / "backup.db", tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with journal_in(tmp_path) as journal:
        await fill(journal, 20)
        before = await journal.read(ledger)
    backed_up(journal_url(tmp_path), path)
    module = copying if hasattr(copying, step) and step not in ("upgrade", "copy_spool") else backup_module

    def ended(*_arguments: object, **_named: object) -> None:
        raise Ended

    def put_back() -> int:
        backup, target = opened(f"sqlite:///{path}"), opened(journal_url(elsewhere), create=True)
        try:
            return restore(backup, target, random_bytes=os.urandom, progress=lambda _: None).messages
        finally:
            backup.close()
            target.close()

    with monkeypatch.context() as patched:
        patched.setattr(module, step, ended)
        for _ in range(2):
            with pytest.raises(Ended):
                put_back()
    if step == "upgrade":
        assert not (elsewhere / "journal.db").exists(), "nothing that a node would take for a journal"
    else:
        with pytest.raises(JournalRefused, match="run `bridge journal restore` again"):
            async with journal_in(elsewhere):
                pass
        shown = bridge("status", "--journal", journal_url(elsewhere))
        assert (shown.status, "is not all there" in shown.err) == (3, True), shown.said
    assert put_back() == 20
    async with journal_in(elsewhere) as journal:
        assert await journal.read(ledger) == before
        assert journal.facts.starts == 2


class FullFrom:
    """A disk that has room for so many writes of SQLite only."""

    def __init__(self, writes: int) -> None:
        self.left = writes

    def before(self, kind: str) -> Fault | None:
        self.left -= kind == "write"
        return "full" if kind == "write" and self.left < 0 else None


@in_reactor
async def test_a_backup_onto_a_full_disk_says_so_and_leaves_nothing_wherever_it_ends(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await fill(journal, 5)
    to = tmp_path / "to"
    to.mkdir()
    path, writes, told = to / "backup.db", 0, []
    with installed(FaultyDisk(really_sync=True)) as disk:
        while not path.exists():
            disk.before = FullFrom(writes).before
            try:
                backed_up(journal_url(tmp_path), path)
            except JournalUnavailable as error:
                told.append((str(error), os.listdir(to)))
            writes += 1 + writes // 5
    said = f"{path} cannot be written: No space left on device; make room on its disk"
    assert told == [(said, [])] * len(told)
    assert len(told) > 5
    assert looked_at(path)[0] == []


@in_reactor
async def test_the_command_tells_of_a_backup_that_cannot_be_written(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await fill(journal, 5)
    (tmp_path / "to").mkdir()
    path = tmp_path / "to" / "backup.db"
    with files_of_at_most(65536):
        ended = bridge("journal", "backup", path, "--journal", journal_url(tmp_path))
    assert ended.status == 3
    assert f"bridge: {path} cannot be written: disk I/O error; look at its folder and its disk" in ended.err
    assert os.listdir(path.parent) == []
