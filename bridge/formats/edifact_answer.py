"""Answers to EDIFACT files: a CONTRL for each interchange, in its syntax version (ISO 9735-4). Pure.

It says whether a message could be taken, and not what later became of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from bridge.formats.edifact import EdifactMessage
from bridge.formats.edifact_syntax import CODECS, Separators
from bridge.message import Microseconds

REFERENCE_MAX: Final = 10**14
"""UNB 0020 has 14 characters at most."""
_REJECTED, _ACKNOWLEDGED = "4", "7"
"""Data element 0083: rejected with all below; acknowledged, and all below that is not rejected."""
_CODES: Final = {"segments": "29", "control number": "28"}
_UNSPECIFIED: Final = "18"
"""Data element 0085: counts do not match, references do not, something else."""
_STANDARD: Final = Separators()
Line = list[str | list[str]]
"""The name and elements of a segment; one of several components is a list."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A message that came, as an interchange of its own; whether it was taken; what differed."""

    interchange: EdifactMessage
    accepted: bool
    differs: str = ""


def contrl(answered: Sequence[Answered], *, reference: int, at_us: Microseconds) -> bytes:
    """One interchange, from the recipient of the first one back to its sender; nothing for no messages."""
    if not answered:
        return b""
    first = answered[0].interchange
    syntax, at = first.value("UNB", 1, 1, 2) or "3", datetime.fromtimestamp(at_us / 1e6, UTC)
    is_four = syntax.startswith("4")
    number, day = str(reference % REFERENCE_MAX), f"{at:%Y%m%d}" if is_four else f"{at:%y%m%d}"
    repertoire = first.value("UNB", 1) or "UNOC"
    sender, recipient = _composite(first, "UNB", 2), _composite(first, "UNB", 3)
    lines: list[Line] = [["UNB", [repertoire, syntax], recipient, sender, [day, f"{at:%H%M}"], number]]
    kind = ["CONTRL", *(("4", "1") if is_four else ("D", "3")), "UN"]
    count = 0
    for count, same in enumerate(_by_interchange(answered), 1):
        body = _report(same)
        lines += [["UNH", str(count), kind], *body, ["UNT", str(len(body) + 2), str(count)]]
    lines.append(["UNZ", str(count), number])
    text = "".join("+".join(map(_written, line)) + "'" for line in lines)
    return text.encode(CODECS.get(repertoire, "iso8859-1"), "replace")


def _by_interchange(answered: Sequence[Answered]) -> Iterable[list[Answered]]:
    for _, same in groupby(answered, key=lambda each: each.interchange.value("UNB", 5)):
        yield list(same)


def _report(same: Sequence[Answered]) -> list[Line]:
    """UCI for the interchange, UCF for each group that it has, UCM for each message."""
    lines = [_response("UCI", "UNB", 5, same)]
    for group, members in groupby(same, key=lambda each: each.interchange.value("UNG", 5)):
        of_group = list(members)
        if group is not None:
            lines.append(_response("UCF", "UNG", 5, of_group))
        for each in of_group:
            told: list[str | list[str]] = [
                each.interchange.control_id,
                _composite(each.interchange, "UNH", 2),
            ]
            action = [_ACKNOWLEDGED] if each.accepted else [_REJECTED, _CODES.get(each.differs, _UNSPECIFIED)]
            lines.append(["UCM", *told, *action])
    return lines


def _response(name: str, header: str, reference: int, same: Sequence[Answered]) -> Line:
    first = same[0].interchange
    parties = [_composite(first, header, number) for number in (2, 3)]
    none = not any(each.accepted for each in same)
    action = [_REJECTED, _UNSPECIFIED] if none else [_ACKNOWLEDGED]
    return [name, first.value(header, reference) or "", *parties, *action]


def _composite(message: EdifactMessage, segment: str, number: int) -> list[str]:
    """The components of an element, without the empty ones at its end."""
    found = message.named(segment)
    parts = found[0].field(number).split(message.delimiters.component) if found else []
    while parts and not parts[-1]:
        parts.pop()
    return parts


def _written(element: str | list[str]) -> str:
    if isinstance(element, list):
        return ":".join(map(_escaped, element))
    return _escaped(element)


def _escaped(text: str) -> str:
    signs = (_STANDARD.release, _STANDARD.element, _STANDARD.component, _STANDARD.terminator)
    for sign in map(bytes.decode, signs):
        text = text.replace(sign, f"?{sign}")
    return text
