"""The message on its way through the steps: what was set in it, taken out and added, and where E4X points."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.migration.mirth.expressions import NOTHING, Expr, NotConverted, path, paths

WHOLE_FIELD: Final = "of a whole field the old engine gives its XML; here it is the first component"
CREATES: Final = "a message without the segment fails here (R050), where the old engine would add it"
ANOTHER: Final = "a message that has the segment already gets another one, where the old engine replaces it"
OTHER_ONE: Final = "in a message that has the segment already, the old engine means the one that came"
BEHIND_LAST: Final = "behind the last one of these segments, where the old engine adds it behind the first"
SHIFTED: Final = "a repetition by its number, after one of them was taken out"
CURRENT: Final = -2
_PASS_ON: Final = frozenset(
    "date_fmt datetime_fmt decimal digits extract first integer left letters lower normalize_space nth "
    "replace right round split strip_zeros substr text times trim upper".split()
)
"""Functions that give nothing where one of their arguments is nothing."""
_FUNCTION: Final = re.compile(r"([a-z][a-z0-9_]*)\(")
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_PART: Final = re.compile(r"([A-Z][A-Z0-9]{2})\.(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?")


_NUMBERS: Final = {0: "", 1: "", -1: "(*)", CURRENT: ""}
_ALONE: Final = frozenset({"MSH", "EVN", "PID", "PD1", "PV1", "PV2"})
"""Segments that a message has once: the first of them is all there are."""
_USUAL: Final = frozenset({"MSH", "EVN", "PID", "PV1", "ORC", "OBR", "OBX"})
"""Segments that most messages have, so that a new one would seldom be the only one."""
_EXPECTED: Final = frozenset({"MSH", "PID"})
"""Segments that no message about a patient lacks."""


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A place of an HL7 message, as far as it is known. Numbers count from 1; 0: not said.

    ``repetition`` -1 stands for every repetition, and ``segment_number`` -1 for every segment: what an
    iterator goes through. `CURRENT` stands for the one that a loop is at; ``where`` and ``segment_where`` say
    which is meant by what stands in it, ``5=MR``. ``added`` is the number of a
    segment that a step has added, or 0.
    """

    segment: str
    segment_number: int = 0
    field: int = 0
    repetition: int = 0
    component: int = 0
    subcomponent: int = 0
    added: int = 0
    where: str = ""
    segment_where: str = ""

    def place(self) -> str:
        """As the mapping language writes it."""
        number = _NUMBERS.get(self.segment_number, f"({self.segment_number})")
        number = f"({self.segment_where})" if self.segment_where else number
        if not self.field:
            return f"{self.segment}{number}"
        text = f"{self.segment}{number}-{self.field}"
        text += f"({self.where})" if self.where else _NUMBERS.get(self.repetition, f"({self.repetition})")
        if self.component:
            text += f".{self.component}"
        if self.subcomponent:
            text += f".{self.subcomponent}"
        return text


@dataclass(frozen=True, slots=True)
class Pointer:
    """What an E4X path points to: in which document (``msg`` or ``tmp``), and where.

    In messages that are not HL7 v2, ``names`` are the steps of the path.
    """

    root: str
    spot: Spot | None = None
    names: tuple[str, ...] = ()


