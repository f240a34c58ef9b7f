"""XML in files: what becomes a message, its place, what it stands in, and what files say of their records."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest
from fuzzing import mutated
from hypothesis import given
from hypothesis import strategies as st
from xml_files import TOTALS, reads, split, values

from bridge.formats.base import Batch, Piece, Unsplittable
from bridge.formats.xml_format import XmlFormat
from bridge.formats.xml_tree import read_xml

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<c:File xmlns:c="urn:c" day="4">\n'
HEADER = b" <Header><Date>20260102</Date></Header>\n"
ONE = b'<Charge id="1"><Amount c:unit="USD">12.50</Amount></Charge>'
TWO = b"<Charge/>"
THREE = b"<c:Charge>&lt;<![CDATA[</Charge>]]><!-- </Charge> --> <Amount>1</Amount></c:Charge >"
TRAILER = b"<Trailer><Count>3</Count><Total>13.50</Total></Trailer>"
FILE = b"".join((HEAD, HEADER, ONE, b"\n", TWO, b"\n ", THREE, b"\n ", TRAILER, b"</c:File>\n"))
CHARGES = {"record": "Charge", "header": "Header", "totals": TOTALS}


def codings(text: bytes) -> list[bytes]:
    """The same file as it may be written."""
    decoded = text.decode()
    wide = decoded.replace("UTF-8", "UTF-16")
    return [
        text,
        b"\xef\xbb\xbf" + text,
        b"\r\n \r\n" + text + b"\r\n\x1a\0\0",
        decoded.replace("UTF-8", "ISO-8859-1").encode("latin-1"),
        decoded.replace("UTF-8", "windows-1252").encode("windows-1252"),
        ("\ufeff" + wide).encode("utf-16-le"),
        ("\ufeff" + wide).encode("utf-16-be"),
        wide.encode("utf-16-le"),
        ("\n" + wide).encode("utf-16-be"),
    ]


@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("step", [1, 7, 1_000_000])
def test_each_record_is_a_document_of_its_own_in_what_it_stood_in(number: int, step: int) -> None:
    data = codings(FILE)[number]
    made = reads(**CHARGES)
    pieces, batches = split(made, data, step=step)
    read = [made.read(piece.body) for piece in pieces]
    assert [each.root for each in read] == [
        {"@id": "1", "Amount": {"@unit": "USD", "#text": "12.50"}},
        {},
        {"#text": "<</Charge> 1", "Amount": "1"},
    ]
    assert [each.header for each in read] == [{"Date": "20260102"}] * 3
    codec = "utf-16-le" if data[1:2] == b"\0" or data[:2] == b"\xff\xfe" else "utf-16-be"
    codec = codec if b"\0<" in data or b"<\0" in data else "latin-1"
    for piece, raw in zip(pieces, (ONE, TWO, THREE), strict=True):
        record = raw.decode().encode(codec)
        assert data[piece.offset_bytes :].startswith(record)
        assert piece.body.count(record) == 1, "as it came"
    [batch] = batches
    assert (batch.kind, batch.first, batch.last, batch.balance) == ("records", 1, 3, "balanced")
    assert batch.found == {"rows": "3", "Trailer/Count": "3", "Trailer/Total": "13.50"}


def test_a_message_has_the_tags_of_its_record_and_nothing_that_stood_beside_it() -> None:
    pieces, _ = split(reads(record="Charge", header="Header"), FILE)
    assert pieces[0].body == HEAD.replace(b"\n", b"") + HEADER.strip() + ONE + b"</c:File>"
    pieces, _ = split(reads(record="Charge"), FILE)
    assert pieces[1].body == HEAD.replace(b"\n", b"") + TWO + b"</c:File>"


@pytest.mark.parametrize(
    ("header", "data", "expected"),
    [
        ("File", b'<File day="4"><R/></File>', [{"@day": "4"}]),
        ("B", b'<File><B n="1"><R/></B><B n="2"><R/></B></File>', [{"@n": "1"}, {"@n": "2"}]),
        ("H", b"<File><H>a</H><R/><H>b</H><R/></File>", [{"#text": "a"}, {"#text": "b"}]),
        ("H", b"<File><Head><H>a</H></Head><Body><R/></Body></File>", [{"#text": "a"}]),
        ("H", b"<File><B><H>a</H><R/></B><B><R/></B></File>", [{"#text": "a"}, {}]),
        ("B/H", b"<File><H>x</H><B><H>a</H><R/></B></File>", [{"#text": "a"}]),
        ("H", b"<File><H/><R/></File>", [{}]),
        ("H", b"<File><R/><H>late</H></File>", [{}]),
    ],
)  # fmt: skip
def test_the_header_of_a_record_is_the_one_before_it_or_what_it_stands_in(
    header: str, data: bytes, expected: list[Any]
) -> None:
    made = reads(record="R", header=header)
    for step in (1, 1000):
        pieces, _ = split(made, data, step=step)
        assert [made.read(piece.body).header for piece in pieces] == expected


@pytest.mark.parametrize(
    ("options", "data", "expected"),
    [
        ({"record": "A/R"}, b"<F><R>1</R><A><R>2</R></A></F>", ["2"]),
        ({"record": "R"}, b"<F><R>1<R>2</R></R><G><R>3</R></G></F>", ["12", "3"]),
        ({"record": "F"}, b"<F>1</F>", ["1"]),
        ({"record": "R"}, b"<F/>\n", []),
        ({"record": "R"}, b"<F><R>1</R></F>\n<?xml version='1.0'?><F><R>2</R></F>\x1a", ["1", "2"]),
        ({"record": "R"}, b"<F><R>1</R></F><F><R>2</R></F>", ["1", "2"]),
        ({}, b"<F><R>1</R></F>", ["1"]),
        ({}, b"<!-- a --><F>1</F><!-- b -->\n<?xml version='1.0'?>\n<F>2</F>", ["1", "2"]),
        ({}, b"<F>1", ["not-well-formed"]),
        ({}, b"<F>1</G>", ["not-well-formed"]),
    ],
)  # fmt: skip
def test_records_are_elements_by_their_last_names_or_whole_documents(
    options: dict[str, Any], data: bytes, expected: list[str]
) -> None:
    made = reads(**options)
    for step in (1, 1000):
        found = values(made, data, step=step)
        texts = [each if isinstance(each, str) else _text(each) for each in found]
        assert texts == expected


def _text(root: dict[str, Any]) -> str:
    return str(root.get("#text", root.get("R")))


BROKEN = [
    b"<R><a>1</R>",
    b"<R>1 & 2</R>",
    b"<R>&nbsp;</R>",
    b"<R>\xff</R>",
    b"<R>\x01</R>",
    b'<R a="1" a="2"/></R>',
    b"<R><![CDATA[ </R>",
    b"<R><!-- </R>",
    b"<R" + b"".join(b' a%d=""' % number for number in range(257)) + b"></R>",
    b"<R>" + b"<a>" * 65 + b"</a>" * 65 + b"</R>",
    b"<R><1/></R>",
    b"<R>",  # its end is missing: the next one begins
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("step", [1, 10_000])
def test_a_record_that_cannot_be_read_waits_by_itself_and_the_others_go_on(broken: bytes, step: int) -> None:
    data = b"<F>\n<R>1</R>\n" + broken + b"\n<R>2</R><R>3</R>\n<T>4</T></F>"
    made = reads(record="R", totals=[{"trailer": "T"}])
    pieces, [batch] = split(made, data, step=step)
    read = [made.read(piece.body) for piece in pieces]
    assert [None if each.refused else each.root for each in read] == [
        {"#text": "1"}, None, {"#text": "2"}, {"#text": "3"},
    ]  # fmt: skip
    assert (batch.balance, batch.last) == ("balanced", 4)
    bad = pieces[1]
    assert broken in bad.body
    assert data.index(broken, 13) == bad.offset_bytes
    assert b"in line 3 of the file -->" in bad.body
    with pytest.raises(Unsplittable) as refused:
        split(reads(record="R", bad_record="refuse"), data, step=step)
    assert refused.value.reason in ("not-well-formed", "too-deep", "too-many-attributes")
    assert str(refused.value).startswith(("Line 3, ", "Line 4, ", "Line 5, "))


def test_a_corrected_record_is_read_like_any_other() -> None:
    made = reads(record="R", header="H")
    pieces, _ = split(made, b"<F><H>h</H><R>1 & 2</R></F>")
    document = made.read(pieces[0].body.replace(b"&", b"&amp;"))
    assert (document.root, document.header) == ({"#text": "1 & 2"}, {"#text": "h"})


@pytest.mark.parametrize(
    ("data", "expected", "balance"),
    [
        (b"<F><R>1</R><R>2", ["1", "not-well-formed"], "no-trailer"),
        (b"<F><R>1</R>", ["1"], "no-trailer"),
        (b"<F><R>1</R></F", ["1"], "no-trailer"),
        (b"<F><R>1</R><R>2</F>", ["1", "not-well-formed"], "undeclared"),
    ],
)
def test_what_is_whole_of_a_file_that_was_cut_off_is_there_and_its_end_is_missed(
    data: bytes, expected: list[str], balance: str
) -> None:
    made = reads(record="R")
    for step in (1, 1000):
        pieces, [batch] = split(made, data, step=step)
        read = [made.read(piece.body) for piece in pieces]
        found = [each.root["#text"] if each.refused is None else each.refused.code for each in read]
        assert (found, batch.balance) == (expected, balance)
        with pytest.raises(Unsplittable) as refused:
            split(reads(record="R", bad_record="refuse"), data, step=step)
        assert refused.value.reason == "not-well-formed"


def _sum(column: str, of: str = "sum", **options: int) -> list[dict[str, Any]]:
    return [{"trailer": "T", "of": of, "column": column, **options}]


@pytest.mark.parametrize(
    ("totals", "data", "differences"),
    [
        ([{"trailer": "F/@n"}], b'<F n="2"><R/><R/></F>', []),
        ([{"trailer": "@n"}], b'<F n="2"><R/><R/></F>', []),
        ([{"trailer": "F/@n"}], b'<F n="3"><R/>\n<R/></F>', [("F/@n", "3", "2", "F/@n in line 1")]),
        ([{"trailer": "T/N"}], b"<F><R/><R/><T><N>3</N></T></F>", [("T/N", "3", "2", "T/N in line 1")]),
        ([{"trailer": "T/N"}], b"<F><R/>\n<T>\n<N> 1 </N></T></F>", []),
        (_sum("L/A"), b"<F><R><L><A>1.10</A><A>-2</A></L><A>9</A></R><T>-0.90</T></F>", []),
        (_sum("A/@v"), b'<F><R><A v="1.10"/><p:A p:v="2"/></R><T>3.10</T></F>', []),
        (_sum("@v"), b'<F><R v="1"/><R v="2"/><R/><T>3</T></F>', []),
        (_sum("A", decimals=2), b"<F><R><A>150</A></R><T>1</T></F>", [("T", "0.01", "1.50", "T in line 1")]),
        (_sum("A", of="hash", digits=3), b"<F><R><A>A-999</A></R><R><A>2</A></R><T>1</T></F>", []),
        (_sum("A"), b"<F><R><A>x</A></R><T/></F>", [("T", "unreadable", "", "A of the record in line 1")]),
        ([{"trailer": "T"}], b"<F><R/><T>many</T></F>", [("T", "unreadable", "1", "T in line 1")]),
        ([{"trailer": "T"}], b"<F><R><T>7</T></R><T>1</T></F>", []),
    ],
)  # fmt: skip
def test_what_a_file_says_of_its_records_is_held_against_them(
    totals: list[Any], data: bytes, differences: list[tuple[str, ...]]
) -> None:
    for step in (1, 1000):
        _, [batch] = split(reads(record="R", totals=totals), data, step=step)
        found = [(each.what, each.declared, each.found, each.place) for each in batch.differences]
        assert found == differences
        assert batch.balance == ("differs" if differences else "balanced")


def test_what_a_file_does_not_say_is_missed() -> None:
    made = reads(record="R", totals=[{"trailer": "T"}, {"trailer": "S", "of": "sum", "column": "A"}])
    _, [batch] = split(made, b"<F><R/><T>1</T></F>")
    assert (batch.balance, batch.declared) == ("no-trailer", {})
    assert split(reads(record="R"), b"<F><R/></F>")[1][0].balance == "undeclared"


def test_each_document_of_a_file_is_a_batch() -> None:
    made = reads(record="R", totals=[{"trailer": "@n"}])
    _, batches = split(made, b'<F n="1"><R/></F>\n<F n="3"><R/><R/></F>')
    assert [(each.first, each.last, each.balance) for each in batches] == [
        (1, 1, "balanced"),
        (2, 3, "differs"),
    ]


@pytest.mark.parametrize(
    ("options", "data", "reason"),
    [
        ({"record": "R"}, b"", "no-xml"),
        ({"record": "R"}, b" \r\n\x1a", "no-xml"),
        ({"record": "R"}, b"MSH|^~\\&|", "no-xml"),
        ({"record": "R"}, "<?xml version='1.0'?><F><R/></F>".encode("cp037"), "no-xml"),
        ({"record": "R"}, "<F><R/></F>".encode("utf-32"), "not-well-formed"),
        ({"record": "R"}, b"<?xml version='1.0'" + b" " * 3000, "no-xml"),
        ({"record": "R"}, b"<F><a></b></F>", "not-well-formed"),
        ({"record": "R"}, b"<F><R/></F>junk", "no-xml"),
        ({"record": "R"}, b"<F><X/></F>", "no-record"),
        ({"record": "R"}, b"<F><X/><Y/></F>", "no-record"),
        ({"record": "R", "totals": [{"trailer": "T"}]}, b"<F><X/><T>1</T></F>", "no-record"),
        ({"record": "R"}, b"<?xml version='1.0' encoding='shift_jis'?><F/>", "unknown-charset"),
        ({"record": "R"}, b"<?xml version='1.0' encoding='unicode_escape'?><F/>", "unknown-charset"),
        ({"record": "R"}, b"<?xml version='1.0' encoding='UTF-16'?><F/>", "wrong-charset"),
        ({"record": "R"}, "<?xml version='1.0' encoding='UTF-8'?><F/>".encode("utf-16"), "wrong-charset"),
        ({"record": "R", "header": "H"}, b"<F><H>" + b"x" * 70_000 + b"</H><R/></F>", "header-too-large"),
        ({"record": "R", "header": "H"}, b"<F><H>" + b"x" * 3_000_000 + b"</H><R/></F>", "header-too-large"),
        ({"record": "R"}, b'<F a="' + b"x" * 70_000 + b'"><R/></F>', "header-too-large"),
        ({"record": "R"}, b"<F><R>" + b"x" * 1_000_001 + b"</R></F>", "message-too-large"),
        ({}, b"<F>" + b"x" * 1_000_001 + b"</F>", "message-too-large"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_not_taken_and_says_why(
    options: dict[str, Any], data: bytes, reason: str
) -> None:
    for step in (997, 1_000_000):
        with pytest.raises(Unsplittable) as refused:
            split(reads(**options), data, step=step)
        assert refused.value.reason == reason
        assert " byte -" not in str(refused.value), "a place is one of the file"


@pytest.mark.parametrize(
    ("charset", "data"),
    [
        ("windows-1252", "<?xml version='1.0' encoding='UTF-8'?><F><R>ü–</R></F>".encode("windows-1252")),
        ("utf-8", "<?xml version='1.0' encoding='ISO-8859-1'?><F><R>ü–</R></F>".encode()),
        ("utf-8", "<?xml version='1.0' encoding='shift_jis'?><F><R>ü–</R></F>".encode()),
        ("utf-16", "<?xml version='1.0' encoding='UTF-8'?><F><R>ü–</R></F>".encode("utf-16")),
        ("utf-16", "<?xml version='1.0' encoding='UTF-8'?><F><R>ü–</R></F>".encode("utf-16-le")),
    ],
)
def test_a_channel_may_know_better_than_a_file_in_which_characters_it_is(charset: str, data: bytes) -> None:
    made = reads(record="R", charset=charset)
    for step in (1, 1000):
        assert values(made, data, step=step) == [{"#text": "ü–"}]


@pytest.mark.parametrize("bad", ["shift_jis", "cp037", "utf-7", "idna", "nonsense"])
def test_characters_that_the_parser_does_not_know_are_no_option(bad: str) -> None:
    with pytest.raises(ValueError, match="expected utf-8, utf-16 or a character set of one byte"):
        reads(charset=bad)


def test_equal_records_have_equal_contents_however_they_are_written() -> None:
    made = reads(record="R")
    first, _ = split(made, b'<F day="1"><R a="1" b="2"><c>x &amp; y</c></R></F>')
    second, _ = split(made, b"<p:G xmlns:p='q'><p:R b='2' a='1'>\n<p:c><![CDATA[x & y]]></p:c></p:R></p:G>")
    assert made.content(first[0].body) == made.content(second[0].body) != first[0].body
    assert made.content(b"<R>") == b"<R>"


_TEXT = st.text("ab >\"'ü–😀\n\t")
_ELEMENT = st.recursive(
    _TEXT.map(lambda text: f"<a>{text}</a>"),
    lambda inner: st.lists(inner, max_size=3).map(lambda each: f'<b c="1>">{"".join(each)}</b>'),
    max_leaves=6,
)


@given(st.lists(_ELEMENT, max_size=5), st.integers(1, 40), st.sampled_from(["utf-8", "utf-16"]))
def test_records_come_apart_as_they_are(records: list[str], step: int, codec: str) -> None:
    whole = [f"<R>{each}</R>" for each in records]
    data = f"<F>{' '.join(whole)}</F>".encode(codec)
    made = reads(record="R")
    pieces, [batch] = split(made, data, step=step)
    assert [piece.body.decode(codec) for piece in pieces] == [f"<F>{each}</F>" for each in whole]
    alone = [read_xml(each.encode(), made._reading).root for each in whole]
    assert [made.read(piece.body).root for piece in pieces] == alone
    assert batch.last == len(records)


PIECES = (b"<Charge>", b"</Charge>", b"<Charge ", b"<!--", b"-->", b"<![CDATA[", b"&", b"/>", b"\xff")


def outcome(made: XmlFormat, data: bytes, step: int) -> tuple[list[Piece], list[Batch]] | str:
    try:
        return split(made, data, step=step)
    except Unsplittable as refused:
        return refused.reason


def test_however_a_changed_file_is_fed_the_same_comes_of_it() -> None:
    chance = random.Random(11)
    seeds = [FILE, *codings(FILE)[3:7]]
    whole = 0
    for _ in range(250):
        data = mutated(chance, [chance.choice(seeds)], PIECES)
        options: list[dict[str, Any]] = [CHARGES, {"record": "Amount", "header": "Charge"}, {}]
        made = reads(**chance.choice(options))
        at_once = outcome(made, data, 1_000_000)
        in_steps = outcome(made, data, chance.choice([1, 3, 50]))
        if isinstance(at_once, str) or isinstance(in_steps, str):
            assert isinstance(in_steps, str) == isinstance(at_once, str)
        else:
            assert in_steps == at_once
            whole += 1
    assert whole > 50


@given(st.binary(max_size=80), st.sampled_from([{}, {"record": "R"}, CHARGES]))
def test_no_bytes_are_too_strange(data: bytes, options: dict[str, Any]) -> None:
    for whole in (data, b"<File><R>" + data + b"</R><R/></File>"):
        with suppress(Unsplittable):
            assert isinstance(values(reads(**options), whole), list)
