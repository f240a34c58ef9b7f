"""A reader for HL7 v2 messages (ER7 encoding, HL7 v2.5.1 §2.6) that splits only what is asked for.

Reading never raises on content. A message that cannot be taken apart at all has a reason in `refused` and no
segments; everything else that is not as it should be stands in `problems`, and the message can still be read.
Nothing is dropped on the way: `serialise` gives the bytes that came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from bridge.formats.base import ReadProblem
from bridge.formats.hl7v2_charset import Charset, Decoded, decode, wide_codec
from bridge.formats.hl7v2_delimiters import STANDARD, Delimiters, declared_delimiters
from bridge.formats.hl7v2_escape import unescape
from bridge.formats.hl7v2_header import BYTE_ORDER_MARK, BYTE_ORDER_MARKS, header_fields, lead_size
from bridge.formats.hl7v2_lines import noticed_lines

__all__ = ["NULL", "Charset", "Delimiters", "Hl7Message", "Hl7Null", "Parts", "Segment", "Value"]


class Hl7Null(Enum):
    """The HL7 null ``""``: the sender asks that the value be deleted. It has one member and is falsy."""

    NULL = '""'

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NULL"

    __str__ = __repr__


NULL: Final = Hl7Null.NULL
Value = str | Hl7Null | None
"""A leaf: its text, NULL, or None where the message says nothing."""

SEGMENTS_MAX: Final = 100_000
"""A message with more lines is refused: each becomes an object, and memory must stay bounded."""

_FROM_MESSAGE: Final = Charset()
_HEADERS: Final = frozenset({"MSH", "BHS", "FHS"})
_FRAMING: Final = re.compile("[\x0b\x1c\x1a\0]")
_TAIL: Final = "\r\n\x0b\x1c\x1a\0 \t"


class Segment:
    """One segment. Fields count from 1, as in the standard; in MSH, field 1 is the separator itself."""

    __slots__ = ("_delimiters", "_fields", "_text", "index", "kept", "name")

    def __init__(self, name: str, index: int, text: str, delimiters: Delimiters) -> None:
        self.name = name
        self.index = index
        self._text = text
        self._delimiters = delimiters
        self._fields: list[str] | None = None
        self.kept: dict[Any, Any] | None = None
        """What a reader has found in it, for the next one that asks the same: a segment never changes."""

    def __repr__(self) -> str:
        return f"Segment({self.index})"

    @property
    def fields_count(self) -> int:
        """How many fields the segment has, empty ones included."""
        return len(self._fields or self._split()) - 1

    def field(self, number: int) -> str:
        """The raw text of a field; '' where there is none."""
        fields = self._fields or self._split()
        return fields[number] if 0 < number < len(fields) else ""

    def repetitions(self, number: int) -> tuple[str, ...]:
        """The raw repetitions of a field; none for a field that is empty or absent."""
        text = self.field(number)
        if not text:
            return ()
        if number <= 2 and self.name in _HEADERS:
            return (text,)
        return tuple(text.split(self._delimiters.repetition))

    def each_repetition(self, number: int) -> Iterator[Segment]:
        """Each repetition of a field as the only field, number 1, of a segment without a name.

        Asking for repetition after repetition would split the field again each time.
        """
        delimiters = self._delimiters
        for text in self.repetitions(number):
            yield Segment("", self.index, delimiters.field + text, delimiters)

    def value(  # noqa: PLR0912 - written out
        self, field: int, repetition: int = 1, component: int = 1, subcomponent: int = 1
    ) -> Value:
        """One leaf, unescaped: None where it is empty, NULL where it, or what holds it, is ``""``."""
        fields = self._fields or self._split()
        if not 0 < field < len(fields):
            return None
        text = fields[field]
        if not text:
            return None
        delimiters = self._delimiters
        if field <= 2 and self.name in _HEADERS:
            return text if repetition == component == subcomponent == 1 else None
        # Three times the same, written out: this is called some fifty times for each message.
        if (separator := delimiters.repetition) in text:
            parts = text.split(separator)
            if not 0 < repetition <= len(parts):
                return None
            text = parts[repetition - 1]
        elif repetition != 1:
            return None
        if (separator := delimiters.component) in text:
            parts = text.split(separator)
            if not 0 < component <= len(parts):
                return None
            text = parts[component - 1]
        elif text == '""':
            return NULL
        elif component != 1:
            return None
        if (separator := delimiters.subcomponent) in text:
            parts = text.split(separator)
            if not 0 < subcomponent <= len(parts):
                return None
            text = parts[subcomponent - 1]
        elif text == '""':
            return NULL
        elif subcomponent != 1:
            return None
        if text == '""':
            return NULL
        return (unescape(text, delimiters) if delimiters.escape in text else text) or None

    def whole(self, field: int, repetition: int = 1) -> Value:
        """One repetition as one text, unescaped, of types without components (HL7 v2.5.1 §2.A.31, 75, 78)."""
        repetitions = self.repetitions(field)
        text = repetitions[repetition - 1] if 0 < repetition <= len(repetitions) else ""
        delimiters = self._delimiters
        if not text.strip(delimiters.component + delimiters.subcomponent):
            return None
        return NULL if text == '""' else unescape(text, delimiters)

    def serialise(self) -> str:
        """The fields joined again: the text that was read."""
        fields = self._fields or self._split()
        separator = self._delimiters.field
        if len(fields) > 1 and self.name in _HEADERS:
            return fields[0] + separator + separator.join(fields[2:])
        return separator.join(fields)

    def _split(self) -> list[str]:
        fields = self._text.split(self._delimiters.field)
        if len(fields) > 1 and self.name in _HEADERS:
            fields.insert(1, self._delimiters.field)
        self._fields = fields
        return fields


@dataclass(frozen=True, slots=True)
class Parts:
    """What a message was taken apart into: joined, and between ``before`` and ``after``, it is what came.

    ``lines`` are the name of a segment ('' for a blank line), its text, and what ends it; ``rest`` is what
    follows the last. Not ``reversible``: encoding the text again would not give the bytes that came.
    """

    before: bytes
    lines: tuple[tuple[str, str, str], ...]
    rest: str
    after: bytes
    reversible: bool


class Hl7Message:
    """One message. ``raw`` is what came, ``encoding`` the codec that decoded it.

    ``decided_by`` says why that codec (`Decoded`). ``refused`` says why nothing could be read: ``empty``,
    ``no-msh``, ``batch`` (an envelope around messages), ``bad-delimiters``, ``iso-2022-unreadable`` or
    ``too-many-segments``. Then there are no segments, and every value is None.
    """

    __slots__ = (
        "_decoded",
        "_ends",
        "_lead",
        "_lines",
        "_named",
        "_problems",
        "_rows",
        "_segments",
        "_suffix",
        "_tail",
        "_type",
        "decided_by",
        "delimiters",
        "encoding",
        "raw",
        "refused",
    )

    def __init__(self, raw: bytes, lead: int, tail: int, decoded: Decoded) -> None:
        self.raw = raw
        self.encoding = decoded.codec
        self.decided_by = decoded.decided_by
        self.refused: ReadProblem | None = None
        self.delimiters = STANDARD
        self._decoded = decoded
        self._lead = lead
        self._tail = tail
        self._suffix = ""
        self._type: str | None = None
        self._lines: list[str] = []
        self._ends: str | list[str] = "\r"
        self._problems: tuple[ReadProblem, ...] | None = None
        self._rows: list[Segment | str] | None = None
        self._segments: tuple[Segment, ...] = ()
        self._named: dict[str, tuple[Segment, ...]] = {}

    @classmethod
    def read(cls, body: bytes, charset: Charset = _FROM_MESSAGE) -> Hl7Message:
        """Read one message from ``body``; never raises on content."""
        lead = lead_size(body)
        content = body[lead:] if lead else body
        tail = 0
        named = repetition = b""
        if content.startswith(b"MSH"):
            fields = header_fields(content)
            if len(fields) > 17 and (named := fields[17]):
                repetition = fields[1][1:2]
        elif wide_codec(content) is not None and content.endswith((b"\x1c\r", b"\x1c")):
            # A frame of single bytes around characters of two or four bytes.
            tail = 2 if content.endswith(b"\r") else 1
            content = content[:-tail]
        marked = lead > 0 and BYTE_ORDER_MARK in body[:lead]
        decoded = decode(content, charset, named, repetition or b"~", marked=marked)
        message = cls(body, lead, tail, decoded)
        text = decoded.text
        if (refused := decoded.refused or _too_long(text)) is not None:
            message.refused = refused
            return message
        if text.startswith("MSH|^~\\&|"):
            message._take_apart(text)
            return message
        if (refused := _refusal(text)) is not None:
            message.refused = refused
            return message
        delimiters = declared_delimiters(text[3], _encoding_characters(text)[:6])
        if delimiters is None:
            reason = "MSH-1 and MSH-2 do not name five different characters that can part a message"
            message.refused = ReadProblem("bad-delimiters", "MSH-1", reason)
            return message
        message.delimiters = delimiters
        message._take_apart(text)
        return message

    @property
    def problems(self) -> tuple[ReadProblem, ...]:
        """Everything that was not as it should be and did not keep the message from being read."""
        if self._problems is None:
            self._problems = (*self._decoded.problems, *self._noticed())
        return self._problems

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments in order; blank lines are no segments."""
        if self._rows is None:
            self._build()
        return self._segments

    def named(self, name: str) -> tuple[Segment, ...]:
        """All segments of one name, in order."""
        if self._rows is None:
            self._build()
        return self._named.get(name, ())

    def value(
        self,
        segment: str,
        field: int,
        repetition: int = 1,
        component: int = 1,
        subcomponent: int = 1,
        occurrence: int = 1,
    ) -> Value:
        """One leaf of the message; everything counts from 1. See `Segment.value`."""
        if self._rows is None:
            self._build()
        found = self._named.get(segment, ())
        if not 0 < occurrence <= len(found):
            return None
        return found[occurrence - 1].value(field, repetition, component, subcomponent)

    @property
    def message_type(self) -> str:
        """Message code and trigger event as ``ADT^A01``, whatever the delimiters; no event, no ``^``."""
        if self._type is None:
            code, event = self._text(9), self._text(9, 2)
            self._type = f"{code}^{event}" if event else code
        return self._type

    @property
    def control_id(self) -> str:
        """MSH-10, '' where absent."""
        return self._text(10)

    @property
    def processing_id(self) -> str:
        """MSH-11.1, '' where absent."""
        return self._text(11)

    @property
    def version(self) -> str:
        """MSH-12.1, '' where absent."""
        return self._text(12)

    def serialise(self) -> bytes:
        """The message put together again from its segments; equal to ``raw`` for every message that was read.

        A refused message, and one in a character set with two spellings of one character (problem
        ``charset-lossy``), cannot be put together again and is given as it came.
        """
        if self.refused is not None or not self._decoded.reversible:
            return self.raw
        if self._rows is None:
            self._build()
        lines = [row if isinstance(row, str) else row.serialise() for row in self._rows or ()]
        if isinstance(self._ends, str):
            text = self._ends.join(lines)
        else:
            text = "".join(line + end for line, end in zip(lines, [*self._ends, ""], strict=True))
        content = (text + self._suffix).encode(self.encoding)
        return self.raw[: self._lead] + content + self.raw[len(self.raw) - self._tail :]

    def parts(self) -> Parts:
        """What `serialise` puts together, for whoever writes a message that is this one but for something."""
        if self._rows is None:
            self._build()
        names = ["" if isinstance(row, str) else row.name for row in self._rows or ()]
        between = [self._ends] * (len(names) - 1) if isinstance(self._ends, str) else self._ends
        lines = tuple(zip(names, self._lines, [*between, ""], strict=True))
        after = self.raw[len(self.raw) - self._tail :]
        return Parts(self.raw[: self._lead], lines, self._suffix, after, self._decoded.reversible)

    def _text(self, field: int, component: int = 1) -> str:
        value = self.value("MSH", field, 1, component)
        return value if isinstance(value, str) else ""

    def _take_apart(self, text: str) -> None:
        if not (text[-1] > " " or (text[-1] == "\r" and text[-2] > " ")):
            blanks = len(text.rstrip(_TAIL))
            if (framing := _FRAMING.search(text, blanks)) is not None:
                self._suffix = text[framing.start() :]
                text = text[: framing.start()]
        if "\n" not in text:
            self._lines = text.split("\r")
        elif "\r" not in text:
            self._ends = "\n"
            self._lines = text.split("\n")
        elif text.count("\r\n") == text.count("\r") == text.count("\n"):
            self._ends = "\r\n"
            self._lines = text.split("\r\n")
        else:
            pieces = _segment_end(self.delimiters.field).split(text)
            self._lines, self._ends = pieces[::2], pieces[1::2]

    def _build(self) -> None:
        rows: list[Segment | str] = []
        segments: list[Segment] = []
        named: dict[str, list[Segment]] = {}
        delimiters = self.delimiters
        separator = delimiters.field
        for line in self._lines:
            if line[3:4] == separator:
                name = line[:3]
            elif not line or line.isspace():
                rows.append(line)
                continue
            else:
                name = line.split(separator, 1)[0].strip()
            segment = Segment(name, len(segments), line, delimiters)
            rows.append(segment)
            segments.append(segment)
            if name in named:
                named[name].append(segment)
            else:
                named[name] = [segment]
        self._segments = tuple(segments)
        self._named = {name: tuple(found) for name, found in named.items()}
        self._rows = rows

    def _noticed(self) -> list[ReadProblem]:
        found: list[ReadProblem] = []
        lead, tail = self.raw[: self._lead], self._suffix or self._tail
        others = BYTE_ORDER_MARKS.sub(b"", lead)
        if len(others) < len(lead):
            found.append(ReadProblem("byte-order-mark", "", "a byte order mark stands before the message"))
        if others:
            text = "frame bytes or blanks stand before the message"
            found.append(ReadProblem("leading-bytes", "", text))
        if tail:
            found.append(ReadProblem("trailing-bytes", "", "frame bytes stand after the message"))
        if self.refused is not None:
            return found
        given = self._lines[0][4:].split(self.delimiters.field, 1)[0]
        if len(given) < 4:
            text = "MSH-2 is short: the standard's characters are taken for the missing ones"
            found.append(ReadProblem("short-encoding-characters", "MSH-2", text))
        elif len(given) > (4 if self.delimiters.truncation is None else 5):
            text = "MSH-2 has more characters than delimiters: the first ones count"
            found.append(ReadProblem("long-encoding-characters", "MSH-2", text))
        found += noticed_lines(self._lines, self._ends, self.delimiters.field)
        return found


