"""Writes HL7 v2 messages: one that came, with some places changed, or a new one. Pure.

What is not changed stands in the bytes that leave as it stood in those that came: escapes, empty fields, line
ends, all of it. Only a draft that is written in other delimiters or another character set is spelt anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bridge.formats.hl7v2 import NULL, Hl7Message, Segment, Value
from bridge.formats.hl7v2_charset import known_codec, named_codec
from bridge.formats.hl7v2_delimiters import Delimiters
from bridge.formats.hl7v2_escape import escape
from bridge.formats.hl7v2_respell import each_leaf, in_hexadecimal, respell, with_question_marks, writable

Unwritable = Literal["reject", "escape", "replace"]

SITE_SEGMENTS: Final = "Z*"
"""In the place of a segment's name: all that are a site's own."""
_HEADERS: Final = frozenset({"MSH", "BHS", "FHS"})
_CHARSET_FIELD: Final = 18
_NAME: Final = re.compile("[A-Z][A-Z0-9]{2}")
_NAMES: Final = {
    "ascii": "ASCII",
    "utf-8": "UNICODE UTF-8",
    **{f"iso8859-{part}": f"8859/{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
    **{f"cp{page}": f"WINDOWS-{page}" for page in range(1250, 1259)},
}
"""Character sets that can be written, as MSH-18 names them: HL7 table 0211, and what vendors write."""


def charset_written(name: str) -> str | None:
    """The codec of a character set that a message can be written in; None for any other.

    Sets in which a delimiter's byte can be half a character are none: receivers split before they decode.

    >>> charset_written("ISO-8859-1"), charset_written("utf-16")
    ('iso8859-1', None)
    """
    codec = known_codec(name)
    return codec if codec in _NAMES else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. ``repetition`` is a number, (component, value), or None for every one.

    Without a field it is the segment; without a component the whole repetition.
    """

    segment: str
    field: int = 0
    repetition: int | tuple[int, str] | None = None
    component: int | None = None
    subcomponent: int | None = None

    def is_of(self, name: str) -> bool:
        """Whether segments of this name are meant."""
        return name == self.segment or (self.segment == SITE_SEGMENTS and name.startswith("Z"))


class PlaceMissing(Exception):
    """The message has no such segment, or no such repetition."""


class SeveralPlaces(Exception):
    """Several repetitions have what was asked for, and one was to be set."""


class NotWritable(Exception):
    """Characters are not in the character set; ``places`` are the fields they stand in."""

    def __init__(self, places: Sequence[str]) -> None:
        self.places = tuple(places)
        super().__init__(", ".join(self.places))


class NotReversible(Exception):
    """The character set has several spellings of one character: writing would change more than was asked."""


@dataclass(eq=False, slots=True)
class _Line:
    name: str
    text: str
    end: str
    added: bool = False


@dataclass(frozen=True, slots=True)
class Spot:
    """A place of one draft that was found: field 0 is the segment, repetition ``number`` counts from 0."""

    line: _Line
    place: Place
    number: int


@dataclass(frozen=True, slots=True)
class Written:
    """The bytes, and the fields in which a character had to be spelt otherwise."""

    body: bytes
    respelt: tuple[str, ...]


