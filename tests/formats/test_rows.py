"""Files of rows, delimited and of fixed width: what becomes a message, what is no row, and totals."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.base import Batch, Piece, Unsplittable
from bridge.formats.delimited import Delimited, DelimitedOptions
from bridge.formats.fixed import Fixed, FixedOptions
from bridge.formats.rows import RowsFormat


def delimited(**options: Any) -> RowsFormat:
    return Delimited(DelimitedOptions.model_validate(options))


def fixed(**options: Any) -> RowsFormat:
    return Fixed(FixedOptions.model_validate(options))


def split(made: RowsFormat, data: bytes, *, step: int = 1_000_000) -> tuple[list[Piece], list[Batch]]:
    splitter = made.splitter(100_000)
    found: list[Piece] = []
    for start in range(0, len(data), step):
        found += splitter.feed(data[start : start + step])
    found += splitter.end()
    return found, list(splitter.batches)


def rows_of(made: RowsFormat, data: bytes, *, step: int = 1_000_000) -> list[Any]:
    """Each row of each message, or why it is none."""
    found: list[Any] = []
    for piece in split(made, data, step=step)[0]:
        read = made.read(piece.body)
        found += [read.refused.code] if read.refused is not None else [dict(row) for row in read.rows]
    return found


A, B = {"a": "1", "b": "2"}, {"a": "3", "b": "4"}
DELIMITED: dict[str, tuple[dict[str, Any], bytes, list[Any]]] = {
    "header line": ({}, b"a,b\n1,2\n3,4\n", [A, B]),
    "declared columns": ({"columns": ["a", "b"]}, b"1,2\n3,4\n", [A, B]),
    "no line end at the end": ({}, b"a,b\n1,2\n3,4", [A, B]),
    "CRLF, blank lines, the end of DOS": ({}, b"a,b\r\n\r\n1,2\r\n3,4\r\n\x1a", [A, B]),
    "byte order mark": ({}, b"\xef\xbb\xbfa,b\n1,2\n3,4\n", [A, B]),
    "semicolon": ({"separator": ";"}, b"a;b\n1;2\n3;4\n", [A, B]),
    "tab": ({"separator": "tab"}, b"a\tb\n1\t2\n3\t4\n", [A, B]),
    "several characters": ({"separator": "|~|"}, b"a|~|b\n1|~|2\n3|~|4\n", [A, B]),
    "several characters and quotes": (
        {"separator": "||"},
        b'a||b\n"x||y"||"say ""no"""\n',
        [{"a": "x||y", "b": 'say "no"'}],
    ),
    "quoted separator and quote": ({}, b'a,b\n"1,5","say ""no"""\n', [{"a": "1,5", "b": 'say "no"'}]),
    "quoted line end": ({}, b'a,b\n"one\ntwo",2\n3,4\n', [{"a": "one\ntwo", "b": "2"}, B]),
    "no quotes": ({"quote": ""}, b'a,b\n1",2"\n', [{"a": '1"', "b": '2"'}]),
    "a quote that is never closed": (
        {"lines": 3},
        b'a,b\n"1,2\n3,4\n3,4\n3,4\n',
        ["quote-not-closed", B, B, B],
    ),
    "a quote that is never closed at the end": ({}, b'a,b\n1,2\n"3,4\n3,4\n', [A, "quote-not-closed", B]),
    "too many values": ({}, b"a,b\n1,2,3\n3,4\n", ["ragged-row", B]),
    "too few values": ({}, b"a,b\n1\n3,4\n", ["ragged-row", B]),
    "too few values are fine": ({"ragged": True}, b"a,b\n1\n3,4\n", [{"a": "1"}, B]),
    "windows": ({"charset": "windows-1252"}, b"a,b\n\xfc,2\n", [{"a": "\xfc", "b": "2"}]),
    "headings before declared columns": (
        {"columns": ["a", "b"], "skip": 2},
        b'a list\nno,1,"\n1,2\n3,4\n',
        [A, B],
    ),
    "headings before the line of names": ({"skip": 1}, b"\na,b\n1,2\n3,4\n", [A, B]),
    "nothing but headings": ({"columns": ["a", "b"], "skip": 3}, b"a,b\n1,2\n", []),
    "not in the character set": ({}, b"a,b\n\xfc,2\n3,4\n", ["not-in-charset", B]),
}
FIXED_TYPES: dict[str, Any] = {"detail": {"fields": {"a": "1-3", "b": "4-5"}}}
FIXED: dict[str, tuple[dict[str, Any], bytes, list[Any]]] = {
    "lines": (FIXED_TYPES, b"1  2 \n3  4 \n", [{"a": "1  ", "b": "2 "}, {"a": "3  ", "b": "4 "}]),
    "no line end at the end": (
        FIXED_TYPES,
        b"1  2 \r\n3  4",
        [{"a": "1  ", "b": "2 "}, {"a": "3  ", "b": "4"}],
    ),
    "no line ends": (
        {**FIXED_TYPES, "length": 5},
        b"1  2 3  4 ",
        [{"a": "1  ", "b": "2 "}, {"a": "3  ", "b": "4 "}],
    ),
    "headings": ({**FIXED_TYPES, "skip": 1}, b"A  B \n1  2 \n", [{"a": "1  ", "b": "2 "}]),
    "a part of a row is left": (
        {**FIXED_TYPES, "length": 5, "short": False},
        b"1  2 3  ",
        [{"a": "1  ", "b": "2 "}, "short-row"],
    ),
    "short": ({**FIXED_TYPES, "short": False}, b"1  2 \n3\n", [{"a": "1  ", "b": "2 "}, "short-row"]),
    "EBCDIC": (
        {**FIXED_TYPES, "length": 5, "charset": "cp037"},
        "1  2 3  4 ".encode("cp037"),
        [{"a": "1  ", "b": "2 "}, {"a": "3  ", "b": "4 "}],
    ),
}
CASES: dict[str, tuple[RowsFormat, bytes, list[Any]]] = {
    **{
        f"delimited, {name}": (delimited(**options), data, rows)
        for name, (options, data, rows) in DELIMITED.items()
    },
    **{f"fixed, {name}": (fixed(**options), data, rows) for name, (options, data, rows) in FIXED.items()},
}


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", CASES)
def test_rows_come_out_by_their_columns_and_bad_ones_by_themselves(name: str, step: int) -> None:
    made, data, expected = CASES[name]
    assert rows_of(made, data, step=step) == expected


