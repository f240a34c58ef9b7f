"""What is in sample messages: types, segments, places, codes and forms of dates, each with how often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from bridge.dictionary.hl7v2 import dictionary
from bridge.formats.hl7v2 import NULL, Hl7Message
from bridge.formats.hl7v2_leaves import leaves, text_of
from bridge.mapping.coverage import SEGMENT_NAME

VALUES_MAX_COUNT: Final = 200
"""Different values that are remembered of one place; a place with more holds no codes."""
_DATE: Final = re.compile(r"(\d{4}(?:\d\d){0,5})(\.\d{1,4})?([+-]\d{4})?")
_TYPE: Final = re.compile(r"[A-Z][A-Z0-9]{2}(?:\^[A-Z0-9]{1,10})?")
_PATH: Final = re.compile(r"\b([A-Z][A-Z0-9]{2})(?:\([^)]*\))?-(\d+)(?:\([^)]*\))?(?:\.(\d+))?")

_COMMENT: Final = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
_TEN_DIGITS: Final = re.compile("[0-9]{10}")
_NPI_PREFIX_SUM: Final = 24
"""What the prefix 80840, which is not written, adds to the sum of an NPI's digits (45 CFR 162.406)."""


@dataclass(slots=True)
class Survey:
    """What was seen. ``filled`` counts messages by segment, field and component, ``values`` are of those.

    ``several`` are segments that stand more than once in a message, ``repeated`` fields with repetitions,
    ``dates`` how dates are written, by their form. ``no_npi`` are persons whose number is
    none in some message. ``skipped`` are messages without a type.
    """

    types: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    segments: Counter[str] = field(default_factory=Counter)
    several: Counter[str] = field(default_factory=Counter)
    repeated: Counter[tuple[str, int]] = field(default_factory=Counter)
    dates: dict[str, Counter[str]] = field(default_factory=dict)
    filled: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    values: dict[tuple[str, int, int], Counter[str]] = field(default_factory=dict)
    no_npi: set[tuple[str, int]] = field(default_factory=set)
    messages: int = 0
    skipped: int = 0

    def has(self, rule: str) -> bool:
        """Whether a value stands at any place that a rule reads; True for a rule that reads none."""
        paths = _PATH.findall(rule)
        return not paths or any(
            (segment, int(number), int(component or 1)) in self.filled
            or (not component and any(key[:2] == (segment, int(number)) for key in self.filled))
            for segment, number, component in paths
        )

    def seen(self, segment: str, number: int, component: int = 1) -> Counter[str]:
        """The values of a component, with how often; empty where there are too many to be codes."""
        return self.values.get((segment, number, component), Counter())


def survey(messages: Iterable[Hl7Message]) -> Survey:
    """Look at messages; those that are none, or say no type, are only counted."""
    found = Survey()
    for message in messages:
        if message.refused is not None or _TYPE.fullmatch(message.message_type) is None:
            found.skipped += 1
            continue
        found.messages += 1
        found.types[message.message_type] += 1
        found.versions[message.version] += 1
        # What stands where a name should is content: nothing can read it by a place.
        names = Counter(each.name for each in message.segments if SEGMENT_NAME.fullmatch(each.name))
        found.segments.update(names.keys())
        found.several.update(name for name, count in names.items() if count > 1)
        here: set[tuple[str, int, int]] = set()
        repeated: set[tuple[str, int]] = set()
        for leaf in leaves(message):
            value = text_of(message, leaf)
            if not value or value is NULL or not leaf.field or leaf.segment not in names:
                continue
            key = (leaf.segment, leaf.field, leaf.component or 1)
            here.add(key)
            if leaf.several:
                repeated.add((leaf.segment, leaf.field))
            if isinstance(value, str) and key[2] == 1:
                if _is_date(*key[:2]):
                    found.dates.setdefault(date_form(value), Counter())[f"{leaf.segment}-{leaf.field}"] += 1
                elif _is_person(*key[:2]) and not is_npi(value):
                    found.no_npi.add(key[:2])
            known = found.values.setdefault(key, Counter())
            if len(known) <= VALUES_MAX_COUNT and isinstance(value, str):
                known[value] += 1
        found.filled.update(here)
        found.repeated.update(repeated)
    for key in [key for key, known in found.values.items() if len(known) > VALUES_MAX_COUNT]:
        del found.values[key]
    return found


@cache
def _is_date(segment: str, number: int) -> bool:
    found = dictionary().field(segment, number)
    return found is not None and found.data_type in ("TS", "DT", "DTM")


def date_form(value: str) -> str:
    """How a date or time is written.

    >>> date_form("19800229"), date_form("20240102031500.1-0500"), date_form("02/29/1980")
    ('YYYYMMDD', 'YYYYMMDDHHMMSS.S+ZZZZ', '99/99/9999')
    """
    match = _DATE.fullmatch(value)
    if match is None:
        return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", value))[:20]
    fraction, offset = ".S" if match[2] else "", "+ZZZZ" if match[3] else ""
    return "YYYYMMDDHHMMSS"[: len(match[1])] + fraction + offset


def places_read(text: str) -> set[tuple[str, int]]:
    """The fields that rules name; what a comment names is read by none.

    >>> sorted(places_read("family: PID-5.1   # as in NK1-2\\n# Dates: EVN-2."))
    [('PID', 5)]
    """
    return {(segment, int(number)) for segment, number, _ in _PATH.findall(_COMMENT.sub("", text))}


@cache
def _is_person(segment: str, number: int) -> bool:
    found = dictionary().field(segment, number)
    return found is not None and found.data_type in ("XCN", "CN")


def is_npi(value: str) -> bool:
    """Whether a number may be a national provider identifier: ten digits, of which the last checks the rest.

    >>> is_npi("1234567893"), is_npi("1234567890"), is_npi("4410")
    (True, False, False)
    """
    if _TEN_DIGITS.fullmatch(value) is None:
        return False
    doubled = [int(digit) * (2 - at % 2) for at, digit in enumerate(reversed(value), 1)]
    return (_NPI_PREFIX_SUM + sum(each // 10 + each % 10 for each in doubled)) % 10 == 0
