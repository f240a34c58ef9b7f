"""Two HL7 v2 messages, field by field: what differs in what they say, whatever way they are written. Pure.

Line ends, delimiters, escapes, character sets and empty fields at the end are ways of writing. Segments are
paired by name, the first PID with the first PID.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from bridge.formats.hl7v2 import Delimiters, Hl7Message, Segment, Value


@dataclass(frozen=True, slots=True)
class Difference:
    """One leaf that differs: ``PID-5.1``, ``OBX[2]-5[1].1.2``; or a whole segment, ``AL1[2]``.

    ``a`` and ``b`` are the values, None where a side has none. ``field`` is 0 for a segment.
    """

    path: str
    segment: str
    field: int
    a: Value
    b: Value


def compare(a: Hl7Message, b: Hl7Message, ignored: Collection[str] = ()) -> list[Difference]:
    """What differs, in the order of the segments of ``a``, then what only ``b`` has.

    ``ignored`` are fields and segments that may differ: ``MSH-7``, ``ZPI``. Both must have been read.
    """
    found: list[Difference] = []
    for name in dict.fromkeys(segment.name for segment in (*a.segments, *b.segments)):
        if name in ignored:
            continue
        pairs = list(zip_longest(a.named(name), b.named(name)))
        for occurrence, (one, other) in enumerate(pairs, start=1):
            place = name if len(pairs) == 1 else f"{name}[{occurrence}]"
            if one is None or other is None:
                sides = ("(none)", "(there)") if one is None else ("(there)", "(none)")
                found.append(Difference(place, name, 0, *sides))
                continue
            found += _fields(place, one, other, (a.delimiters, b.delimiters), ignored)
    if not found and _order(a) != _order(b) and not ignored:
        found.append(Difference("order of segments", "", 0, " ".join(_order(a)), " ".join(_order(b))))
    return found


def _order(message: Hl7Message) -> list[str]:
    return [segment.name for segment in message.segments]


def _fields(
    place: str,
    one: Segment,
    other: Segment,
    delimiters: tuple[Delimiters, Delimiters],
    ignored: Collection[str],
) -> Iterator[Difference]:
    first = 3 if one.name == "MSH" else 1  # MSH-1 and MSH-2 are ways of writing
    for number in range(first, max(one.fields_count, other.fields_count) + 1):
        if f"{one.name}-{number}" in ignored:
            continue
        if delimiters[0] == delimiters[1] and one.field(number) == other.field(number):
            continue
        here, there = (_leaves(each, number, own) for each, own in zip((one, other), delimiters, strict=True))
        several = any(leaf[0] > 1 for leaf in (*here, *there))
        for leaf in sorted(here.keys() | there.keys()):
            if here.get(leaf) != there.get(leaf):
                path = f"{place}-{number}{_within(leaf, several)}"
                yield Difference(path, one.name, number, here.get(leaf), there.get(leaf))


Leaf = tuple[int, int, int]


def _leaves(segment: Segment, number: int, delimiters: Delimiters) -> dict[Leaf, Value]:
    """The leaves of a field that are not empty, by repetition, component and subcomponent."""
    leaves: dict[Leaf, Value] = {}
    if number <= 2 and segment.name in ("FHS", "BHS"):
        separators = segment.field(number)
        return {(1, 1, 1): separators} if separators else {}
    for repetition, each in enumerate(segment.each_repetition(number), start=1):
        for component, part in enumerate(each.field(1).split(delimiters.component), start=1):
            for sub in range(1, part.count(delimiters.subcomponent) + 2):
                value = each.value(1, 1, component, sub)
                if value is not None:
                    leaves[repetition, component, sub] = value
    return leaves


def _within(leaf: Leaf, several: bool) -> str:
    repetition, component, sub = leaf
    return (f"[{repetition}]" if several else "") + f".{component}" + (f".{sub}" if sub > 1 else "")
