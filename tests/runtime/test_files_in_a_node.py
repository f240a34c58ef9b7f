"""Files of a folder become delivered calls, each once."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from file_hospital import QUICK, drop, file_hospital, file_row, left_in, some, whole
from hostile_archives import HOSTILE_ZIPS
from nodes import entries
from reactor_tests import in_reactor, until
from shapes_held import holds
from test_commands import command
from twisted.internet.defer import Deferred

from bridge.delivery.files import FileState
from bridge.journal.spool import INLINE_MAX_BYTES
from bridge.runtime.commands import Commands
from bridge.runtime.file_commands import decide_about_files

pytestmark = pytest.mark.both_databases

QUIRKS = Path(__file__).parents[2] / "legacy_fixtures" / "quirks" / "files"


@in_reactor
async def test_messages_of_a_file_are_delivered_and_the_file_is_put_away(tmp_path: Path) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        messages = some(3)
        drop(folder, "adt.hl7", whole(messages))
        await until(lambda: left_in(folder) == ["done/adt.hl7"], "the file is put away")
        found = entries(await made.settled())
        assert found["delivered"] == 3
        assert (folder / "done" / "adt.hl7").read_bytes() == whole(messages)
        file = await file_row(made, 1)
        assert file is not None
        assert (file.state, file.messages, file.name) == (FileState.SPLIT, 3, "adt.hl7")


@in_reactor
async def test_a_file_that_comes_again_is_refused_and_told_why(tmp_path: Path) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        content = (QUIRKS / "sent_again.txt").read_bytes()
        drop(folder, "adt.hl7", content)
        await until((folder / "done" / "adt.hl7").exists, "the first is put away")
        drop(folder, "adt.hl7", content)
        await until((folder / "errors" / "adt.hl7").exists, "the second is refused")
        told = json.loads((folder / "errors" / "adt.hl7.reason.json").read_text())
        assert (told["reason"], told["number"]) == ("sent-before", 2)
        assert entries(await made.settled())["delivered"] == 2


@pytest.mark.only_sqlite
@in_reactor
async def test_an_empty_file_is_what_the_channel_says(tmp_path: Path) -> None:
    content = (QUIRKS / "empty.txt").read_bytes()
    for word, left in (("refuse", ["errors/a.hl7", "errors/a.hl7.reason.json"]), ("take", ["done/a.hl7"])):
        (tmp_path / word).mkdir()
        async with file_hospital(tmp_path / word, f"{QUICK}, empty: {word}") as (made, folder):
            drop(folder, "a.hl7", content)
            await until(lambda: left_in(folder) == left, "it is put away")  # noqa: B023
            assert (await made.settled()).received == {}
            if word == "refuse":
                assert json.loads((folder / "errors" / "a.hl7.reason.json").read_text())["reason"] == "empty"


def _zipped(**contents: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return made.getvalue()


@pytest.mark.only_sqlite
@in_reactor
async def test_a_packed_file_of_nothing_is_empty_too(tmp_path: Path) -> None:
    for decoder, content in (
        ("zip", _zipped()),
        ("zip", _zipped(a=b"", b=b"")),
        ("gzip", gzip.compress(b"")),
    ):
        for word, left in (("refuse", ["errors/a", "errors/a.reason.json"]), ("take", ["done/a"])):
            options = f"{QUICK}, decode: [{{{decoder}: {{}}}}], empty: {word}"
            below = tmp_path / f"{word}-{decoder}-{len(content)}"
            below.mkdir()
            async with file_hospital(below, options) as (made, folder):
                drop(folder, "a", content)
                await until(lambda: left_in(folder) == left, "it is put away")  # noqa: B023
                assert (await made.settled()).received == {}
                if word == "refuse":
                    told = json.loads((folder / "errors" / "a.reason.json").read_text())
                    assert told["reason"] == "empty"


@pytest.mark.only_sqlite
@in_reactor
async def test_hostile_archives_are_refused_one_by_one_and_write_nothing_elsewhere(tmp_path: Path) -> None:
    options = f"{QUICK}, max_decoded: 4MiB, decode: [{{zip: {{max_entries: 100}}}}]"
    async with file_hospital(tmp_path, options) as (made, folder):
        archives = [data for data, _ in HOSTILE_ZIPS.values()]
        assert len(archives) >= 25
        before = elsewhere(tmp_path)
        for number, data in enumerate(archives):
            drop(folder, f"{number}.zip", data)
        drop(folder, "last.zip", (QUIRKS / "packed_many.zip").read_bytes())
        await until((folder / "done" / "last.zip").exists, "the good one is put away")
        wanted = {
            f"errors/{number}.zip{end}" for number in range(len(archives)) for end in ("", ".reason.json")
        }
        assert set(left_in(folder)) == {"done/last.zip", *wanted}
        assert elsewhere(tmp_path) == before
        assert entries(await made.settled()) == {"delivered": 4}


@in_reactor
async def test_a_person_decides_about_a_file_that_came_before(tmp_path: Path) -> None:
    async with file_hospital(tmp_path, f"{QUICK}, resent: quarantine") as (made, folder):
        content = whole(some(2))
        for number in (1, 2, 3):
            drop(folder, "adt.hl7", content)
            await until(lambda: len(list((folder / "done").glob("*"))) == number, "it is put away")  # noqa: B023
        assert made.node is not None
        node, parts = made.node, made.node.parts
        commands = Commands(parts, node.traffic, node.reload, node.stages, node.approving)
        said = await commands("user:ada", "files", {"ids": [2], "reason": "on purpose"})
        assert said == {"done": ["file 2: 2 messages taken in"]}
        for command in ("files take", "files discard"):
            holds(command, said)
        assert (await decide_about_files(parts, [3], "user:ada", "by mistake", discard=True))[1] == ""
        assert "cannot become" in (await decide_about_files(parts, [3], "user:ada", "x", discard=False))[1]
        assert "no file 9" in (await decide_about_files(parts, [9], "user:ada", "x", discard=False))[1]
        assert entries(await made.settled())["delivered"] == 4
        states = [await file_row(made, number) for number in (1, 2, 3)]
        assert [file and file.state for file in states] == ["SPLIT", "SPLIT", "DISCARDED"]


@in_reactor
async def test_a_file_that_failed_is_worried_about_until_a_person_has_decided(tmp_path: Path) -> None:
    async with file_hospital(tmp_path, f"{QUICK}, decode: [{{gzip: {{}}}}]") as (made, folder):
        drop(folder, "adt.hl7.gz", b"no archive")
        await until((folder / "errors" / "adt.hl7.gz").exists, "it is put away")
        worry = "1 file of ehr-adt failed: `bridge files list --state FAILED`"
        assert worry in await command(made, "status", "--check", status=1)
        failed = await file_row(made, 1)
        assert "file 1 is discarded" in await command(made, "files", "discard", 1, "--reason", "none of ours")
        ended = await file_row(made, 1)
        assert failed is not None
        assert ended is not None
        assert (ended.state, ended.reason) == (FileState.DISCARDED, failed.reason)
        assert "all is well" in await command(made, "status", "--check")


@pytest.mark.only_sqlite
@in_reactor
async def test_a_list_of_files_shows_where_a_long_name_is_cut(tmp_path: Path) -> None:
    names = ("a" * 56 + ".hl7", "b" * 57 + ".hl7")
    async with file_hospital(tmp_path) as (made, folder):
        for number, name in enumerate(names):
            drop(folder, name, whole(some(1 + number)))
            await until((folder / "done" / name).exists, "it is put away")
        shown = await command(made, "files", "list")
        assert names[0] in shown
        assert "b" * 57 + ".h…" in shown
        assert names[1] not in shown


@in_reactor
async def test_bytes_go_when_their_time_is_over_and_a_missed_file_is_told(tmp_path: Path) -> None:
    rules = f"{QUICK}, keep_for: 100ms, expect_every: 100ms"
    async with file_hospital(tmp_path, rules) as (made, folder):
        large = whole(some(2)) + b"ZZZ|" + b"x" * INLINE_MAX_BYTES + b"\r"
        drop(folder, "adt.hl7", large)
        await until(lambda: left_in(folder) == ["done/adt.hl7"], "it is put away")
        assert made.node is not None
        spool = made.node.parts.spool.folder
        assert len(list(spool.iterdir())) == 1
        tending = made.node.parts.tending["ehr-adt"]

        def gone() -> bool:
            Deferred.fromCoroutine(tending.look())
            return not list(spool.iterdir())

        await until(gone, "its bytes are gone")
        assert made.node.metrics.files_overdue.labels("ehr-adt")._value.get() == 1
        done, refused = await decide_about_files(made.node.parts, [1], "user:ada", "x", discard=False)
        assert done == []
        assert "not kept any more" in refused


@pytest.mark.parametrize(
    ("decode", "name", "packed"),
    [
        ("[{gzip: {}}]", "adt.hl7.gz", lambda files: gzip.compress(b"".join(files))),
        ("[{zip: {}}]", "adt.zip", lambda files: zipped(files)),  # noqa: PLW0108 - it stands below
        ("[{gzip: {}}, {text: {charset: cp500}}]", "a.gz", lambda files: gzip.compress(ebcdic(files))),
    ],
    ids=["gzip", "zip", "ebcdic"],
)
@in_reactor
async def test_a_packed_file_is_taken_apart(
    tmp_path: Path, decode: str, name: str, packed: Callable[[list[bytes]], bytes]
) -> None:
    async with file_hospital(tmp_path, f"{QUICK}, decode: {decode}") as (made, folder):
        drop(folder, name, packed([whole(some(2)), whole(some(2, first=5))]))
        await until(lambda: left_in(folder) == [f"done/{name}"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 4}


def elsewhere(folder: Path) -> set[str]:
    """Every path below a folder but for what is the journal's and where files come in."""
    paths = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {path for path in paths if not path.startswith(("incoming/", "var/"))}


def zipped(files: list[bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(files):
            archive.writestr(f"folder/{number}.hl7", content)
    return written.getvalue()


def ebcdic(files: list[bytes]) -> bytes:
    return b"".join(files).decode().encode("cp500")