class Hl7Draft:
    """A message that is being made. Find all places first: changing one can move what others are found by."""

    def __init__(
        self, lines: list[_Line], delimiters: Delimiters, codec: str, origin: Hl7Message | None
    ) -> None:
        self._lines = lines
        self._delimiters = delimiters
        self._codec = codec
        self._origin = origin
        # Where each segment of the message that came stands, whatever is added and taken out meanwhile.
        self._of_segments = [line for line in lines if line.text and not line.text.isspace()]

    @classmethod
    def copy(cls, message: Hl7Message) -> Hl7Draft:
        """A draft that is this message, which must not be one that was refused."""
        assert message.refused is None
        lines = [_Line(*line) for line in message.parts().lines]
        return cls(lines, message.delimiters, message.encoding, message)

    @classmethod
    def new(cls, delimiters: Delimiters) -> Hl7Draft:
        """A draft of a header and nothing else, in UTF-8."""
        text = f"MSH{delimiters.field}{encoding_characters(delimiters)}"
        return cls([_Line("MSH", text, "\r")], delimiters, "utf-8", None)

    def spot(self, place: Place) -> Spot:
        """The one place that is meant. Raises PlaceMissing, and SeveralPlaces.

        The first segment of the name counts, as where a message is read. In a new message a segment that is
        not there is made.
        """
        line = next((line for line in self._lines if line.name == place.segment), None)
        if line is None:
            if self._origin is not None:
                raise PlaceMissing
            line = self._add(len(self._lines), place.segment)
        numbers = self._numbers(line, place)
        if not numbers:
            raise PlaceMissing
        if len(numbers) > 1:
            raise SeveralPlaces
        return Spot(line, place, numbers[0])

    def everywhere(self, place: Place) -> list[Spot]:
        """Every place that is meant, in all segments of the name."""
        lines = [line for line in self._lines if place.is_of(line.name)]
        if not place.field:
            return [Spot(line, place, 0) for line in lines]
        return [
            Spot(line, place, number)
            for line in lines
            for number in self._numbers(line, place)
            if number < len(self._repetitions(line, place.field))
        ]

    def within(self, segment: int, place: Place, repetition: int | None = None) -> list[Spot]:
        """Where a place is in one segment of the message that came, by the segment's index.

        In one ``repetition``, from 0. One that is named by its number need not be there.
        """
        line = self._of_segments[segment]
        if not place.field:
            return [Spot(line, place, 0)]
        numbers = self._numbers(line, place) if repetition is None else [repetition]
        return [Spot(line, place, number) for number in numbers]

    def is_there(self, spot: Spot) -> bool:
        """Whether a place has the repetition that is meant."""
        return not spot.place.field or spot.number < len(self._repetitions(spot.line, spot.place.field))

    def put(self, spot: Spot, value: Value) -> None:
        """Set what stands at a place: text without NUL, the HL7 null, or nothing."""
        place, delimiters = spot.place, self._delimiters
        raw = '""' if value is NULL else ""
        if isinstance(value, str):
            assert "\0" not in value, "a NUL at the end of a message would be taken for its frame"
            raw = escape(value, delimiters).replace("\x1a", f"{delimiters.escape}X1A{delimiters.escape}")
        steps = [
            (delimiters.field, self._index(spot.line, place.field)),
            (delimiters.repetition, spot.number),
        ]
        if place.component is not None:
            steps.append((delimiters.component, place.component - 1))
        if place.subcomponent is not None:
            steps.append((delimiters.subcomponent, place.subcomponent - 1))
        spot.line.text = _with(spot.line.text, steps, raw)

    def remove(self, spots: Iterable[Spot]) -> None:
        """Take out segments and whole repetitions; a component becomes empty."""
        repetitions: dict[tuple[_Line, int], set[int]] = {}
        for spot in spots:
            if not spot.place.field:
                self._drop(spot.line)
            elif spot.place.component is not None:
                self.put(spot, None)
            else:
                repetitions.setdefault((spot.line, spot.place.field), set()).add(spot.number)
        for (line, field), numbers in repetitions.items():
            fields = line.text.split(self._delimiters.field)
            index = self._index(line, field)
            parts = fields[index].split(self._delimiters.repetition)
            kept = [part for number, part in enumerate(parts) if number not in numbers]
            fields[index] = self._delimiters.repetition.join(kept)
            line.text = self._delimiters.field.join(fields)

    def append(self, name: str, after: str | None, values: Iterable[tuple[Place, Value]]) -> None:
        """Add a segment: after the last one called ``after``, or at the end. Raises PlaceMissing."""
        wanted = [at for at, line in enumerate(self._lines) if line.name and after in (None, line.name)]
        if not wanted:
            raise PlaceMissing
        at = wanted[-1] + 1
        while at < len(self._lines) and self._lines[at].added:
            at += 1
        line = self._add(at, name)
        for place, value in values:
            assert isinstance(place.repetition, int)
            self.put(Spot(line, place, place.repetition - 1), value)

    def write(
        self, *, codec: str | None, delimiters: Delimiters | None, unwritable: Unwritable = "reject"
    ) -> Written:
        """The message; with ``codec`` or ``delimiters`` in these, and MSH-18 or MSH-2 say so.

        Then frame bytes and byte order marks around it are left out. Raises NotWritable where characters are
        not in the character set and ``unwritable`` does not say what becomes of them, and NotReversible.
        """
        if delimiters is not None:
            keeps_name = self._codec in _NAMES and self._charset_named() == self._codec
            self._in_other(delimiters)
            if keeps_name:
                self._name_charset(self._codec)
        if codec is not None:
            self._name_charset(codec)
        before, rest, after = b"", "", b""
        if self._origin is not None and codec is None:
            parts = self._origin.parts()
            if delimiters is None:
                lines = tuple((line.name, line.text, line.end) for line in self._lines)
                if lines == parts.lines:
                    return Written(self._origin.raw, ())
                before, rest, after = parts.before, parts.rest, parts.after
            if not parts.reversible:
                raise NotReversible
        codec = codec or self._codec
        spelt, respelt = self._spelt(codec, unwritable)
        text = "".join(f"{each}{line.end}" for each, line in zip(spelt, self._lines, strict=True))
        return Written(before + (text + rest).encode(codec) + after, respelt)

    def _numbers(self, line: _Line, place: Place) -> list[int]:
        """The repetitions that a place means, from 0. One that is named by its number need not be there."""
        if isinstance(place.repetition, int):
            return [place.repetition - 1]
        repetitions = self._repetitions(line, place.field)
        if place.repetition is None:
            return list(range(len(repetitions)))
        component, wanted = place.repetition
        segments = (Segment("", 0, self._delimiters.field + each, self._delimiters) for each in repetitions)
        return [number for number, each in enumerate(segments) if each.value(1, 1, component) == wanted]

    def _repetitions(self, line: _Line, field: int) -> list[str]:
        fields, index = line.text.split(self._delimiters.field), self._index(line, field)
        text = fields[index] if index < len(fields) else ""
        return text.split(self._delimiters.repetition) if text else []

    def _index(self, line: _Line, field: int) -> int:
        """Where a field stands among the pieces of a line: in MSH, field 1 is the separator itself."""
        return field - 1 if line.text.split(self._delimiters.field, 1)[0] in _HEADERS else field

    def _add(self, at: int, name: str) -> _Line:
        last = self._lines[at - 1]
        line = _Line(name, name, last.end, added=True)
        last.end = last.end or next((each.end for each in self._lines if each.end), "\r")
        self._lines.insert(at, line)
        return line

    def _drop(self, line: _Line) -> None:
        at = self._lines.index(line)
        if not line.end:
            self._lines[at - 1].end = ""
        del self._lines[at]

    def _in_other(self, target: Delimiters) -> None:
        source, said = self._delimiters, encoding_characters(target)

        def spelt(raw: str) -> str:
            return raw if source == target else respell(raw, source, target)

        for line in self._lines:
            if source != target or line is self._lines[0]:
                line.text = each_leaf(line.text, source, target, spelt, said)
        self._delimiters = target

    def _charset_named(self) -> str | None:
        header = self._lines[0].text.split(self._delimiters.field)
        named = header[_CHARSET_FIELD - 1] if len(header) >= _CHARSET_FIELD else ""
        return named_codec(named.encode("ascii", "replace"))

    def _name_charset(self, codec: str) -> None:
        if self._charset_named() != codec:
            steps = [(self._delimiters.field, _CHARSET_FIELD - 1)]
            # A name is known by its letters and digits, and escapes are undone only once the set is known.
            name = "".join(sign for sign in _NAMES[codec] if escape(sign, self._delimiters) == sign)
            self._lines[0].text = _with(self._lines[0].text, steps, name)

    def _spelt(self, codec: str, unwritable: Unwritable) -> tuple[list[str], tuple[str, ...]]:
        """The lines as the character set can write them, and the fields that had to be spelt otherwise."""
        found = [line for line in self._lines if not writable(line.text, codec)]
        if not found:
            return [line.text for line in self._lines], ()
        places = tuple(dict.fromkeys(place for line in found for place in self._unwritable_in(line, codec)))
        if unwritable == "reject":
            raise NotWritable(places)
        delimiters = self._delimiters

        def spelt(raw: str) -> str:
            if writable(raw, codec):
                return raw
            if unwritable == "escape":
                return in_hexadecimal(raw, codec, delimiters)
            return with_question_marks(raw, codec)

        # MSH-2 may hold more than delimiters, and nothing in it can be escaped.
        said = encoding_characters(delimiters)

        def spelt_line(line: _Line) -> str:
            header = line.text.split(delimiters.field, 2)
            second = None if len(header) < 2 or writable(header[1], codec) else said
            return each_leaf(line.text, delimiters, delimiters, spelt, second)

        return [spelt_line(line) if line in found else line.text for line in self._lines], places

    def _unwritable_in(self, line: _Line, codec: str) -> Iterator[str]:
        fields = line.text.split(self._delimiters.field)
        first = self._index(line, 0)
        for at, text in enumerate(fields):
            if not writable(text, codec):
                # A line that begins with no name could show what it holds.
                name = line.name if _NAME.fullmatch(line.name) else "a segment"
                yield f"{name}-{at - first}"


def encoding_characters(delimiters: Delimiters) -> str:
    """MSH-2 as it says these delimiters.

    >>> encoding_characters(Delimiters.defaults())
    '^~\\\\&'
    """
    return "".join(
        (
            delimiters.component,
            delimiters.repetition,
            delimiters.escape,
            delimiters.subcomponent,
            delimiters.truncation or "",
        )
    )


def _with(text: str, steps: list[tuple[str, int]], leaf: str) -> str:
    """``text`` with ``leaf`` where the steps lead: a separator and a number from 0, again and again."""
    if not steps:
        return leaf
    separator, number = steps[0]
    parts = text.split(separator)
    within = parts[number] if number < len(parts) else ""
    changed = _with(within, steps[1:], leaf)
    if changed == within:
        return text
    parts.extend("" for _ in range(len(parts), number + 1))
    parts[number] = changed
    return separator.join(parts)
