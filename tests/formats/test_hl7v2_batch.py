"""Batches of HL7 v2: their messages without what wraps them, and whether what trailers say is so."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.base import Batch, Piece, Unsplittable
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_batch import BATCHES_MAX_COUNT
from bridge.formats.hl7v2_file import Hl7v2File, without_headers

A = b"MSH|^~\\&|A|B|C|D|20260301||ADT^A01|1|P|2.5\rPID|1||17\r"
B = b"MSH|^~\\&|A|B|C|D|20260301||ADT^A08|2|P|2.5\rPID|1||18\r"
FHS = b"FHS|^~\\&|LAB|NORTH|HUB|H|20260302||results||F-1\r"
BHS = b"BHS|^~\\&|LAB|NORTH|HUB|H|20260301||results||B-1\r"


def split(data: bytes, *, step: int = 1_000_000) -> tuple[list[Piece], list[Batch]]:
    splitter = Hl7v2File(100_000)
    found: list[Piece] = []
    for start in range(0, len(data), step):
        found += splitter.feed(data[start : start + step])
    return [*found, *splitter.end()], list(splitter.batches)


def told(batch: Batch) -> tuple[Any, ...]:
    return batch.kind, batch.control_id, batch.first, batch.last, batch.balance


BATCH, FILE = ("batch", "B-1"), ("file", "F-1")
CASES: dict[str, tuple[bytes, list[bytes], list[tuple[Any, ...]]]] = {
    "whole": (
        FHS + BHS + A + B + b"BTS|2\rFTS|1\r",
        [A, B],
        [(*BATCH, 1, 2, "balanced"), (*FILE, 1, 2, "balanced")],
    ),
    "batch alone": (BHS + A + b"BTS|1\r", [A], [(*BATCH, 1, 1, "balanced")]),
    "two batches": (
        FHS + BHS + A + b"BTS|1\r" + BHS + B + A + b"BTS|2\rFTS|2\r",
        [A, B, A],
        [(*BATCH, 1, 1, "balanced"), (*BATCH, 2, 3, "balanced"), (*FILE, 1, 3, "balanced")],
    ),
    "one too few": (BHS + A + b"BTS|2\r", [A], [(*BATCH, 1, 1, "differs")]),
    "one too many": (BHS + A + B + b"BTS|1\r", [A, B], [(*BATCH, 1, 2, "differs")]),
    "wrong FTS": (
        FHS + BHS + A + b"BTS|1\rFTS|2\r",
        [A],
        [(*BATCH, 1, 1, "balanced"), (*FILE, 1, 1, "differs")],
    ),
    "count and comment": (
        FHS + BHS + A + b"BTS|1|all\rFTS|1|F16~0~0000189\r",
        [A],
        [(*BATCH, 1, 1, "balanced"), (*FILE, 1, 1, "balanced")],
    ),
    "no count": (BHS + A + b"BTS|\r", [A], [(*BATCH, 1, 1, "undeclared")]),
    "not even a separator": (BHS + A + b"BTS\r", [A], [(*BATCH, 1, 1, "undeclared")]),
    "a word for a count": (BHS + A + b"BTS|many\r", [A], [(*BATCH, 1, 1, "differs")]),
    "no trailer": (BHS + A, [A], [(*BATCH, 1, 1, "no-trailer")]),
    "no trailers": (FHS + BHS + A, [A], [(*BATCH, 1, 1, "no-trailer"), (*FILE, 1, 1, "no-trailer")]),
    "a header ends the batch before": (
        BHS + A + BHS + B + b"BTS|1\r",
        [A, B],
        [(*BATCH, 1, 1, "no-trailer"), (*BATCH, 2, 2, "balanced")],
    ),
    "trailer alone": (A + B + b"BTS|2\r", [A, B], [("batch", "", 1, 2, "balanced")]),
    "file without batches": (FHS + A + B + b"FTS|1\r", [A, B], [(*FILE, 1, 2, "balanced")]),
    "empty": (BHS + b"BTS|0\r", [], [(*BATCH, 1, 0, "balanced")]),
    "LF": (
        (BHS + A + b"BTS|1\r").replace(b"\r", b"\n"),
        [A.replace(b"\r", b"\n")],
        [(*BATCH, 1, 1, "balanced")],
    ),
    "CRLF and the end of DOS": (
        (BHS + A + b"BTS|1\r").replace(b"\r", b"\r\n") + b"\x1a",
        [A.replace(b"\r", b"\r\n")],
        [(*BATCH, 1, 1, "balanced")],
    ),
    "in frames": (
        b"\x0b" + BHS + b"\x1c\r\x0b" + A + b"\x1c\r\x0bBTS|1\r\x1c\r",
        [A],
        [(*BATCH, 1, 1, "balanced")],
    ),
    "own separator": (b"BHS!^~\\&!LAB\r" + A + b"BTS!1\r", [A], [("batch", "", 1, 1, "balanced")]),
    "no envelope": (A + B, [A, B], []),
}


@pytest.mark.parametrize("step", [1, 13, 1_000_000])
@pytest.mark.parametrize("name", CASES)
def test_a_batch_gives_its_messages_and_is_judged(name: str, step: int) -> None:
    data, bodies, expected = CASES[name]
    pieces, batches = split(data, step=step)
    assert [piece.body for piece in pieces] == bodies
    assert all(data[piece.offset_bytes :].startswith(piece.body) for piece in pieces)
    assert [told(batch) for batch in batches] == expected


def test_a_difference_says_what_and_where() -> None:
    data = FHS + BHS + A + b"BTS|31\rFTS|1\r"
    _, [batch, _] = split(data)
    [difference] = batch.differences
    assert (difference.what, difference.declared, difference.found) == ("messages", "31", "1")
    assert difference.place == f"BTS-1 at byte {data.index(b'BTS')}"
    assert batch.made == "20260301"
    assert data[batch.offset_bytes :].startswith(BHS)


def test_the_same_messages_have_the_same_digest_whatever_wraps_them() -> None:
    digests = [split(data)[1][0].digest for data in (BHS + A + b"BTS|1\r", BHS + A + b"BTS|9|x\r", BHS + B)]
    assert digests[0] == digests[1] != digests[2]


def test_of_batches_there_is_a_limit() -> None:
    with pytest.raises(Unsplittable) as caught:
        split(BHS * (BATCHES_MAX_COUNT + 2) + A)
    assert caught.value.reason == "too-many-batches"


def outcome(data: bytes, step: int) -> tuple[str, int]:
    """Why a file is not taken, and by how much its batches stay below the messages that there are."""
    try:
        pieces, batches = split(data, step=step)
    except Unsplittable as refused:
        return refused.reason, 0
    return "", min((len(pieces) - each.last for each in batches), default=0)


@given(st.data())
def test_five_thousand_changed_files_raise_nothing_but_their_reason(data: st.DataObject) -> None:
    chance = random.Random(data.draw(st.integers(0, 1_000_000)))
    whole = bytearray(FHS + BHS + A + B + b"BTS|2\r" + BHS + A + b"BTS|1\rFTS|2\r")
    for _ in range(50):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(changed))
            match chance.randrange(4):
                case 0:
                    changed[at] = chance.randrange(256)
                case 1:
                    del changed[at : at + chance.randrange(30)]
                case 2:
                    changed[at:at] = chance.choice([b"\r", b"BTS|", b"FHS", b"\x0b", b"MSH|", b"\n\r"])
                case _:
                    changed[at:at] = changed[: chance.randrange(60)]
        reason, most = outcome(bytes(changed), chance.choice([1, 17, 1000]))
        assert reason in ("", "no-message", "bytes-before-message")
        assert most >= 0


def charges(*amounts: str, says: str) -> bytes:
    """A batch of charges, and what its trailer says that they come to."""
    lines = ["FHS|^~\\&|A|B|||||||F-7", "BHS|^~\\&|A|B|||||||B-9|B-8"]
    for number, amount in enumerate(amounts):
        lines += [f"MSH|^~\\&|A|B|C|D|20240102||DFT^P03|C{number}|P|2.5", f"FT1|1||||||X||||{amount}^USD"]
    return ("\r".join([*lines, f"BTS|{len(amounts)}||{says}", "FTS|1"]) + "\r").encode()


@pytest.mark.parametrize(
    ("says", "amounts", "balance"),
    [
        ("12.30", ("10.05", "2.25"), "balanced"),
        ("12.30", ("10.05", "2.24"), "differs"),
        ("", ("10.05", "2.25"), "balanced"),
        ("12.3^sum~2", ("10.05", "2.25"), "differs"),
        ("a lot", ("10.05",), "differs"),
        ("1", ("much",), "differs"),
    ],
)
@pytest.mark.parametrize("step", [7, 100_000])
def test_a_total_of_a_trailer_is_held_against_the_field_that_it_is_of(
    says: str, amounts: tuple[str, ...], balance: str, step: int
) -> None:
    splitter = Hl7v2File(100_000, totals=["FT1-11", "FT1-11.1"] if "~" in says else ["FT1-11"])
    content = charges(*amounts, says=says)
    for at in range(0, len(content), step):
        splitter.feed(content[at : at + step])
    splitter.end()
    batch = splitter.batches[0]
    assert (batch.kind, batch.balance) == ("batch", balance)
    for each in batch.differences:
        assert each.what.startswith("FT1-11")
        assert each.place.startswith("BTS-3 at byte")


@pytest.mark.parametrize("step", [7, 100_000])
def test_the_headers_of_a_batch_can_be_read_in_each_of_its_messages(step: int) -> None:
    one = charges("1", "2", says="3")
    alone = b"MSH|^~\\&|A|B|C|D|20240102||DFT^P03|C9|P|2.5\r"
    splitter = Hl7v2File(100_000, envelopes=True)
    content = one + alone
    pieces = [each for at in range(0, len(content), step) for each in splitter.feed(content[at : at + step])]
    pieces += splitter.end()
    read = [Hl7Message.read(each.body) for each in pieces]
    assert [each.value("BHS", 11) for each in read] == ["B-9", "B-9", None]
    assert [each.value("FHS", 11) for each in read] == ["F-7", "F-7", None]
    assert [each.value("BHS", 12) for each in read] == ["B-8", "B-8", None]
    assert [each.value("MSH", 10) for each in read] == ["C0", "C1", "C9"]
    plain = Hl7v2File(100_000)
    bodies = [each.body for each in [*plain.feed(content), *plain.end()]]
    assert [without_headers(each.body) for each in pieces[:2]] == bodies[:2]
    assert [each.digest for each in plain.batches] == [each.digest for each in splitter.batches]


def test_a_header_in_another_separator_is_respelt_for_its_message() -> None:
    content = b"BHS#^~\\&#A#B#######B-9\rMSH|^~\\&|A|B|C|D|20240102||DFT^P03|C1|P|2.5\n"
    splitter = Hl7v2File(100_000, envelopes=True)
    [piece] = [*splitter.feed(content), *splitter.end()]
    assert Hl7Message.read(piece.body).value("BHS", 11) == "B-9"
    assert piece.body.endswith(b"\nBHS|^~\\&|A|B|||||||B-9\n")
