"""COBOL copybooks: where fields stand, what their bytes say, and what is refused with its line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.formats.fixed import Fixed, FixedOptions
from bridge.formats.fixed_copybook import CopybookField, CopybookRefused, length_of, read_copybook
from bridge.formats.fixed_copybook_values import Unreadable, reader

E = "cp037"
LAYOUTS: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
    "text and an identifier with leading zeros": (
        "01 R. 05 TYPE PIC X. 05 ACCOUNT PIC 9(6). 05 NAME PIC A(4).",
        "ascii",
        b"D001234ABEL",
        {"type": "D", "account": "001234", "name": "ABEL"},
    ),
    "columns 1 to 6 and 73 to 80, comments, a sentence of several lines": (
        "000100 01  R.\n"
        "000200*    A COMMENT\n"
        "000300     05  AMOUNT" + " " * 20 + "PIC S9(5)V9(2)\n"
        "000400" + " " * 26 + "COMP-3.".ljust(40) + "IGNORED1\n"
        "000500     05  B PIC X. *> MORE\n",
        "ascii",
        bytes.fromhex("1234567D") + b"x",
        {"amount": "-12345.67", "b": "x"},
    ),
    "packed, positive, negative, unsigned, of an even number of digits": (
        "01 R. 05 A PIC S9(3)V99 COMP-3. 05 B PIC S9(3)V99 PACKED-DECIMAL. 05 C PIC 9(4) COMPUTATIONAL-3.",
        "ascii",
        bytes.fromhex("01250C 00300D 00042F"),
        {"a": "12.50", "b": "-3.00", "c": "0042"},
    ),
    "packed zero, no sign": ("01 R. 05 A PIC S9V99 COMP-3.", "ascii", b"\0\r", {"a": "0.00"}),
    "overpunched signs, on ASCII": (
        "01 R. 05 A PIC S9(4)V99. 05 B PIC S9(4)V99. 05 C PIC S9(3). 05 D PIC S9(3). 05 E PIC S9(3).",
        "ascii",
        b"00123{00123}01J01A012",
        {"a": "12.30", "b": "-12.30", "c": "-11", "d": "11", "e": "12"},
    ),
    "overpunched signs of another compiler": (
        "01 R. 05 A PIC S9(3). 05 B PIC S9(3).", "ascii", b"01q010", {"a": "-11", "b": "10"},
    ),
    "overpunched signs, in EBCDIC": (
        "01 R. 05 A PIC S9(3)V99. 05 B PIC S9(3)V99. 05 C PIC S9(3).",
        E,
        bytes.fromhex("F0F1F2F3C4 F0F1F2F3D4 F0F1F2"),
        {"a": "12.34", "b": "-12.34", "c": "12"},
    ),
    "EBCDIC in a national page, whose braces are letters": (
        "01 R. 05 A PIC S9(3). 05 T PIC X(2).", "cp273", bytes.fromhex("F0F1C0 C1C2"), {"a": "10", "t": "AB"},
    ),
    "signs at the beginning and by themselves": (
        "01 R. 05 A PIC S9(3) SIGN IS LEADING SEPARATE CHARACTER. 05 B PIC S9(2)V9 SIGN TRAILING SEPARATE."
        " 05 C PIC S9(3) SIGN LEADING.",
        "ascii",
        b"-012" + b"123+" + b"J12",
        {"a": "-12", "b": "12.3", "c": "-112"},
    ),
    "binary of two, four and eight bytes": (
        "01 R. 05 A PIC S9(4) COMP. 05 B PIC 9(9) BINARY. 05 C PIC S9(18) COMP-5. 05 D PIC S9(4)V99 COMP-4.",
        "ascii",
        (-2).to_bytes(2, "big", signed=True)
        + (70_000).to_bytes(4, "big")
        + (-(10**15)).to_bytes(8, "big", signed=True)
        + (12_345).to_bytes(4, "big", signed=True),
        {"a": "-2", "b": "000070000", "c": "-1000000000000000", "d": "123.45"},
    ),
    "a group says how its numbers are kept": (
        "01 R. 05 G USAGE COMP-3. 10 A PIC 9(3). 10 B PIC S9V9. 05 C PIC 9.",
        "ascii",
        bytes.fromhex("123F 034D") + b"7",
        {"a": "123", "b": "-3.4", "c": "7"},
    ),
    "what occurs several times has its number": (
        "01 R. 05 CODE PIC XX OCCURS 3 TIMES INDEXED BY I. 05 END-MARK PIC X.",
        "ascii",
        b"AABBCC!",
        {"code_1": "AA", "code_2": "BB", "code_3": "CC", "end_mark": "!"},
    ),
    "groups within groups that occur": (
        "01 R. 05 LINE OCCURS 2. 10 CODE PIC X. 10 AMT PIC S9V9 COMP-3 OCCURS 2 TIMES.",
        "ascii",
        b"A" + bytes.fromhex("012C 034D") + b"B" + bytes.fromhex("056C 078D"),
        {
            "code_1": "A", "amt_1_1": "1.2", "amt_1_2": "-3.4",
            "code_2": "B", "amt_2_1": "5.6", "amt_2_2": "-7.8",
        },
    ),
    "as often as a field says": (
        "01 R. 05 N PIC 9. 05 CODE PIC XX OCCURS 0 TO 3 TIMES DEPENDING ON N.",
        "ascii",
        b"2AABB",
        {"n": "2", "code_1": "AA", "code_2": "BB", "code_3": ""},
    ),
    "the same bytes in two ways": (
        "01 R. 05 D PIC 9(8). 05 D-PARTS REDEFINES D. 10 YEAR PIC 9(4). 10 FILLER PIC X(4). 05 E PIC X.",
        "ascii",
        b"20240131!",
        {"d": "20240131", "year": "2024", "e": "!"},
    ),
    "a way that is not meant here is empty": (
        "01 R. 05 KIND PIC X. 05 BODY PIC X(4). 05 MONEY REDEFINES BODY PIC S9(5)V99 COMP-3.",
        "ascii",
        b"Tzoom",
        {"kind": "T", "body": "zoom", "money": ""},
    ),
    "and the other way round, a shorter one": (
        "01 R. 05 KIND PIC X. 05 BODY PIC X(4). 05 MONEY REDEFINES BODY PIC S9(3)V99 COMP-3. 05 Z PIC X.",
        "latin-1",
        b"M" + bytes.fromhex("01250C20") + b"z",
        {"kind": "M", "body": "\x01%\x0c ", "money": "12.50", "z": "z"},
    ),
    "conditions, renames, values and fillers have no bytes of their own": (
        "01 R. 05 S PIC X VALUE 'A.B'. 88 ACTIVE VALUE 'A' THRU 'C'. 05 PIC X(2). 05 FILLER PIC X."
        " 05 T PIC 9 VALUE ZERO. 66 U RENAMES S THRU T.",
        "ascii",
        b"A...5",
        {"s": "A", "t": "5"},
    ),
    "places behind and before the point that are not written": (
        "01 R. 05 THOUSANDS PIC 9(3)PPP. 05 MILS PIC VPP99. 05 RATE PIC SV9(4) COMP-3.",
        "ascii",
        b"012" + b"34" + bytes.fromhex("01250D"),
        {"thousands": "12000", "mils": "0.0034", "rate": "-0.1250"},
    ),
    "edited numbers stay as they are written": (
        "01 R. 05 A PIC ZZ,ZZ9.99-. 05 B PIC $$9.99. 05 C PIC X.",
        "ascii",
        b" 1,234.50- $1.20!",
        {"a": " 1,234.50-", "b": " $1.20", "c": "!"},
    ),
    "blanks and low values are nothing, blanks before a number zeros": (
        "01 R. 05 A PIC 9(3). 05 B PIC S9(3)V9 COMP-3. 05 C PIC 9(3). 05 D PIC S9(5)V99.",
        "ascii",
        b"   " + bytes(3) + b" 12" + b"    12C",
        {"a": "", "b": "", "c": "012", "d": "1.23"},
    ),
    "one of several records": (
        "01 HEAD. 05 H PIC X. 01 BODY-LINE. 05 B PIC XX.", "ascii", b"bb", {"b": "bb"},
    ),
    "little indented, as in a file of YAML": (
        "01  R.\n    05  A    PIC X.\n    05  B    PIC XX.", "ascii", b"abb", {"a": "a", "b": "bb"},
    ),
    "levels without 01, names with digits, level 77": (
        "05 A1 PIC X. 05 2B PIC X.", "ascii", b"ab", {"a1": "a", "2b": "b"},
    ),
}  # fmt: skip


def read(text: str, charset: str, data: bytes, record: str = "") -> dict[str, str]:
    size = len(data)
    detail = {"copybook": text, "record": record}
    options = FixedOptions.model_validate({"charset": charset, "length": size, "detail": detail})
    made = Fixed(options)
    splitter = made.splitter(100_000)
    [piece] = [*splitter.feed(data), *splitter.end()]
    message = made.read(piece.body)
    assert message.refused is None, message.refused
    return dict(message.rows[0])


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_field_of_a_layout_is_read_as_it_is_declared(name: str) -> None:
    text, charset, data, expected = LAYOUTS[name]
    padded = data
    if "DEPENDING" in text:
        padded = data.ljust(length_of(read_copybook(text)))
    assert read(text, charset, padded, "BODY-LINE" if "BODY-LINE" in text else "") == expected


def test_at_least_twenty_layouts_are_shown() -> None:
    assert len(LAYOUTS) >= 20


REFUSED: dict[str, tuple[str, str]] = {
    "nothing": ("", "nothing is declared"),
    "no full stop": ("01 R", "line 1: a sentence has no full stop"),
    "no level": ("01 R.\nMOVE A TO B.", "line 2: MOVE: expected a level"),
    "a field without PIC": ("01 R.\n 05 A.\n 05 B PIC X.", "line 2: A has no PIC"),
    "no picture": ("01 R. 05 A PIC Q(3).", "line 1: Q(3) is no PIC"),
    "copy": ("01 R.\n    COPY OTHER.", "line 2: COPY: write out"),
    "a binary fraction": ("01 R. 05 A COMP-1.", "COMP-1: a binary fraction is no exact number"),
    "sync": ("01 R. 05 A PIC 9(4) COMP SYNC.", "SYNC: write the bytes"),
    "an unknown word": ("01 R. 05 A PIC X FOO.", "FOO: this word is not known"),
    "nothing after PIC": ("01 R. 05 A PIC.", "nothing follows PIC"),
    "two of a name": ("01 R. 05 A PIC X. 05 A PIC X.", "two fields of the record are called a"),
    "redefines what comes later": ("01 R. 05 A REDEFINES B PIC X. 05 B PIC X.", "which is not before it"),
    "inside a field": ("01 R. 05 A PIC X. 10 B PIC X.", "B stands inside a field that has a PIC"),
    "places that move": (
        "01 R. 05 N PIC 9. 05 A PIC X OCCURS 1 TO 3 DEPENDING ON N. 05 B PIC X.",
        "B: the place of what follows",
    ),
    "counted by nothing": (
        "01 R. 05 A PIC X OCCURS 1 TO 3 DEPENDING ON N.",
        "which the record does not",
    ),
    "several records": ("01 A. 05 X PIC X. 01 B. 05 Y PIC X.", "say with `record` which one of A, B"),
    "too many": ("01 R. 05 A PIC X OCCURS 6000 TIMES.", "expected how often"),
    "too many in all": ("01 R. 05 G OCCURS 90. 10 A PIC X OCCURS 90.", "more than 5000 fields"),
    "too long": ("01 R. 05 A PIC X(32768). 05 B PIC X.", "longer than 32 KiB"),
    "too long by far": ("01 R. 05 A PIC X(99999).", "is no PIC that can be read"),
    "binary of too many digits": ("01 R. 05 A PIC 9(19) COMP.", "more digits than a binary number may"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_taken_is_refused_with_its_line(name: str) -> None:
    text, words = REFUSED[name]
    with pytest.raises(CopybookRefused) as refused:
        read_copybook(text)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detail": {"copybook": "01 R. 05 A PIC S9(3) COMP-3."}}, "need `length`"),
        (
            {"length": 3, "detail": {"copybook": "01 R. 05 A PIC X(4)."}},
            "and its copybook takes 4",
        ),
        ({"detail": {"copybook": "01 R. 05 A PIC X(4).", "fields": {"a": "1"}}}, "`fields`, or `copybook`"),
        ({"detail": {"fields": {"a": "1"}, "record": "R"}}, "`record` says which record"),
        ({"detail": {"copybook": "01 R. 05 FILLER PIC X."}}, "no field with a name"),
        ({"detail": {"copybook": "01 R. 05 A COMP-2."}}, "line 1: COMP-2"),
    ],
)
def test_a_channel_file_hears_what_is_wrong_with_its_copybook(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        FixedOptions.model_validate(options)


def test_a_row_whose_bytes_are_no_number_waits_alone() -> None:
    copybook = "01 R. 05 A PIC S9(3) COMP-3. 05 B PIC X(2)."
    options = FixedOptions.model_validate({"length": 4, "detail": {"copybook": copybook}})
    made = Fixed(options)
    splitter = made.splitter(1000)
    pieces = [*splitter.feed(bytes.fromhex("123C") + b"ok" + b"\xff\xff" + b"no"), *splitter.end()]
    read_ = [made.read(piece.body) for piece in pieces]
    assert [each.refused.code if each.refused else dict(each.rows[0]) for each in read_] == [
        {"a": "123", "b": "ok"},
        "not-packed",
    ]


@given(st.text(alphabet="019ARXSVPIC().- \nCOMPOCURSDEFIN*", max_size=300))
def test_no_text_is_too_strange(text: str) -> None:
    try:
        found = read_copybook(text)
    except CopybookRefused:
        return
    assert all(isinstance(each, CopybookField) and each.size >= 0 for each in found)


@given(
    data=st.binary(min_size=1, max_size=12), charset=st.sampled_from(["ascii", "utf-8", "cp037", "cp1252"])
)
def test_no_bytes_are_too_strange(data: bytes, charset: str) -> None:
    for usage in ("display", "packed", "binary", "edited"):
        for sign in ("trailing", "leading separate"):
            field = CopybookField("a", 0, len(data), usage, usage != "edited", len(data), 2, True, sign)
            try:
                text = reader(field, charset)(data)
            except Unreadable:
                continue
            assert isinstance(text, str)
