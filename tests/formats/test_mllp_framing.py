"""MLLP framing: bytes in any pieces give the same blocks, and nothing is lost without being told."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.mllp_framing import (
    HEAD_KEPT_MAX_BYTES,
    JUNK_BEFORE_BLOCK,
    NO_CARRIAGE_RETURN,
    Block,
    Event,
    MllpFraming,
    Oversized,
    Truncated,
    frame,
)

VT, FS, CR = b"\x0b", b"\x1c", b"\r"

CASES: dict[str, tuple[bytes, list[Event]]] = {
    "one block": (frame(b"MSH|a"), [Block(b"MSH|a")]),
    "two blocks in one read": (frame(b"a") + frame(b"b"), [Block(b"a"), Block(b"b")]),
    "an empty block": (frame(b""), [Block(b"")]),
    "CR and LF between blocks": (frame(b"a") + b"\r\n" + frame(b"b"), [Block(b"a"), Block(b"b")]),
    "no CR, next block follows": (
        VT + b"a" + FS + frame(b"b"),
        [Block(b"a", (NO_CARRIAGE_RETURN,)), Block(b"b")],
    ),
    "FS amid text is text": (frame(b"a" + FS + b"b"), [Block(b"a" + FS + b"b")]),
    "a block begun anew": (VT + b"half" + frame(b"whole"), [Truncated(b"half"), Block(b"whole")]),
    "bytes before the block": (b"junk" + frame(b"a"), [Block(b"a", (JUNK_BEFORE_BLOCK,))]),
    "bytes before one of two blocks": (
        frame(b"a") + b"\0\0" + frame(b"b") + frame(b"c"),
        [Block(b"a"), Block(b"b", (JUNK_BEFORE_BLOCK,)), Block(b"c")],
    ),
    "no start byte": (b"MSH|a" + FS + CR, []),
    "no end yet": (VT + b"a", []),
    "a large block": (frame(b"x" * 101), [Oversized(b"x" * 101, 101)]),
    "the largest block": (frame(b"x" * 100), [Block(b"x" * 100)]),
    "a large block, then a good one": (
        frame(b"x" * 9000) + frame(b"b"),
        [Oversized(b"x" * HEAD_KEPT_MAX_BYTES, 9000), Block(b"b")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bytes_become_these_blocks_in_one_read(name: str) -> None:
    data, expected = CASES[name]
    assert MllpFraming(100).feed(data) == expected


@given(
    name=st.sampled_from([name for name in CASES if "large block" not in name]),
    cuts=st.sets(st.integers(0, 200)),
)
def test_pieces_give_what_one_read_gives(name: str, cuts: set[int]) -> None:
    data, expected = CASES[name]
    assert _in_pieces(MllpFraming(100), data, cuts) == expected


@given(size=st.integers(95, 105), cuts=st.sets(st.integers(0, 110)))
def test_a_block_around_the_limit_is_whole_or_told_as_oversized_however_it_is_cut(
    size: int, cuts: set[int]
) -> None:
    body = b"x" * size
    (event,) = _in_pieces(MllpFraming(100), frame(body), cuts)
    if size <= 100:
        assert event == Block(body)
    else:
        assert isinstance(event, Oversized)
        assert event.size_bytes == size
        assert body.startswith(event.head)


@given(size=st.integers(101, 30_000), cuts=st.sets(st.integers(0, 30_000), max_size=20))
def test_a_large_block_in_pieces_is_told_with_its_head_and_size(size: int, cuts: set[int]) -> None:
    body = bytes(range(65, 91)) * (size // 26 + 1)
    framing = MllpFraming(100)
    events = _in_pieces(framing, frame(body[:size]) + frame(b"next"), cuts)
    oversized, following = events
    assert isinstance(oversized, Oversized)
    assert oversized.size_bytes == size
    assert body.startswith(oversized.head)
    assert 0 < len(oversized.head) <= HEAD_KEPT_MAX_BYTES
    assert following == Block(b"next")


@given(
    bodies=st.lists(st.binary(max_size=50).map(lambda body: body.translate(None, VT + FS)), max_size=5),
    cuts=st.sets(st.integers(0, 300)),
)
def test_any_blocks_in_any_pieces_arrive_whole_and_in_order(bodies: list[bytes], cuts: set[int]) -> None:
    framing = MllpFraming(100)
    events = _in_pieces(framing, b"".join(map(frame, bodies)), cuts)
    assert events == [Block(body) for body in bodies]
    assert framing.buffered_bytes == 0


@given(data=st.binary(max_size=400), cuts=st.sets(st.integers(0, 400)))
def test_no_bytes_are_too_strange(data: bytes, cuts: set[int]) -> None:
    framing = MllpFraming(100)
    _in_pieces(framing, data, cuts)
    assert framing.buffered_bytes <= 101


def test_a_missing_carriage_return_is_told_and_can_be_done_without() -> None:
    framing = MllpFraming(100)
    assert framing.feed(VT + b"a" + FS) == []
    assert framing.may_end_now
    assert framing.end_now() == [Block(b"a", (NO_CARRIAGE_RETURN,))]
    assert framing.feed(frame(b"b")) == [Block(b"b")]


def test_bytes_outside_blocks_are_counted_until_the_next_block() -> None:
    framing = MllpFraming(100)
    framing.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert framing.skipped_bytes == len("GET / HTTP/1.1")
    framing.feed(frame(b"a"))
    assert framing.skipped_bytes == 0


def _in_pieces(framing: MllpFraming, data: bytes, cuts: set[int]) -> list[Event]:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    return [event for start, end in pairwise(edges) for event in framing.feed(data[start:end])]
