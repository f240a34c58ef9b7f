"""Sequence numbers: what is a gap, what a repeat, what begins anew, and how many senders are remembered."""

from __future__ import annotations

import pytest

from bridge.formats.hl7v2_sequence import GAP, REPEAT, Sequences

LAB = (b"LAB", b"NORTH")

STORIES: list[tuple[str, list[tuple[bytes, str]]]] = [
    ("in order", [(b"1", ""), (b"2", ""), (b"3", "")]),
    ("the first is not judged", [(b"900", ""), (b"901", "")]),
    ("a gap is told once", [(b"1", ""), (b"5", GAP), (b"6", "")]),
    ("a repeat is told, and the count goes on", [(b"1", ""), (b"2", ""), (b"2", REPEAT), (b"3", "")]),
    ("an older number counts on from there", [(b"8", ""), (b"1", REPEAT), (b"2", "")]),
    ("0 begins the link anew and counts nothing", [(b"7", ""), (b"0", ""), (b"8", ""), (b"10", GAP)]),
    ("-1 takes whatever comes next", [(b"7", ""), (b"-1", ""), (b"100", ""), (b"101", "")]),
    ("blanks and a sign", [(b" 7 ", ""), (b"+8", ""), (b"010", GAP)]),
    ("what is no number is not judged", [(b"1", ""), (b"x", ""), (b"1.5", ""), (b"-2", ""), (b"2", "")]),
    ("an endless number is not judged", [(b"1", ""), (b"9" * 5000, ""), (b"2", "")]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "steps"), STORIES, ids=[name for name, _ in STORIES])
def test_a_sender_s_count_is_followed(name: str, steps: list[tuple[bytes, str]]) -> None:
    counted = Sequences()
    assert [counted.judge(LAB, field) for field, _ in steps] == [expected for _, expected in steps], name


def test_senders_are_counted_apart() -> None:
    counted = Sequences()
    for sender in (LAB, (b"LAB", b"SOUTH"), (b"RIS", b"NORTH")):
        assert [counted.judge(sender, field) for field in (b"1", b"2")] == ["", ""]
    assert counted.judge(LAB, b"2") == REPEAT


def test_only_so_many_senders_are_remembered_and_the_silent_one_is_forgotten() -> None:
    counted = Sequences(senders_max=3)
    for number in range(50):
        counted.judge((b"%d" % number, b""), b"1")
    assert len(counted) == 3
    assert counted.judge((b"49", b""), b"3") == GAP
    assert counted.judge((b"0", b""), b"3") == "", "it is a new sender again"


def test_a_message_that_was_not_kept_is_not_counted() -> None:
    counted = Sequences()
    counted.judge(LAB, b"1")
    counted.judge(LAB, b"2")
    counted.forget(LAB)
    assert counted.judge(LAB, b"2") == ""
