"""How the messages of a channel are read: HL7 v2, rows of files, X12; or why no channel reads them yet."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from bridge.formats.rows import SKIP_MAX_COUNT
from bridge.migration.mirth.model import Channel, Connector
from bridge.migration.mirth.text import item, listed, one_line, quoted

X12_KINDS: Final = frozenset({"X12", "EDI", "EDI/X12"})
X12_SETS: Final = ("270", "271", "276", "277", "278", "820", "834", "835", "837", "997", "999")
"""Transaction sets of health care; taken where no sample says which one comes."""
ROWS_MAX_COUNT: Final = 10_000
"""Rows of one message at most, as `rows` has it. The old engine knew no limit."""
COLUMNS_MAX_COUNT: Final = 1_000
UNKNOWN_COLUMNS_COUNT: Final = 50
"""Columns that are named where neither the data type nor a sample says how many there are."""
ROW_MAX_PLACES: Final = 32_768
_NOT_TURNED: Final = "and this channel is not turned into it yet"
_FILES: Final = ("File Reader", "HTTP Listener")
_ROW: Final = re.compile(r"""\bmsg\s*(?:\.\s*row|\[\s*['"]row['"]\s*\])\s*\[\s*(\d{1,4})\s*\]""")
_NUMBERED_ROW: Final = re.compile(r"""\bmsg\s*(?:\.\s*row|\[\s*['"]row)([1-9]\d{0,3})\b""")
_COLUMN: Final = re.compile(r"\bcolumn([1-9]\d{0,2})\b")
_NAME: Final = re.compile(r"[^\W\d][\w.:-]{0,99}")
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "b": "\b"}
_ONE_BYTE: Final = re.compile(r"ascii|iso-8859-\d+|windows-125\d")


@dataclass(frozen=True, slots=True)
class Form:
    """How messages are read. ``name`` is the format of mappings, empty where none reads them.

    ``refused`` says why no channel reads them. ``options`` are lines below the format's name. A file of rows
    begins with row ``first_row`` of the old engine, counted from 0; ``split`` if each row is a message.
    """

    name: str = "hl7v2"
    refused: str = ""
    options: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    first_row: int = 0
    split: bool = False

    @property
    def rows(self) -> bool:
        """Whether messages are rows of files."""
        return self.name in ("delimited", "fixed")

    @property
    def in_files(self) -> bool:
        """Whether messages come in files, and have no types and answers as those of HL7 v2."""
        return self.rows or self.name == "x12"

    def lines(self, charset: str) -> list[str]:
        """The key `format` of a channel file; none for HL7 v2 whose messages say their character set."""
        if self.name == "x12":
            return ["format: x12"]
        if self.rows:
            said = [f"    charset: {charset}"] if charset else []
            return ["format:", f"  {self.name}:", *said, *(f"    {each}" for each in self.options)]
        return [f"format: {{hl7v2: {{charset: {charset}}}}}"] if charset else []

    def notes_for(self, charset: str) -> list[str]:
        """What differs, once the character set of the connector is known; empty: it names none."""
        found = list(self.notes)
        if self.rows and not charset:
            found.append("the character set was that of the old server; here UTF-8, see `charset`")
        if self.name == "fixed" and not _ONE_BYTE.fullmatch(charset):
            found.append("widths count bytes, where the old engine counted characters")
        if self.name == "x12" and charset not in ("", "utf-8", "ascii"):
            found.append(f"the character set {charset} cannot be said of X12")
        return found


def form_of(channel: Channel) -> Form:
    """How the messages of a channel are read, by the data type of its source and its properties."""
    kind = channel.source.transformer.inbound
    if kind in ("", "HL7V2"):
        return Form()
    if kind == "JSON":
        return Form("json", f"messages are JSON: `format: json` takes them, {_NOT_TURNED}")
    if kind == "DELIMITED":
        return _in_files(channel, "rows", _rows(channel))
    if kind in X12_KINDS:
        return _in_files(channel, "interchanges of X12", _x12(channel))
    if kind == "XML":
        return Form("", f"messages are XML: `format: xml` takes them, {_NOT_TURNED}")
    return Form("", f"messages are {one_line(kind, 40)}, which nothing reads yet")


def _in_files(channel: Channel, what: str, form: Form) -> Form:
    transport = channel.source.transport
    if transport in _FILES or form.refused:
        return form
    why = f"{what} come in files, and {one_line(transport, 40) or 'its source'} gives none"
    return replace(form, refused=why)


def _x12(channel: Channel) -> Form:
    transformer = channel.source.transformer
    sample = transformer.inbound_template.lstrip("\ufeff \r\n")
    if sample.startswith(("UNA", "UNB")):
        return Form(
            "",
            f"its sample is EDIFACT: `format: edifact` takes it, {_NOT_TURNED}",
        )
    found = re.search(r"(?:\A|[^A-Z0-9])ST[^A-Za-z0-9\s](\d{3})(?!\d)", sample)
    notes = ["a file was one message; here each transaction is one, ST to SE, with its ISA and GS"]
    if transformer.properties.get("inferX12Delimiters", "true").strip() == "false":
        notes.append("its separators were set; here each interchange says its own, in ISA")
    if found is None:
        notes.append("no sample says which transactions come: `accept` of the mapping has the usual ones")
    return Form("x12", notes=tuple(notes), accept=(found[1],) if found else X12_SETS)


def in_batches(connector: Connector) -> bool:
    """Whether a source takes what comes apart into several messages."""
    names = ("sourceConnectorProperties/processBatch", "processBatch", "processBatchFiles")
    return connector.text(*names).strip() in ("true", "1")


def _rows(channel: Channel) -> Form:
    """Rows with separators or of fixed widths. The old engine names columns, and takes any number of them."""
    said = channel.source.transformer.properties
    name = "fixed" if _list(said.get("columnWidths", "")) else "delimited"
    split = in_batches(channel.source)
    first = 0 if split else _first_row(channel)
    skip = said.get("batchSkipRecords", "").strip() if split else str(first)
    skipped = int(skip[:9]) if skip.isdecimal() else 0
    refused = _no_rows(said, split=split)
    if skipped > SKIP_MAX_COUNT:
        refused = f"{skipped} rows before those that are read"
    options = [] if split else [f"rows: {ROWS_MAX_COUNT}   # the whole file is one message, as before"]
    options += [f"skip: {skipped}"] if skipped else []
    notes = [] if split else [f"a file of more than {ROWS_MAX_COUNT:,} rows becomes several messages"]
    options += [] if split else ["bad_row: refuse"]
    bad = "waits in quarantine by itself" if split else "keeps its file from being taken"
    notes.append(f"blank lines are left out; a row that cannot be read {bad}")
    if said.get("ignoreCR", "true").strip() == "false":
        notes.append("CR before a line end was part of the last value, and is left out here")
    names = [each.strip() for each in _list(said.get("columnNames", ""))]
    if any(not _NAME.fullmatch(each) for each in names) or len(set(names)) != len(names):
        refused = refused or "the names of its columns are not all names, or one stands twice"
    if name == "fixed":
        why = _widths(said, names, options)
    else:
        why = _separated(channel, said, names, options, notes)
    return Form(name, refused or why, tuple(options), tuple(notes), (), first, split)


def _no_rows(said: Mapping[str, str], *, split: bool) -> str:
    """Why rows cannot be taken apart as they were; empty: they can."""
    if _unescaped(said.get("recordDelimiter", "") or "\\n")[:2] not in ("\n", "\r\n"):
        return "its rows end otherwise than with a line end"
    if said.get("escapeWithDoubleQuote", "true").strip() == "false":
        return "a quote within a value is escaped by a character, and not doubled"
    if not split:
        return ""
    way = said.get("splitType", "").strip().upper()
    if way not in ("", "RECORD"):
        return f"files are split by {one_line(way, 30)}, and not at each row"
    if not way and said.get("batchSplitByRecord", "true").strip() == "false":
        return "files are split otherwise than at each row"
    return ""


def _widths(said: Mapping[str, str], names: list[str], options: list[str]) -> str:
    widths = _list(said.get("columnWidths", ""))
    if len(widths) > COLUMNS_MAX_COUNT or not all(re.fullmatch(r"\s*\d{1,5}\s*", each) for each in widths):
        return "the widths of its columns are no numbers"
    places, end = [], 0
    for name, width in zip(_filled(names, len(widths)), map(int, widths), strict=False):
        places.append(f"{item(name)}: {end + 1}-{end + width}")
        end += width
        if width == 0 or end > ROW_MAX_PLACES:
            return "a column is not wide at all, or a row is too long"
    options += ["detail:", *listed("  fields", places, "    ", "{}")]
    return ""


def _separated(
    channel: Channel, said: Mapping[str, str], names: list[str], options: list[str], notes: list[str]
) -> str:
    separator = _unescaped(said.get("columnDelimiter", ""))[:1] or ","
    quote = _unescaped(said.get("quoteToken", said.get("quoteChar", '"')))[:1]
    word = {"\t": "tab", " ": "space"}.get(separator, separator)
    if not word.isprintable() or not (quote.isprintable() or not quote) or separator == quote:
        return "its separator or its quote is a character that cannot be written"
    if separator != ",":
        options.append(f"separator: {item(word)}")
    if quote != '"':
        options.append(f"quote: {quoted(quote)}")
    sample = _columns_of(channel.source.transformer.inbound_template, separator, quote)
    used = max(map(int, _COLUMN.findall("\n".join(_texts(channel)))), default=0)
    count = max(sample, used, len(names), 0 if sample or names else UNKNOWN_COLUMNS_COUNT)
    if count > COLUMNS_MAX_COUNT:
        return f"{count} columns are more than can be named"
    options += listed("columns", [item(each) for each in _filled(names, count)], "  ")
    options.append("ragged: true")
    notes.append(f"a row of more than {count} values cannot be read: name the others in `columns`")
    return ""


def _columns_of(sample: str, separator: str, quote: str) -> int:
    lines = sample.lstrip("\ufeff").splitlines()[:20]
    quoting = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    try:
        return max((len(row) for row in csv.reader(lines, delimiter=separator, **quoting)), default=0)
    except (csv.Error, ValueError):
        return 0


def _filled(names: list[str], count: int) -> list[str]:
    """So many names: those that were given, and then the old engine's own."""
    return [*names, *(f"column{number}" for number in range(len(names) + 1, count + 1))]


def _first_row(channel: Channel) -> int:
    """The row that steps read, from 0: 1 behind a line of headings. The most usual one, or the first."""
    text = "\n".join(_texts(channel))
    found = Counter(int(each) for each in _ROW.findall(text))
    found.update(int(each) - 1 for each in _NUMBERED_ROW.findall(text))
    return min(found, key=lambda row: (-found[row], row), default=0)


def _texts(channel: Channel) -> Iterator[str]:
    for element in channel.elements:
        for each in element.every():
            if each.enabled:
                yield from each.fields.values()
                yield from each.values


def _list(text: str) -> list[str]:
    return text.split(",") if text.strip(" ,") else []


def _unescaped(text: str) -> str:
    if found := re.fullmatch(r"0x([0-9A-Fa-f]{2})", text):
        return chr(int(found[1], 16))
    return re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), text)
