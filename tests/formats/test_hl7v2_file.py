"""Files of several HL7 v2 messages: what ends one, what is forgiven between them, and what is no such
file."""

from __future__ import annotations

import gzip
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.base import Piece, Unsplittable
from bridge.formats.hl7v2_file import Hl7v2File

A = b"MSH|^~\\&|A|B|C|D|20260301||ADT^A01|1|P|2.5\rPID|1||17\r"
B = b"MSH|^~\\&|A|B|C|D|20260301||ADT^A08|2|P|2.5\rPID|1||18\r"
MAX_BYTES = 1000


def split(data: bytes, *, step: int = 1_000_000) -> list[Piece]:
    splitter = Hl7v2File(MAX_BYTES)
    found: list[Piece] = []
    for start in range(0, len(data), step):
        found += splitter.feed(data[start : start + step])
    return [*found, *splitter.end()]


LF = A.replace(b"\r", b"\n")
CRLF = A.replace(b"\r", b"\r\n")
GOOD = {
    "one": (A, [(0, A)]),
    "two": (A + B, [(0, A), (len(A), B)]),
    "no-line-end-at-the-end": (A + B[:-1], [(0, A), (len(A), B[:-1])]),
    "ctrl-z-at-the-end": (A + b"\x1a", [(0, A)]),
    "nuls-between": (A + b"\0\0" + B, [(0, A), (len(A) + 2, B)]),
    "blank-lines-between": (A + b"\r\n\r\n" + B, [(0, A), (len(A) + 4, B)]),
    "frames-around": (b"\x0b" + A + b"\x1c\r\x0b" + B + b"\x1c\r", [(1, A), (len(A) + 4, B)]),
    "byte-order-mark": (b"\xef\xbb\xbf" + A, [(3, A)]),
    "lf": (LF + LF, [(0, LF), (len(LF), LF)]),
    "crlf": (CRLF + CRLF, [(0, CRLF), (len(CRLF), CRLF)]),
    "mixed": (A + LF + CRLF, [(0, A), (len(A), LF), (len(A) + len(LF), CRLF)]),
    "msh-within-a-line": (A[:-1] + b"|xMSH|y\r" + B, [(0, A[:-1] + b"|xMSH|y\r"), (len(A) + 8 - 1 + 1, B)]),
    "other-separator": (A.replace(b"|", b"!"), [(0, A.replace(b"|", b"!"))]),
    "a-word-that-begins-so": (A + b"MSHX|no\r", [(0, A + b"MSHX|no\r")]),
}
REFUSED = {
    "nothing-but-blanks": (b"\r\n  \r\n", "no-message"),
    "text": (b"no message at all\r", "bytes-before-message"),
    "beginning-is-lost": (b"PID|1||16\r" + A, "bytes-before-message"),
    "too-large": (A + b"ZZZ|" + b"x" * MAX_BYTES + b"\r" + B, "message-too-large"),
    "too-large-and-last": (A[:-1] + b"|" + b"x" * MAX_BYTES, "message-too-large"),
}


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", GOOD)
def test_messages_are_found_with_their_places(name: str, step: int) -> None:
    data, expected = GOOD[name]
    found = split(data, step=step)
    assert [piece.body for piece in found] == [body for _, body in expected]
    assert all(data[piece.offset_bytes :].startswith(piece.body) for piece in found)


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_file_is_told_by_name(name: str, step: int) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(Unsplittable) as caught:
        split(data, step=step)
    assert caught.value.reason == reason


@pytest.mark.parametrize("step", [1, 1_000_000])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (A.decode().encode("utf-16"), "decode: [{text: {charset: utf-16}}]"),
        (b"\xfe\xff" + A.decode().encode("utf-16-be"), "decode: [{text: {charset: utf-16}}]"),
        (gzip.compress(A), "decode: [{gzip: {}}]"),
    ],
    ids=["utf-16", "utf-16-be", "gzip"],
)
def test_a_file_that_must_be_decoded_first_is_told_how(data: bytes, words: str, step: int) -> None:
    with pytest.raises(Unsplittable) as caught:
        split(data, step=step)
    assert caught.value.reason == "bytes-before-message"
    assert words in str(caught.value)


@given(st.lists(st.sampled_from([A, B, LF, CRLF]), min_size=1, max_size=6), st.integers(1, 90))
def test_however_bytes_arrive_the_same_messages_come_out(messages: list[bytes], step: int) -> None:
    assert [piece.body for piece in split(b"".join(messages), step=step)] == messages


BETWEEN = (
    b"",
    b"",
    b"",
    b"\r",
    b"\n",
    b"\r\n",
    b"\x1c\r\x0b",
    b" ",
    b"\0",
    b"BTS|1\r",
    b"FTS|1\nBHS|^~\\&\r",
    b" BHS|\r",
)
MESSAGES = (
    A,
    B,
    A + B,
    LF,
    CRLF,
    CRLF[:-1],
    A[:-1],
    A + b"BTX|1\r",
    A + b"ZZZ|" + b"x" * 900 + b"\r",
    b"MSH|\n",
    b"MSHA|",
    b"xMSH|\r",
)


@given(
    st.lists(st.tuples(st.sampled_from(MESSAGES), st.sampled_from(BETWEEN)), min_size=1, max_size=12),
    st.sampled_from((b"", b"BHS|^~\\&|A\r", b"\xef\xbb\xbf", b"PID|\r")),
    st.integers(1, 900),
)
def test_messages_taken_at_once_are_what_they_are_one_by_one(
    parts: list[tuple[bytes, bytes]], lead: bytes, step: int
) -> None:
    data = lead + b"".join(body + between for body, between in parts)
    at_once = outcome(data, step)
    with patch.object(Hl7v2File, "_take_plain", lambda _self, _pieces: 0):
        assert outcome(data, step) == at_once


def outcome(data: bytes, step: int) -> list[object]:
    """All that comes out of a file."""
    splitter = Hl7v2File(MAX_BYTES)
    found: list[object] = []
    try:
        for start in range(0, len(data), step):
            found += splitter.feed(data[start : start + step])
        found += splitter.end()
    except Unsplittable as refused:
        return [*found, refused.reason, refused.offset_bytes]
    return [*found, *splitter.batches]


def test_plain_messages_are_taken_at_once() -> None:
    """Or else the two ways were compared with nothing."""
    for body in (A, LF, CRLF):
        splitter = Hl7v2File(MAX_BYTES)
        splitter.feed(body)
        with patch.object(Hl7v2File, "_take_piece", lambda *_: None):
            assert len(splitter.feed(body * 4)) == 4
