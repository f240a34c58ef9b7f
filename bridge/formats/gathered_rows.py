"""Files of rows made of records: lines of JSON, delimited text (RFC 4180), rows of fixed width. Pure."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options
from bridge.formats.gathered import (
    FileFacts,
    Gathers,
    Member,
    NotGathered,
    Template,
    added,
    filled,
    json_line,
    plain,
    says,
    totals_in,
)

COLUMNS_MAX_COUNT: Final = 1000
PLACES_MAX: Final = 32_768
_ENDS: Final = {"lf": "\n", "crlf": "\r\n", "none": ""}
_OVERPUNCHED: Final = ("{ABCDEFGHI", "}JKLMNOPQR")
"""The last digit of what is not negative, and of what is."""


class JsonLines(Gathers):
    """Lines of JSON, one for each record."""

    takes: ClassVar[Literal["record", "message"]] = "record"
    trailer: bool = Field(
        False, description='Whether a last line says how many there are, as in {"count":2,"totals":{}}.'
    )
    totals_of: tuple[str, ...] = Field(
        (), max_length=16, description="With `trailer`: the fields of which it says the sum."
    )

    def member(self, content: Mapping[str, Any] | bytes) -> Member:
        """As `Gathers` says."""
        assert isinstance(content, Mapping), "records"
        return Member(json_line(content), added([f"sum.{name}" for name in self.totals_of], content))

    def file(self, members: Sequence[Member], facts: FileFacts) -> bytes:
        """As `Gathers` says."""
        lines = [each.content for each in members]
        if self.trailer:
            named = [f"sum.{name}" for name in self.totals_of]
            said = says(facts, members, named)
            totals = {name.removeprefix("sum."): said[name] for name in named}
            last: dict[str, Any] = {"count": len(members), "file": facts.number, "totals": totals}
            lines.append(json_line(last))
        return b"".join(lines)


class Csv(Gathers):
    """Delimited text."""

    takes: ClassVar[Literal["record", "message"]] = "record"
    columns: tuple[str, ...] = Field(
        min_length=1, max_length=COLUMNS_MAX_COUNT, description="The record's fields, in order."
    )
    names: bool = Field(True, description="Whether a row before the details names the columns.")
    first: str = Field("", max_length=64, description="What stands before the columns of each detail.")
    header: tuple[Template, ...] = Field(
        (), max_length=COLUMNS_MAX_COUNT, description="The first row, as in [HDR, '{number}', '{date}']."
    )
    trailer: tuple[Template, ...] = Field(
        (), max_length=COLUMNS_MAX_COUNT, description="The last row, as in [TRL, '{count}', '{sum.amount}']."
    )
    separator: str = Field(",", min_length=1, max_length=1, description="What stands between two values.")
    line_end: Literal["lf", "crlf"] = Field("crlf", description="What ends a row.")

    def member(self, content: Mapping[str, Any] | bytes) -> Member:
        """As `Gathers` says."""
        assert isinstance(content, Mapping), "records"
        before = [self.first] if self.first else []
        row = self._row([*before, *(plain(content, name) for name in self.columns)])
        return Member(row, added(self._totals(), content))

    def file(self, members: Sequence[Member], facts: FileFacts) -> bytes:
        """As `Gathers` says."""
        said = says(facts, members, self._totals(), bool(self.header) + bool(self.trailer) + self.names)
        parts = [self._row([filled(each, said) for each in self.header])] if self.header else []
        if self.names:
            parts.append(self._row([self.first, *self.columns] if self.first else self.columns))
        parts += [each.content for each in members]
        if self.trailer:
            parts.append(self._row([filled(each, said) for each in self.trailer]))
        return b"".join(parts)

    def _totals(self) -> tuple[str, ...]:
        return totals_in((*self.header, *self.trailer))

    def _row(self, values: Sequence[str]) -> bytes:
        text = _Text()
        csv.writer(text, delimiter=self.separator, lineterminator=_ENDS[self.line_end]).writerow(values)
        return "".join(text).encode()


class _Text(list[str]):
    """What a row is written to."""

    def write(self, text: str) -> None:
        """Add a piece."""
        self.append(text)


def _one_byte(text: str) -> str:
    if len(text) != 1 or not text.isascii():
        raise ValueError("expected one character, as in ' ' or '0'")
    return text


class FixedColumn(Options):
    """One place of a row."""

    width: int = Field(gt=0, le=PLACES_MAX, description="How many bytes it takes.")
    field: str = Field("", max_length=64, description="The record's field that stands there.")
    text: Template = Field("", description="Instead of a field: what stands there, as in D or {count}.")
    align: Literal["left", "right"] = Field("left", description="Where a value that is shorter stands.")
    fill: Annotated[str, AfterValidator(_one_byte)] = Field(" ", description="What fills the rest.")
    decimals: int | None = Field(
        None, ge=0, le=9, description="A number with so many digits behind a point that is not written."
    )
    sign: Literal["leading", "overpunch"] = Field(
        "leading",
        description="With decimals, of what is negative: `-` before it, or a last character of "
        "`}JKLMNOPQR` (and of `{ABCDEFGHI` for all others).",
    )
    cut: bool = Field(False, description="Whether a text that is too long is cut; else it is refused.")

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.field and self.text:
            raise ValueError("`field` and `text` are two ways to say what stands there: write one")
        return self


class Fixed(Gathers):
    """Rows of fixed width."""

    takes: ClassVar[Literal["record", "message"]] = "record"
    header: tuple[FixedColumn, ...] = Field((), max_length=1000, description="The first row.")
    detail: tuple[FixedColumn, ...] = Field(
        min_length=1, max_length=1000, description="The row of each record."
    )
    trailer: tuple[FixedColumn, ...] = Field((), max_length=1000, description="The last row.")
    charset: str = Field("ascii", description="The character set, as in ascii, windows-1252 or cp037.")
    line_end: Literal["lf", "crlf", "none"] = Field("lf", description="What ends a row.")

    @model_validator(mode="after")
    def _fields_of_records(self) -> Self:
        if any(each.field for each in (*self.header, *self.trailer)):
            raise ValueError("`header` and `trailer` are of no record: write `text`, as in {count}")
        if any(totals_in([each.text]) for each in self.detail):
            raise ValueError("totals are known at the end: they stand in `header` and `trailer`")
        try:
            "A".encode(self.charset)
        except LookupError:
            raise ValueError("expected a character set, as in ascii, windows-1252 or cp037") from None
        return self

    def member(self, content: Mapping[str, Any] | bytes) -> Member:
        """As `Gathers` says."""
        assert isinstance(content, Mapping), "records"
        texts = [plain(content, each.field) if each.field else each.text for each in self.detail]
        return Member(self._row(self.detail, texts), added(self._totals(), content))

    def file(self, members: Sequence[Member], facts: FileFacts) -> bytes:
        """As `Gathers` says."""
        said = says(facts, members, self._totals(), bool(self.header) + bool(self.trailer))
        parts = [each.content for each in members]
        if self.header:
            parts.insert(0, self._row(self.header, [filled(each.text, said) for each in self.header]))
        if self.trailer:
            parts.append(self._row(self.trailer, [filled(each.text, said) for each in self.trailer]))
        return b"".join(parts)

    def _totals(self) -> tuple[str, ...]:
        return totals_in(each.text for each in (*self.header, *self.trailer))

    def _row(self, columns: Sequence[FixedColumn], texts: Sequence[str]) -> bytes:
        parts = [self._place(column, text) for column, text in zip(columns, texts, strict=True)]
        return b"".join(parts) + _ENDS[self.line_end].encode(self.charset)

    def _place(self, column: FixedColumn, text: str) -> bytes:
        name = column.field or "a total"
        if column.decimals is not None and text:
            text = _without_point(text, column, name)
        try:
            encoded, fill = text.encode(self.charset), column.fill.encode(self.charset)
        except UnicodeEncodeError:
            raise NotGathered(f"{name} has characters that {self.charset} has not") from None
        if any(each in text for each in "\r\n"):
            raise NotGathered(f"{name} has a line end, which has no place in a row")
        if len(encoded) > column.width:
            if not column.cut or column.decimals is not None:
                raise NotGathered(f"{name} is longer than its {column.width} places")
            encoded = encoded[: column.width]
        missing = fill * (column.width - len(encoded))
        if column.align == "left":
            return encoded + missing
        sign = encoded[:1] if column.fill == "0" and text.startswith("-") else b""
        return sign + missing + encoded[len(sign) :]


def _without_point(text: str, column: FixedColumn, name: str) -> str:
    """A number as digits, its point not written. Raises NotGathered."""
    assert column.decimals is not None
    try:
        number = Decimal(text).scaleb(column.decimals)
        whole = int(number)
    except (ArithmeticError, ValueError, OverflowError):
        raise NotGathered(f"expected a number in {name}") from None
    if number != whole:
        raise NotGathered(f"{name} has more than {column.decimals} digits behind its point")
    if column.sign == "leading":
        return str(whole)
    digits = str(abs(whole))
    return digits[:-1] + _OVERPUNCHED[whole < 0][int(digits[-1])]
