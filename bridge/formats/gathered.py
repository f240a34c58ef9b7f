"""Files made of many records or messages: what each puts into the file, and the file around them. Pure.

What a member is in the file, and what it adds to totals, is said once, as its request is made; so header and
trailer are written from what is journaled, and the same members give the same bytes whenever they are put
together.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Final, Literal

import orjson
from pydantic import AfterValidator

from bridge.component import Options
from bridge.formats.control_totals import HASH_DIGITS

TOTALS_MAX_COUNT: Final = 16
_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_SAID: Final = frozenset({"count", "number", "date", "time", "lines"})
_TOTAL: Final = re.compile(r"(sum|hash)\.([A-Za-z][A-Za-z0-9_.]{0,63})")
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ._-]*")
_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})")

CONTROL_NUMBER_MAX: Final = 9_999_999
"""A control number that would be higher begins again with 1: at one file a minute after 19 years."""

Kind = Literal["sum", "hash"]


class NotGathered(Exception):
    """A record or message cannot stand in a file of this form. The text names fields, never values."""


@dataclass(frozen=True, slots=True)
class Member:
    """One record or message as it stands in the file, and what it adds to totals, by their names."""

    content: bytes
    adds: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file says of itself: its number among those of its API, when it was closed, in the zone that it
    tells times in, and its number among those for its receiver."""

    number: int
    closed_at: datetime
    control: int = 1


class Gathers(Options, ABC):
    """A form of file. Its options are those that a site writes."""

    takes: ClassVar[Literal["record", "message"]]

    @abstractmethod
    def member(self, content: Mapping[str, Any] | bytes) -> Member:
        """A record by its fields, or a message, as it will stand in a file. Raises NotGathered."""

    @abstractmethod
    def file(self, members: Sequence[Member], facts: FileFacts) -> bytes:
        """The whole file."""

    @property
    def partner(self) -> tuple[str, int]:
        """For whom control numbers must be unique, and the lowest of them; empty where files have none."""
        return "", 1

    def controls(self, members: Sequence[Member], facts: FileFacts) -> tuple[str, ...]:  # noqa: ARG002
        """What each member is called in the file, by whoever acknowledges it; none where nobody can."""
        return ()

    def totals(self, members: Sequence[Member]) -> dict[str, str]:
        """Count and totals of a file, for whoever asks what was written."""
        summed = {name: in_words(value) for name, value in totals_of(members).items()}
        return {"count": str(len(members)), **summed}


def control_number(counted: int) -> int:
    """How a file that was counted so is numbered.

    >>> control_number(1), control_number(CONTROL_NUMBER_MAX), control_number(CONTROL_NUMBER_MAX + 1)
    (1, 9999999, 1)
    """
    return (counted - 1) % CONTROL_NUMBER_MAX + 1


def plain_name(text: str) -> str:
    """Who somebody is, in characters that no form of file has another use for. Raises ValueError."""
    if not _PLAIN.fullmatch(text):
        raise ValueError("expected letters, digits, blanks and . _ -")
    return text


def _template(text: str) -> str:
    for place in _PLACE.findall(text):
        if place not in _SAID and not _TOTAL.fullmatch(place):
            known = ", ".join(f"{{{each}}}" for each in sorted(_SAID))
            raise ValueError(f"expected of {known}, {{sum.FIELD}} and {{hash.FIELD}} in braces")
    return text


Template = Annotated[str, AfterValidator(_template)]
"""Text with places for what a file says of itself."""


def totals_in(templates: Iterable[str]) -> tuple[str, ...]:
    """The totals that templates name, each once.

    >>> totals_in(["T", "{count}", "{sum.amount}"])
    ('sum.amount',)
    """
    places = (place for each in templates for place in _PLACE.findall(each))
    return tuple(dict.fromkeys(place for place in places if _TOTAL.fullmatch(place)))


def added(totals: Iterable[str], fields: Mapping[str, Any]) -> dict[str, str]:
    """What a record adds to totals. Raises NotGathered where a field is no number."""
    found: dict[str, str] = {}
    for total in totals:
        what, _, name = total.partition(".")
        value = fields.get(name)
        if what == "hash":
            found[total] = "".join(each for each in str(value or "") if each.isdigit())[-18:] or "0"
            continue
        text = "0" if value is None else str(value)
        if not _NUMBER.fullmatch(text):
            raise NotGathered(f"expected an amount in the field {name}, which is summed up")
        found[total] = text
    return found


def totals_of(members: Iterable[Member]) -> dict[str, Decimal]:
    """The totals of all members."""
    totals: dict[str, Decimal] = {}
    for member in members:
        for name, text in member.adds.items():
            try:
                totals[name] = totals.get(name, Decimal(0)) + Decimal(text)
            except InvalidOperation:
                continue  # no number: a word that the form keeps with a member
    return {
        name: value % 10**HASH_DIGITS if name.startswith("hash.") else value for name, value in totals.items()
    }


def in_words(value: Decimal) -> str:
    """A total as text, without an exponent.

    >>> in_words(Decimal("1E+2")), in_words(Decimal("12.30"))
    ('100', '12.30')
    """
    return format(value, "f")


def filled(template: str, said: Mapping[str, str]) -> str:
    """A template with what a file says of itself."""
    return _PLACE.sub(lambda place: said[place[1]], template)


def says(
    facts: FileFacts, members: Sequence[Member], named: Iterable[str], around: int = 0
) -> dict[str, str]:
    """All that templates may hold. ``lines`` are the members and what stands ``around`` them."""
    totals = {name: in_words(value) for name, value in totals_of(members).items()}
    return {
        **dict.fromkeys(named, "0"),
        **totals,
        "count": str(len(members)),
        "lines": str(len(members) + around),
        "number": str(facts.number),
        "date": f"{facts.closed_at:%Y%m%d}",
        "time": f"{facts.closed_at:%H%M%S}",
    }


def plain(fields: Mapping[str, Any], name: str) -> str:
    """A field as text. Raises NotGathered where it is a list or has parts."""
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | Decimal):
        return str(value)
    raise NotGathered(f"expected one value in the field {name}; a list or parts have no place in a row")


def json_line(fields: Mapping[str, Any]) -> bytes:
    """A record as a line of JSON. Raises NotGathered."""
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS) + b"\n"
    except orjson.JSONEncodeError:
        raise NotGathered("expected values that JSON can hold in the fields of send_only") from None
