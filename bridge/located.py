"""Text with the place where somebody wrote it, and problems that point there.

Configuration and mapping files are read into this small tree. Every scalar stays the text that was
typed (``NO``, ``012`` and ``12:30`` are not turned into something else), and every node knows its
place, so that a mistake can be shown where it stands.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Literal


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def below(self, folder: PurePath) -> Place:
        """The same place, of a file that was named from ``folder``."""
        return Place(str(folder / self.file), self.line, self.column)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: where it is, what was expected, and what may help."""

    place: Place
    code: str
    text: str
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        hint = f"  hint: {self.hint}" if self.hint else ""
        return f"{self.place}: {self.code}: {self.text}{hint}"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One piece of text. ``style`` tells how it was written; a block scalar spans lines.

    ``verbatim`` is False where the file holds other characters than ``text`` (escapes, folded lines).
    """

    text: str
    place: Place
    style: Literal["plain", "quoted", "block"] = "plain"
    verbatim: bool = True

    def at(self, offset: int) -> Place:
        """The place of the character at ``offset``; the scalar's own place where that cannot be told."""
        if self.style == "block" or not self.verbatim or "\n" in self.text:
            return self.place
        quote = 1 if self.style == "quoted" else 0
        return Place(self.place.file, self.place.line, self.place.column + quote + offset)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    place: Place

    def __iter__(self) -> Iterator[Node]:
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order in which they were written; no key stands twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    place: Place

    def get(self, name: str) -> Node | None:
        """The value under ``name``, or None."""
        return next((value for key, value in self.entries if key.text == name), None)

    def key(self, name: str) -> Scalar | None:
        """The key ``name`` itself, with the place where it stands, or None."""
        return next((key for key, _ in self.entries if key.text == name), None)


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> object:
    """The tree as dicts, lists and strings, for a validator that knows no places."""
    match node:
        case Scalar(text=text):
            return text
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Mapping(entries=entries):
            return {key.text: plain(value) for key, value in entries}


_LOOKS_LIKE: Final = str.maketrans("IlO", "110")
"""Letters that are read, and typed, for digits."""


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that ``word`` was probably meant to be, or None.

    >>> nearest("famly", ["family", "given"])
    'family'
    >>> nearest("PDI", ["QPD", "PD1", "PID"])
    'PID'
    >>> nearest("PVI", ["PV2", "PV1"])
    'PV1'
    """
    known = list(names)
    found = difflib.get_close_matches(word, known, n=10, cutoff=0.6)
    swapped = [name for name in found if sorted(name) == sorted(word)]
    looks_like = [name for name in known if name.translate(_LOOKS_LIKE) == word.translate(_LOOKS_LIKE)]
    return next(iter(swapped or looks_like or found), None)


def did_you_mean(word: str, names: Iterable[str]) -> str | None:
    """A hint that names the nearest right word, or lists all of them where there are few.

    >>> did_you_mean("pateint", ["patient", "encounter"])
    "did you mean 'patient'?"
    """
    known = sorted(names)
    if (found := nearest(word, known)) is not None:
        return f"did you mean {found!r}?"
    if 0 < len(known) <= 12:
        return "one of: " + ", ".join(known)
    return None
