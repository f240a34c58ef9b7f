"""Every file in legacy_fixtures/quirks/files, with what it comes to: its messages or rows, and what its
batches and trailers say; and every row of the page of the fixtures, with its fixtures and its tests."""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from bridge.decoders.base import Budget, Entry, through
from bridge.formats.base import Batch, Piece, Splitter, Unsplittable
from bridge.formats.delimited import Delimited, DelimitedOptions
from bridge.formats.edifact import EdifactMessage
from bridge.formats.edifact_file import EdifactFile
from bridge.formats.fixed import Fixed, FixedOptions
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_file import Hl7v2File
from bridge.formats.rows import RowsFormat
from bridge.formats.xml_format import XmlFormat
from bridge.formats.xml_options import XmlOptions
from bridge.transports.collecting_options import Decode

ROOT = Path(__file__).parents[1]
LEGACY = ROOT / "legacy_fixtures"
QUIRKS = LEGACY / "quirks"
FILES = QUIRKS / "files"
MAX_BYTES = 1024**2
STEPS = pytest.mark.parametrize("step", [1, 7, 1_000_000])
PASSPHRASE = "only for this fixture"


def split(splitter: Splitter, data: bytes, step: int) -> list[Piece]:
    found: list[Piece] = []
    for start in range(0, len(data), step):
        found += splitter.feed(data[start : start + step])
    return [*found, *splitter.end()]


def told(batches: Sequence[Batch]) -> str:
    """Each batch: what it is, whether it is as it says, and where it is not."""
    return "; ".join(
        " ".join(
            [batch.kind, batch.balance, *(f"{each.declared}/{each.found}" for each in batch.differences)]
        )
        for batch in batches
    )


def decoded(data: bytes, decode: Sequence[dict[str, Any]]) -> list[bytes]:
    """The files that a file comes to."""
    decoders = tuple(Decode.model_validate(each).decoder(lambda _: PASSPHRASE) for each in decode)
    budget = Budget(len(data), MAX_BYTES, 100, tempfile.TemporaryFile)
    try:
        entries = through(Entry("", io.BytesIO(data)), decoders, budget)
        return [b"".join(iter(lambda: entry.stream.read(100), b"")) for entry in entries]  # noqa: B023
    finally:
        budget.close()


GZIP: dict[str, Any] = {"gzip": {}}
ZIP: dict[str, Any] = {"zip": {}}

# name: what is undone first, MSH-10 of the messages of each file that it comes to, and the batches
HL7: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "batch_bare_headers.txt": ([], "FILE-0005", "batch undeclared; file undeclared"),
    "batch_fts_comment.txt": ([], "FILE-0011", "batch balanced; file balanced"),
    "batch_header_alone.txt": ([], "FILE-0004", "batch balanced"),
    "batch_no_trailer.txt": ([], "FILE-0002 FILE-0003", "batch no-trailer; file no-trailer"),
    "batch_one_message.txt": ([], "FILE-0001", "batch balanced; file balanced"),
    "batch_wrong_bts.txt": ([], "FILE-0006 FILE-0007", "batch differs 5/2; file balanced"),
    "batch_wrong_fts.txt": (
        [],
        "FILE-0008 FILE-0009 FILE-0010",
        "batch balanced; batch balanced; file differs 3/2",
    ),
    "ebcdic_1047_nel.dat": ([{"text": {"charset": "cp1047"}}], "FILE-0034", ""),
    "ebcdic_500.dat": ([{"text": {"charset": "cp500"}}], "FILE-0032 FILE-0033", ""),
    "hl7_continued.txt": ([], "FILE-0021 FILE-0022", ""),
    "hl7_control_z.txt": ([], "FILE-0019 FILE-0020", ""),
    "hl7_mixed_line_ends.txt": ([], "FILE-0016 FILE-0017 FILE-0018", ""),
    "hl7_no_newline_at_end.txt": ([], "FILE-0014 FILE-0015", ""),
    "packed.gz": ([GZIP], "FILE-0027 FILE-0028", ""),
    "packed_many.zip": ([ZIP], "FILE-0023 + FILE-0024 FILE-0025 + FILE-0026", ""),
    "packed_twice.gz": ([GZIP], "FILE-0029 FILE-0030", ""),
    "packed_zip.gz": ([GZIP, ZIP], "FILE-0031", ""),
    "sent_again.txt": ([], "FILE-0012 FILE-0013", ""),
}


