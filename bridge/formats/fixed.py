"""Rows of fixed width by a declared layout, with line ends or without."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Component, Options
from bridge.formats.base import Opened, Rejected
from bridge.formats.fixed_copybook import CopybookField, length_of, read_copybook
from bridge.formats.fixed_copybook_values import Unreadable, reader
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
from bridge.formats.rows_plain import Places, Plain, ascii_table, line_end_of
from bridge.formats.rows_rejected import rejected_rows

FIELDS_MAX_COUNT: Final = 1000
COPYBOOK_MAX_CHARACTERS: Final = 200_000
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
        default_factory=dict,
        description="Its fields by name, each with its places in bytes, from 1: `2-9`.",
    )
    copybook: str = Field(
        "",
        max_length=COPYBOOK_MAX_CHARACTERS,
        description="Instead of `fields`: the COBOL copybook that declares them, its text after `|`. Names "
        "become small letters with `_`, and what occurs several times has its number behind it. Numbers are "
        "read as they are declared: zoned, packed (COMP-3) or binary (COMP), with their sign and point.",
    )
    record: str = Field(
        "", max_length=64, description="With `copybook`: which record of it, where it declares several."
    )
    packed: tuple[str, ...] = Field(
        (),
        max_length=FIELDS_MAX_COUNT,
        description="Fields that are packed decimals (COMP-3): two digits a byte, the sign last. They become "
        "digits, with `-` before what is negative; the decimal point is not written.",
    )

    @model_validator(mode="after")
    def _has_fields(self) -> Self:
        if bool(self.fields) == bool(self.copybook):
            raise ValueError("expected `fields`, or `copybook`")
        if self.record and not self.copybook:
            raise ValueError("`record` says which record of a `copybook`")
        if self.copybook and not read_copybook(self.copybook, self.record):
            raise ValueError("the record of the copybook has no field with a name")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """What its fields are called."""
        if not self.copybook:
            return tuple(self.fields)
        return tuple(each.name for each in read_copybook(self.copybook, self.record))

    @property
    def binary(self) -> bool:
        """Whether it has fields that are no text."""
        if not self.copybook:
            return bool(self.packed)
        return any(each.binary for each in read_copybook(self.copybook, self.record))

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
        if not self.length and any(each is not None and each.binary for each in types):
            raise ValueError(
                "packed and binary numbers need `length`: they may hold what looks like a line end"
            )
        for each in types:
            if self.length and each is not None and each.copybook:
                reaches = length_of(read_copybook(each.copybook, each.record))
                if reaches > self.length:
                    raise ValueError(f"a row is {self.length} bytes long, and its copybook takes {reaches}")
        return self

    @property
    def columns_of(self) -> Mapping[str, frozenset[str]]:
        """As `NamesColumns` says."""
        header, trailer = (() if each is None else each.names for each in (self.header, self.trailer))
        return columns_read(self.rows, self.detail.names, header, trailer)


def _slice(places: str) -> slice:
    found = _PLACES.fullmatch(places)
    assert found is not None, "the model has accepted it"
    return slice(int(found[1]) - 1, int(found[2] or found[1]))


def _place_of(declared: FixedType, name: str) -> slice | None:
    """The bytes of a row in which a field stands; None where none is declared by its places."""
    places = declared.fields.get(name)
    return None if places is None else _slice(places)


def unpacked(data: bytes) -> str:
    """The digits of a packed decimal, with its sign. Raises BadRow where it is none.

    >>> unpacked(bytes.fromhex("01250C")), unpacked(bytes.fromhex("00300D")), unpacked(b"")
    ('01250', '-00300', '')
    """
    digits, sign = data.hex()[:-1], data.hex()[-1:]
    if data and not ((digits.isdecimal() or not digits) and sign in "abcdef"):
        raise BadRow("not-packed")
    return f"-{digits}" if sign in ("b", "d") else digits


Texts = Mapping[str, str]


class _RowType(NamedTuple):
    """A type of row: what tells it, how long its fields reach, and what reads them, raising BadRow.

    ``places`` are those of its fields, where all of them are text.
    """

    kind: Kind
    at: slice
    says: str
    length: int
    read: Callable[[bytes], Texts]
    places: Mapping[str, slice]

    def is_all(self, rows: bytes, size: int, length: int) -> bool:
        """Whether all rows are of it. They are ASCII, of one size, and ``length`` is without line end."""
        count = len(rows) // size
        return self._says_as_much(length) and all(
            rows[place::size].count(says) == count
            for place, says in enumerate(self.says.encode(), self.at.start)
        )

    def is_none(self, rows: bytes, size: int, length: int) -> bool:
        """Whether no row is of it, as one place of them shows."""
        return not self._says_as_much(length) or any(
            says not in rows[place::size] for place, says in enumerate(self.says.encode(), self.at.start)
        )

    def _says_as_much(self, length: int) -> bool:
        return self.says.isascii() and len(self.says) == min(self.at.stop, length) - self.at.start


def _reading(declared: FixedType, charset: str) -> tuple[int, Callable[[bytes], Texts], Mapping[str, slice]]:
    """How long the fields of a type reach, what reads them, and their places where they are text."""
    if declared.copybook:
        layout = read_copybook(declared.copybook, declared.record)
        return length_of(layout), _by_copybook(layout, charset), {}
    fields = {name: _slice(places) for name, places in declared.fields.items()}
    length, packed = max(each.stop for each in fields.values()), frozenset(declared.packed)

    def one_by_one(row: bytes) -> Texts:
        return {
            name: unpacked(row[where]) if name in packed else row[where].decode(charset)
            for name, where in fields.items()
        }

    def at_once(row: bytes) -> Texts:
        try:
            text = row.decode(charset)
        except UnicodeDecodeError:
            return one_by_one(row)  # what no field names may be anything
        if len(text) != len(row):
            return one_by_one(row)
        return {name: text[where] for name, where in fields.items()}

    return (length, one_by_one, {}) if packed else (length, at_once, fields)


def _by_copybook(layout: Sequence[CopybookField], charset: str) -> Callable[[bytes], Texts]:
    readers = [(each, slice(each.start, each.start + each.size), reader(each, charset)) for each in layout]

    def read(row: bytes) -> Texts:
        texts: dict[str, str] = {}
        for each, where, value_of in readers:
            if each.counted_by and not _is_there(each, texts):
                texts[each.name] = ""
                continue
            try:
                texts[each.name] = value_of(row[where])
            except Unreadable as why:
                if not each.redefines:
                    raise BadRow(str(why)) from None
                texts[each.name] = ""  # these bytes are another field's here
        return texts

    return read


def _is_there(each: CopybookField, texts: Texts) -> bool:
    count = texts.get(each.counted_by, "")
    return count.isdecimal() and each.occurrence <= int(count)


class FixedFile(RowsFile):
    """One file: a `Splitter`."""

    form = "fixed"

    def __init__(self, options: FixedOptions, message_max_bytes: int) -> None:
        super().__init__(options, message_max_bytes)
        self._options = options
        self._line_end = b""
        self._table = ascii_table(options.charset)
        self._binary = any((each := getattr(options, kind)) is not None and each.binary for kind in KINDS)
        declared: Mapping[Kind, FixedType | None] = {kind: getattr(options, kind) for kind in KINDS}
        # Details last: what tells them may be nothing at all.
        order: tuple[Kind, ...] = ("header", "trailer", "detail")
        self._types = [
            _RowType(kind, _slice(each.at), each.says, *_reading(each, options.charset))
            for kind in order
            if (each := declared[kind]) is not None
        ]

    def begun(self, data: bytearray, *, last: bool) -> bool:
        """Whether it is known what ends a row."""
        if not self._options.length and not self._line_end:
            self._line_end = line_end_of(data, last=last) or b""
            # What follows a CR is looked at with it, in `plain`.
            self._table = ascii_table(
                self._options.charset, {b"\n": b"\r\n"}.get(self._line_end, self._line_end)
            )
        return bool(self._options.length or self._line_end)

    def ended(self, data: bytearray) -> int:
        """The last line may have no end, and the last row of a declared length be shorter."""
        if self._options.length or data.endswith(self._line_end):
            return 0
        data += self._line_end
        return len(self._line_end)

    def whole(self, data: bytearray, start: int, stop: int) -> int:
        """Where the last row ends."""
        if size := self._options.length:
            return start + (stop - start) // size * size
        return data.rfind(self._line_end, start, stop) + len(self._line_end)

    def cut(self, data: bytearray, start: int, *, last: bool) -> tuple[int, int, bytes] | None:
        """Rows of one length, or lines."""
        if size := self._options.length:
            row = bytes(data[start : start + size])
            return (len(row), 1, row) if len(row) == size or (last and row) else None
        end = data.find(self._line_end, start)
        if end < 0:
            return None
        return end + 1 - start, 1, bytes(data[start:end])

    def plain(self, block: bytes) -> Plain | None:
        """Rows of one length in plain characters, whose fields are text."""
        *others, detail = self._types
        end, rows = self._line_end, block.translate(self._table)
        size = self._options.length or block.index(end) + 1
        if len(block) % size or not detail.places or b"\0" in rows:
            return None
        count, length = len(block) // size, size
        for each in (end, b"\r") if b"\r" in block and end == b"\n" else (end,) if end else ():
            length -= 1
            if not rows.count(each) == rows[length::size].count(each) == count:
                return None
        if b" " * length in block or (length < detail.length and not self._options.short):
            return None  # a row may be blank, or is short
        if not self._options.long and any(rows[at::size].strip() for at in range(detail.length, length)):
            return None
        if not all(each.is_none(rows, size, length) for each in others):
            return None
        if detail.says and not detail.is_all(rows, size, length):
            return None
        return Places(rows, size, length, detail.places)

    def is_blank(self, row: bytes) -> bool:
        """Whether there is nothing in a row. What looks so may be numbers that are no text."""
        if self._binary and len(row) == self._options.length:
            return False
        return super().is_blank(row)

    def read(self, row: bytes) -> RowRead | None:
        """One row."""
        if not self._options.length:
            row = row.lstrip(b"\r\n").rstrip(b"\r\n\x1a")
        charset = self._options.charset
        try:
            for kind, at, says, length, read, _ in self._types:
                if says and row[at].decode(charset) != says:
                    continue
                if len(row) < length and not self._options.short:
                    raise BadRow("short-row")
                if not self._options.long and row[length:].decode(charset).strip():
                    raise BadRow("long-row")
                return RowRead(kind, read(row))
        except UnicodeDecodeError:
            raise BadRow("not-in-charset") from None
        raise BadRow("unknown-row")


class Fixed(RowsFormat):
    """One channel's rows of fixed width: a `Format`."""

    form = "fixed"

    def __init__(self, options: FixedOptions) -> None:
        self._options = options

    @property
    def options(self) -> FixedOptions:
        """What its channel says of it."""
        return self._options

    def splitter(self, message_max_bytes: int) -> FixedFile:
        """What takes a file apart."""
        return FixedFile(self._options, message_max_bytes)

    def rejects(self, rejected: Sequence[Rejected], opened: Callable[[], Opened]) -> bytes:
        """The rows behind the head of their file."""
        return rejected_rows(self, rejected, opened, self._ended)

    def _ended(self, trailer: bytes, totals: Mapping[str, str]) -> bytes | None:
        options, row = self._options, bytearray(trailer)
        declared = options.trailer
        if declared is None or declared.copybook:
            return None
        for name, text in totals.items():
            where = _place_of(declared, name)
            if where is None or name in declared.packed:
                return None
            width = where.stop - where.start
            zeros = "0" if row[where.start : where.start + 1].decode(options.charset) != " " else " "
            sign = "-" if text.startswith("-") else ""
            digits = text.removeprefix("-")
            filled = sign + digits.rjust(width - len(sign), zeros) if zeros == "0" else text.rjust(width)
            if len(filled) != width or len(row) < where.stop:
                return None
            row[where] = filled.encode(options.charset)
        return bytes(row)


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
