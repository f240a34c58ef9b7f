"""Files of X12: each transaction by itself, held against what its trailers and its payment say."""

from __future__ import annotations

import random
import re
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.base import Batch, Piece, Unsplittable
from bridge.formats.x12 import X12Message
from bridge.formats.x12_file import X12File, _Patterns
from bridge.formats.x12_format import X12Format, X12Options

ISA = (
    b"ISA*00*          *00*          *ZZ*PAYER          *ZZ*HOSPITAL       "
    b"*260301*1200*^*00501*000000905*0*T*:~"
)
GS = b"GS*HP*PAYER*HOSPITAL*20260301*1200*7*X*005010X221A1~"
CLAIMS = b"CLP*A1*1*120*100.10*0*12*X1~CLP*A2*1*60*50.05*0*12*X2~PLB*1999*20261231*WO:1*-2.50*FB:2*.15~"


def remittance(
    *, pays: str = "152.50", segments: int = 9, number: bytes = b"0001", body: bytes = CLAIMS
) -> bytes:
    return (
        b"ST*835*%b*005010X221A1~BPR*I*%b*C*ACH~TRN*1*12345*1512345678~N1*PR*PAYER~LX*1~"
        % (number, pays.encode())
        + body
        + b"SE*%d*%b~" % (segments, number)
    )


def whole(
    *transactions: bytes, sets: int | None = None, groups: int = 1, control: bytes = b"000000905"
) -> bytes:
    count = len(transactions) if sets is None else sets
    return ISA + GS + b"".join(transactions) + b"GE*%d*7~IEA*%d*%b~" % (count, groups, control)


def split(data: bytes, *, step: int = 1_000_000) -> tuple[list[Piece], list[Batch]]:
    splitter = X12File(1_000_000)
    found: list[Piece] = []
    for start in range(0, len(data), step):
        found += splitter.feed(data[start : start + step])
    found += splitter.end()
    return found, list(splitter.batches)


def told(batch: Batch) -> tuple[Any, ...]:
    return batch.kind, batch.first, batch.last, batch.balance


GOOD = remittance()
CASES: dict[str, tuple[bytes, int, list[tuple[Any, ...]]]] = {
    "one": (
        whole(GOOD),
        1,
        [("transaction", 1, 1, "balanced"), ("group", 1, 1, "balanced"), ("interchange", 1, 1, "balanced")],
    ),
    "line ends": (
        whole(GOOD).replace(b"~", b"~\r\n"),
        1,
        [("transaction", 1, 1, "balanced"), ("group", 1, 1, "balanced"), ("interchange", 1, 1, "balanced")],
    ),
    "last terminator is missing": (
        whole(GOOD)[:-1],
        1,
        [("transaction", 1, 1, "balanced"), ("group", 1, 1, "balanced"), ("interchange", 1, 1, "balanced")],
    ),
    "one segment too few": (
        whole(remittance(segments=10)),
        1,
        [("transaction", 1, 1, "differs"), ("group", 1, 1, "balanced"), ("interchange", 1, 1, "balanced")],
    ),
    "one cent": (
        whole(remittance(pays="152.51")),
        1,
        [("transaction", 1, 1, "differs"), ("group", 1, 1, "balanced"), ("interchange", 1, 1, "balanced")],
    ),
    "one transaction too few": (
        whole(GOOD, remittance(number=b"0002"), sets=3),
        2,
        [
            ("transaction", 1, 1, "balanced"), ("transaction", 2, 2, "balanced"),
            ("group", 1, 2, "differs"), ("interchange", 1, 2, "balanced"),
        ],
    ),
    "groups": (whole(GOOD, groups=2), 1, [
        ("transaction", 1, 1, "balanced"), ("group", 1, 1, "balanced"), ("interchange", 1, 1, "differs"),
    ]),
    "another number": (whole(GOOD, control=b"000000906"), 1, [
        ("transaction", 1, 1, "balanced"), ("group", 1, 1, "balanced"), ("interchange", 1, 1, "differs"),
    ]),
    "no IEA": (ISA + GS + GOOD + b"GE*1*7~", 1, [
        ("transaction", 1, 1, "balanced"), ("group", 1, 1, "balanced"), ("interchange", 1, 1, "no-trailer"),
    ]),
    "several interchanges, with separators of their own": (
        whole(GOOD) + b"\r\n" + whole(GOOD).replace(b"*", b"|").replace(b"~", b"\n"),
        2,
        [("transaction", 1, 1, "balanced"), ("group", 1, 1, "balanced"), ("interchange", 1, 1, "balanced"),
         ("transaction", 2, 2, "balanced"), ("group", 2, 2, "balanced"), ("interchange", 2, 2, "balanced")],
    ),
}  # fmt: skip
REFUSED = {
    "text": (b"no interchange", "no-isa"),
    "empty": (b" \r\n", "no-isa"),
    "cut in ISA": (ISA[:50], "no-isa"),
    "cut in a transaction": (whole(GOOD)[:300], "no-se"),
    "ST where SE is missing": (ISA + GS + GOOD[:100] + b"~" + GOOD, "no-se"),
    "text behind": (whole(GOOD) + b"and so on", "bytes-after-interchange"),
    "outside": (ISA + GS + b"CLP*1~" + GOOD, "segment-outside"),
    "one separator for two": (whole(GOOD).replace(b"~", b"*"), "bad-delimiters"),
}