@STEPS
@pytest.mark.parametrize("name", HL7)
def test_a_file_comes_to_its_messages_and_its_batches_are_judged(name: str, step: int) -> None:
    decode, ids, batches = HL7[name]
    assert messages_of(name, decode, step) == (ids, batches)


def messages_of(name: str, decode: list[dict[str, Any]], step: int = MAX_BYTES) -> tuple[str, str]:
    found: list[str] = []
    judged: list[Batch] = []
    for content in decoded((FILES / name).read_bytes(), decode):
        splitter = Hl7v2File(MAX_BYTES)
        messages = [Hl7Message.read(piece.body) for piece in split(splitter, content, step)]
        assert [message.refused for message in messages] == [None] * len(messages)
        found.append(" ".join(str(message.value("MSH", 10)) for message in messages))
        judged += splitter.batches
    return " + ".join(found), told(judged)


ENCRYPTED = "encrypted.pgp"


def test_an_encrypted_file_comes_to_its_messages() -> None:
    # GnuPG's agent has its socket there, whose path must be short.
    with tempfile.TemporaryDirectory(prefix="gpg") as home:
        pgp = {"pgp": {"home": home, "passphrase": "secret://env/PASSPHRASE"}}
        try:
            assert messages_of(ENCRYPTED, [pgp]) == ("FILE-0035 FILE-0036", "")
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


def test_a_continued_message_stays_in_the_pieces_in_which_it_came() -> None:
    pieces = split(Hl7v2File(MAX_BYTES), (FILES / "hl7_continued.txt").read_bytes(), MAX_BYTES)
    first, second = (Hl7Message.read(piece.body) for piece in pieces)
    assert (first.value("DSC", 1), second.value("ADD", 1)) == ("CONT-17", " a long text")


def delimited(**options: Any) -> RowsFormat:
    return Delimited(DelimitedOptions.model_validate(options))


PLACES = {"account": "1-10", "text": "11-18", "amount": "19-26"}


def fixed(**options: Any) -> RowsFormat:
    return Fixed(FixedOptions.model_validate({"detail": {"fields": PLACES}, **options}))


