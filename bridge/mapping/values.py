"""The values that expressions work with, and the limits that keep every evaluation bounded.

A value is there, absent (None), or NULL: the HL7 null, by which a sender asks to delete. Absent and NULL
flow through every function that wants a value, so that neither can turn into text on the way.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Final

from bridge.canonical.base import LIST_MAX_ITEMS, TEXT_MAX_CHARACTERS
from bridge.formats.hl7v2 import Hl7Null
from bridge.units import size_text

EXPRESSION_MAX_CHARACTERS: Final = 2_000
NESTING_MAX_LEVELS: Final = 32
LETS_MAX_LEVELS: Final = 8
"""Each may nest as deep as an expression may, and Python's own stack has to hold all of it."""
NUMBER_MAX_DIGITS: Final = 38
TEXT_MAX_BYTES: Final = TEXT_MAX_CHARACTERS

SEGMENT_FORMS: Final = frozenset({"hl7v2", "x12", "edifact"})
"""Formats whose messages are made of segments."""

Value = str | Decimal | bool | list[str] | Hl7Null | None
TextValue = str | Hl7Null | None


class Seen:
    """What was counted so far in one message. ``at`` is where it is asked from: a second time, the same."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, ...], dict[int, int]] = {}
        self.at = 0

    def elsewhere(self, at: int = 1) -> Seen:
        """The same, asked from another place."""
        self.at = at
        return self


class Type(Enum):
    """What an expression gives when it gives a value."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    LIST = "list"
    NOTHING = "nothing"
    """The literal ``null``: absent, whatever type is wanted."""


class ValueRefused(Exception):
    """A value cannot be what it should become. ``code`` is an R code; the text never holds the value."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


def bounded_text(text: str) -> str:
    """``text`` itself; ValueRefused R040 where it has more than TEXT_MAX_BYTES bytes of UTF-8."""
    # No character takes more than four bytes, so most texts need no encoding to be measured.
    if len(text) * 4 > TEXT_MAX_BYTES and len(text.encode("utf-8", "replace")) > TEXT_MAX_BYTES:
        raise ValueRefused("R040", f"a text would be larger than {size_text(TEXT_MAX_BYTES)}")
    return text


def bounded_list(items: list[str]) -> list[str]:
    """``items`` itself; ValueRefused R040 where there are more than LIST_MAX_ITEMS."""
    if len(items) > LIST_MAX_ITEMS:
        raise ValueRefused("R040", f"a list would have more than {LIST_MAX_ITEMS} items")
    return items