@lru_cache(maxsize=64)
def _segment_end(separator: str) -> re.Pattern[str]:
    # Where CR ends segments a lone LF is data, unless what follows can only be another segment.
    return re.compile(rf"(\r\n|\r|\n(?=[A-Z][A-Z0-9]{{2}}{re.escape(separator)}))")


def _too_long(text: str) -> ReadProblem | None:
    if len(text) <= SEGMENTS_MAX or text.count("\r") + text.count("\n") <= SEGMENTS_MAX:
        return None
    return ReadProblem("too-many-segments", "", f"it has more than {SEGMENTS_MAX} lines")


def _refusal(text: str) -> ReadProblem | None:
    if not text.strip(_TAIL):
        return ReadProblem("empty", "", "there is nothing in it")
    if text.startswith(("FHS", "BHS")):
        return ReadProblem("batch", "line 1", "a batch: its messages have to be read one by one")
    if not text.startswith("MSH"):
        return ReadProblem("no-msh", "line 1", "no MSH segment at the start")
    if len(text) == 3:
        return ReadProblem("bad-delimiters", "MSH-1", "nothing follows MSH: there is no field separator")
    return None


def _encoding_characters(text: str) -> str:
    line = re.split(r"[\r\n\x1c]", text[4:64], maxsplit=1)[0]
    return line.split(text[3], 1)[0]
