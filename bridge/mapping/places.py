"""The places of a message that a mapping sets or takes out, checked before anything runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bridge.formats.hl7v2_write import SITE_SEGMENTS, Place
from bridge.located import Scalar, did_you_mean
from bridge.mapping.check import Scope, check_expression, read_expression
from bridge.mapping.document import Report
from bridge.mapping.hl7_fields import SEGMENTS, known_segment
from bridge.mapping.syntax import Path, Where

SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_ALL_OF: Final = re.compile(r"([A-Z][A-Z0-9]{2})(?:\(\*\))?")
_NOT_SET: Final = frozenset({1, 2})
_NOT_REMOVED: Final = frozenset({1, 2, 9, 10, 12})
"""Fields of MSH without which nobody could read the message, or say which one it is."""


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A place, as the file writes it and where."""

    key: Scalar
    place: Place

    @property
    def text(self) -> str:
        """As it is written."""
        return self.key.text


def place_to_set(key: Scalar, report: Report) -> NamedPlace | None:
    """The place that a rule sets; None and a problem where it cannot be set, or is not one place."""
    path = _path(key, report, whole=False)
    if path is None:
        return None
    if path.repetition is None:
        hint = "name one: PID-3(2).1 or PID-3(5=MR).1; `remove` takes several"
        report.add(key.place, "E292", f"{path.text} is every repetition, and a rule sets one place", hint)
        return None
    if path.which != 1:
        _of_several(key, path, report, "sets the first")
        return None
    if path.segment == "MSH" and path.field in _NOT_SET:
        hint = "say `delimiters: '|^~\\&'` beside `set`"
        report.add(key.place, "E291", f"{path.text} says how the message is taken apart", hint)
        return None
    return NamedPlace(key, _place(path, _of(path)))


def place_to_remove(key: Scalar, report: Report) -> NamedPlace | None:
    """What is taken out wherever it stands: a segment, a field, a repetition, a component."""
    if key.text == SITE_SEGMENTS:
        return NamedPlace(key, Place(SITE_SEGMENTS))
    if (match := _ALL_OF.fullmatch(key.text)) is not None:
        if not known(match[1], key, report):
            return None
        if match[1] == "MSH":
            report.add(key.place, "E291", "MSH is the head of the message, and cannot be taken out")
            return None
        return NamedPlace(key, Place(match[1]))
    path = _path(key, report, whole=True)
    if path is None:
        return None
    if not path.passes_over:
        _of_several(key, path, report, "takes out of all of them")
        return None
    if path.segment == "MSH" and path.field in _NOT_REMOVED:
        report.add(key.place, "E291", f"{path.text} is what a message cannot be read or known without")
        return None
    return NamedPlace(key, _place(path, None if "(" not in path.text else _of(path)))


def _of_several(key: Scalar, path: Path, report: Report, does: str) -> None:
    hint = f"say {path.segment}-{path.field}; which of several it is says `repeat`, with `when`"
    report.add(key.place, "E292", f"{path.text} names one of several segments, and a rule {does}", hint)


def place_to_read(key: Scalar, report: Report) -> Path | None:
    """A place that a test looks at."""
    return _path(key, report, whole=True, code="E282")


def known(segment: str, key: Scalar, report: Report) -> bool:
    """Whether a segment can have this name; a problem where not."""
    if SEGMENT.fullmatch(segment) is None:
        report.add(key.place, "E105", f"{segment[:40]!r} is no segment name: three capitals or digits")
        return False
    if not known_segment(segment):
        hint = did_you_mean(segment, SEGMENTS)
        report.add(key.place, "E108", f"HL7 v2 has no segment {segment}", hint)
        return False
    return True


def overlapping(one: Place, other: Place) -> bool:
    """Whether two places are the same, or one holds the other, as far as a file can tell."""
    if not (one.is_of(other.segment) or other.is_of(one.segment)):
        return False
    if not one.field or not other.field:
        return True
    if one.field != other.field:
        return False
    if None not in (one.repetition, other.repetition) and one.repetition != other.repetition:
        return False
    for mine, theirs in ((one.component, other.component), (one.subcomponent, other.subcomponent)):
        if mine is None or theirs is None:
            return True
        if mine != theirs:
            return False
    return True


def _path(key: Scalar, report: Report, *, whole: bool, code: str = "E290") -> Path | None:
    tree = read_expression(key, report)
    if tree is None:
        return None
    if not isinstance(tree, Path) or tree.whole:
        hint = "a segment in capitals, a field and what is below: PID-5.1, PID-3(2).1"
        report.add(key.place, code, f"{key.text[:40]!r} is no place of a message", hint)
        return None
    return None if check_expression(tree, key, Scope({}), report, whole_field=whole) is None else tree


def _of(path: Path) -> int | tuple[int, str] | None:
    match path.repetition:
        case Where(component=component, value=value):
            return component, value
        case number:
            return number


def _place(path: Path, repetition: int | tuple[int, str] | None) -> Place:
    return Place(path.segment, path.field, repetition, path.component, path.subcomponent)