# what of the name, and how it is read: format, each row as its values or why it is none, and the totals
COUNT: dict[str, Any] = {"trailer": "count"}
SUM: dict[str, Any] = {"trailer": "total", "of": "sum", "column": "amount"}
TWO = ["A-500781; 991; one; 12.50", "A-500782; 992; two; 3.00"]
PLAIN = ["A-500781  ; one     ; 00001250", "A-500782  ; two     ; 00000300"]
ROWS: dict[str, tuple[RowsFormat, list[str], str]] = {
    "csv_byte_order_mark.csv": (delimited(), ["A-500781; 991; Prüfung; 12.50"], ""),
    "csv_control_z.csv": (delimited(), TWO, ""),
    "csv_cr_line_ends.csv": (delimited(), TWO, ""),
    "csv_doubled_quotes.csv": (
        delimited(),
        ['A-500781; 991; the "long" form, twice; 12.50', 'A-500782; 992; "; 3.00'],
        "",
    ),
    "csv_line_end_in_value.csv": (
        delimited(),
        ["A-500781; 991; first line\nsecond line; 12.50", "A-500782; 992; plain; 3.00"],
        "",
    ),
    "csv_lone_quotes.csv": (
        delimited(),
        ["quote-not-closed", "quote-not-closed", "no-csv", "A-500784; 994; plain; 5.00"],
        "",
    ),
    "csv_lone_quotes.csv allowed": (
        delimited(lone_quotes=True),
        [
            'A-500781; 991; 5" tube; 12.50',
            'A-500782; 992; 7" drain; 3.00',
            'A-500783; 993; the "big" one; 4.00',
            "A-500784; 994; plain; 5.00",
        ],
        "",
    ),
    "csv_long_separator.csv": (
        delimited(separator="|~|"),
        ["A-500781; 991; a|b~c; 12.50", "A-500782; 992; one |~| value; 3.00"],
        "",
    ),
    "csv_mixed_line_ends.csv": (delimited(), TWO, ""),
    "csv_no_newline_at_end.csv": (delimited(), TWO, ""),
    "csv_quote_not_closed.csv": (
        delimited(),
        ["quote-not-closed", *(f"A-5008{n:02d}; 992; plain; 3.00" for n in range(5))],
        "",
    ),
    "csv_quote_not_closed.csv lone quotes allowed": (
        delimited(lone_quotes=True),
        ["quote-not-closed", *(f"A-5008{n:02d}; 992; plain; 3.00" for n in range(5))],
        "",
    ),
    "csv_windows_1252.csv": (
        delimited(charset="windows-1252"),
        ["A-500781; 991; Prüfung – 5 €; 12.50"],
        "",
    ),
    "csv_windows_1252.csv as UTF-8": (delimited(), ["not-in-charset"], ""),
    "csv_wrong_total.csv": (
        delimited(
            columns=["type", "account", "amount"],
            header={"first": "H", "columns": ["type", "day"]},
            trailer={"first": "T", "columns": ["type", "count", "total"]},
            totals=[COUNT, SUM],
        ),
        ["D; A-500781; 12.50", "D; A-500782; 3.00"],
        "rows differs 3/2 15.51/15.50",
    ),
    "empty.txt": (delimited(), [], ""),
    "fixed_cr_line_ends.txt": (fixed(), PLAIN, ""),
    "fixed_ebcdic.dat": (fixed(length=26, charset="cp037"), PLAIN, ""),
    "fixed_lines.txt": (fixed(), PLAIN, ""),
    "fixed_no_line_ends.txt": (fixed(length=26), PLAIN, ""),
    "fixed_packed_decimal.dat": (
        fixed(
            length=14,
            charset="cp037",
            detail={"says": "A", "fields": {"account": "1-10", "amount": "11-14"}, "packed": ["amount"]},
            trailer={"says": "T", "fields": {"count": "2-8", "total": "11-14"}, "packed": ["total"]},
            totals=[
                {"trailer": "count"},
                {"trailer": "total", "of": "sum", "column": "amount", "decimals": 2},
            ],
        ),
        ["A-500781  ; 0001250", "A-500782  ; -0000300", "not-packed"],
        "rows balanced",
    ),
    "fixed_short_and_long.txt": (fixed(), [PLAIN[0], "A-500782  ; two; ", PLAIN[1], PLAIN[1]], ""),
    "fixed_short_and_long.txt refused": (
        fixed(short=False, long=False),
        [PLAIN[0], "short-row", "long-row", PLAIN[1]],
        "",
    ),
    "fixed_signed.txt": (
        fixed(
            detail={"says": "A", "fields": PLACES},
            trailer={"says": "T", "fields": {"count": "2-8", "total": "9-26"}},
            totals=[
                {"trailer": "count"},
                {"trailer": "total", "of": "sum", "column": "amount", "decimals": 2},
            ],
        ),
        ["A-500781  ; one     ; 0000125{", "A-500782  ; two     ; 0000030}"],
        "rows balanced",
    ),
}


