"""Files: whole under their name or not there, never overwritten, and found again by the same delivery."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from http_peers import NOW_US, no_secrets
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from reactor_tests import in_reactor

from bridge.component import SEND_ORIGINAL, OperationOptions
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations import file_out_writing
from bridge.destinations.base import Origin, RequestRefused
from bridge.destinations.file_out import FileOut, FileOutOptions, OutFolder, build
from bridge.destinations.files_out import NAME_MAX_BYTES, FileOperation, is_safe_name
from bridge.destinations.partial_files import partial_name
from bridge.message import Record

KEY = "0a1b2c3d-17-1"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORIGIN = Origin("adt", 17)
NAME = "{channel}-{message_id}-{delivery}.hl7"
FILE = f"adt-17-{KEY}.hl7"
BODY = b"MSH|^~\\&|A|B|C|D|20240102||ADT^A01|C1|P|2.5\r\xff\x00\nPID|1\r"
WRITTEN = Outcome(Verdict.DELIVERED, "written")
ORIGINAL = {SEND_ORIGINAL: OperationOptions.model_validate({})}
RECORDS = {"writePatient": FileOperation.model_validate({"send_only": ["key", "family", "ward"]})}


@asynccontextmanager
async def folder(
    directory: Path, operations: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[FileOut]:
    read = FileOutOptions.model_validate({"file": {"directory": str(directory), "name": NAME, **options}})
    made = build(read, operations or ORIGINAL, None, no_secrets, lambda: NOW_US)
    try:
        yield made
    finally:
        await made.close()


async def put(out: FileOut, body: bytes = BODY, *, key: str = KEY) -> Outcome:
    request = out.prepare(SEND_ORIGINAL, body, ORIGIN)
    return await out.send(request, idempotency_key=key, traceparent=TRACEPARENT)


@in_reactor
async def test_a_message_becomes_a_file_of_just_its_bytes(tmp_path: Path) -> None:
    async with folder(tmp_path) as out:
        assert await put(out) == WRITTEN
    assert os.listdir(tmp_path) == [FILE]
    assert (tmp_path / FILE).read_bytes() == BODY
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o640


@in_reactor
async def test_a_record_becomes_a_line_of_json_with_the_listed_fields_alone(tmp_path: Path) -> None:
    record = Record("patient", "P-1", "upsert", {"family": "DOE", "ssn": "not to be sent", "ward": None})
    async with folder(tmp_path, RECORDS, name="{operation}-{delivery}.json", permissions="0600") as out:
        request = out.prepare("writePatient", record, ORIGIN)
        assert await out.send(request, idempotency_key=KEY, traceparent=TRACEPARENT) == WRITTEN
    (path,) = [tmp_path / name for name in os.listdir(tmp_path)]
    assert path.name == f"writePatient-{KEY}.json"
    assert path.read_bytes() == b'{"family":"DOE","key":"P-1","ward":null}\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@in_reactor
async def test_the_same_delivery_once_more_finds_its_own_file(tmp_path: Path) -> None:
    async with folder(tmp_path) as out:
        assert await put(out) == WRITTEN
        before = (tmp_path / FILE).stat()
    async with folder(tmp_path) as out:  # as after a crash: nothing is known but what lies there
        assert await put(out) == Outcome(Verdict.DELIVERED, "written-before")
        after = (tmp_path / FILE).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert os.listdir(tmp_path) == [FILE]


@in_reactor
async def test_two_deliveries_of_the_same_bytes_are_two_files(tmp_path: Path) -> None:
    async with folder(tmp_path) as out:
        assert [await put(out, key=f"0a1b2c3d-{n}-1") for n in (1, 2)] == [WRITTEN, WRITTEN]
    assert len(os.listdir(tmp_path)) == 2


def _directory(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    target = path.parent.parent / "elsewhere"
    target.write_bytes(BODY)
    path.symlink_to(target)


def _broken_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "nowhere")


def _longer(path: Path) -> None:
    path.write_bytes(BODY + b"x")


def _other(path: Path) -> None:
    path.write_bytes(b"x" * len(BODY))


@pytest.mark.parametrize("occupy", [_directory, _pipe, _link, _broken_link, _longer, _other])
@in_reactor
async def test_what_has_the_name_already_is_never_overwritten(tmp_path: Path, occupy: Any) -> None:
    target = tmp_path / "out"
    target.mkdir()
    occupy(target / FILE)
    before = (target / FILE).lstat()
    async with folder(target) as out:
        assert await put(out) == Outcome(Verdict.POISON, "name-taken")
    after = (target / FILE).lstat()
    assert (before.st_ino, before.st_size, before.st_mtime_ns) == (
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
    )
    assert os.listdir(target) == [FILE]
    assert not (tmp_path / "nowhere").exists()


@in_reactor
async def test_a_temporary_file_of_a_process_that_ended_is_in_nobodys_way(tmp_path: Path) -> None:
    async with folder(tmp_path) as out:
        await put(out)
    (tmp_path / FILE).unlink()
    seen: list[str] = []
    link = os.link

    def died(source: str, *rest: Any, **more: Any) -> None:
        seen.append(source)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", died)
        with pytest.raises(KeyboardInterrupt):
            file_out_writing.write_once(file_out_writing.Folder(str(tmp_path), 0o640, True), FILE, b"half", 1)
    assert os.listdir(tmp_path) == seen
    assert seen[0].startswith(".")
    assert os.link is link
    another = tmp_path / partial_name("adt-17-another.hl7", 1)
    another.touch()
    async with folder(tmp_path) as out:
        assert await put(out) == WRITTEN
    assert (tmp_path / FILE).read_bytes() == BODY
    assert set(os.listdir(tmp_path)) == {FILE, another.name}, "only what is of this file goes"


FOLDERS = [
    ("missing", lambda path: None, Outcome(Verdict.HOLD, "folder-missing")),
    ("a file", lambda path: path.write_bytes(b""), Outcome(Verdict.HOLD, "folder-missing")),
    (
        "a symbolic link",
        lambda path: path.symlink_to(path.parent, target_is_directory=True),
        Outcome(Verdict.HOLD, "folder-missing"),
    ),
]


@pytest.mark.parametrize(("make", "outcome"), [row[1:] for row in FOLDERS], ids=[row[0] for row in FOLDERS])
@in_reactor
async def test_a_folder_that_is_none_holds_the_call(tmp_path: Path, make: Any, outcome: Outcome) -> None:
    make(tmp_path / "out")
    async with folder(tmp_path / "out") as out:
        assert await put(out) == outcome


DISK = [
    ("open", errno.EACCES, Outcome(Verdict.HOLD, "no-right-to-write")),
    ("open", errno.EROFS, Outcome(Verdict.HOLD, "disk-read-only")),
    ("open", errno.ENOSPC, Outcome(Verdict.RETRY, "disk-full")),
    ("open", errno.EMFILE, Outcome(Verdict.RETRY, "write-failed")),
    ("write", errno.ENOSPC, Outcome(Verdict.RETRY, "disk-full")),
    ("write", errno.EDQUOT, Outcome(Verdict.RETRY, "disk-full")),
    ("write", errno.EIO, Outcome(Verdict.RETRY, "write-failed")),
    ("fsync", errno.EIO, Outcome(Verdict.RETRY, "write-failed")),
    ("link", errno.ENOSPC, Outcome(Verdict.RETRY, "disk-full")),
    ("link", errno.EPERM, Outcome(Verdict.HOLD, "no-hard-links")),
    ("fsync of the folder", errno.EIO, Outcome(Verdict.AMBIGUOUS, "write-unconfirmed")),
]


@pytest.mark.parametrize(("step", "number", "outcome"), DISK)
@in_reactor
async def test_a_disk_that_fails_at_a_step_leaves_no_half_file_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int, outcome: Outcome
) -> None:
    """The disk is not asked to be full: the system calls of this one module fail as they would then."""
    opened = os.open
    whole = step == "fsync of the folder"

    def fails(*arguments: Any, **more: Any) -> Any:
        if step == "open" and "dir_fd" not in more:
            return opened(*arguments, **more)
        if whole and stat.S_ISREG(os.fstat(arguments[0]).st_mode):
            return None
        raise OSError(number, "planted")

    async with folder(tmp_path) as out:
        with monkeypatch.context() as broken:
            broken.setattr(os, step.partition(" ")[0], fails)
            assert await put(out) == outcome
        assert os.listdir(tmp_path) == ([FILE] if whole else [])
        assert (await put(out)).verdict is Verdict.DELIVERED
    assert os.listdir(tmp_path) == [FILE]


@in_reactor
async def test_without_fsync_no_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: int) -> None:
        raise AssertionError("asked to wait for the disk")

    monkeypatch.setattr(os, "fsync", never)
    async with folder(tmp_path, fsync=False) as out:
        assert await put(out) == WRITTEN


NAMES = [
    ("no delivery in it", "{channel}.hl7", "{delivery}"),
    ("another folder", "../{delivery}", "letters, digits"),
    ("a folder below", "a/{delivery}", "letters, digits"),
    ("an absolute path", "/{delivery}", "letters, digits"),
    ("a backslash", "a\\{delivery}", "letters, digits"),
    ("a NUL", "\0{delivery}", "letters, digits"),
    ("a line break", "{delivery}\n", "letters, digits"),
    ("a field of the message", "{key}-{delivery}", "letters, digits"),
    ("an attribute", "{channel.__class__}-{delivery}", "letters, digits"),
    ("a hidden file", ".{delivery}", "one file"),
    ("two dots", "a..{delivery}", "one file"),
    ("a dot at its end", "{delivery}.", "one file"),
    ("a device", "NUL.{delivery}", "one file"),
    ("a device in small letters", "com1.{delivery}", "one file"),
    ("too long", "a" * 200 + "{delivery}", "one file"),
]


@pytest.mark.parametrize(("name", "words"), [row[1:] for row in NAMES], ids=[row[0] for row in NAMES])
def test_a_name_that_is_not_one_file_in_the_folder_is_refused(name: str, words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        OutFolder.model_validate({"directory": "/var/spool/out", "name": name})


@pytest.mark.parametrize("directory", ["out", "", "./out", "/var/../etc", "/var/\0"])
def test_a_folder_that_is_not_absolute_is_refused(directory: str) -> None:
    with pytest.raises(ValidationError, match="absolute path"):
        OutFolder.model_validate({"directory": directory, "name": NAME})


@given(st.text(max_size=300))
def test_a_safe_name_is_one_plain_name(name: str) -> None:
    if is_safe_name(name):
        assert len(os.fsencode(name)) <= NAME_MAX_BYTES
        assert Path("/out", name).parent == Path("/out")
        assert name == os.path.basename(name)
        assert not name.startswith(".")


REQUESTS = [
    b"",
    b"{}",
    b"{}\nx",
    b'{"channel":"adt","message_id":17,"operation":"send"}',
    b'{"channel":"../adt","message_id":17,"operation":"send"}\nx',
    b'{"channel":"adt/x","message_id":17,"operation":"send"}\nx',
    b'{"channel":"adt","message_id":"17","operation":"send"}\nx',
    b'{"channel":"adt","message_id":17,"operation":"other"}\nx',
]


@pytest.mark.parametrize("request_bytes", REQUESTS)
@in_reactor
async def test_a_request_that_is_none_writes_nothing(tmp_path: Path, request_bytes: bytes) -> None:
    async with folder(tmp_path) as out:
        outcome = await out.send(request_bytes, idempotency_key=KEY, traceparent=TRACEPARENT)
    assert outcome.verdict in {Verdict.POISON, Verdict.HOLD}
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("key", ["", "../x", "a/b", "a..b", "x" * 65, "a\0"])
@in_reactor
async def test_a_delivery_that_makes_no_name_writes_nothing(tmp_path: Path, key: str) -> None:
    async with folder(tmp_path) as out:
        assert (await put(out, key=key)).verdict is Verdict.POISON
    assert os.listdir(tmp_path) == []


REFUSED = [
    (ORIGINAL, SEND_ORIGINAL, Record("patient", "1", "upsert", {}), "takes messages"),
    (RECORDS, "writePatient", b"MSH", "takes records"),
    (RECORDS, "other", Record("patient", "1", "upsert", {}), "no operation other"),
    (ORIGINAL, SEND_ORIGINAL, b"x" * 101, "max_size, 100 bytes"),
    (RECORDS, "writePatient", Record("patient", "1", "upsert", {"family": "\ud800"}), "send_only"),
]


@pytest.mark.parametrize(("operations", "operation", "content", "words"), REFUSED)
@in_reactor
async def test_what_cannot_be_a_file_is_refused(
    tmp_path: Path, operations: dict[str, Any], operation: str, content: Any, words: str
) -> None:
    async with folder(tmp_path, operations, max_size="100B") as out:
        with pytest.raises(RequestRefused, match=words):
            out.prepare(operation, content, ORIGIN)


@in_reactor
async def test_closing_waits_for_files_under_way_and_begins_none(tmp_path: Path) -> None:
    async with folder(tmp_path) as out:
        assert await put(out) == WRITTEN
        await out.close()
        assert await put(out, key="later") == Outcome(Verdict.RETRY, "closing")
    assert os.listdir(tmp_path) == [FILE]
    assert orjson.loads(out.prepare(SEND_ORIGINAL, b"", ORIGIN))["message_id"] == 17


@in_reactor
async def test_a_marker_stands_beside_each_file_once_it_is_whole(tmp_path: Path) -> None:
    async with folder(tmp_path, marker=".ok") as out:
        for _ in range(2):  # the second finds the file, and the marker that was taken away is there again
            assert (await put(out)).verdict is Verdict.DELIVERED
            assert sorted(os.listdir(tmp_path)) == [FILE, f"{FILE}.ok"]
            (tmp_path / f"{FILE}.ok").unlink()


@pytest.mark.parametrize("marker", ["ok", ".", "../x", ".o k", "." + "x" * 40])
def test_a_marker_is_an_ending_and_nothing_else(tmp_path: Path, marker: str) -> None:
    with pytest.raises(ValidationError):
        OutFolder.model_validate({"directory": str(tmp_path), "name": NAME, "marker": marker})
