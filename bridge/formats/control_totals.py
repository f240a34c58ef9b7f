"""Control totals: what a file says of its records, in a trailer or elsewhere, held against these. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from bridge.component import Options
from bridge.formats.base import Difference

TOTALS_MAX_COUNT: Final = 16
HASH_DIGITS: Final = 10
"""As in NACHA files: of a sum only the last digits are written."""
DIGITS_MAX: Final = 18
"""Texts of at most so many digits are numbers that can be summed up."""
_DIGITS: Final = re.compile(r"\d+")
_AMOUNT: Final = re.compile(r"[+-]?(?:\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})")
_ZONED: Final = {sign: digit for digits in ("{ABCDEFGHI", "}JKLMNOPQR") for digit, sign in enumerate(digits)}


class Total(Options):
    """One control total: what the trailer says in a column, and what that is of the details."""

    trailer: str = Field(min_length=1, max_length=64, description="The column of the trailer that says it.")
    of: Literal["rows", "sum", "hash"] = Field(
        "rows",
        description="What is summed up: rows (how many details there are), sum (of an amount), or hash (of "
        "the digits of a column, of which the last ones are kept).",
    )
    column: str = Field("", max_length=64, description="With sum and hash: the column of the details.")
    decimals: int = Field(
        0,
        ge=0,
        le=9,
        description="With sum: so many digits of both are behind a decimal point that is not written; a last "
        "character of `{ABCDEFGHI` or `}JKLMNOPQR` carries the sign.",
    )
    digits: int = Field(HASH_DIGITS, gt=0, le=18, description="With hash: so many digits are kept.")

    @model_validator(mode="after")
    def _has_a_column(self) -> Self:
        if (self.of == "rows") == bool(self.column):
            raise ValueError("`column` is for sum and hash, and needed there")
        return self


class Judged(NamedTuple):
    """What a file says of its records, what they come to, and where these are not the same."""

    declared: dict[str, str]
    found: dict[str, str]
    differences: tuple[Difference, ...]


class ControlTotals:
    """What the records of one batch come to. ``count`` is how many there are."""

    __slots__ = ("_sums", "_totals", "_units", "_unreadable", "count", "summed")

    def __init__(self, totals: Sequence[Total]) -> None:
        self._totals = totals
        self.summed = [each for each in totals if each.of != "rows"]
        self.count = 0
        self._sums: dict[str, Decimal] = {each.trailer: Decimal(0) for each in totals}
        self._units: dict[str, int] = dict.fromkeys(self._sums, 0)
        """What is added to these, in units of their last digit: of texts that are digits alone."""
        self._unreadable: dict[str, str] = {}

    def add(self, total: Total, text: str) -> bool:
        """Add what a record says; whether that could be read."""
        if text.isdecimal() and text.isascii() and len(text) <= DIGITS_MAX:
            self._units[total.trailer] += int(text)
        elif total.of == "hash":
            for digits in _DIGITS.findall(text):
                self._sums[total.trailer] += Decimal(digits)
        elif (amount := read_amount(text, total.decimals)) is not None:
            self._sums[total.trailer] += amount
        else:
            return False
        return True

    def add_units(self, total: Total, units: int) -> None:
        """Add what many records say, in units of its last digit."""
        self._units[total.trailer] += units

    def unreadable(self, total: Total, place: str) -> None:
        """What a record says at this place is no amount: the first one of a total is told."""
        self._unreadable.setdefault(total.trailer, place)

    def judged(self, said: Mapping[str, str] | None, where: Callable[[str], str]) -> Judged:
        """Hold it against what was ``said`` by each total's name, if anything was; ``where`` says where."""
        declared: dict[str, str] = {}
        found = {"rows": str(self.count)}
        differences: list[Difference] = []
        for total in self._totals:
            name = total.trailer
            is_so = self._counted(total)
            found[name] = f"{is_so:f}"
            if said is None:
                continue
            amount = read_amount(said.get(name, ""), total.decimals if total.of == "sum" else 0)
            declared[name] = "unreadable" if amount is None else f"{amount:f}"
            if name in self._unreadable:
                differences.append(Difference(name, "unreadable", "", self._unreadable[name]))
            elif amount != is_so:
                differences.append(Difference(name, declared[name], found[name], where(name)))
        return Judged(declared, found, tuple(differences))

    def _counted(self, total: Total) -> Decimal:
        match total.of:
            case "rows":
                return Decimal(self.count)
            case "hash":
                digits = self._sums[total.trailer] + self._units[total.trailer]
                return digits % Decimal(10**total.digits)
        return self._sums[total.trailer] + Decimal(self._units[total.trailer]).scaleb(-total.decimals)


def written(total: Total, found: Mapping[str, str]) -> str:
    """What was found, as a file says it."""
    value = Decimal(found.get(total.trailer, "0"))
    return f"{value.scaleb(total.decimals):f}" if total.of == "sum" else f"{value:f}"


def read_amount(text: str, decimals: int) -> Decimal | None:
    """An amount as decimal digits, or with a last character that carries the sign; None where it is none.

    >>> read_amount("12.50", 0), read_amount("00000999Q", 2), read_amount("00002500{", 2), read_amount("x", 0)
    (Decimal('12.50'), Decimal('-99.98'), Decimal('250.00'), None)
    """
    text = text.strip()
    if text and text[-1] in _ZONED:
        sign = "-" if text[-1] in "}JKLMNOPQR" else ""
        text = f"{sign}{text[:-1]}{_ZONED[text[-1]]}"
    if not _AMOUNT.fullmatch(text) or (decimals and "." in text):
        return None
    return Decimal(text).scaleb(-decimals) if decimals else Decimal(text)
