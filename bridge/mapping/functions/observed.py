"""Functions on what senders write where a value of an observation is to stand: a number, or what is none."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Final

from bridge.formats.hl7v2 import Hl7Null
from bridge.mapping.functions.numbers import NUMBER
from bridge.mapping.times import iso_date_or_datetime
from bridge.mapping.values import ValueRefused

NEVER_REFUSE: Final = frozenset({"number_in", "comparator_in", "sn_text", "reads_as_time"})
"""All of them: whatever a text is, they give something or nothing."""
_COMPARED: Final = re.compile(rf"\s*(?P<sign>[<>]=?|=)?\s*(?P<number>{NUMBER.pattern})\s*")
PLAIN_MAX_CHARACTERS: Final = 18
_RANGE: Final = "-"
_RATIO: Final = (":", "/")


def number_in(text: str) -> str | None:
    """The number of a text, also behind one of the signs `<`, `>`, `<=`, `>=`, `=`; absent of another text.

    >>> number_in(">50.0"), number_in("98.40"), number_in("1,234")
    ('50.0', '98.40', None)
    """
    if len(text) <= PLAIN_MAX_CHARACTERS and text.isascii() and text.replace(".", "", 1).isdecimal():
        return text  # as most are
    found = _COMPARED.fullmatch(text)
    return None if found is None else found["number"]


def comparator_in(text: str) -> str | None:
    """The sign before a number: `<`, `>`, `<=` or `>=`; absent where there is none, or no number.

    >>> comparator_in(">50.0"), comparator_in("98.40"), comparator_in("> many")
    ('>', None, None)
    """
    if text[:1].isdecimal():
        return None  # as most are
    found = _COMPARED.fullmatch(text)
    return None if found is None or found["sign"] == "=" else found["sign"]


def sn_text(
    comparator: str | Hl7Null | None,
    number: str | Hl7Null | None,
    separator: str | Hl7Null | None = None,
    second: str | Hl7Null | None = None,
) -> str | None:
    """The parts of a structured numeric (SN) as one text, where they are no number, range or ratio.

    >>> sn_text(None, "2", "+", None), sn_text(">", "500", None, None), sn_text(None, "1", ":", "64")
    ('2+', None, None)
    """
    parts = [each if isinstance(each, str) else "" for each in (comparator, number, separator, second)]
    if not any((parts[0], parts[1], parts[3])) and parts[2] in ("", _RANGE, *_RATIO):
        return None
    known = parts[0] in ("", "=", "<", ">", "<=", ">=")
    known = known and all(not each or number_in(each) is not None for each in (parts[1], parts[3]))
    first, sign, last = parts[1], parts[2], parts[3]
    if not sign:
        known = known and bool(first) and not last
    elif sign == _RANGE:
        known = known and bool(first or last)
    else:
        known = known and sign in _RATIO and bool(first and last)
    return None if known else (" " if last and not sign else "").join(each for each in parts if each)


def reads_as_time(text: str) -> bool:
    """Whether the text is a date, or a date and time, as HL7 v2 or ISO 8601 write them.

    >>> reads_as_time("20240102031500"), reads_as_time("2024013"), reads_as_time("soon")
    (True, False, False)
    """
    try:
        iso_date_or_datetime(text, UTC)
    except ValueRefused:
        return False
    return True