@STEPS
@pytest.mark.parametrize("case", ROWS)
def test_a_file_comes_to_its_rows_and_its_totals_are_judged(case: str, step: int) -> None:
    made, rows, totals = ROWS[case]
    splitter, found = made.splitter(MAX_BYTES), []
    for piece in split(splitter, (FILES / case.partition(" ")[0]).read_bytes(), step):
        read = made.read(piece.body)
        found += [read.refused.code] if read.refused else ["; ".join(row.values()) for row in read.rows]
    assert (found, told(splitter.batches)) == (rows, totals)


# name: the reference of each message with the text that is odd in it, and the batches
EDIFACT: dict[str, tuple[str, str]] = {
    "edifact_level_b.edi": ("E-3", "interchange balanced"),
    "edifact_lower_case_in_unoa.edi": ("E-10 Müller", "interchange balanced"),
    "edifact_no_unz.edi": ("E-11", "interchange no-trailer"),
    "edifact_own_separators.edi": ("E-4 A+B:C'D", "interchange balanced"),
    "edifact_released.edi": ("E-5 O'UNADILLA: 5 + 3 ? 1", "interchange balanced"),
    "edifact_wrapped.edi": ("E-1; E-2", "interchange balanced"),
    "edifact_wrong_cnt.edi": ("E-9", "message differs 2/1; interchange balanced"),
    "edifact_wrong_unt.edi": ("E-6; E-7", "message differs 4/3; interchange balanced"),
    "edifact_wrong_unz.edi": ("E-8", "interchange differs 2/1"),
}


@STEPS
@pytest.mark.parametrize("name", EDIFACT)
def test_a_file_comes_to_its_messages_of_edifact_and_its_counts_are_judged(name: str, step: int) -> None:
    splitter, found = EdifactFile(MAX_BYTES), []
    for piece in split(splitter, (FILES / name).read_bytes(), step):
        read = EdifactMessage.read(piece.body)
        assert (read.refused, read.message_type) == (None, "ORDERS")
        texts = (read.value("FTX", 4), read.value("NAD", 4), read.value("BGM", 2))
        said = next(filter(None, texts)) or ""
        found.append(read.control_id if said.startswith("PO-") else f"{read.control_id} {said}")
    assert ("; ".join(found), told(splitter.batches)) == EDIFACT[name]


CHARGES = {
    "record": "Charge",
    "totals": [
        {"trailer": "Trailer/Count"},
        {"trailer": "Trailer/Total", "of": "sum", "column": "Amount"},
    ],
}
ONE, OTHER = "X-1; A-500781; one; 12.50", "X-2; A-500782; two; 3.00"
PRUFUNG = ONE.replace("one", "Prüfung")
BALANCED, NO_TRAILER = "records balanced", "records no-trailer"

# what of the name, and how it is read: options, each record as its values or why it is none, and the totals
XML: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "xml_blanks_and_mark.xml": (CHARGES, [PRUFUNG, OTHER], BALANCED),
    "xml_latin1.xml": (CHARGES, [PRUFUNG, OTHER], BALANCED),
    "xml_utf16.xml": (CHARGES, [PRUFUNG, OTHER], BALANCED),
    "xml_not_what_it_declares.xml": (CHARGES, ["not-well-formed", OTHER], "records differs 15.50/3.00"),
    "xml_not_what_it_declares.xml known": (CHARGES | {"charset": "windows-1252"}, [PRUFUNG, OTHER], BALANCED),
    "xml_prefixes.xml": (
        {"record": "Charge"},
        ["X-1; A-500781; <b>one & only</b>; 12.50", OTHER],
        "records undeclared",
    ),
    "xml_one_or_several.xml": (
        {"record": "Order"},
        ["O-1; 1001", "O-2; ['1001', '1002']", "O-3"],
        "records undeclared",
    ),
    "xml_one_or_several.xml always a list": (
        {"record": "Order", "lists": ["Item"]},
        ["O-1; ['1001']", "O-2; ['1001', '1002']", "O-3"],
        "records undeclared",
    ),
    "xml_torn_record.xml": (CHARGES, [ONE, "not-well-formed", "X-3; A-500783; three; 3.00"], BALANCED),
    "xml_cut_off.xml": (CHARGES, [ONE, "not-well-formed"], NO_TRAILER),
    "xml_wrong_total.xml": (CHARGES, [PRUFUNG, OTHER], "records differs 15.51/15.50"),
    "xml_document_type.xml": (CHARGES, ["doctype"], ""),
    "xml_one_after_another.xml": (
        {"record": "Charge"},
        [ONE, OTHER],
        "records undeclared; records undeclared",
    ),
}