@dataclass(slots=True)
class Added:
    """A segment that a step has added; ``when`` None: always.

    ``after`` names the segment of the message that it stands behind, and ``behind`` is the number of another
    added one that it follows at once, or 0. ``counted``: the old engine finds it again by name and number.
    """

    number: int
    segment: str
    after: str | None
    when: Expr | None
    behind: int = 0
    counted: bool = False
    writes: dict[Spot, Expr] = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """A message and what became of it. ``base`` says whether it began as a copy or as nothing.

    ``segments`` are those of one that began as nothing, by name and number, in order: what its template has
    and what steps have added. ``removed`` are the places that were taken out, by how they are written.
    ``made`` is the object of JavaScript that it has become, where it is JSON. Of rows, ``split`` says
    whether they come one by one, ``fixed`` whether without separators, and ``first_row`` which one is read.
    """

    kind: str
    base: str = "copy"
    writes: dict[Spot, Expr] = field(default_factory=dict)
    removed: dict[str, Spot] = field(default_factory=dict)
    added: list[Added] = field(default_factory=list)
    unknown: str = ""
    segments: tuple[tuple[str, int], ...] = ()
    made: object = None
    split: bool = False
    first_row: int = 0
    fixed: bool = False

    def copy(self) -> Document:
        """Another one that may go its own way."""
        added = [replace(each, writes=dict(each.writes)) for each in self.added]
        return replace(self, writes=dict(self.writes), removed=dict(self.removed), added=added)

    @property
    def changed(self) -> bool:
        """Whether it is another message than the one that came."""
        return bool(self.writes or self.removed or self.added) or self.base != "copy"

    def read(self, spot: Spot) -> Expr:
        """The value at a spot, after all that was done so far. Raises NotConverted."""
        if not spot.field:
            raise NotConverted(f"the text of a whole segment {spot.segment}")
        spot, notes = self._found(spot)
        by_content = spot.where or spot.segment_where
        if by_content and spot in self.writes:
            return self.writes[spot]
        if (by_content or CURRENT in (spot.segment_number, spot.repetition)) and self._touched(spot.segment):
            raise NotConverted(f"each {spot.segment} is read, after one of them was changed")
        written = _written(self._writes(spot), _normal(spot))
        if written is not None:
            return written.noted(*notes)
        if self.base != "copy" or spot.added or self._gone(spot):
            return NOTHING
        if not spot.component:
            notes = (*notes, WHOLE_FIELD)
        spelled = spot if spot.component else replace(spot, component=1)
        every = -1 in (spot.segment_number, spot.repetition)
        return (paths if every else path)(spelled.place(), *notes)

    def _writes(self, spot: Spot) -> dict[Spot, Expr]:
        if not spot.added:
            return self.writes
        return next(each for each in self.added if each.number == spot.added).writes

    def _found(self, spot: Spot) -> tuple[Spot, tuple[str, ...]]:
        """The spot that a name means: of a segment that a step has added, where there is one."""
        ones = [each for each in self.added if each.segment == spot.segment]
        if spot.added or spot.segment_where or not ones:
            return spot, ()
        unsaid = spot.segment_number == 0 and len(ones) > 1
        if unsaid or not 0 <= spot.segment_number <= len(ones) or any(each.when is not None for each in ones):
            raise NotConverted(f"a segment {spot.segment} by its name, after such ones were added")
        one = ones[max(spot.segment_number, 1) - 1]
        return replace(spot, segment_number=0, added=one.number), () if one.counted else (OTHER_ONE,)

    def _touched(self, segment: str) -> bool:
        names = [*(spot.segment for spot in self.writes), *(each.segment for each in self.added)]
        return segment in [*names, *(spot.segment for spot in self.removed.values())]

    def _gone(self, spot: Spot) -> bool:
        """Whether what stood at a spot was taken out. Raises NotConverted where that cannot be told."""
        gone = False
        for outer in self.removed.values():
            if outer.segment != spot.segment or outer.field not in (0, spot.field):
                continue
            one_of_several = bool(outer.where or outer.repetition) and not outer.component
            by_content = spot.where or outer.where
            if (one_of_several and by_content) or (outer.repetition and spot.repetition < 0):
                raise NotConverted(SHIFTED)
            if one_of_several and max(spot.repetition, 1) >= outer.repetition:
                raise NotConverted(SHIFTED)
            gone = gone or within(spot, outer)
        return gone

    def write(self, spot: Spot, value: Expr) -> None:
        """Set a spot. Raises NotConverted where that is no one place."""
        if not spot.field:
            raise NotConverted(f"a text for a whole segment {spot.segment}")
        spot, notes = self._found(spot)
        several = spot.segment_where or (self.base == "copy" and spot.segment_number > 1)
        if several or min(spot.segment_number, spot.repetition) < 0:
            raise NotConverted("each of several segments or repetitions is set")
        if spot.segment == "MSH" and spot.field in (1, 2):
            raise NotConverted("the delimiters of the message are set: write `delimiters`")
        normal = _normal(spot)
        value = value.noted(*notes)
        if spot.added:
            self._writes(spot)[normal] = value
            return
        self._gone(spot)
        if self.base != "copy":
            self._has(spot)
        if normal.component == 0:
            for other in [one for one in self.writes if _same_repetition(one, normal)]:
                del self.writes[other]
        elif replace(normal, component=0, subcomponent=0) in self.writes:
            raise NotConverted("a component of a field that was set as a whole before")
        if value is NOTHING and self.base != "copy":
            self.writes.pop(normal, None)
        elif self.base != "copy" or spot.segment in _EXPECTED or _nothing_without(spot.segment, value):
            self.writes[normal] = value
        else:
            self.writes[normal] = value.noted(CREATES)

    def clear(self, spot: Spot) -> None:
        """Before a whole field is set in a new message: nothing is left of what a template has there."""
        if self.base != "copy":
            for other in [one for one in self.writes if within(one, spot)]:
                del self.writes[other]

    def _has(self, spot: Spot) -> None:
        """A segment that nothing says yet is added at the end, as the old engine does with a first one."""
        known = self._numbers(spot.segment)
        if spot.segment_number == 0 and len(known) > 1:
            raise NotConverted(f"one of several {spot.segment} is set, and nothing says which")
        number = max(spot.segment_number, 1)
        if number > len(known) + (not known):
            raise NotConverted(f"a segment {spot.segment} by a number that the new message does not have")
        if not known:
            self.segments += ((spot.segment, number),)

    def _numbers(self, segment: str) -> list[int]:
        return [number for name, number in self.segments if name == segment]

    def writes_of(self, segment: str, number: int) -> list[Spot]:
        """What is set in one of the segments of a new message."""
        return [spot for spot in self.writes if within(spot, Spot(segment, number))]

    def add(self, segment: str, number: int) -> tuple[Spot, tuple[str, ...]]:
        """``createSegment``: its spot, and how that differs. ``number`` counts from 1; 0: behind all others.

        Raises NotConverted.
        """
        ones = [each for each in self.added if each.segment == segment]
        count = len(self._numbers(segment) if self.base != "copy" else ones)
        if number > count + 1:
            raise NotConverted("a segment that is added by a number that is not the next one")
        if self.base != "copy":
            spot = Spot(segment, number or count + 1)
            if number in range(1, count + 1):
                for other in [one for one in self.writes if within(one, spot)]:
                    del self.writes[other]
            else:
                self.segments += ((segment, count + 1),)
            return spot, ()
        if 0 < number <= count or (number and any(spot.segment == segment for spot in self.writes)):
            raise NotConverted(f"a segment {segment} that takes the place of one that steps have filled")
        new = number == 0 or segment in self.removed
        if segment in _USUAL and not new:
            raise NotConverted(f"a new {segment} takes the place of the first one that came")
        notes = () if new else (ANOTHER,)
        return self._added(segment, None, counted=number > 0), notes

    def add_behind(self, segment: str, before: Spot) -> tuple[Spot, tuple[str, ...]]:
        """``createSegmentAfter``: its spot, and how that differs. Raises NotConverted."""
        before, _ = self._found(replace(before, field=0, repetition=0, component=0, subcomponent=0))
        if before.segment_where or before.segment_number < 0:
            raise NotConverted("a segment that is added behind one of several")
        if self.base != "copy":
            place = (before.segment, max(before.segment_number, 1))
            if self._numbers(segment) or place not in self.segments:
                raise NotConverted("a segment that is added among those of a template")
            at = self.segments.index(place) + 1
            self.segments = (*self.segments[:at], (segment, 1), *self.segments[at:])
            return Spot(segment), ()
        if before.added:
            one = next(each for each in self.added if each.number == before.added)
            return self._added(segment, one.after, behind=one.number), ()
        if before.segment_number > 1:
            raise NotConverted("a segment that is added behind one of several")
        notes = () if before.segment in _ALONE else (BEHIND_LAST,)
        return self._added(segment, before.segment), notes

    def _added(self, segment: str, after: str | None, *, behind: int = 0, counted: bool = False) -> Spot:
        number = len(self.added) + 1
        self.added.append(Added(number, segment, after, None, behind, counted))
        return Spot(segment, added=number)

    def in_order(self) -> list[Added]:
        """The segments that were added, as they stand: the newest first behind what it was put behind."""
        found: list[Added] = []
        for each in self.added:
            if each.behind:
                at = next(n for n, one in enumerate(found, start=1) if one.number == each.behind)
            elif each.after:
                at = next((n for n, one in enumerate(found) if one.after == each.after), len(found))
            else:
                at = len(found)
            found.insert(at, each)
        # One at the end of a message would otherwise come before what belongs behind its last segment.
        return sorted(found, key=lambda each: each.after is None)

    def remove(self, spot: Spot) -> None:
        """Take out what stands at a spot. Raises NotConverted where a mapping would take out more."""
        spot, _ = self._found(spot)
        if spot.added or self.base != "copy":
            raise NotConverted("something is taken out that a step has added, or of a new message")
        alone = spot.segment in _ALONE and spot.segment_number <= 1
        one = spot.segment_where or (spot.segment_number and not alone)
        if one or min(spot.segment_number, spot.repetition) < 0:
            raise NotConverted(f"one of several {spot.segment} is taken out, or a part of it: see `repeat`")
        if (spot.where or spot.repetition) and not alone:
            raise NotConverted(f"a repetition is taken out of one of several {spot.segment}: see `repeat`")
        self._gone(spot)
        for other in [one for one in self.writes if within(one, spot)]:
            del self.writes[other]
        self.removed[_removal(spot)] = spot


