"""Bytes of files beside the journal: as they came, sealed where bodies are, and where the journal goes."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from databases import journal_url
from journals import NOW_US, journal_in
from reactor_tests import in_reactor
from small_files import files_of_at_most
from test_journal_backup import looked_at

from bridge.errors import JournalRefused, JournalUnavailable, SpoolDamaged
from bridge.journal import backup
from bridge.journal.backup import back_up, restore
from bridge.journal.controls import RESUME, Control
from bridge.journal.copying import copy
from bridge.journal.database import Database
from bridge.journal.files_kept import done_with
from bridge.journal.legal_holds import HOLD, LegalHold
from bridge.journal.restored import PAUSED
from bridge.journal.sealing import Key, Keyring, Seals
from bridge.journal.spool import CHUNK_BYTES, GONE, INLINE_MAX_BYTES, Spool, Spooled
from bridge.journal.spool_copying import sealed_files
from bridge.journal.taken_files import TAKE_FILE, NewFile, chunks_of, newest_files

CHANCE = random.Random(11)
FIRST, SECOND = (Key.made(name, CHANCE.randbytes(32)) for name in ("first", "second"))
SEALS = {"plain": None, "sealed": Keyring((FIRST,))}
SIZES = (0, 1, INLINE_MAX_BYTES, INLINE_MAX_BYTES + 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 4711)
SECRET = b"KANARIE-IM-SCHACHT"


def spool_in(folder: Path, keyring: Keyring | None) -> Spool:
    return Spool(folder / "journal.db", Seals(keyring, CHANCE.randbytes))


def spooled(spool: Spool, content: bytes, name: str = "a") -> Spooled:
    incoming = spool.incoming(name)
    for start in range(0, len(content), 100_000):
        incoming.write(content[start : start + 100_000])
    return incoming.finish()


def read_all(spool: Spool, kept: Spooled) -> bytes:
    reading = spool.open(kept.kept, kept.chunks)
    try:
        return b"".join(iter(lambda: reading.read(70_000), b""))
    finally:
        reading.close()


@pytest.mark.parametrize("keyring", SEALS.values(), ids=SEALS)
@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_read_as_it_came_in_order_and_anywhere(
    tmp_path: Path, size: int, keyring: Keyring | None
) -> None:
    spool = spool_in(tmp_path, keyring)
    content = random.Random(size).randbytes(size)
    kept = spooled(spool, content)
    assert read_all(spool, kept) == content
    reading = spool.open(kept.kept, kept.chunks)
    chance = random.Random(size)
    for _ in range(20):
        at, length = chance.randrange(size + 1), chance.randrange(100_000)
        reading.file.seek(at)
        assert reading.file.read(length) == content[at : at + length]
    assert reading.file.seek(0, os.SEEK_END) == size
    reading.close()


@pytest.mark.parametrize(("keyring", "shown"), [(None, True), (SEALS["sealed"], False)], ids=SEALS)
def test_with_a_key_nothing_of_a_file_is_on_the_disk_as_it_came(
    tmp_path: Path, keyring: Keyring | None, shown: bool
) -> None:
    spool = spool_in(tmp_path, keyring)
    spooled(spool, SECRET * 40_000)
    scratch = spool.scratch("passing")
    scratch.write(SECRET * 40_000)
    scratch.flush()
    on_disk = [path.read_bytes() for path in spool.folder.iterdir()]
    on_disk.append(
        Path(f"/proc/self/fd/{scratch.fileno() if keyring is None else _inner(scratch)}").read_bytes()
    )
    assert [SECRET in each for each in on_disk] == [shown, shown]
    scratch.close()


def _inner(scratch: object) -> int:
    number: int = scratch.raw._file.fileno()  # type: ignore[attr-defined]
    return number


def test_what_is_only_passing_is_read_as_it_was_written(tmp_path: Path) -> None:
    content = random.Random(5).randbytes(300_000)
    scratch = spool_in(tmp_path, SEALS["sealed"]).scratch("passing")
    for start in range(0, len(content), 7_777):
        scratch.write(content[start : start + 7_777])
    for at, length in ((0, 300_000), (1, 15), (17, 100_000), (299_999, 10), (300_000, 5)):
        scratch.seek(at)
        assert scratch.read(length) == content[at : at + length]
    assert scratch.seek(-3, os.SEEK_END) == 299_997
    assert scratch.read() == content[-3:]
    scratch.close()


def _flip(data: bytearray) -> None:
    data[len(data) // 2] ^= 1


def _cut(data: bytearray) -> None:
    del data[-10:]


def _swap(data: bytearray) -> None:
    first = 4 + int.from_bytes(data[:4])
    data[:] = data[first:] + data[:first]


def _longer(data: bytearray) -> None:
    data += data[: 4 + int.from_bytes(data[:4])]


def _absurd(data: bytearray) -> None:
    data[:4] = b"\xff\xff\xff\xff"


@pytest.mark.parametrize("spoil", [_flip, _cut, _swap, _longer, _absurd])
@pytest.mark.parametrize("keyring", SEALS.values(), ids=SEALS)
def test_other_bytes_than_came_are_told(tmp_path: Path, spoil: object, keyring: Keyring | None) -> None:
    spool = spool_in(tmp_path, keyring)
    kept = spooled(spool, random.Random(3).randbytes(2 * CHUNK_BYTES))
    path = spool.path(kept.kept)
    data = bytearray(path.read_bytes())
    spoil(data)  # type: ignore[operator]
    path.write_bytes(data)
    if spoil in (_longer, _swap) and keyring is None:
        return  # there are no frames to be exchanged, and what stands behind the last chunk is never read
    with pytest.raises(SpoolDamaged):
        read_all(spool, kept)


def test_without_its_key_a_file_says_which_it_wants(tmp_path: Path) -> None:
    kept = spooled(spool_in(tmp_path, SEALS["sealed"]), bytes(2_000_000))
    other = spool_in(tmp_path, Keyring((SECOND,)))
    with pytest.raises(SpoolDamaged, match=FIRST.id.hex()):
        read_all(other, kept)


def new_file(kept: Spooled) -> NewFile:
    return NewFile(
        channel="adt",
        name="a.hl7",
        seen_as="",
        claim="one",
        peer="here",
        received_at_us=NOW_US,
        spooled=kept,
        resent="take",
        same_since_us=NOW_US,
        by_name=True,
        messages=(),
        settled=True,
    )


def opened(url: str, state: Path, *, create: bool = False) -> Database:
    return Database(url, create=create, random_bytes=os.urandom, state=state)


def backed_up(folder: Path, path: Path) -> None:
    source = opened(journal_url(folder), folder)
    try:
        back_up(
            source,
            path,
            at="2026-11-23T06:00:00Z",
            opened=lambda url: opened(url, folder, create=True),
            random_bytes=os.urandom,
            progress=lambda _: None,
        )
    finally:
        source.close()


def content_of(database: Database) -> bytes:
    """The bytes of the only file of a journal, from the spool beside it."""
    with database.reader.begin() as connection:
        [file] = newest_files(connection, channel=None, state=None, limit=5)
        chunks = chunks_of(connection, file.file_id)
    reading = Spool(database.beside, database.seals).open(file.kept, chunks)
    try:
        return b"".join(iter(lambda: reading.read(1_000_000), b""))
    finally:
        reading.close()


@pytest.mark.both_databases
@in_reactor
async def test_the_bytes_of_files_go_into_a_backup_out_of_it_and_to_another_database(tmp_path: Path) -> None:
    content, path = random.Random(1).randbytes(CHUNK_BYTES + 100), tmp_path / "backup.db"
    async with journal_in(tmp_path) as journal:
        kept = spooled(Spool(journal.database.beside, journal.database.seals), content)
        await journal.submit(TAKE_FILE, new_file(kept))
        backed_up(tmp_path, path)
    assert looked_at(path) == ([], 0)
    elsewhere, moved = tmp_path / "elsewhere", tmp_path / "moved"
    for folder in (elsewhere, moved):
        folder.mkdir()
    made = opened(f"sqlite:///{path}", tmp_path)
    target = opened(journal_url(elsewhere), elsewhere, create=True)
    restore(made, target, random_bytes=os.urandom, progress=lambda _: None)
    assert content_of(target) == content
    third = opened(f"sqlite:///{moved / 'journal.db'}", moved, create=True)
    copy(target, third, random_bytes=os.urandom, progress=lambda _table, _rows: None)
    assert content_of(third) == content
    for each in (made, target, third):
        each.close()
    [only] = (tmp_path / "backup.db.spool").iterdir()
    only.write_bytes(content[:-1] + b"!")
    assert looked_at(path)[0] == ["file 1: the spool has other bytes than came"]
    only.unlink()
    [wrong] = looked_at(path)[0]
    assert "cannot be read" in wrong


@in_reactor
async def test_bytes_that_went_while_a_backup_was_made_are_gone_in_it_and_lost_ones_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "backup.db"
    async with journal_in(tmp_path) as journal:
        spool = Spool(journal.database.beside)
        kept = spooled(spool, bytes(2_000_000))
        await journal.submit(TAKE_FILE, new_file(kept))
        spool.remove(kept.kept)
        with pytest.raises(JournalRefused, match="the bytes of 1 files are not in"):
            backed_up(tmp_path, path)
        assert not path.exists()
        # As where the journal lets go of a file while its pages are copied.
        monkeypatch.setattr(backup, "must_be_there", lambda *_: None)
        backed_up(tmp_path, path)
    assert looked_at(path) == ([], 0)
    made = opened(f"sqlite:///{path}", tmp_path)
    with made.reader.begin() as connection:
        assert [each.kept for each in newest_files(connection, channel=None, state=None, limit=5)] == [GONE]
    made.close()


@pytest.mark.both_databases
@in_reactor
async def test_where_the_bytes_of_files_have_no_room_nothing_of_a_backup_stays(tmp_path: Path) -> None:
    path = tmp_path / "to" / "backup.db"
    path.parent.mkdir()
    async with journal_in(tmp_path) as journal:
        kept = spooled(Spool(journal.database.beside, journal.database.seals), bytes(8 * 1024**2))
        await journal.submit(TAKE_FILE, new_file(kept))
    with files_of_at_most(4 * 1024**2), pytest.raises(JournalUnavailable) as told:
        backed_up(tmp_path, path)
    assert str(told.value) == f"{path} cannot be written: File too large; look at its folder and its disk"
    assert os.listdir(path.parent) == []
    backed_up(tmp_path, path)
    assert looked_at(path) == ([], 0)


@in_reactor
async def test_it_is_known_with_which_keys_files_are_sealed(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        for number, keyring in enumerate((None, Keyring((FIRST,)), Keyring((SECOND, FIRST)))):
            spool = Spool(journal.database.beside, Seals(keyring, CHANCE.randbytes))
            kept = spooled(spool, bytes(2_000_000), f"f{number}")
            await journal.submit(TAKE_FILE, replace(new_file(kept), claim=str(number)))
        found = await journal.read(sealed_files, spool)
    assert found == {None: 1, FIRST.id: 1, SECOND.id: 1}


@pytest.mark.both_databases
@in_reactor
async def test_under_a_legal_hold_the_bytes_of_files_stay(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        kept = spooled(Spool(journal.database.beside), bytes(2_000_000))
        took = await journal.submit(TAKE_FILE, new_file(kept))
        for begins in (True, False):
            hold = LegalHold("channel", "adt", NOW_US, "somebody", "a suit", begins)
            await journal.submit(HOLD, hold)
            found = await journal.read(done_with, "adt", NOW_US + 1, 10)
            assert found == ([] if begins else [(took.file.file_id, kept.kept)])


@pytest.mark.both_databases
@in_reactor
async def test_after_an_older_copy_was_put_back_the_bytes_of_files_stay_until_a_person_resumes(
    tmp_path: Path,
) -> None:
    async with journal_in(tmp_path) as journal:
        kept = spooled(Spool(journal.database.beside), bytes(2_000_000))
        took = await journal.submit(TAKE_FILE, new_file(kept))
        in_doubt = Control("channel", "adt", True, None, NOW_US, "bridge", "it was put back")
        await journal.submit(PAUSED, [in_doubt])
        assert await journal.read(done_with, "adt", NOW_US + 1, 10) == []
        assert await journal.submit(RESUME, in_doubt)
        assert await journal.read(done_with, "adt", NOW_US + 1, 10) == [(took.file.file_id, kept.kept)]
