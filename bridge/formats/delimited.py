"""Delimited text, as CSV (RFC 4180): rows with quoted line ends, and what senders make of quotes.

A quote that is never closed would take the rest of the file for one value, or all up to the next such
quote. A row of more lines than are allowed, or of lines that make no row together, is therefore ended after
its first one, and is a bad row.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Component, Options
from bridge.formats.base import Opened, Rejected
from bridge.formats.rows import (
    KINDS,
    BadRow,
    Kind,
    RowRead,
    RowsFile,
    RowsFormat,
    RowsOptions,
    columns_read,
)
from bridge.formats.rows_plain import Columns, Plain, line_end_of, plain_table
from bridge.formats.rows_rejected import LINE_ENDS, MESSAGE_MAX_BYTES, rejected_rows

COLUMNS_MAX_COUNT: Final = 1000
_BOM: Final = b"\xef\xbb\xbf"


def _separator(text: str) -> str:
    text = {"tab": "\t", "space": " "}.get(text, text)
    if not 0 < len(text) <= 8 or "\n" in text or "\r" in text:
        raise ValueError("expected one to eight characters, or tab or space")
    return text


def _known(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError("expected a character set, as in utf-8 or windows-1252") from None
    return name


class RowType(Options):
    """One type of row, where a file has several."""

    first: str = Field("", max_length=64, description="What stands in its first column; empty for any.")
    columns: tuple[str, ...] = Field(
        min_length=1, max_length=COLUMNS_MAX_COUNT, description="The names of its columns, in order."
    )


class DelimitedOptions(RowsOptions):
    """Options of delimited text."""

    charset: Annotated[str, AfterValidator(_known)] = Field(
        "utf-8", description="The character set, as in utf-8 or windows-1252."
    )
    separator: Annotated[str, AfterValidator(_separator)] = Field(
        ",", description="What stands between two values: characters, or tab or space."
    )
    quote: str = Field(
        '"', max_length=1, description="What a value with separators or line ends stands in; empty for none."
    )
    columns: tuple[str, ...] = Field(
        (),
        max_length=COLUMNS_MAX_COUNT,
        description="The names of the columns, where the first line of the file does not say them.",
    )
    header: RowType | None = Field(None, description="The row before the details, told by its first column.")
    detail: RowType | None = Field(None, description="The details, where their first column tells them.")
    trailer: RowType | None = Field(None, description="The row after the details, told by its first column.")
    ragged: bool = Field(
        False, description="Whether a row may have fewer values than there are columns; the rest are empty."
    )
    lone_quotes: bool = Field(
        False,
        description="Whether quotes may stand in a value without being doubled, as some databases export "
        "them: then one ends its value only before a separator or at the end of the row.",
    )
    lines: int = Field(
        100, gt=0, le=10_000, description="A row of more lines than these has a quote that is not closed."
    )

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if self.detail is not None and self.columns:
            raise ValueError("`columns` are those of all details, and `detail` says them too: write one")
        if any(each is not None and not each.first for each in (self.header, self.trailer)):
            raise ValueError("`header` and `trailer` are told by `first`: what stands in their first column")
        return self

    @property
    def columns_of(self) -> Mapping[str, frozenset[str]]:
        """As `NamesColumns` says."""
        header, trailer = (() if each is None else each.columns for each in (self.header, self.trailer))
        own = self.columns if self.detail is None else self.detail.columns
        return columns_read(self.rows, own, header, trailer)


class DelimitedFile(RowsFile):
    """One file: a `Splitter`."""

    form = "delimited"

    def __init__(self, options: DelimitedOptions, message_max_bytes: int) -> None:
        super().__init__(options, message_max_bytes)
        self._options = options
        self._quote = options.quote.encode(options.charset) if options.quote else b""
        self._names: tuple[str, ...] = options.columns
        if options.detail is not None:
            self._names = options.detail.columns
        self._marked = False
        """Whether a byte order mark was looked for."""
        self._line_end = b""
        self._tables: tuple[bytes | None, bytes | None] = None, None
        """For rows without quotes, and with."""
        self._types: Mapping[Kind, RowType | None] = {kind: getattr(options, kind) for kind in KINDS}

    def begun(self, data: bytearray, *, last: bool) -> bool:
        """Whether it is known what ends a line; a byte order mark is passed over."""
        if not self._marked:
            if len(data) < len(_BOM) and not last:
                return False
            self._marked = True
            if data.startswith(_BOM):
                del data[: len(_BOM)]
                self._offset += len(_BOM)
        if not self._line_end:
            self._line_end = line_end_of(data, self._quote, last=last) or b""
            self._tables = self._plain_tables()
        return bool(self._line_end)

    def ended(self, data: bytearray) -> int:
        """The last row may have no line end."""
        if data.endswith(self._line_end):
            return 0
        data += self._line_end
        return len(self._line_end)

    def whole(self, data: bytearray, start: int, stop: int) -> int:
        """Where the last line ends."""
        return data.rfind(self._line_end, start, stop) + len(self._line_end)

    def _plain_tables(self) -> tuple[bytes | None, bytes | None]:
        options, one = self._options, len(self._options.separator) == 1
        separator = (
            options.separator.encode("ascii", "ignore") if one and options.separator != "\x1a" else b""
        )
        table = plain_table(options.charset, self._line_end + separator)
        if table is None:
            return None, None
        if not self._quote:
            return table, None
        without, quoted = bytearray(table), bytearray(table)
        for byte in self._quote:
            without[byte], quoted[byte] = 0, byte
        return bytes(without), bytes(quoted) if one and len(self._quote) == 1 else None

    def plain(self, block: bytes) -> Plain | None:
        """Rows of as many values as there are columns, each in a line of its own."""
        without, quoted = self._tables
        if without is None or not self._names or len(set(self._names)) != len(self._names):
            return None
        data = block.replace(b"\r\n", b"\n") if self._line_end == b"\n" and b"\r" in block else block
        is_quoted = b"\0" in data.translate(without)
        if is_quoted and (quoted is None or b"\0" in data.translate(quoted)):
            return None
        try:
            text = data.decode(self._options.charset)
        except UnicodeDecodeError:
            return None
        columns = self._unquoted(text) if is_quoted else self._separated(text)
        if columns is None or not self._are_details(columns[0]):
            return None
        return Columns(block.splitlines(keepends=True), dict(zip(self._names, columns, strict=True)))

    def _separated(self, text: str) -> list[Sequence[str]] | None:
        """The columns of lines without quotes; None where not all of them have as many values."""
        separator, end, count = self._options.separator, self._line_end.decode(), len(self._names)
        # Each line end becomes a value too. Where all stand where they must, so does everything else.
        values = text.replace(end, separator + end + separator).split(separator)
        lines, step = text.count(end), count + 1
        if len(values) != lines * step + 1 or values[count::step].count(end) != lines:
            return None
        return [values[at : len(values) - 1 : step] for at in range(count)]

    def _unquoted(self, text: str) -> list[Sequence[str]] | None:
        """The columns of lines with quotes; None where they are not as they should be."""
        options, lines = self._options, text.split(self._line_end.decode())[:-1]
        if any(count % 2 for count in map(str.count, lines, repeat(options.quote))):
            return None
        try:
            rows = list(csv.reader(lines, delimiter=options.separator, quotechar=options.quote, strict=True))
        except (csv.Error, ValueError):
            return None
        if len(rows) != len(lines) or set(map(len, rows)) != {len(self._names)}:
            return None
        if any('"' in value for value in map("".join, rows)):
            return None
        return list(zip(*rows, strict=True))

    def _are_details(self, firsts: Sequence[str]) -> bool:
        """Whether all rows with these first values are details, and none is blank."""
        may_be_blank = len(self._names) == 1 or not self._options.separator.strip()
        if may_be_blank and min(firsts) < "!":
            return False
        others = [each.first for kind in ("header", "trailer") if (each := self._types[kind]) is not None]
        detail = self._types["detail"]
        if detail is None or not detail.first:
            return not any(first in firsts for first in others)
        return detail.first not in others and firsts.count(detail.first) == len(firsts)

    def cut(self, data: bytearray, start: int, *, last: bool) -> tuple[int, int, bytes] | None:
        """Rows end at a line end that is not within quotes."""
        end, first, lines = start, 0, 0
        while (at := data.find(self._line_end, end)) >= 0:
            end, lines = at + len(self._line_end), lines + 1
            first = first or end
            row = bytes(data[start:end])
            if self._quote and row.count(self._quote) % 2:
                if lines < self._options.lines:
                    continue
            elif lines == 1 or self._is_one(row):
                return len(row), lines, row
            break
        else:
            if not (last and lines):
                return None
        # A quote of it is never closed, or closed by another row's: it is the first line alone.
        row = bytes(data[start:first])
        return len(row), 1, row

    def _is_one(self, row: bytes) -> bool:
        """Whether several lines are one row."""
        try:
            self._strictly(self._text(row, "replace"))
        except BadRow:
            return False
        return True

    def _text(self, row: bytes, errors: str = "strict") -> str:
        return row.decode(self._options.charset, errors).lstrip("\r\n").rstrip("\r\n\x1a")

    def read(self, row: bytes) -> RowRead | None:
        """One row."""
        try:
            text = self._text(row)
        except UnicodeDecodeError:
            raise BadRow("not-in-charset") from None
        values = self._values(text)
        for kind in ("header", "trailer"):
            declared = self._types[kind]
            if declared is not None and values[0] == declared.first:
                return RowRead(kind, self._named(values, declared.columns))
        if not self._names:
            self._names = tuple(value.strip() for value in values)
            if len(set(self._names)) != len(self._names) or not all(self._names):
                raise BadRow("column-names")
            return None
        if (detail := self._types["detail"]) is not None and detail.first and values[0] != detail.first:
            raise BadRow("unknown-row")
        return RowRead("detail", self._named(values, self._names))

    def _values(self, text: str) -> list[str]:
        options = self._options
        if not options.quote or options.quote not in text:
            return text.split(options.separator)
        try:
            return self._strictly(text)
        except BadRow:
            values = _forgiven(text, options.separator, options.quote) if options.lone_quotes else None
            if values is None:
                raise
            return values

    def _strictly(self, text: str) -> list[str]:
        options = self._options
        if text.count(options.quote) % 2:
            raise BadRow("quote-not-closed")
        if len(options.separator) > 1:
            return _between(text, options.separator, options.quote)
        try:
            [values] = csv.reader([text], delimiter=options.separator, quotechar=options.quote, strict=True)
        except (csv.Error, ValueError):
            raise BadRow("no-csv") from None
        return values

    def _named(self, values: list[str], columns: tuple[str, ...]) -> Mapping[str, str]:
        if len(values) > len(columns) or (len(values) < len(columns) and not self._options.ragged):
            raise BadRow("ragged-row")
        return dict(zip(columns, values, strict=False))


def _between(text: str, separator: str, quote: str) -> list[str]:
    """Values between separators of several characters; within quotes they are part of a value."""
    values: list[str] = []
    for part in text.split(separator):
        if values and values[-1].count(quote) % 2:
            values[-1] += separator + part
        else:
            values.append(part)
    return [_unquoted(value, quote) for value in values]


def _unquoted(value: str, quote: str) -> str:
    if len(value) < 2 or value[0] != quote or value[-1] != quote:
        return value
    inner = value[1:-1]
    if quote in inner.replace(quote * 2, ""):
        raise BadRow("no-csv")
    return inner.replace(quote * 2, quote)


def _forgiven(text: str, separator: str, quote: str) -> list[str] | None:
    """The values of a row in which quotes were not doubled; None where one is never closed.

    >>> _forgiven('"5" tube",7" tube,"x"', ",", '"'), _forgiven('"1,2', ",", '"')
    (['5" tube', '7" tube', 'x'], None)
    """
    values: list[str] = []
    at = 0
    while True:
        if text.startswith(quote, at):
            end = text.find(quote + separator, at + 1)
            if end < 0:
                end = len(text) - 1
                if end == at or not text.endswith(quote):
                    return None
            values.append(text[at + 1 : end].replace(quote * 2, quote))
            at = end + 1
        else:
            end = text.find(separator, at)
            values.append(text[at:] if end < 0 else text[at:end])
            at = len(text) if end < 0 else end
        if at >= len(text):
            return values
        at += len(separator)


class Delimited(RowsFormat):
    """One channel's delimited text: a `Format`."""

    form = "delimited"

    def __init__(self, options: DelimitedOptions) -> None:
        self._options = options

    @property
    def options(self) -> DelimitedOptions:
        """What its channel says of it."""
        return self._options

    def splitter(self, message_max_bytes: int) -> DelimitedFile:
        """What takes a file apart."""
        return DelimitedFile(self._options, message_max_bytes)

    def rejects(self, rejected: Sequence[Rejected], opened: Callable[[], Opened]) -> bytes:
        """The rows behind the head of their file."""
        return rejected_rows(self, rejected, opened, self._ended)

    def _ended(self, trailer: bytes, totals: Mapping[str, str]) -> bytes | None:
        options = self._options
        read = self.splitter(MESSAGE_MAX_BYTES).read(trailer)
        if read is None or options.trailer is None:
            return None
        values = [totals.get(name, read.texts.get(name, "")) for name in options.trailer.columns]
        special = (options.separator, "\r", "\n", *((options.quote,) if options.quote else ()))
        quoted = [
            f"{options.quote}{each.replace(options.quote, options.quote * 2)}{options.quote}"
            if options.quote and any(one in each for one in special)
            else each
            for each in values
        ]
        end = next((each for each in LINE_ENDS if trailer.endswith(each)), b"")
        return options.separator.join(quoted).encode(options.charset) + end


COMPONENT = Component(
    kind="format",
    name="delimited",
    summary="Delimited text in files, as CSV: rows by their columns, with header, trailer and totals.",
    options=DelimitedOptions,
    example='separator: ";"\ncharset: windows-1252\n',
    takes="files",
    build=Delimited,
)
