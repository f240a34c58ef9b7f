"""Delimited text, as CSV (RFC 4180): rows with quoted line ends, and what senders make of quotes.

A quote that is never closed would take the rest of the file for one value. A row of more lines than are
allowed is therefore ended after its first one, and is a bad row.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Component, Options
from bridge.formats.rows import KINDS, BadRow, Kind, RowRead, RowsFile, RowsFormat, RowsOptions

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
        self._begun = False
        self._types: Mapping[Kind, RowType | None] = {kind: getattr(options, kind) for kind in KINDS}

    def cut(self, data: bytearray, *, last: bool) -> list[tuple[int, int, bytes]]:
        """Rows end at a line end that is not within quotes."""
        if not self._begun:
            if len(data) < len(_BOM) and not last:
                return []
            self._begun = True
            if data.startswith(_BOM):
                del data[: len(_BOM)]
                self._offset += len(_BOM)
        found: list[tuple[int, int, bytes]] = []
        done, start, lines = 0, 0, 0
        while (end := data.find(b"\n", start)) >= 0:
            lines += 1
            row = bytes(data[done : end + 1])
            if self._quote and row.count(self._quote) % 2 and lines < self._options.lines:
                start = end + 1
                continue
            if lines > 1 and row.count(self._quote) % 2:
                end = data.index(b"\n", done)  # its quote is never closed: it is the first line alone
                row, lines = bytes(data[done : end + 1]), 1
            found.append((len(row), lines, row))
            done = start = end + 1
            lines = 0
        if last and done < len(data):
            rest = bytes(data[done:])
            open_quote = self._quote and rest.count(self._quote) % 2
            found += [
                (len(row), 1, row) for row in (rest.splitlines(keepends=True) if open_quote else [rest])
            ]
            done = len(data)
        del data[:done]
        return found

    def read(self, row: bytes) -> RowRead | None:
        """One row."""
        options = self._options
        try:
            text = row.decode(options.charset).rstrip("\r\n")
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
        if options.quote and text.count(options.quote) % 2:
            raise BadRow("quote-not-closed")
        if not options.quote or options.quote not in text:
            return text.split(options.separator)
        if len(options.separator) == 1:
            try:
                [values] = csv.reader([text], delimiter=options.separator, quotechar=options.quote)
            except (csv.Error, ValueError):
                raise BadRow("no-csv") from None
            return values
        return _between(text, options.separator, options.quote)

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
    return [
        value[1:-1].replace(quote * 2, quote) if len(value) > 1 and value[0] == value[-1] == quote else value
        for value in values
    ]


class Delimited(RowsFormat):
    """One channel's delimited text: a `Format`."""

    form = "delimited"

    def __init__(self, options: DelimitedOptions) -> None:
        self._options = options

    def splitter(self, message_max_bytes: int) -> DelimitedFile:
        """What takes a file apart."""
        return DelimitedFile(self._options, message_max_bytes)


COMPONENT = Component(
    kind="format",
    name="delimited",
    summary="Delimited text in files, as CSV: rows by their columns, with header, trailer and totals.",
    options=DelimitedOptions,
    example='separator: ";"\ncharset: windows-1252\n',
    takes="files",
    build=Delimited,
)
