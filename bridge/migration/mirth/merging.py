"""A second import: what the first one wrote, what a person made of it, and what a newer export gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

LINES_MAX_COUNT: Final = 20_000
"""Longer files are not merged line by line: they are one conflict."""

Change = Literal["new", "same", "updated", "kept", "merged", "conflict", "gone", "edited-gone"]


@dataclass(frozen=True, slots=True)
class Merged:
    """What is to be written. ``text`` None: the file is left as it is."""

    change: Change
    text: str | None = None


def merge_file(base: str | None, ours: str | None, theirs: str | None) -> Merged:
    """One file: as the last import wrote it, as it lies there, and as this import would write it.

    A hand edit is never lost: where both sides changed the same lines, the file stays as it is, a conflict.
    """
    if theirs is None:
        return Merged("gone" if ours is None or ours == base else "edited-gone")
    if ours is None:
        # Whoever deleted it does not want it back.
        return Merged("new", theirs) if base is None else Merged("kept")
    if ours == theirs:
        return Merged("same")
    if base is None:
        return Merged("conflict")
    if ours == base:
        return Merged("updated", theirs)
    if theirs == base:
        return Merged("kept")
    merged = _three_way(base.splitlines(True), ours.splitlines(True), theirs.splitlines(True))
    return Merged("conflict") if merged is None else Merged("merged", merged)


def _three_way(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> str | None:
    """The lines of both sides put together; None where they changed the same ones."""
    if max(len(base), len(ours), len(theirs)) > LINES_MAX_COUNT:
        return None
    edits = sorted([*_edits(base, ours, 0), *_edits(base, theirs, 1)])
    found: list[str] = []
    at = 0
    previous: tuple[int, int, int, tuple[str, ...]] | None = None
    for edit in edits:
        start, end, _, lines = edit
        if previous is not None:
            if (start, end, lines) == (previous[0], previous[1], previous[3]):
                continue
            # Two insertions at one place, or edits that touch: nobody can say which goes first.
            if start < previous[1] or start == previous[0]:
                return None
        found += base[at:start]
        found += lines
        at = end
        previous = edit
    return "".join([*found, *base[at:]])


def _edits(
    base: Sequence[str], other: Sequence[str], side: int
) -> list[tuple[int, int, int, tuple[str, ...]]]:
    matcher = SequenceMatcher(None, base, other, autojunk=False)
    return [
        (start, end, side, tuple(other[from_:to]))
        for word, start, end, from_, to in matcher.get_opcodes()
        if word != "equal"
    ]
