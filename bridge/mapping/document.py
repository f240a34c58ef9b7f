"""Reading the shape of a mapping file: which keys stand where, and whether they hold text, lists or mappings.

Every function notes what is wrong and goes on, so that one look at a file shows all of its mistakes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from bridge.located import Mapping, Node, Place, Problem, Scalar, Sequence, did_you_mean

Entries = dict[str, Node]
SHOWN_MAX_CHARACTERS: Final = 60
"""So much of a wrong word is shown."""


class Report(list[Problem]):
    """The problems so far."""

    def add(self, place: Place, code: str, text: str, hint: str | None = None) -> None:
        """Note a mistake."""
        self.append(Problem(place, code, text, hint))

    def warn(self, place: Place, code: str, text: str, hint: str | None = None) -> None:
        """Note what is odd but does no harm."""
        self.append(Problem(place, code, text, hint, "warning"))

    def drop(self, *codes: str) -> None:
        """Forget the problems of some codes."""
        self[:] = [problem for problem in self if problem.code not in codes]

    @property
    def refused(self) -> bool:
        """Whether there is an error among the problems."""
        return any(problem.severity == "error" for problem in self)


NOT_BUILT: Final = {
    "balance": "balance checks",
    "controls": "control totals",
    "attachments": "attachments",
    "build": "test messages built by position",
    "hold": "holding a record until a table gains its code",
}
"""Keys and words of the language that a later version will take, and what they stand for."""


def open_mapping(
    node: Node,
    what: str,
    allowed: Collection[str],
    report: Report,
    *,
    required: Iterable[str] = (),
    unknown: str = "E200",
) -> Entries | None:
    """The entries of a mapping by key. None where it is none; unknown and missing keys are noted."""
    if not isinstance(node, Mapping):
        report.add(node.place, "E204", f"{what} must be a mapping (key: value)")
        return None
    found: Entries = {}
    for key, value in node.entries:
        if key.text in found:
            report.add(key.place, "E222", f"{what}: {key.text!r} stands twice")
        elif key.text in allowed:
            found[key.text] = value
        elif key.text in NOT_BUILT:
            report.add(key.place, "E190", f"{key.text} is not built yet: {NOT_BUILT[key.text]}")
        else:
            report.add(
                key.place, unknown, f"{what}: unknown key {key.text!r}", did_you_mean(key.text, allowed)
            )
    for name in required:
        if name not in found and (node.key(name) is None):
            report.add(node.place, "E203", f"{what}: {name!r} is missing")
    return found


def text_of(node: Node | None, what: str, report: Report) -> Scalar | None:
    """The text of a node that must be one, and not empty."""
    if node is None:
        return None
    if not isinstance(node, Scalar):
        report.add(node.place, "E204", f"{what} must be a text")
        return None
    if not node.text.strip():
        report.add(node.place, "E204", f"{what} must not be empty")
        return None
    return node


def list_of(node: Node | None, what: str, report: Report) -> tuple[Node, ...]:
    """The items of a node that must be a list."""
    if node is None:
        return ()
    if not isinstance(node, Sequence):
        report.add(node.place, "E204", f"{what} must be a list")
        return ()
    return node.items


def texts_of(node: Node | None, what: str, report: Report) -> list[Scalar]:
    """The texts of a list; a single text counts as a list of one."""
    if isinstance(node, Scalar):
        found = text_of(node, what, report)
        return [] if found is None else [found]
    texts = [text_of(each, f"each of {what}", report) for each in list_of(node, what, report)]
    if isinstance(node, Sequence) and not node.items:
        report.add(node.place, "E204", f"{what} must not be empty")
    return [each for each in texts if each is not None]


def word_of(
    node: Node | None, what: str, words: Collection[str], report: Report, *, later: Collection[str] = ()
) -> str | None:
    """One of ``words``; those of ``later`` are known but not built."""
    found = text_of(node, what, report)
    if found is None:
        return None
    if found.text in words:
        return found.text
    if found.text in later:
        text = f"{what}: {found.text} ({NOT_BUILT.get(found.text, 'this')}) is not built yet"
        report.add(found.place, "E190", text)
        return None
    hint = did_you_mean(found.text, words)
    report.add(
        found.place,
        "E205",
        f"{what} takes one of {', '.join(words)}, not {found.text[:SHOWN_MAX_CHARACTERS]!r}",
        hint,
    )
    return None


def flag_of(node: Node | None, what: str, report: Report) -> bool:
    """``true`` or ``false``; False where nothing stands."""
    return word_of(node, what, ("true", "false"), report) == "true"
