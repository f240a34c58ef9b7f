"""The message on its way through the steps: what was set in it, taken out and added, and where E4X points."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.mapping.hl7_fields import COMPLEX
from bridge.migration.mirth.expressions import NOTHING, Expr, NotConverted, path, paths

WHOLE_FIELD: Final = "of a whole field the old engine gives its XML; here it is the first component"
CREATES: Final = "a message without the segment fails here (R050), where the old engine would add it"
CURRENT: Final = -2
_COUNTS: Final = {"HD": 3, "MSG": 3, "CX": 10, "PL": 11, "XAD": 14, "XCN": 23, "XPN": 14, "XTN": 12}
"""Components of the types that a mapping knows to be made of them (HL7 v2.7 chapter 2A)."""
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_PART: Final = re.compile(r"([A-Z][A-Z0-9]{2})\.(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?")


_NUMBERS: Final = {0: "", 1: "", -1: "(*)", CURRENT: ""}


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
    """A segment that a step has added; ``when`` None: always."""

    number: int
    segment: str
    after: str | None
    when: Expr | None
    writes: dict[Spot, Expr] = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """A message and what became of it. ``base`` says whether it began as a copy or as nothing.

    ``made`` is the object of JavaScript that it has become, where it is JSON. Of rows, ``split`` says
    whether they come one by one, ``fixed`` whether without separators, and ``first_row`` which one is read.
    """

    kind: str
    base: str = "copy"
    writes: dict[Spot, Expr] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)
    added: list[Added] = field(default_factory=list)
    unknown: str = ""
    template: tuple[str, ...] = ()
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
        if spot.added:
            segment = next(each for each in self.added if each.number == spot.added)
            return segment.writes.get(_normal(spot), NOTHING)
        by_content = spot.where or spot.segment_where
        if by_content and spot in self.writes:
            return self.writes[spot]
        if (by_content or CURRENT in (spot.segment_number, spot.repetition)) and self._touched(spot.segment):
            raise NotConverted(f"each {spot.segment} is read, after one of them was changed")
        for known in (_normal(spot), replace(_normal(spot), component=0, subcomponent=0)):
            if known in self.writes:
                return self.writes[known]
        if self.base != "copy":
            return NOTHING
        if spot.segment in self.removed or spot.place() in self.removed:
            return NOTHING
        notes = () if spot.component else (WHOLE_FIELD,)
        spelled = spot if spot.component else replace(spot, component=1)
        every = -1 in (spot.segment_number, spot.repetition)
        return (paths if every else path)(spelled.place(), *notes)

    def _touched(self, segment: str) -> bool:
        names = [*(spot.segment for spot in self.writes), *(each.segment for each in self.added)]
        if segment in names:
            return True
        return any(name.partition("-")[0] == segment for name in self.removed)

    def write(self, spot: Spot, value: Expr) -> None:
        """Set a spot. Raises NotConverted where that is no one place."""
        if not spot.field:
            raise NotConverted(f"a text for a whole segment {spot.segment}")
        if min(spot.segment_number, spot.repetition) < 0 or spot.segment_number > 1:
            raise NotConverted("each of several segments or repetitions is set")
        if spot.segment == "MSH" and spot.field in (1, 2):
            raise NotConverted("the delimiters of the message are set: write `delimiters`")
        if spot.added:
            segment = next(each for each in self.added if each.number == spot.added)
            segment.writes[_normal(spot)] = value
            return
        normal = _normal(spot)
        if normal.component == 0:
            for other in [one for one in self.writes if _same_repetition(one, normal)]:
                del self.writes[other]
        elif replace(normal, component=0, subcomponent=0) in self.writes:
            raise NotConverted("a component of a field that was set as a whole before")
        if spot.segment.startswith("Z") and self.base == "copy":
            value = value.noted(CREATES)
        if value is NOTHING and self.base != "copy":
            self.writes.pop(normal, None)
        else:
            self.writes[normal] = value

    def remove(self, spot: Spot) -> None:
        """Take out what stands at a spot."""
        if spot.added or spot.segment_number == CURRENT or spot.segment_number > 1 or self.base != "copy":
            raise NotConverted("something is taken out that a step has added, or one of several segments")
        for other in [one for one in self.writes if _within(one, spot)]:
            del self.writes[other]
        self.removed[spot.place() if spot.field else spot.segment] = None


def _normal(spot: Spot) -> Spot:
    return replace(
        spot,
        segment_number=0 if spot.segment_number == 1 else spot.segment_number,
        repetition=0 if spot.repetition == 1 else spot.repetition,
    )


def _same_repetition(one: Spot, other: Spot) -> bool:
    return (one.segment, one.field, one.repetition) == (other.segment, other.field, other.repetition)


def _within(one: Spot, outer: Spot) -> bool:
    if one.segment != outer.segment:
        return False
    if not outer.field:
        return True
    return one.field == outer.field and (not outer.component or one.component == outer.component)


def settable(spot: Spot) -> Spot:
    """The spot of a field as it can be set: a field that has components is set in its first."""
    if not spot.component and (spot.segment, spot.field) in COMPLEX:
        return replace(spot, component=1)
    return spot


def components_of(spot: Spot) -> int:
    """How many components the field of a spot may have, by any version; 1 where it is simple or unknown."""
    return _COUNTS.get(COMPLEX.get((spot.segment, spot.field), ""), 1)


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
    return pointer
