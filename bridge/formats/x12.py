"""A plain reader of X12 interchanges: their transactions, as segments of elements.

The delimiters are those that ISA declares by its fixed places (X12.5 §3.2). Reading never raises on content:
an interchange that cannot be taken apart gives one message that says why.
"""

from __future__ import annotations

import re
from typing import Final

from bridge.formats.base import ReadProblem, Unsplittable
from bridge.formats.edi import EdiDelimiters, EdiMessage, EdiSegment
from bridge.formats.x12_wrapped import NOT_AS_WIDE, SEPARATORS_AT, unwrapped

SEGMENTS_MAX: Final = 500_000
TRANSACTIONS_MAX: Final = 100_000
ISA_CHARACTERS: Final = 106
_REPETITION_AT: Final = 82
_COMPONENT_AT: Final = 104
_TERMINATOR_AT: Final = 105
_BLANK: Final = "\r\n \t"
_NEVER: Final = "\0"
"""Parts nothing: what stands for the repetition separator before version 00402."""


class X12Message(EdiMessage):
    """One transaction set, ST to SE, with the ISA and GS that it stands in; or one TA1 with its ISA."""

    __slots__ = ()

    @classmethod
    def read(cls, body: bytes) -> X12Message:
        """The first transaction of an interchange."""
        return cls.read_all(body)[0]

    @classmethod
    def read_all(cls, body: bytes) -> list[X12Message]:
        """All transactions of the interchanges in ``body``; one that is refused where it cannot be read."""
        try:
            text = _decoded(unwrapped(body)).lstrip(_BLANK + "\ufeff")
        except Unsplittable as refused:
            return [_refused(refused.reason, str(refused))]
        found: list[X12Message] = []
        while text:
            end = _next_with_others(text)
            found += _read_alike(text[:end])
            text = text[end:]
        return found or _read_alike(text)

    @property
    def message_type(self) -> str:
        """The transaction set, ST01, as in 835, or TA1; '' where absent."""
        return self.value("ST", 1) or ("TA1" if self.named("TA1") else "")

    @property
    def version(self) -> str:
        """The implementation, ST03 or GS08, as in 005010X221A1; '' where absent."""
        return self.value("ST", 3) or self.value("GS", 8) or ""

    @property
    def control_id(self) -> str:
        """The transaction's own number, ST02; '' where absent."""
        return self.value("ST", 2) or ""


def _read_alike(text: str) -> list[X12Message]:
    """The transactions of interchanges that all have the separators of the first one."""
    if not text.startswith("ISA"):
        return [_refused("no-isa", "no ISA segment at the start")]
    if len(text) < ISA_CHARACTERS:
        return [_refused("short-isa", "ISA is shorter than its 106 characters")]
    element, terminator = text[3], text[_TERMINATOR_AT]
    repetition = text[_REPETITION_AT] if not text[_REPETITION_AT].isalnum() else _NEVER
    component = text[_COMPONENT_AT]
    if len({element, terminator, component}) != 3 or element.isalnum() or terminator.isalnum():
        narrow = any(text[at] != element for at in SEPARATORS_AT)
        return [
            _refused(
                "bad-delimiters", NOT_AS_WIDE if narrow else "ISA does not name three different separators"
            )
        ]
    delimiters = EdiDelimiters(element, component, repetition)
    pieces = text.split(terminator)
    if len(pieces) > SEGMENTS_MAX:
        return [_refused("too-many-segments", f"it has more than {SEGMENTS_MAX} segments")]
    # Blanks behind a segment belong to its last element.
    return _transactions([piece.lstrip(_BLANK).rstrip("\r\n") for piece in pieces], delimiters)


def _next_with_others(text: str) -> int:
    """Where the next interchange begins that has other separators than the first one; else the end."""
    element, terminator = text[3:4], text[_TERMINATOR_AT:ISA_CHARACTERS]
    if not terminator:
        return len(text)
    ends = re.escape(terminator)
    behind = rf"{ends}\s*IEA{re.escape(element)}[^{ends}]{{0,40}}{ends}[\s\0\x1a]*(?=ISA)"
    for found in re.finditer(behind, text):
        if _separators(text[found.end() : found.end() + ISA_CHARACTERS]) != _separators(text):
            return found.end()
    return len(text)


def _separators(isa: str) -> list[str]:
    return [isa[at : at + 1] for at in (3, _REPETITION_AT, _COMPONENT_AT, _TERMINATOR_AT)]


def _transactions(pieces: list[str], delimiters: EdiDelimiters) -> list[X12Message]:
    found: list[X12Message] = []
    envelope: dict[str, EdiSegment] = {}
    answers: list[X12Message] = []
    current: list[EdiSegment] | None = None
    for piece in pieces:
        if not piece:
            continue
        fields = piece.split(delimiters.field)
        name = fields[0]
        if name == "ST":
            current = list(envelope.values())
        segment = EdiSegment(name, 0 if current is None else len(current), fields, delimiters)
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
    nothing = EdiDelimiters("*", ":", "^")
    return X12Message((), nothing, ReadProblem(code, "ISA", text))
