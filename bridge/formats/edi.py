"""What X12 and EDIFACT share: a message of segments, whose elements have repetitions and components. Pure."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from dataclasses import dataclass

from bridge.formats.base import ReadProblem


@dataclass(frozen=True, slots=True)
class EdiDelimiters:
    """What parts the text of elements; one character each."""

    field: str
    component: str
    repetition: str


class EdiSegment:
    """One segment. Elements count from 1: CLP01 of X12 is field 1, and so is C507 of EDIFACT's DTM."""

    __slots__ = ("_delimiters", "_fields", "index", "name")

    def __init__(self, name: str, index: int, fields: list[str], delimiters: EdiDelimiters) -> None:
        self.name = name
        self.index = index
        self._fields = fields
        self._delimiters = delimiters

    def field(self, number: int) -> str:
        """The raw text of an element; '' where there is none."""
        return self._fields[number] if 0 < number < len(self._fields) else ""

    def elements(self) -> list[str]:
        """The raw texts of all elements, from the first."""
        return self._fields[1:]

    def each_repetition(self, number: int) -> Iterator[EdiSegment]:
        """Each repetition of an element as the only one, number 1, of a segment without a name."""
        text = self.field(number)
        for each in text.split(self._delimiters.repetition) if text else ():
            yield EdiSegment("", self.index, ["", each], self._delimiters)

    def value(self, field: int, repetition: int = 1, component: int = 1, subcomponent: int = 1) -> str | None:
        """One leaf; None where it is empty. There are no subcomponents, and nothing that means delete."""
        if not 0 < field < len(self._fields) or subcomponent != 1:
            return None
        text = self._fields[field]
        for separator, number in (
            (self._delimiters.repetition, repetition),
            (self._delimiters.component, component),
        ):
            if separator in text:
                parts = text.split(separator)
                if not 0 < number <= len(parts):
                    return None
                text = parts[number - 1]
            elif number != 1:
                return None
        return text or None


class EdiMessage:
    """One message, with the envelopes that it stands in; or why it cannot be read, ``refused``."""

    __slots__ = ("_named", "delimiters", "refused", "segments")

    encoding: str = "utf-8"
    decided_by: str = "format"
    problems: tuple[ReadProblem, ...] = ()

    def __init__(
        self, segments: tuple[EdiSegment, ...], delimiters: EdiDelimiters, refused: ReadProblem | None
    ) -> None:
        self.segments = segments
        self.delimiters = delimiters
        self.refused = refused
        self._named: dict[str, list[EdiSegment]] = {}
        for segment in segments:
            self._named.setdefault(segment.name, []).append(segment)

    def named(self, name: str) -> tuple[EdiSegment, ...]:
        """All segments of one name, in order."""
        return tuple(self._named.get(name, ()))

    def value(self, segment: str, field: int, repetition: int = 1, component: int = 1) -> str | None:
        """One leaf of the first segment of a name; None where there is none."""
        found = self._named.get(segment)
        return None if not found else found[0].value(field, repetition, component)

    def content(self, body: bytes, around: Container[str]) -> bytes:
        """Its type and its segments but for those ``around`` it, whatever their delimiters; ``body``, as it
        came, where it cannot be read."""
        if self.refused is not None:
            return body
        inside = [[each.name, *each.elements()] for each in self.segments if each.name not in around]
        return json.dumps([self.message_type, *inside]).encode()

    @property
    def message_type(self) -> str:
        """What a mapping accepts it by; '' where absent."""
        raise NotImplementedError

    @property
    def version(self) -> str:
        """The implementation that it says it follows; '' where absent."""
        raise NotImplementedError

    @property
    def control_id(self) -> str:
        """Its own number; '' where absent."""
        raise NotImplementedError
