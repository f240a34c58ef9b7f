"""What a mapping leaves out on purpose, with the reason why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.located import Node, Scalar
from bridge.mapping.document import Report, list_of, open_mapping, text_of
from bridge.mapping.key_texts import IGNORE_KEYS
from bridge.mapping.syntax import Path

_PATH = re.compile(
    r"([A-Z][A-Z0-9]{1,2})-(?:\*|([0-9]{1,4})(?:\.(?:\*|([0-9]{1,4})(?:\.(?:\*|([0-9]{1,4})))?))?)"
)


@dataclass(frozen=True, slots=True)
class Ignored:
    """One path that is left out. ``numbers`` are its field, component and subcomponent, as far as given.

    A path with ``*`` means what is left: a rule may read parts of it.
    """

    text: str
    segment: str
    numbers: tuple[int, ...]
    rest: bool
    because: str

    def has(self, other: Ignored) -> bool:
        """Whether it leaves out all that another does."""
        return other.segment == self.segment and other.numbers[: len(self.numbers)] == self.numbers

    def leaves_out(self, segment: str, field: int, component: int, subcomponent: int) -> bool:
        """Whether a value that no rule reads is left out by this entry."""
        at = (field, component, subcomponent)
        if self.segment.startswith("$"):
            return segment.startswith(self.segment) if self.rest else segment == self.segment
        return segment == self.segment and at[: len(self.numbers)] == self.numbers


def read_ignores(node: Node | None, paths: Iterable[Path], report: Report) -> tuple[Ignored, ...]:
    """The entries of `ignore:`; one that leaves out what a rule reads is a mistake."""
    read = list(paths)
    found: list[Ignored] = []
    for each in list_of(node, "ignore", report):
        entries = open_mapping(each, "an entry of ignore", IGNORE_KEYS, report, required=IGNORE_KEYS)
        if entries is None:
            continue
        text = text_of(entries.get("path"), "ignore: path", report)
        because = text_of(entries.get("because"), "ignore: because", report)
        if text is None or because is None:
            continue
        if (ignored := _ignored(text, because.text, report)) is None:
            continue
        if any(ignored.text == other.text for other in found):
            report.add(text.place, "E222", f"{ignored.text} is ignored twice")
        elif (wider := next((other for other in found if other.has(ignored)), None)) is not None:
            said = f"{ignored.text} can leave out nothing: {wider.text} stands before it"
            report.warn(text.place, "E272", said, "delete it, or put it first")
        elif not ignored.rest and (used := next((path for path in read if _covers(ignored, path)), None)):
            said = f"{ignored.text} is ignored, and a rule reads {used.text}"
            report.add(text.place, "E271", said, "delete one of the two; `*` means what is left")
        found.append(ignored)
    return tuple(found)


def _ignored(text: Scalar, because: str, report: Report) -> Ignored | None:
    if text.text.startswith("$"):
        return Ignored(text.text, text.text.removesuffix("*"), (), text.text.endswith("*"), because)
    match = _PATH.fullmatch(text.text)
    if match is None:
        hint = "as in PID-1, PID-5.7 or NK1-*"
        report.add(text.place, "E270", f"{text.text!r} is no path to ignore", hint)
        return None
    numbers = tuple(int(each) for each in match.groups()[1:] if each is not None)
    return Ignored(text.text, match[1], numbers, text.text.endswith("*"), because)


def _covers(ignored: Ignored, path: Path) -> bool:
    if path.whole:
        return ignored.segment == path.segment and ignored.numbers[:1] in ((), (path.field,))
    return ignored.leaves_out(path.segment, path.field, path.component or 1, path.subcomponent or 1)
