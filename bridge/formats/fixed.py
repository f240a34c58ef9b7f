"""Rows of fixed width by a declared layout, with line ends or without."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Component, Options
from bridge.formats.rows import KINDS, BadRow, Kind, RowRead, RowsFile, RowsFormat, RowsOptions, line_end_of

FIELDS_MAX_COUNT: Final = 1000
PLACES_MAX: Final = 32_768
_PLACES: Final = re.compile(r"([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?")


def _places(text: str) -> str:
    found = _PLACES.fullmatch(text)
    if found is None or int(found[2] or found[1]) < int(found[1]) or int(found[2] or found[1]) > PLACES_MAX:
        raise ValueError("expected places from 1, as in 1-10 or 11")
    return text


def _single_byte(name: str) -> str:
    try:
        if len("A".encode(name)) == 1 and codecs.lookup(name).name != "utf-7":
            return name
    except LookupError:
        pass
    raise ValueError("expected a character set, as in utf-8, windows-1252 or cp037")


_Fields = Annotated[dict[str, Annotated[str, AfterValidator(_places)]], Field(max_length=FIELDS_MAX_COUNT)]


class FixedType(Options):
    """One type of row: what tells it, and where its fields are."""

    at: Annotated[str, AfterValidator(_places)] = Field(
        "1", description="The places that tell its type, as in 1 or 1-2."
    )
    says: str = Field("", max_length=64, description="What stands there; empty for any.")
    fields: _Fields = Field(
        min_length=1, description="Its fields by name, each with its places in bytes, from 1: `2-9`."
    )
    packed: tuple[str, ...] = Field(
        (),
        max_length=FIELDS_MAX_COUNT,
        description="Fields that are packed decimals (COMP-3): two digits a byte, the sign last. They become "
        "digits, with `-` before what is negative; the decimal point is not written.",
    )

    @model_validator(mode="after")
    def _packs_what_is_there(self) -> Self:
        if unknown := [name for name in self.packed if name not in self.fields]:
            raise ValueError(f"`packed` names {unknown[0]}, which is not in `fields`")
        return self


class FixedOptions(RowsOptions):
    """Options of rows of fixed width."""

    charset: Annotated[str, AfterValidator(_single_byte)] = Field(
        "utf-8", description="The character set, as in utf-8, windows-1252 or cp037."
    )
    length: int = Field(
        0,
        ge=0,
        le=PLACES_MAX,
        description="How long a row is, in bytes; 0 where each has a line end.",
    )
    header: FixedType | None = Field(None, description="The row before the details.")
    detail: FixedType = Field(description="The details.")
    trailer: FixedType | None = Field(None, description="The row after the details.")
    short: bool = Field(
        True,
        description="Whether a row may end before its last field: blanks at its end were cut off.",
    )
    long: bool = Field(
        True,
        description="Whether more than blanks may stand behind its last field: what no field names is not "
        "read.",
    )

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if any(each is not None and not each.says for each in (self.header, self.trailer)):
            raise ValueError("`header` and `trailer` are told by `says`: what stands at their places `at`")
        types = (self.header, self.detail, self.trailer)
        if not self.length and any(each is not None and each.packed for each in types):
            raise ValueError("`packed` needs `length`: a packed number may hold what looks like a line end")
        return self


def _slice(places: str) -> slice:
    found = _PLACES.fullmatch(places)
    assert found is not None, "the model has accepted it"
    return slice(int(found[1]) - 1, int(found[2] or found[1]))


def unpacked(data: bytes) -> str:
    """The digits of a packed decimal, with its sign. Raises BadRow where it is none.

    >>> unpacked(bytes.fromhex("01250C")), unpacked(bytes.fromhex("00300D")), unpacked(b"")
    ('01250', '-00300', '')
    """
    digits, sign = data.hex()[:-1], data.hex()[-1:]
    if data and not ((digits.isdecimal() or not digits) and sign in "abcdef"):
        raise BadRow("not-packed")
    return f"-{digits}" if sign in ("b", "d") else digits


class FixedFile(RowsFile):
    """One file: a `Splitter`."""

    form = "fixed"

    def __init__(self, options: FixedOptions, message_max_bytes: int) -> None:
        super().__init__(options, message_max_bytes)
        self._options = options
        self._line_end: bytes | None = None
        declared: Mapping[Kind, FixedType | None] = {kind: getattr(options, kind) for kind in KINDS}
        # Details last: what tells them may be nothing at all.
        order: tuple[Kind, ...] = ("header", "trailer", "detail")
        self._types = [
            (
                kind,
                _slice(each.at),
                each.says,
                {name: _slice(places) for name, places in each.fields.items()},
                max(_slice(places).stop for places in each.fields.values()),
                frozenset(each.packed),
            )
            for kind in order
            if (each := declared[kind]) is not None
        ]

    def cut(self, data: bytearray, *, last: bool) -> list[tuple[int, int, bytes]]:
        """Rows of one length, or lines."""
        size, found = self._options.length, []
        if size:
            whole = len(data) // size * size
            rows = [bytes(data[at : at + size]) for at in range(0, whole, size)]
            if last and whole < len(data):
                rows.append(bytes(data[whole:]))
            found = [(len(row), 1, row) for row in rows]
        else:
            if self._line_end is None:
                self._line_end = line_end_of(data, last=last)
            if self._line_end is None:
                return []
            end = len(data) if last else data.rfind(self._line_end) + 1
            found = [(len(row) + 1, 1, row) for row in bytes(data[:end]).split(self._line_end)]
            if found and not found[-1][2]:
                found.pop()
        del data[: sum(row[0] for row in found)]
        return found

    def read(self, row: bytes) -> RowRead | None:
        """One row."""
        if not self._options.length:
            row = row.lstrip(b"\r\n").rstrip(b"\r\n\x1a")
        charset = self._options.charset
        try:
            for kind, at, says, fields, length, packed in self._types:
                if says and row[at].decode(charset) != says:
                    continue
                if len(row) < length and not self._options.short:
                    raise BadRow("short-row")
                if not self._options.long and row[length:].decode(charset).strip():
                    raise BadRow("long-row")
                if not packed:
                    return RowRead(kind, {name: row[where].decode(charset) for name, where in fields.items()})
                texts = {
                    name: unpacked(row[where]) if name in packed else row[where].decode(charset)
                    for name, where in fields.items()
                }
                return RowRead(kind, texts)
        except UnicodeDecodeError:
            raise BadRow("not-in-charset") from None
        raise BadRow("unknown-row")


class Fixed(RowsFormat):
    """One channel's rows of fixed width: a `Format`."""

    form = "fixed"

    def __init__(self, options: FixedOptions) -> None:
        self._options = options

    def splitter(self, message_max_bytes: int) -> FixedFile:
        """What takes a file apart."""
        return FixedFile(self._options, message_max_bytes)


COMPONENT = Component(
    kind="format",
    name="fixed",
    summary="Rows of fixed width in files, by a declared layout, with header, trailer and totals.",
    options=FixedOptions,
    example="""\
header: {says: H, fields: {business_date: 2-9}}
detail: {says: D, fields: {account: 2-11, amount: 12-20}}
trailer: {says: T, fields: {count: 2-7, total: 8-18}}
totals: [{trailer: count}, {trailer: total, of: sum, column: amount, decimals: 2}]
""",
    takes="files",
    build=Fixed,
)
