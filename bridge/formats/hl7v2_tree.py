"""A whole message as a tree, built with python-hl7: a second opinion beside our own reader.

It is slow and meant for people who look at one message. Line ends, byte order marks, character sets and an
MSH-2 that is short or long are put right by our reader first: python-hl7 would misread them in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import hl7
import hl7.containers
import hl7.util

from bridge.formats.base import ReadProblem
from bridge.formats.hl7v2 import Charset, Delimiters, Hl7Message, Segment
from bridge.formats.hl7v2_escape import unescape

_FROM_MESSAGE: Final = Charset()

# python-hl7 logs the complete text of a field whose escapes it does not know: patient data in a log. A filter
# stays when logging is configured anew, which a switched-off logger would not.
for _module in (hl7.containers, hl7.util):
    _module.logger.addFilter(lambda _record: False)


@dataclass(frozen=True, slots=True)
class TreeField:
    """One field that is not empty: repetitions of components of subcomponents, unescaped.

    The HL7 null stays the two quotation marks ``""``.
    """

    number: int
    repetitions: tuple[tuple[tuple[str, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class TreeSegment:
    """One segment; ``occurrence`` counts the segments of its name from 1."""

    name: str
    occurrence: int
    fields: tuple[TreeField, ...]


@dataclass(frozen=True, slots=True)
class NamedTree:
    """The segments of a message; none where it was refused, and then ``problems`` says why."""

    segments: tuple[TreeSegment, ...]
    problems: tuple[ReadProblem, ...]


def named_tree(body: bytes, charset: Charset = _FROM_MESSAGE) -> NamedTree:
    """The tree of one message, with everything our reader noticed; never raises on content."""
    message = Hl7Message.read(body, charset)
    if message.refused is not None:
        return NamedTree((), (message.refused, *message.problems))
    parsed = _parsed(message)
    if isinstance(parsed, ReadProblem):
        return NamedTree((), (parsed, *message.problems))
    seen: dict[str, int] = {}
    segments = []
    for segment, read in zip(parsed, message.segments, strict=False):
        seen[read.name] = seen.get(read.name, 0) + 1
        fields = _fields(segment, read, message.delimiters)
        segments.append(TreeSegment(read.name, seen[read.name], fields))
    return NamedTree(tuple(segments), message.problems)


def second_opinion(message: Hl7Message) -> ReadProblem | None:
    """Why python-hl7 does not read a message that we have read, or None."""
    parsed = _parsed(message)
    if isinstance(parsed, ReadProblem):
        return parsed
    if [str(segment[0]) for segment in parsed] != [segment.name for segment in message.segments]:
        return ReadProblem("tree-differs", "", "python-hl7 finds other segments in this message")
    return None


def _parsed(message: Hl7Message) -> Any:
    try:
        return hl7.parse(_normalised(message))
    except (hl7.HL7Exception, AssertionError, LookupError, ValueError):
        return ReadProblem("tree-refused", "", "python-hl7 does not read this message as a tree")


def _normalised(message: Hl7Message) -> str:
    delimiters = message.delimiters
    characters = (delimiters.component, delimiters.repetition, delimiters.escape, delimiters.subcomponent)
    lines = [segment.serialise() for segment in message.segments]
    rest = lines[0][4 + len(message.segments[0].field(2)) :]
    lines[0] = "".join(("MSH", delimiters.field, *characters, rest))
    return "\r".join(lines)


def _fields(segment: Any, read: Segment, delimiters: Delimiters) -> tuple[TreeField, ...]:
    header = str(segment[0]) in {"MSH", "FHS", "BHS"}
    found = []
    for number in range(1, len(segment)):
        field = segment[number]
        if not str(field):
            continue
        if header and number <= 2:
            found.append(TreeField(number, (((read.field(number),),),)))
            continue
        repetitions = tuple(
            tuple(
                tuple(unescape(str(leaf), delimiters) for leaf in _parts(component))
                for component in _parts(repetition)
            )
            for repetition in _parts(field)
        )
        found.append(TreeField(number, repetitions))
    return tuple(found)


def _parts(node: Any) -> list[Any]:
    """The children of a container; text, which python-hl7 does not split further, is its own only child."""
    return list(node) if isinstance(node, hl7.Container) else [node]
