"""A folder of this machine: what is seen, claimed, read and put away, under hostile names and after
crashes."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fewer_rights import folder_of_nobody, without_rights

from bridge.errors import PeerUnavailable
from bridge.transports.base import Fate, FileChanged, FileUnusable, Odd, printable
from bridge.transports.collecting import Claimed, End
from bridge.transports.collecting_options import CollectingOptions
from bridge.transports.file_drop_folder import LocalFolder
from bridge.transports.watching import Ready, Rules, Watch

GOOD = End(Fate(7, good=True), None)
BAD = End(Fate(8, good=False, reason="empty"), b'{"reason": "empty"}\n')
MARKED = {"finished": "marker"}
AT_ONCE = {"finished": "renamed", "temporary": ["*.tmp"]}


class Journal:
    """What a journal does for claims: knows each once."""

    def __init__(self) -> None:
        self.taken: dict[str, bytes] = {}

    def take(self, claim: str, content: bytes) -> Fate:
        if claim not in self.taken:
            self.taken[claim] = content
        return Fate(list(self.taken).index(claim) + 1, good=True)


class Run:
    """One life of a bridge on a folder, step by step, in this thread."""

    def __init__(self, folder: Path, journal: Journal, **more: Any) -> None:
        options = CollectingOptions.model_validate(more)
        self.place = LocalFolder(str(folder), options)
        self.journal = journal
        self._watch = Watch(
            Rules(
                finished=options.finished, temporary=options.temporary, hold_back_s=0, markers=options.markers
            )
        )
        self._words = 0

    def round(self, owner: str = "us-") -> None:
        for claimed in self.place.claims(owner):
            self._take(claimed)
        ready, _ = self._watch.look(self.place.look()[0], 0.0)
        for each in ready:
            self._words += 1
            if (mine := self.place.claim(each, f"{owner}{os.urandom(4).hex()}")) is not None:
                self._take(mine)

    def _take(self, claimed: Any) -> None:
        incoming = self.place.open(claimed)
        try:
            content = b""
            while data := incoming.read(1024):
                content += data
        finally:
            incoming.close()
        self.place.put_away(claimed, End(self.journal.take(claimed.claim, content), None))


def left(folder: Path) -> list[bytes]:
    """Every path below a folder, as bytes."""
    found = []
    for below, folders, files in os.walk(os.fsencode(folder)):
        found += [
            os.path.relpath(os.path.join(below, name), os.fsencode(folder)) for name in (*files, *folders)
        ]
    return sorted(found)


NAMES: tuple[bytes, ...] = (
    b"plain.hl7", b"with space.hl7", b" leading", b"trailing ", b"tab\tname", b"new\nline.hl7", b"cr\rname",
    b"bell\x07", b"escape\x1b[31m.hl7", b"del\x7f", b"-rf", b"--help", b"-", b"~", b"~root", b"$HOME",
    b"$(id)", b"`id`", b";id", b"|id", b"&", b"a&&b", b"*", b"?", b"[a-z]", b"{a,b}", b"!x", b"#x", b"%00",
    b"%2e%2e%2fx",
    b"..%2f..%2fetc", b"...", b"....", b"..hidden", b".hidden.hl7", b"dots..in..name", b"\\..\\..\\x", b"C:",
    b"C:\\x", b"CON", b"NUL.hl7", b"COM1", b"LPT1.txt", b"a:b", b"a\"b", b"a'b", b"a<b>c", b"a\\nb",
    b"\xff\xfe", b"latin-\xe4.hl7", b"\xc0\xae\xc0\xae", "ümläut.hl7".encode(), "e\u0301.hl7".encode(),
    "\u202egnp.exe".encode(), "zero\u200bwidth".encode(), "\ufeffbom".encode(), "emoji\U0001f600".encode(),
    "full\uff0fwidth".encode(), "\u2024\u2024".encode(), b"n" * 255, ("ä" * 127).encode(), b"x.reason.json",
    b"x.hl7.ok.ok", b"'; DROP TABLE taken_files; --", b"<script>", b"{}", b"x.part.hl7",
)  # fmt: skip


def test_files_of_hostile_names_are_taken_once_and_nothing_is_written_outside(tmp_path: Path) -> None:
    assert len(NAMES) >= 60
    folder, outside = tmp_path / "in", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    for name in NAMES:
        Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_bytes(name)
    (folder / "link").symlink_to(outside / "secret")
    (folder / "folder-link").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    before = left(outside)
    run = Run(folder, Journal(), **AT_ONCE)
    run.round()
    assert sorted(run.journal.taken.values()) == sorted(NAMES)
    done = {path.removeprefix(b"done/") for path in left(folder) if path.startswith(b"done/")}
    assert done == set(NAMES)
    assert (left(outside), (outside / "secret").read_text()) == (before, "secret")
    assert {path for path in left(tmp_path) if not path.startswith((b"in", b"outside"))} == set()
    assert run.place.look()[1].count == 3, "links and pipes are odd, and stay"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_in_characters_that_do_no_harm(name: bytes) -> None:
    shown = printable(os.fsdecode(name))
    assert shown.isprintable()
    assert shown.encode("utf-8")


def test_a_target_that_was_exchanged_for_a_link_is_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "done").symlink_to(outside)
    (folder / "a.hl7").write_bytes(b"x")
    run = Run(folder, Journal(), **AT_ONCE)
    with pytest.raises(FileUnusable, match="the folder done: "):
        run.round()
    assert left(outside) == []


def test_a_file_with_a_second_name_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "in"
    folder.mkdir()
    os.link(tmp_path / "secret", folder / "a.hl7")
    run = Run(folder, Journal(), **AT_ONCE)
    run.round()
    assert run.journal.taken == {}
    (tmp_path / "secret").unlink()
    run.round()
    assert list(run.journal.taken.values()) == [b"secret"]


MARKED_FILES = Path(__file__).parents[2] / "legacy_fixtures" / "quirks" / "files" / "marked"


def test_files_go_with_their_markers_however_these_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(MARKED_FILES, folder)
    run = Run(folder, Journal(), **MARKED)
    run.round()
    assert sorted(path for path in left(folder) if path.startswith(b"done/")) == [
        b"done/counted.csv",
        b"done/full.csv",
        b"done/nothing.csv",
        b"done/stem.csv",
    ]
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["alone.csv.ok", "not_yet.csv"]
    names = ("counted.csv", "full.csv", "nothing.csv", "stem.csv")
    assert sorted(run.journal.taken.values()) == sorted((MARKED_FILES / name).read_bytes() for name in names)


class Crash(BaseException):
    """The process ends here."""


STEPS = ("mkdir", "rename", "link", "unlink", "rmdir")


def crashing(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], bool]:
    """End the process at the n-th step that changes the folder; tells whether it came to that."""
    count = [0]

    def wrapped(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            count[0] += 1
            if count[0] == at:
                raise Crash
            return step(*arguments, **more)

        return call

    for name in STEPS:
        monkeypatch.setattr(os, name, wrapped(getattr(os, name)))
    return lambda: count[0] >= at


@pytest.mark.parametrize("rules", [MARKED, AT_ONCE], ids=["marker", "renamed"])
def test_a_crash_at_any_step_loses_nothing_and_takes_nothing_twice(
    tmp_path: Path, rules: dict[str, Any]
) -> None:
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        (folder / "sub").mkdir(parents=True)
        names = ["a.hl7", "sub/b.hl7"]
        for name in names:
            (folder / name).write_bytes(name.encode())
            if rules is MARKED:
                (folder / name).with_suffix(".ok").touch()
        journal = Journal()
        with pytest.MonkeyPatch.context() as monkeypatch:
            crashed = crashing(monkeypatch, at)
            with pytest.raises(Crash) if at < 1000 else pytest.raises(AssertionError) as caught:
                Run(folder, journal, depth=1, **rules).round()
                raise Crash from None
            assert caught is not None
            ended = not crashed()
        for _ in range(2):
            Run(folder, journal, depth=1, **rules).round()
        assert sorted(journal.taken.values()) == [name.encode() for name in names], f"step {at}"
        files = [path for path in left(folder) if not (folder / os.fsdecode(path)).is_dir()]
        assert files == [b"done/a.hl7", b"done/sub/b.hl7"], f"step {at}"
        if ended:
            break
    assert at > 10, "nothing crashed: this shows nothing"


def test_a_folder_that_is_deleted_and_comes_back_is_looked_at_again(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    run = Run(folder, Journal(), **AT_ONCE)
    with pytest.raises(PeerUnavailable):
        run.round()
    folder.mkdir()
    (folder / "a.hl7").write_bytes(b"x")
    run.round()
    assert len(run.journal.taken) == 1


def test_a_target_on_another_file_system_gets_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_device(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    folder, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "a.hl7").write_bytes(b"x" * 3_000_000)
    monkeypatch.setattr(os, "link", other_device)
    Run(folder, Journal(), done=str(elsewhere), **AT_ONCE).round()
    assert (elsewhere / "a.hl7").stat().st_size == 3_000_000
    assert left(elsewhere) == [b"a.hl7"]


def test_what_has_no_room_where_it_goes_stays_claimed_and_goes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.hl7").write_bytes(b"x")
    run = Run(folder, Journal(), **AT_ONCE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "link", full)
        with pytest.raises(FileUnusable, match="No space left"):
            run.round()
    assert len(run.journal.taken) == 1
    run.round()
    assert left(folder / "done") == [b"a.hl7"]
    assert len(run.journal.taken) == 1


def test_what_the_bridge_moves_is_no_news_and_a_folder_below_tells_of_its_files(tmp_path: Path) -> None:
    folder, told = tmp_path / "in", threading.Event()
    (folder / "x").mkdir(parents=True)
    run = Run(folder, Journal(), depth=1, **AT_ONCE)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for number in range(40):
            (folder / "x" / f"{number}.hl7").write_bytes(b"%d" % number)
            run.round()
            run.place.watch(told.set)
        assert {path for path, _ in run.place._watched} == {str(folder), str(folder / "x")}
        shutil.rmtree(folder / "x")
        run.round()
        run.place.watch(told.set)
        (folder / "y").mkdir()
        run.round()
        run.place.watch(told.set)
        assert {path for path, _ in run.place._watched} == {str(folder), str(folder / "y")}
        told.clear()
        (folder / "y" / "a.hl7").write_bytes(b"x")
        assert told.wait(60)
        run.place.close()
    assert [str(each.message) for each in warned] == []
    assert len(run.journal.taken) == 40


def unclaimed(folder: Path, **more: Any) -> tuple[LocalFolder, list[Claimed]]:
    """A folder whose files are taken where they lie, and what a look shows."""
    place = LocalFolder(str(folder), CollectingOptions.model_validate({"claim": False, **more}))
    return place, [Claimed(seen, None) for seen in sorted(place.look()[0], key=lambda seen: seen.name)]


def replace(path: Path, content: bytes) -> None:
    """Another file under the same name, at once."""
    path.with_name("coming.tmp").write_bytes(content)
    path.with_name("coming.tmp").rename(path)


@pytest.mark.parametrize("after", ["move", "delete"])
@pytest.mark.parametrize("end", [GOOD, BAD], ids=["taken", "failed"])
def test_a_file_that_came_under_the_same_name_while_one_was_taken_stays(
    tmp_path: Path, after: str, end: End
) -> None:
    (tmp_path / "a.hl7").write_bytes(b"first")
    place, [claimed] = unclaimed(tmp_path, after=after)
    incoming = place.open(claimed)
    assert incoming.read(100) == b"first"
    assert incoming.unchanged()
    replace(tmp_path / "a.hl7", b"other")
    incoming.close()
    assert place.put_away(claimed, end) is None
    assert left(tmp_path) == [b"a.hl7"]
    [now] = place.look()[0]
    assert now.as_text != claimed.seen.as_text
    assert place.put_away(Claimed(now, None), end) is not None or after == "delete"
    assert not (tmp_path / "a.hl7").exists()


def test_a_file_that_is_another_than_was_seen_is_not_read_as_that(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(b"first")
    place, [claimed] = unclaimed(tmp_path)
    replace(tmp_path / "a.hl7", b"other")
    with pytest.raises(FileChanged):
        place.open(claimed)


def test_a_file_that_comes_while_one_is_copied_to_another_file_system_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_device(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    def copied(_: int) -> None:
        replace(folder / "a.hl7", b"other")

    folder, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "a.hl7").write_bytes(b"first")
    place, [claimed] = unclaimed(folder, done=str(elsewhere))
    monkeypatch.setattr(os, "link", other_device)
    monkeypatch.setattr(os, "fsync", copied)
    place.put_away(claimed, GOOD)
    assert (elsewhere / "a.hl7").read_bytes() == b"first"
    assert (folder / "a.hl7").read_bytes() == b"other"


@pytest.mark.parametrize("new_marker", [True, False])
def test_the_marker_of_a_file_that_came_meanwhile_stays_and_the_one_before_it_goes(
    tmp_path: Path, *, new_marker: bool
) -> None:
    for name in ("a.hl7", "a.ok"):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (1000, 1000))
    place, claims = unclaimed(tmp_path, **MARKED)
    claimed = Claimed(claims[0].seen, None, "a.ok")
    replace(tmp_path / "a.hl7", b"other")
    if new_marker:
        (tmp_path / "a.ok").touch()
    place.put_away(claimed, GOOD)
    assert left(tmp_path) == ([b"a.hl7", b"a.ok"] if new_marker else [b"a.hl7"])


@pytest.mark.parametrize("claim", [True, False])
@pytest.mark.parametrize("why", ["link", "file", "not mounted"])
def test_a_file_whose_target_cannot_be_there_is_told_and_goes_once_it_can(
    tmp_path: Path, why: str, *, claim: bool
) -> None:
    folder, done = tmp_path / "in", tmp_path / "in" / "done"
    (tmp_path / "elsewhere").mkdir()
    folder.mkdir()
    (folder / "a.hl7").write_bytes(b"x")
    if why == "link":
        done.symlink_to(tmp_path / "elsewhere")
    elif why == "file":
        done.write_bytes(b"x")
    else:
        (tmp_path / "mount").mkdir()
        done = tmp_path / "mount" / "done"
    options = CollectingOptions.model_validate({"done": "done" if why != "not mounted" else str(done)})
    place = LocalFolder(str(folder), options)
    [seen] = place.look()[0]
    claimed = place.claim(Ready(seen), "us-1") if claim else Claimed(seen, None)
    assert claimed is not None
    with pytest.raises(
        FileUnusable, match=r"cannot be put away: the folder .*; expected a folder and no link"
    ):
        place.put_away(claimed, GOOD)
    assert [each.claim for each in place.claims("us-")] == (["us-1"] if claim else [])
    if why == "not mounted":
        assert not done.exists()
        done.mkdir()
    else:
        done.unlink()
    place.put_away(claimed, GOOD)
    assert (done / "a.hl7").read_bytes() == b"x"
    assert place.claims("us-") == []


def test_an_answer_whose_folder_cannot_be_there_is_told(tmp_path: Path) -> None:
    place = LocalFolder(str(tmp_path), CollectingOptions.model_validate({}))
    with pytest.raises(FileUnusable, match="the folder /not-mounted/answers: "):
        place.put("/not-mounted/answers", "a.ack", b"x")


def test_a_file_that_has_the_name_of_a_folder_of_the_bridges_is_odd(tmp_path: Path) -> None:
    (tmp_path / "errors").mkdir()
    for name in ("done", ".bridge-claims"):
        (tmp_path / name).write_bytes(b"x")
    assert LocalFolder(str(tmp_path), CollectingOptions.model_validate({})).look()[1].count == 2


def test_a_folder_that_may_not_be_looked_into_is_odd_and_keeps_no_other_from_being_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_rights(monkeypatch, LocalFolder, "_opened")
    with folder_of_nobody() as folder:
        for name in ("locked", "open"):
            (folder / name).mkdir()
            (folder / name / "a.hl7").write_bytes(b"x")
        (folder / "locked").chmod(0)
        (folder / "open").chmod(0o755)
        files, odd = LocalFolder(str(folder), CollectingOptions.model_validate({"depth": 1})).look()
        assert ([seen.name for seen in files], odd) == (
            ["open/a.hl7"],
            Odd(1, ["locked: a folder that cannot be looked into"]),
        )


TOLD = b'{"file": "a.hl7", "number": 8, "at": "%d"}\n'


def test_a_reason_overwrites_nothing_that_a_sender_named_so(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    errors.mkdir()
    for name in ("a.hl7.reason.json", "a.8.hl7.reason.json"):
        (errors / name).write_bytes(name.encode())
    (tmp_path / "a.hl7").write_bytes(b"bad")
    place, [claimed] = unclaimed(tmp_path)
    place.put_away(claimed, End(BAD.fate, TOLD % 1))
    assert {each.name: each.read_bytes() for each in errors.iterdir()} == {
        "a.hl7.reason.json": b"a.hl7.reason.json",
        "a.8.hl7.reason.json": b"a.8.hl7.reason.json",
        "a.8-2.hl7": b"bad",
        "a.8-2.hl7.reason.json": TOLD % 1,
    }


def test_a_reason_that_was_told_before_a_crash_is_told_anew_in_its_place(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    errors.mkdir()
    (errors / "a.hl7.reason.json").write_bytes(TOLD % 1)
    (tmp_path / "a.hl7").write_bytes(b"bad")
    place, [claimed] = unclaimed(tmp_path)
    place.put_away(claimed, End(BAD.fate, TOLD % 2))
    assert {each.name: each.read_bytes() for each in errors.iterdir()} == {
        "a.hl7": b"bad",
        "a.hl7.reason.json": TOLD % 2,
    }


@pytest.mark.parametrize("name", ["n" * 251 + ".hl7", "ä" * 127, "a." + "e" * 253, "\udcff" * 255])
def test_a_file_of_a_long_name_that_failed_goes_with_its_reason_also_where_its_name_is_taken(
    tmp_path: Path, name: str
) -> None:
    for content in (b"first", b"other"):
        (tmp_path / name).write_bytes(content)
        place, [claimed] = unclaimed(tmp_path)
        place.put_away(claimed, BAD)
    contents = sorted(each.read_bytes() for each in (tmp_path / "errors").iterdir())
    assert contents == [b"first", b"other", BAD.told, BAD.told]