def _nothing_without(segment: str, value: Expr) -> bool:
    """Whether a value is nothing in a message without a segment: then nothing is set, and nothing fails."""
    if value is NOTHING:
        return True
    passes_on = set(_FUNCTION.findall(value.flat)) <= _PASS_ON and value.type == "text"
    return passes_on and re.search(rf"\b{segment}-\d", value.flat) is not None


def _written(writes: Mapping[Spot, Expr], spot: Spot) -> Expr | None:
    """What was set at a spot, whose first component and subcomponent need not be named; None: nothing was."""
    components = (spot.component,) if spot.component > 1 else (spot.component, 1 - spot.component)
    parts = (spot.subcomponent,) if spot.subcomponent > 1 else (spot.subcomponent, 1 - spot.subcomponent)
    for component in components:
        for part in parts:
            found = writes.get(replace(spot, component=component, subcomponent=part))
            if found is not None:
                return found if spot.component or component != 1 else found.noted(WHOLE_FIELD)
    above = (replace(spot, subcomponent=0), replace(spot, component=0, subcomponent=0))
    return NOTHING if any(each in writes for each in above) else None


def _normal(spot: Spot) -> Spot:
    return replace(
        spot,
        segment_number=0 if spot.segment_number == 1 else spot.segment_number,
        repetition=0 if spot.repetition == 1 else spot.repetition,
    )