@STEPS
@pytest.mark.parametrize("case", XML)
def test_a_file_comes_to_its_records_and_its_totals_are_judged(case: str, step: int) -> None:
    options, records, totals = XML[case]
    made = XmlFormat(XmlOptions.model_validate(options))
    splitter, found = made.splitter(MAX_BYTES), []
    try:
        for piece in split(splitter, (FILES / case.partition(" ")[0]).read_bytes(), step):
            read = made.read(piece.body)
            found += [read.refused.code] if read.refused else ["; ".join(map(str, read.root.values()))]
    except Unsplittable as refused:
        found.append(refused.reason)
    assert (found, told(splitter.batches)) == (records, totals)


def test_every_file_has_a_row() -> None:
    tried = {ENCRYPTED, *HL7, *EDIFACT, *(case.partition(" ")[0] for case in (*ROWS, *XML))}
    assert {path.name for path in FILES.iterdir() if path.is_file()} == tried


_ROW = re.compile(
    r"^\|(?P<what>[^|]+)\|(?P<does>[^|]+)\|(?P<fixtures>[^|]*)\|(?P<tests>[^|]+)\|$", re.MULTILINE
)


def page_rows() -> list[tuple[str, list[str], list[Path]]]:
    """Each row of the page's table: what feeds do, its fixtures, and its tests."""
    text = (LEGACY / "README.md").read_text()
    found: list[tuple[str, list[str], list[Path]]] = []
    for row in _ROW.finditer(text[text.index("## What feeds do") : text.index("## Where python-hl7")]):
        fixtures, tests = (re.findall(r"`([^`]+)`", row[name]) for name in ("fixtures", "tests"))
        before = found[-1][2] if "the same" in row["tests"] else []
        if row["what"].strip(" -") not in ("what feeds do", ""):
            found.append((row["what"].strip(), fixtures, [*before, *(ROOT / each for each in tests)]))
    return found


def fixture_names() -> set[str]:
    """How the page calls each fixture: by its name without its ending, and a folder of several by its own."""
    paths = [*QUIRKS.glob("*.hl7"), *FILES.iterdir(), *(QUIRKS / "looks").iterdir()]
    return {path.stem for path in paths}


def test_every_fixture_stands_in_the_page_and_in_a_test_that_its_row_names() -> None:
    names, known = fixture_names(), {fixture for _, fixtures, _ in page_rows() for fixture in fixtures}
    assert len(page_rows()) > 40
    assert {name for name in names if not any(fnmatchcase(name, each) for each in known)} == set()
    assert {each for each in known if not any(fnmatchcase(name, each) for name in names)} == set()
    for what, fixtures, tests in page_rows():
        text = "".join(test.read_text() for test in tests)
        for name in (name for each in fixtures for name in names if fnmatchcase(name, each)):
            assert re.search(rf"\b{re.escape(name)}\b", text), f"{what}: no test of its row names {name}"


def test_every_row_of_files_has_a_fixture() -> None:
    of_files = [
        row
        for row in page_rows()
        if {test.name for test in row[2]} & {"test_file_quirks.py", "test_watching.py"}
    ]
    assert len(of_files) >= 12
    assert [what for what, fixtures, _ in of_files if not fixtures] == []
