"""Records of one message that have the same key: which say the same, and which would be overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.message import Record

STATES: Final = ("upsert", "replace")
"""Operations that say how something is, all of it: of two the second overwrites the first. A merge, a
cancellation or a deletion beside another is a further event of the same thing, and goes in order."""


@dataclass(frozen=True, slots=True)
class MetAgain:
    """The kind of each record whose key an earlier one of its kind has: ``equal``, or ``other`` than it."""

    equal: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


NOT_AGAIN: Final = MetAgain()


def met_again(records: Sequence[Record]) -> MetAgain:
    """What is made twice of one message. What only adds to lists of a record overwrites nothing of them."""
    if len({(each.record, each.key) for each in records}) == len(records):
        return NOT_AGAIN
    equal: list[str] = []
    other: list[str] = []
    before: dict[tuple[str, str], Record] = {}
    for each in records:
        first = before.setdefault((each.record, each.key), each)
        if first is each:
            continue
        overwrites = first.operation == each.operation in STATES and _said(first) != _said(each)
        (other if overwrites else equal).append(each.record)
    return MetAgain(tuple(equal), tuple(other))


def _said(record: Record) -> tuple[Any, ...]:
    """What a record says of its state. Its place in the message is no part of that."""
    left_out = {*record.adds, "sequence"}
    fields = {name: value for name, value in record.fields.items() if name not in left_out}
    return fields, dict(record.ext)
