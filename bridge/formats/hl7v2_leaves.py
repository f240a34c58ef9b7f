"""Every value of a message with its place and its bytes, and a message that notes which of them are read.

A leaf is a component or subcomponent that is not empty; a field without components is one leaf. Nothing that
a message says is outside of its leaves, so what is counted over them is counted over all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from bridge.formats.hl7v2 import NULL, Delimiters, Hl7Message, Parts, Segment, Value

_HEADERS: Final = frozenset({"MSH", "BHS", "FHS"})
_NAME: Final = re.compile("[A-Z][A-Z0-9]{2}")
_ONE_BYTE: Final = frozenset({"ascii", "utf-8"})
"""Character sets in which ASCII is ASCII: there the places of characters are those of bytes."""

_WHOLE: Final = (False, True)
Numbers = tuple[int, int, int, int]
"""Field, repetition, component, subcomponent."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value, by the number of its segment in the message (from 0) and what counts from 1 within it.

    ``occurrence`` counts the segments of its name. ``start`` is where its bytes begin in the message as it
    came, and ``size`` how many they are; ``start`` None: the character set does not let it be told.
    ``field`` 0 is a line that has no segment's name: all its text up to the first separator.
    """

    index: int
    segment: str
    occurrence: int
    field: int
    repetition: int
    component: int
    subcomponent: int
    start: int | None
    size: int
    several: bool
    """Whether its field has several repetitions."""
    alone: bool = False
    """Whether it is all of its repetition."""

    @property
    def place(self) -> str:
        """As people write it: ``OBX[2]-5(3).1``; what goes without saying is not said."""
        occurrence = f"[{self.occurrence}]" if self.occurrence > 1 else ""
        repetition = f"({self.repetition})" if self.several else ""
        below = "" if self.alone else self._below()
        return f"{self.segment}{occurrence}-{self.field}{repetition}{below}"

    @property
    def path(self) -> str:
        """The same without occurrence and repetition: ``OBX-5.1``, what a mapping would read."""
        return f"{self.segment}-{self.field}{self._below()}"

    def _below(self) -> str:
        below = f".{self.component}" if self.field else ""
        return below + (f".{self.subcomponent}" if self.subcomponent > 1 else "")


def leaves(message: Hl7Message) -> Iterator[Leaf]:
    """All leaves, in the order in which they stand; none of a message that was refused."""
    if message.refused is not None:
        return
    parts = Hl7Message.parts(message)
    codec, start = message.encoding, len(parts.before)
    segments = iter(message.segments)
    seen: dict[str, int] = {}
    for _, text, end in parts.lines:
        if text and not text.isspace():
            segment = next(segments)
            name = segment.name
            seen[name] = seen.get(name, 0) + 1
            plain = text.isascii() and codec in _ONE_BYTE
            for place, flags, begin, stop in _leaves_of(text, name, message.delimiters):
                before = begin if plain else _size(text[:begin], codec)
                size = stop - begin if plain else _size(text[begin:stop], codec)
                at = start + before if parts.reversible else None
                yield Leaf(segment.index, name, seen[name], *place, at, size, *flags)
        start += _size(text + end, codec)


def _size(text: str, codec: str) -> int:
    return len(text.encode(codec, "replace"))


def text_of(message: Hl7Message, leaf: Leaf) -> Value:
    """What a leaf says: its text, unescaped, or NULL."""
    segment = message.segments[leaf.index]
    if not leaf.field:
        return segment.name
    value = segment.value(leaf.field, leaf.repetition, leaf.component, leaf.subcomponent)
    return "" if value is None else value


class RecordedMessage(Hl7Message):
    """A message that notes each leaf that somebody reads, whatever way they read it.

    ``read_leaves`` are those so far. ``on_read`` is called for each reading that found something, a second
    one of the same leaf too. Who takes a field, a segment or the whole message as it stands reads all of it.
    """

    __slots__ = ("_by_segment", "on_read", "read_leaves")

    _by_segment: dict[int, dict[Numbers, Leaf]] | None
    read_leaves: dict[Leaf, None]
    on_read: Callable[[Leaf], None] | None

    @classmethod
    def of(cls, message: Hl7Message) -> RecordedMessage:
        """The same message, of which nothing is read yet."""
        made = cls(message.raw, message._lead, message._tail, message._decoded)
        for name in ("refused", "delimiters", "_suffix", "_lines", "_ends"):
            setattr(made, name, getattr(message, name))
        made._by_segment, made.read_leaves, made.on_read = None, {}, None
        return made

    def parts(self) -> Parts:
        """As of every message; who copies it reads all of it."""
        for leaf in leaves(self):
            self.note(leaf)
        return super().parts()

    def note(self, leaf: Leaf) -> None:
        """A leaf was read."""
        self.read_leaves[leaf] = None
        if self.on_read is not None:
            self.on_read(leaf)

    def leaves_in(self, index: int) -> dict[Numbers, Leaf]:
        """The leaves of one segment, by field, repetition, component and subcomponent."""
        if self._by_segment is None:
            self._by_segment = {}
            for leaf in leaves(self):
                at = (leaf.field, leaf.repetition, leaf.component, leaf.subcomponent)
                self._by_segment.setdefault(leaf.index, {})[at] = leaf
        return self._by_segment.get(index, {})

    def _build(self) -> None:
        super()._build()
        recorded = {
            id(each): _RecordedSegment(self, each.name, each.index, each._text) for each in self._segments
        }
        self._rows = [row if isinstance(row, str) else recorded[id(row)] for row in self._rows or ()]
        self._named = {
            name: tuple(recorded[id(each)] for each in found) for name, found in self._named.items()
        }
        self._segments = tuple(recorded.values())


class _RecordedSegment(Segment):
    """``_field`` and ``_repetition`` are those that a part stands for, 0 for a whole segment."""

    __slots__ = ("_field", "_message", "_repetition")

    def __init__(
        self, message: RecordedMessage, name: str, index: int, text: str, field: int = 0, repetition: int = 0
    ) -> None:
        super().__init__(name, index, text, message.delimiters)
        self._message = message
        self._field, self._repetition = field, repetition

    def value(self, field: int, repetition: int = 1, component: int = 1, subcomponent: int = 1) -> Value:
        value = super().value(field, repetition, component, subcomponent)
        of = (field, repetition, component, subcomponent)
        if self._field:
            of = (self._field, self._repetition, component, subcomponent)
        found = self._message.leaves_in(self.index)
        leaf = found.get(of)
        if leaf is None and value is NULL:
            # What holds it is NULL, and is the leaf.
            leaf = found.get((*of[:3], 1)) or found.get((*of[:2], 1, 1))
        if leaf is not None:
            self._message.note(leaf)
        return value

    def whole(self, field: int, repetition: int = 1) -> Value:
        self._note_all(field, repetition)
        return unnoted(self).whole(field, repetition)

    def field(self, number: int) -> str:
        text = super().field(number)
        if text:
            self._note_all(number)
        return text

    def each_repetition(self, number: int) -> Iterator[Segment]:
        if self._field:
            yield from super().each_repetition(number)
            return
        texts = Segment(self.name, self.index, self._text, self._delimiters).repetitions(number)
        for repetition, text in enumerate(texts, 1):
            field = self._delimiters.field + text
            yield _RecordedSegment(self._message, "", self.index, field, number, repetition)

    def serialise(self) -> str:
        self._note_all(0)
        return super().serialise()

    def _note_all(self, field: int, repetition: int = 0) -> None:
        """Note all leaves of a field, of the segment where it is 0, or of the repetition that this is.

        Of a field's ``repetition`` alone where that is not 0.
        """
        for at, leaf in self._message.leaves_in(self.index).items():
            meant = field in (0, at[0]) and repetition in (0, at[1])
            if (at[:2] == (self._field, self._repetition)) if self._field else meant:
                self._message.note(leaf)


def unnoted(segment: Segment) -> Segment:
    """The same segment, of which nothing is noted that is read: for who looks at it, and takes nothing."""
    return Segment(segment.name, segment.index, segment._text, segment._delimiters)


Found = tuple[Numbers, tuple[bool, bool], int, int]
"""Where a leaf is, whether its field repeats, whether it is alone, and which characters of a line it is."""


def _leaves_of(text: str, name: str, delimiters: Delimiters) -> Iterator[Found]:
    fields = text.split(delimiters.field)
    if _NAME.fullmatch(name) is None and fields[0].strip():
        yield (0, 1, 1, 1), _WHOLE, 0, len(fields[0])
    header = name in _HEADERS and len(fields) > 1
    if header:
        yield (1, 1, 1, 1), _WHOLE, len(fields[0]), len(fields[0]) + 1
    at = len(fields[0]) + 1
    for number, field in enumerate(fields[1:], 2 if header else 1):
        if header and number == 2:
            if field:
                yield (2, 1, 1, 1), _WHOLE, at, at + len(field)
        elif field:
            yield from _in_field(number, field, at, delimiters)
        at += len(field) + 1


def _in_field(number: int, text: str, at: int, delimiters: Delimiters) -> Iterator[Found]:
    repetitions = text.split(delimiters.repetition)
    for repetition, in_repetition in enumerate(repetitions, 1):
        components = in_repetition.split(delimiters.component)
        for component, in_component in enumerate(components, 1):
            for subcomponent, leaf in enumerate(in_component.split(delimiters.subcomponent), 1):
                if leaf:
                    flags = len(repetitions) > 1, leaf == in_repetition
                    yield (number, repetition, component, subcomponent), flags, at, at + len(leaf)
                at += len(leaf) + 1
