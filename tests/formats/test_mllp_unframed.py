"""Messages without frames: where each ends, in whatever pieces the bytes come."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hl7v2_fixtures import WELL_FORMED
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.mllp_framing import Block, Event, Oversized, Truncated
from bridge.formats.mllp_unframed import Unframed

A = b"MSH|^~\\&|A\rPID|1\r"
B = b"MSH|^~\\&|B\nPID|2\n"
JUNK = ("bytes-before-block",)

# bytes: what is complete at once, what the end of the connection adds
CASES: dict[str, tuple[bytes, list[Event], list[Event]]] = {
    "one": (A, [], [Block(A)]),
    "two": (A + B, [Block(A)], [Block(B)]),
    "two with blank lines between": (A + b"\r\n" + B, [Block(A + b"\r\n")], [Block(B)]),
    "MSH in a text": (A + b"NTE|1||see MSH|x\r", [], [Block(A + b"NTE|1||see MSH|x\r")]),
    "MSH without a separator": (A + b"MSHX\r", [], [Block(A + b"MSHX\r")]),
    "an end byte after each": (A + b"\x1c\r" + B, [Block(A + b"\x1c\r")], [Block(B)]),
    "a start byte before": (b"\x0b" + A, [], [Block(A)]),
    "text before": (b"hello\r" + A, [], [Block(A, JUNK)]),
    "a byte order mark before": (b"\xef\xbb\xbf\r" + A, [], [Block(A, JUNK)]),
    "not ended": (A + b"PV1|", [], [Truncated(A + b"PV1|")]),
    "nothing": (b"", [], []),
    "no message": (b"hello\r", [], []),
    "too large": (A + b"x" * 200 + b"\r" + B, [Oversized(A + b"x" * 200 + b"\r", len(A) + 201)], [Block(B)]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_message_ends_where_the_next_begins_or_the_connection_ends(name: str) -> None:
    data, at_once, at_end = CASES[name]
    framing = Unframed(150)
    assert framing.feed(data) == at_once
    assert framing.at_end(clean=True) == at_end
    assert framing.buffered_bytes <= 5


@given(
    name=st.sampled_from([name for name in CASES if name != "too large"]), cuts=st.sets(st.integers(0, 60))
)
def test_pieces_give_what_one_read_gives(name: str, cuts: set[int]) -> None:
    data, at_once, at_end = CASES[name]
    framing = Unframed(150)
    assert _in_pieces(framing, data, cuts) == at_once
    assert framing.at_end(clean=True) == at_end


@given(st.lists(st.sampled_from(WELL_FORMED), max_size=4), st.sets(st.integers(0, 5000), max_size=30))
def test_any_messages_in_any_pieces_come_out_whole(paths: list[Path], cuts: set[int]) -> None:
    bodies = [path.read_bytes() for path in paths]
    framing = Unframed(10_000)
    events = _in_pieces(framing, b"".join(bodies), cuts) + framing.at_end(clean=True)
    assert events == [Block(body) for body in bodies]


@given(st.lists(st.sampled_from([b"MSH|", b"\rMSH|", b"\r", b"MS", b"H|", b"\x0b", b"x" * 40]), max_size=30))
def test_nothing_is_lost_and_little_is_held(pieces: list[bytes]) -> None:
    framing = Unframed(100)
    events: list[Event] = []
    for piece in pieces:
        events += framing.feed(piece)
        assert framing.buffered_bytes <= 200
    events += framing.at_end(clean=True)
    begun = sum(isinstance(event, Block | Oversized | Truncated) for event in events)
    data = b"".join(pieces)
    starts = data.startswith(b"MSH|") + sum(data.count(end + b"MSH|") for end in (b"\r", b"\x0b"))
    assert begun == starts


def test_only_a_message_whose_last_segment_is_ended_may_end() -> None:
    framing = Unframed(100)
    framing.feed(A[:-1])
    assert not framing.may_end_now
    framing.feed(A[-1:])
    assert framing.end_now() == [Block(A)]
    assert framing.feed(B + A) == [Block(B)]


def test_where_the_connection_broke_a_message_may_have_been_cut() -> None:
    framing = Unframed(100)
    framing.feed(A)
    assert framing.at_end(clean=False) == [Truncated(A)]


def _in_pieces(framing: Unframed, data: bytes, cuts: set[int]) -> list[Event]:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    return [event for start, end in pairwise(edges) for event in framing.feed(data[start:end])]