@pytest.mark.parametrize("step", [1, 13, 1_000_000])
@pytest.mark.parametrize("name", CASES)
def test_transactions_come_out_by_themselves_and_are_judged(name: str, step: int) -> None:
    data, messages, expected = CASES[name]
    pieces, batches = split(data, step=step)
    assert len(pieces) == messages
    assert [told(batch) for batch in batches] == expected
    for piece in pieces:
        [alone], again = split(piece.body)
        assert alone.body == piece.body
        assert all(batch.balance != "no-trailer" for batch in again)
        read = X12Message.read(piece.body)
        assert (read.refused, read.message_type) == (None, "835")
        assert data[piece.offset_bytes :].startswith(b"ST")


@pytest.mark.parametrize("step", [1, 1_000_000])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_file_is_told_by_name(name: str, step: int) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(Unsplittable) as caught:
        split(data, step=step)
    assert caught.value.reason == reason


def test_a_payment_that_is_wrong_by_a_cent_says_what_and_where() -> None:
    data = whole(remittance(pays="152.51"))
    [wrong] = [each for batch in split(data)[1] for each in batch.differences]
    assert (wrong.what, wrong.declared, wrong.found) == ("amount", "152.51", "152.50")
    assert wrong.place == f"BPR02 at byte {data.index(b'BPR')}"


@pytest.mark.parametrize("amount", [b"1e5", b"NaN", b"12,5", b"--1", b"1" * 40])
def test_what_is_no_amount_is_told_and_not_guessed(amount: bytes) -> None:
    data = whole(remittance(body=CLAIMS.replace(b"100.10", amount)))
    [wrong] = [each for batch in split(data)[1] for each in batch.differences]
    assert (wrong.what, wrong.declared) == ("amount", "unreadable")
    assert wrong.place.startswith("CLP04")


def test_the_header_says_what_intake_decides_from() -> None:
    [piece], _ = split(whole(GOOD))
    header = X12Format(X12Options.model_validate({})).header(piece.body)
    assert header.readable
    assert (header.message_code_event, header.version) == ("835", b"005010X221A1")
    assert (header.control_id, header.processing_id) == (b"000000905-7-0001", b"T")
    assert not X12Format(X12Options.model_validate({})).header(b"no").readable


REASONS = (
    "", "no-isa", "no-se", "bad-delimiters", "bad-isa", "segment-outside", "bytes-after-interchange",
    "message-too-large", "wrapped-unevenly",
)  # fmt: skip


def outcome(data: bytes, step: int) -> str:
    try:
        split(data, step=step)
    except Unsplittable as refused:
        return refused.reason
    return ""


OF = _Patterns.of


def one_by_one(separator: bytes, terminator: bytes) -> _Patterns:
    return OF(separator, terminator)._replace(read=re.compile(re.escape(terminator)))


@given(st.integers(0, 2**32), st.sampled_from([1, 40, 700, 5000]), st.sampled_from([400, 1_000_000]))
def test_segments_taken_together_are_what_they_are_one_by_one(seed: int, step: int, limit: int) -> None:
    chance = random.Random(seed)
    parts = [
        b"CLP*1*1*9*2.50~",
        b"CLP*1*1*9~",
        b"CLP*1*1*9*x~",
        b"PLB*1*2*3*-1.25~",
        b"SS*1~",
        b"STX~",
        b"~",
        b"\r\n",
        b"  ",
        b"~\t",
    ]
    for _ in range(10):
        changed = whole(GOOD, remittance(number=b"0002"))
        for _ in range(chance.choice([0, 1, 4])):
            at = chance.choice([found.end() for found in re.finditer(rb"~|\*", changed)])
            changed = changed[:at] + chance.choice(parts) + changed[at + chance.choice([0, 0, 9]) :]
        layouts = [b"~", b"~\r\n", b"\r", b"~ \n", b"~\n  "]
        changed = changed.replace(b"~", chance.choice(layouts))
        together = everything(changed, step, limit)
        with patch.object(_Patterns, "of", one_by_one):
            assert everything(changed, step, limit) == together


def everything(data: bytes, step: int, limit: int) -> list[object]:
    """All that comes out of a file."""
    splitter = X12File(limit)
    found: list[object] = []
    try:
        for start in range(0, len(data), step):
            found += splitter.feed(data[start : start + step])
        found += splitter.end()
    except Unsplittable as refused:
        return [
            *found,
            refused.reason,
            *([refused.offset_bytes] if refused.reason != "message-too-large" else []),
        ]
    return [*found, *splitter.batches]


@given(st.integers(0, 1_000_000))
def test_changed_files_raise_nothing_but_their_reason(seed: int) -> None:
    chance = random.Random(seed)
    good = whole(GOOD, remittance(number=b"0002"))
    for _ in range(50):
        changed = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(changed))
            match chance.randrange(3):
                case 0:
                    changed[at] = chance.randrange(256)
                case 1:
                    del changed[at : at + chance.randrange(40)]
                case _:
                    changed[at:at] = chance.choice([b"~", b"*", b"ISA*", b"SE*1~", b"IEA*1*1~", good[:120]])
        assert outcome(bytes(changed), chance.choice([1, 17, 5000])) in REASONS