def _same_repetition(one: Spot, other: Spot) -> bool:
    return replace(one, component=0, subcomponent=0) == replace(other, component=0, subcomponent=0)


def within(one: Spot, outer: Spot) -> bool:
    """Whether a spot is in another one; a repetition or segment without a number is the first."""
    if one.segment != outer.segment or (
        outer.segment_number and max(one.segment_number, 1) != outer.segment_number
    ):
        return False
    if not outer.field or one.field != outer.field:
        return not outer.field
    if one.where != outer.where and outer.where:
        return False
    if outer.repetition and max(one.repetition, 1) != outer.repetition:
        return False
    if outer.component not in (0, one.component or 1):
        return False
    return outer.subcomponent in (0, one.subcomponent or 1)


def _removal(spot: Spot) -> str:
    """A place as `remove` has it, where a field without a number is all of its repetitions."""
    if not spot.field:
        return spot.segment
    first = f"{spot.segment}-{spot.field}"
    text = replace(spot, segment_number=0).place()
    return text.replace(first, f"{first}(1)", 1) if spot.repetition == 1 and not spot.where else text


def step(pointer: Pointer, key: str, kind: str) -> Pointer:
    """The pointer one name further down, in a document of a kind. Raises NotConverted."""
    if kind != "HL7V2":
        return replace(pointer, names=(*pointer.names, key))
    spot = pointer.spot
    if spot is None:
        if _SEGMENT.fullmatch(key) is None:
            raise NotConverted(f"{key[:40]!r} is no segment of the message")
        return replace(pointer, spot=Spot(key))
    match = _PART.fullmatch(key)
    if match is None or match[1] != spot.segment:
        raise NotConverted(f"{key[:40]!r} is no part of the segment {spot.segment}")
    numbers = [int(each) for each in match.groups()[1:] if each is not None]
    depth = len(numbers)
    known = [number for number in (spot.field, spot.component, spot.subcomponent) if number]
    if numbers[: len(known)] != known[:depth] or depth <= len(known):
        raise NotConverted(f"{key[:40]!r} does not stand where this path looks for it")
    numbers += [0] * (3 - depth)
    return replace(
        pointer, spot=replace(spot, field=numbers[0], component=numbers[1], subcomponent=numbers[2])
    )


def numbered(pointer: Pointer, index: int) -> Pointer:
    """The pointer to one of several, counted from 0; negative for each of them. Raises NotConverted."""
    spot = pointer.spot
    if spot is None:
        return replace(pointer, names=(*pointer.names, f"[{index}]"))
    number = index if index < 0 else index + 1
    if not spot.field:
        return replace(pointer, spot=replace(spot, segment_number=number))
    if not spot.component:
        return replace(pointer, spot=replace(spot, repetition=number))
    if index > 0:
        raise NotConverted("one of several components of one number")
    # Of a component in every repetition the first is meant.
    return replace(pointer, spot=replace(spot, repetition=spot.repetition or 1))
