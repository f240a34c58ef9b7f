"""`bridge compare`, as somebody types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import bridge

from bridge.cli.generated_entry import FIRST_DAY
from bridge.cli.generated_files import lines_of
from bridge.cli.synthetic import admission

ONE, TWO = (admission(number, 1, "A01", control_id=f"C{number}").body for number in (1, 2))
OTHER = ONE.replace(b"ELM STREET", b"OAK STREET", 1)


def files(folder: Path, a: bytes, b: bytes) -> tuple[Path, Path]:
    (folder / "a.hl7").write_bytes(a)
    (folder / "b.hl7").write_bytes(b)
    return folder / "a.hl7", folder / "b.hl7"


def test_files_that_say_the_same_are_0(tmp_path: Path) -> None:
    ended = bridge("compare", *files(tmp_path, ONE + TWO, (ONE + TWO).replace(b"\r", b"\n")))
    assert (ended.status, ended.out) == (0, "")
    assert ended.err == "2 messages, 0 of them differ in 0 places\n"


def test_differences_are_told_by_field_and_are_1(tmp_path: Path) -> None:
    paths = files(tmp_path, ONE + TWO, OTHER + TWO)
    ended = bridge("compare", *paths)
    assert ended.status == 1
    assert "PID-11.1" in ended.out
    assert "ELM STREET" in ended.out
    assert "OAK STREET" in ended.out
    found = json.loads(bridge("compare", *paths, "--format", "json").out)
    assert found["messages"] == 2
    (difference,) = found["differences"]
    assert (difference["message"], difference["path"]) == ("#1", "PID-11.1")
    assert difference["b"].endswith("OAK STREET")
    assert bridge("compare", *paths, "--ignore", "pid-11").status == 0


@pytest.mark.parametrize("place", ["PID-11.1", "PID-", "address", ""])
def test_what_cannot_be_ignored_is_refused_and_not_passed_over(tmp_path: Path, place: str) -> None:
    ended = bridge("compare", *files(tmp_path, ONE, OTHER), "--ignore", place)
    assert (ended.status, "expected one as in PID-5 or ZPI" in ended.said) == (2, True)


def test_masked_it_shows_no_value(tmp_path: Path) -> None:
    ended = bridge("compare", *files(tmp_path, ONE, OTHER), "--mask")
    assert ended.status == 1
    assert "PID-11.1" in ended.out
    assert "STREET" not in ended.said


def test_masked_it_shows_nothing_of_a_line_that_has_no_name(tmp_path: Path) -> None:
    line = b"ELM STREET 4 of JANE^DOE|1|%s\r"
    ended = bridge("compare", *files(tmp_path, ONE + line % b"a", ONE + line % b"b"), "--mask")
    assert (ended.status, "(no segment)-2" in ended.out) == (1, True)
    assert "ELM STREET 4" not in ended.said


def test_what_is_no_hl7_v2_is_refused_and_counts_as_no_difference(tmp_path: Path) -> None:
    interchange = b"".join(lines_of("835", 1, 1, FIRST_DAY))
    ended = bridge("compare", *files(tmp_path, interchange, interchange))
    assert (ended.status, ended.out) == (2, "")
    assert "is x12, and what is compared are messages of HL7 v2" in ended.err


def test_of_very_many_differences_the_first_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    many = b"~".join(b"%d^^^X^MR" % number for number in range(1500))
    ended = bridge("compare", *files(tmp_path, ONE + b"ZZZ|" + many + b"\r", ONE + b"ZZZ|\r"))
    assert "and 3500 further places: --format json has all" in ended.out
    assert "differ in 4500 places" in ended.err


def test_messages_may_be_paired_by_their_control_id(tmp_path: Path) -> None:
    paths = files(tmp_path, ONE + TWO, TWO + OTHER)
    assert bridge("compare", *paths).status == 1
    found = json.loads(bridge("compare", *paths, "--by", "control-id", "--format", "json").out)
    assert [(each["message"], each["path"]) for each in found["differences"]] == [("C1", "PID-11.1")]
    twice = bridge("compare", *files(tmp_path, ONE + ONE, TWO), "--by", "control-id")
    assert (twice.status, "several messages with control ID 'C1'" in twice.err) == (2, True)


def test_what_one_file_lacks_or_cannot_be_read_is_told(tmp_path: Path) -> None:
    ended = bridge("compare", *files(tmp_path, ONE + TWO, ONE))
    assert (ended.status, "#2: only in" in ended.out) == (1, True)
    ended = bridge("compare", *files(tmp_path, ONE, b"hello"))
    assert (ended.status, "cannot be read: no MSH segment" in ended.out) == (1, True)
    assert bridge("compare", tmp_path / "a.hl7", tmp_path / "none.hl7").status == 2
