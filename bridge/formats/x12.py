"""A plain reader of X12 interchanges: their transactions, as segments of elements.

The delimiters are those that ISA declares by its fixed places (X12.5 §3.2). Reading never raises on content:
an interchange that cannot be taken apart gives one message that says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bridge.formats.base import ReadProblem

SEGMENTS_MAX: Final = 500_000
TRANSACTIONS_MAX: Final = 100_000
ISA_CHARACTERS: Final = 106
_REPETITION_AT: Final = 82
_COMPONENT_AT: Final = 104
_TERMINATOR_AT: Final = 105
_NEVER: Final = "\0"
"""Parts nothing: what stands for the repetition separator before version 00402."""


@dataclass(frozen=True, slots=True)
class X12Delimiters:
    """One character each."""

    field: str
    component: str
    repetition: str


class X12Segment:
    """One segment. Elements count from 1, as in X12: CLP01 is field 1."""

    __slots__ = ("_delimiters", "_fields", "index", "name")

    def __init__(self, name: str, index: int, fields: list[str], delimiters: X12Delimiters) -> None:
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

    def each_repetition(self, number: int) -> Iterator[X12Segment]:
        """Each repetition of an element as the only one, number 1, of a segment without a name."""
        text = self.field(number)
        for each in text.split(self._delimiters.repetition) if text else ():
            yield X12Segment("", self.index, ["", each], self._delimiters)

    def value(self, field: int, repetition: int = 1, component: int = 1, subcomponent: int = 1) -> str | None:
        """One leaf; None where it is empty. X12 has no subcomponents, and nothing that means delete."""
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


class X12Message:
    """One transaction set, ST to SE, with the ISA and GS that it stands in; or one TA1 with its ISA."""

    __slots__ = ("_named", "delimiters", "refused", "segments")

    encoding, decided_by = "utf-8", "format"
    problems: tuple[ReadProblem, ...] = ()

    def __init__(
        self, segments: tuple[X12Segment, ...], delimiters: X12Delimiters, refused: ReadProblem | None
    ) -> None:
        self.segments = segments
        self.delimiters = delimiters
        self.refused = refused
        self._named: dict[str, list[X12Segment]] = {}
        for segment in segments:
            self._named.setdefault(segment.name, []).append(segment)

    @classmethod
    def read(cls, body: bytes) -> X12Message:
        """The first transaction of an interchange."""
        return cls.read_all(body)[0]

    @classmethod
    def read_all(cls, body: bytes) -> list[X12Message]:
        """All transactions of the interchanges in ``body``; one that is refused where it cannot be read."""
        text = _decoded(body).lstrip("\r\n \t\ufeff")
        if not text.startswith("ISA"):
            return [_refused("no-isa", "no ISA segment at the start")]
        if len(text) < ISA_CHARACTERS:
            return [_refused("short-isa", "ISA is shorter than its 106 characters")]
        element, terminator = text[3], text[_TERMINATOR_AT]
        repetition = text[_REPETITION_AT] if not text[_REPETITION_AT].isalnum() else _NEVER
        component = text[_COMPONENT_AT]
        if len({element, terminator, component}) != 3 or element.isalnum() or terminator.isalnum():
            return [_refused("bad-delimiters", "ISA does not name three different separators")]
        delimiters = X12Delimiters(element, component, repetition)
        pieces = text.split(terminator)
        if len(pieces) > SEGMENTS_MAX:
            return [_refused("too-many-segments", f"it has more than {SEGMENTS_MAX} segments")]
        return _transactions([piece.strip("\r\n") for piece in pieces], delimiters)

    def named(self, name: str) -> tuple[X12Segment, ...]:
        """All segments of one name, in order."""
        return tuple(self._named.get(name, ()))

    def value(self, segment: str, field: int, repetition: int = 1, component: int = 1) -> str | None:
        """One leaf of the first segment of a name; None where there is none."""
        found = self._named.get(segment)
        return None if not found else found[0].value(field, repetition, component)

    @property
    def message_type(self) -> str:
        """The transaction set, ST01, as in 835, or TA1; '' where absent."""
        return self.value("ST", 1) or ("TA1" if "TA1" in self._named else "")

    @property
    def version(self) -> str:
        """The implementation, ST03 or GS08, as in 005010X221A1; '' where absent."""
        return self.value("ST", 3) or self.value("GS", 8) or ""

    @property
    def control_id(self) -> str:
        """The transaction's own number, ST02; '' where absent."""
        return self.value("ST", 2) or ""


def _transactions(pieces: list[str], delimiters: X12Delimiters) -> list[X12Message]:
    found: list[X12Message] = []
    envelope: dict[str, X12Segment] = {}
    answers: list[X12Message] = []
    current: list[X12Segment] | None = None
    for piece in pieces:
        if not piece:
            continue
        fields = piece.split(delimiters.field)
        name = fields[0]
        if name == "ST":
            current = list(envelope.values())
        segment = X12Segment(name, 0 if current is None else len(current), fields, delimiters)
        if name in ("ISA", "GS"):
            if name == "ISA":
                envelope.clear()
                answers.clear()
            segment.index = len(envelope)
            envelope[name] = segment
        elif name == "TA1" and current is None and len(answers) < TRANSACTIONS_MAX:
            segment.index = len(envelope)
            answers.append(X12Message((*envelope.values(), segment), delimiters, None))
        elif current is not None:
            current.append(segment)
            if name == "SE":
                found.append(X12Message(tuple(current), delimiters, None))
                current = None
                if len(found) > TRANSACTIONS_MAX:
                    return [_refused("too-many-transactions", f"more than {TRANSACTIONS_MAX} transactions")]
    if current is not None:
        return [*found, _refused("no-se", "a transaction ends without SE: it is not whole")]
    return found or answers or [_refused("no-transaction", "there is no ST segment")]


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _refused(code: str, text: str) -> X12Message:
    nothing = X12Delimiters("*", ":", "^")
    return X12Message((), nothing, ReadProblem(code, "ISA", text))
