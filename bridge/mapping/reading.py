"""Paths become readers: what a compiled expression asks of a message while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from itertools import islice
from typing import Final

from bridge.canonical.base import LIST_MAX_ITEMS
from bridge.formats.hl7v2 import NULL, Hl7Message, Segment
from bridge.formats.hl7v2_leaves import Leaf
from bridge.mapping.syntax import Path, Where
from bridge.mapping.times import message_zone
from bridge.mapping.values import Value, ValueRefused
from bridge.message import Issue


class Unset:
    """Stands in the place of a let that nobody has asked for yet."""


UNSET: Final = Unset()
_NOT_ASKED: Final = Unset()


@dataclass(frozen=True, slots=True)
class Taken:
    """What a rule took that stands in the file itself: a constant, a default, the row of a table."""

    text: str


Trace = dict[str | Leaf | Taken, None]
"""What a value came from, in order: paths of the file, values of the message, what the file itself gave."""


class Run:
    """One message on its way through one plan. Lives as long as that, and is seen by nobody else.

    ``segments`` holds the first segment of each name that the plan reads, ``lets`` the values of lets so far,
    ``trace`` the paths that gave values (an ordered set), for traced readers.
    """

    __slots__ = (
        "_declared",
        "_zone",
        "found",
        "issues",
        "key_traces",
        "keys",
        "lets",
        "message",
        "noted",
        "repeated",
        "segments",
        "trace",
        "traces",
    )

    def __init__(
        self, message: Hl7Message, names: frozenset[str], lets_count: int, declared: tzinfo | None
    ) -> None:
        self.message = message
        self.segments: dict[str, Segment] = {}
        self.repeated: list[str] = []
        for name in names:
            if present := message.named(name):
                self.segments[name] = present[0]
                if len(present) > 1:
                    self.repeated.append(name)
        self.lets: list[Value | Unset] = [UNSET] * lets_count
        self.found: dict[str, Segment | None] = {}
        self.keys: dict[str, str] = {}
        self.issues: list[Issue] = []
        self.noted: list[str] = []
        self.trace: Trace = {}
        self.traces: dict[int, Trace] = {}
        self.key_traces: dict[str, Trace] = {}
        self._declared = declared
        self._zone: tzinfo | Unset | None = _NOT_ASKED

    def zone(self) -> tzinfo | None:
        """Where a time without an offset was told."""
        if isinstance(self._zone, Unset):
            told = self.message.value("MSH", 7)
            self._zone = message_zone(told if isinstance(told, str) else "", self._declared)
        return self._zone


Reader = Callable[[Run], Value]


def reader(path: Path, *, traced: bool) -> Reader:
    """What reads ``path``; a traced one notes the path where it gave something."""
    plain = _plain_reader(path)
    if not traced:
        return plain
    text = path.text

    def read(run: Run) -> Value:
        value = plain(run)
        if value is not None:
            run.trace[text] = None
        return value

    return read


def _plain_reader(path: Path) -> Reader:
    if path.repetition is None:
        return _all(path)
    if isinstance(path.repetition, Where):
        return _where(path, path.repetition)
    segment, field, repetition = path.segment, path.field, path.repetition
    component, subcomponent = path.component or 1, path.subcomponent or 1

    def read(run: Run) -> Value:
        found = run.segments.get(segment)
        return None if found is None else found.value(field, repetition, component, subcomponent)

    return read


def _where(path: Path, where: Where) -> Reader:
    segment, field = path.segment, path.field
    component, subcomponent = path.component or 1, path.subcomponent or 1
    condition = f"{segment}-{field}({where.component}={where.value})"

    def read(run: Run) -> Value:
        # A mapping asks the same condition for each component of an identifier.
        if condition in run.found:
            matching = run.found[condition]
        else:
            matching = run.found[condition] = _matching(run, segment, field, where)
        return None if matching is None else matching.value(1, 1, component, subcomponent)

    return read


def _matching(run: Run, segment: str, field: int, where: Where) -> Segment | None:
    """The first repetition whose component is the wanted value."""
    for repetition in _repetitions(run, segment, field):
        if repetition.value(1, 1, where.component) == where.value:
            return repetition
    return None


def _repetitions(run: Run, segment: str, field: int) -> list[Segment]:
    """Each repetition as the only field of a segment of its own."""
    found = run.segments.get(segment)
    if found is None:
        return []
    each = list(islice(found.each_repetition(field), LIST_MAX_ITEMS + 1))
    if len(each) > LIST_MAX_ITEMS:
        raise ValueRefused("R040", f"a field has more than {LIST_MAX_ITEMS} repetitions")
    return each


def _all(path: Path) -> Reader:
    segment, field = path.segment, path.field
    component, subcomponent = path.component or 1, path.subcomponent or 1

    def read(run: Run) -> Value:
        values = [each.value(1, 1, component, subcomponent) for each in _repetitions(run, segment, field)]
        texts = [value for value in values if isinstance(value, str)]
        return texts or (NULL if NULL in values else None)

    return read