def test_several_rows_make_a_message_with_header_and_line() -> None:
    made = delimited(
        columns=["t", "a"], rows=2, header={"first": "H", "columns": ["t", "day"]},
    )  # fmt: skip
    pieces, _ = split(made, b"H,20260301\nD,1\nD,2\nD,3\n")
    said = [json.loads(piece.body) for piece in pieces]
    assert [(each["line"], len(each["rows"]), each["header"]["day"]) for each in said] == [
        (2, 2, "20260301"), (4, 1, "20260301"),
    ]  # fmt: skip


def test_a_bad_row_refuses_the_file_where_that_is_said() -> None:
    with pytest.raises(Unsplittable) as caught:
        split(delimited(bad_row="refuse"), b"a,b\n1,2\n1,2,3\n")
    assert (caught.value.reason, caught.value.offset_bytes) == ("ragged-row", 8)
    assert "line 3" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"length": 5, "detail": {"fields": {"a": "1-3"}, "packed": ["b"]}}, "`packed` names b"),
        ({"detail": {"fields": {"a": "1-3"}, "packed": ["a"]}}, "packed and binary numbers need `length`"),
    ],
)
def test_packed_decimals_are_fields_of_rows_of_one_length(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fixed(**options)


TOTALS: list[dict[str, Any]] = [
    {"trailer": "count"},
    {"trailer": "total", "of": "sum", "column": "amount"},
    {"trailer": "hash", "of": "hash", "column": "account", "digits": 4},
]
CSV = delimited(
    columns=["t", "account", "amount"],
    trailer={"first": "T", "columns": ["t", "count", "total", "hash"]},
    totals=TOTALS,
)
ROWS = b"D,9999,10.10\nD,0002,-0.05\n"
COBOL = fixed(
    header={"says": "H", "fields": {"day": "2-9"}},
    detail={"says": "D", "fields": {"account": "2-5", "amount": "6-10"}},
    trailer={"says": "T", "fields": {"count": "2-5", "total": "6-12", "hash": "13-16"}},
    totals=[TOTALS[0], {**TOTALS[1], "decimals": 2}, TOTALS[2]],
)
PACKED = b"H20260301\nD99990101{\nD00020000N\n"
OF = "of the trailer in line"
BALANCES = {
    "right": (CSV, ROWS + b"T,2,10.05,0001\n", "balanced", []),
    "one row": (CSV, ROWS + b"T,3,10.05,1\n", "differs", [("count", "3", "2", f"count {OF} 3")]),
    "one cent": (CSV, ROWS + b"T,2,10.06,1\n", "differs", [("total", "10.06", "10.05", f"total {OF} 3")]),
    "hash": (CSV, ROWS + b"T,2,10.05,2\n", "differs", [("hash", "2", "1", f"hash {OF} 3")]),
    "no number": (CSV, ROWS + b"T,x,10.05,1\n", "differs", [("count", "unreadable", "2", f"count {OF} 3")]),
    "no amount in a row": (
        CSV, b"D,9999,ten\nT,1,10,9999\n", "differs", [("total", "unreadable", "", "amount in line 1")],
    ),
    "no trailer": (CSV, ROWS, "no-trailer", []),
    "fixed, right": (COBOL, PACKED + b"T0002000100E0001\n", "balanced", []),
    "fixed, one cent": (
        COBOL, PACKED + b"T0002000100F0001\n", "differs", [("total", "10.06", "10.05", f"total {OF} 4")],
    ),
    "fixed, one row": (
        COBOL, PACKED + b"T0003000100E0001\n", "differs", [("count", "3", "2", f"count {OF} 4")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("step", [1, 1_000_000])
@pytest.mark.parametrize("name", BALANCES)
def test_totals_of_the_trailer_are_held_against_the_rows(name: str, step: int) -> None:
    made, data, balance, differences = BALANCES[name]
    _, [batch] = split(made, data, step=step)
    found = [(each.what, each.declared, each.found, each.place) for each in batch.differences]
    assert (batch.balance, found) == (balance, differences)


def outcome(made: RowsFormat, data: bytes, step: int) -> str:
    try:
        for piece in split(made, data, step=step)[0]:
            made.read(piece.body)
    except Unsplittable as refused:
        return refused.reason
    return ""


@given(st.integers(0, 1_000_000))
def test_changed_files_raise_nothing_but_their_reason(seed: int) -> None:
    chance = random.Random(seed)
    for made, good in ((CSV, ROWS + b"T,2,10.05,1\n"), (COBOL, PACKED + b"T0002000100E0001\n")):
        for _ in range(25):
            changed = bytearray(good)
            for _ in range(chance.randint(1, 6)):
                at = chance.randrange(len(changed))
                match chance.randrange(3):
                    case 0:
                        changed[at] = chance.randrange(256)
                    case 1:
                        del changed[at : at + chance.randrange(9)]
                    case _:
                        changed[at:at] = chance.choice([b'"', b"\n", b"T", b"D,1,1\n", b"\r"])
            assert outcome(made, bytes(changed), chance.choice([1, 17, 5000])) in ("", "row-after-trailer")
