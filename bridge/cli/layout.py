"""How the cells of a table find room: what may fold, how wide each column is, and a block for each row
where even that is too wide."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

UNBROKEN_MAX_CHARACTERS: Final = 80
"""A longer word is no name: it is content, and breaks."""
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d\S*")
_APART: Final = "   "
_INDENT: Final = "  "

Cells = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Room:
    """How narrow a column may be, and how wide it need be at most."""

    least: int
    most: int


def rooms(
    columns: Sequence[str], cells: Cells, *, keeps: Collection[str], folds: Collection[str] | None
) -> list[Room]:
    """The room that each column wants. It folds at blanks alone, so that no name and no number is broken.

    Columns of ``keeps`` never fold. ``folds`` are the ones that may; where it is None, those with blanks in
    them do, but for times.
    """
    found = []
    for at, column in enumerate(columns):
        texts = [column, *(row[at] for row in cells)]
        lines = [line for text in texts for line in text.split("\n")]
        most = max(map(width, lines), default=0)
        folded = column in folds if folds is not None else any(map(_may_fold, texts[1:]))
        if column in keeps or (folds is not None and not folded):
            found.append(Room(most, most))
            continue
        words = (line.split() if folded else [line] for line in lines)
        least = max((width(word) for each in words for word in each), default=0)
        found.append(Room(min(least, max(UNBROKEN_MAX_CHARACTERS, width(column))), most))
    return found


def _may_fold(text: str) -> bool:
    return " " in text and _MOMENT.fullmatch(text) is None


def width(text: str) -> int:
    """How many cells of a terminal a line takes."""
    from rich.cells import cell_len

    return cell_len(text)


def shared(wanted: Sequence[Room], within: int) -> list[int] | None:
    """How wide each column is, so that all have room ``within``; None where they cannot have it.

    Those that want little more than they must have get it first, and what is left is for the others alike.

    >>> shared([Room(3, 3), Room(4, 40)], 20), shared([Room(3, 3), Room(18, 40)], 20)
    ([3, 17], None)
    """
    widths, left = [each.least for each in wanted], within - sum(each.least for each in wanted)
    if left < 0:
        return None
    order = sorted(range(len(wanted)), key=lambda at: wanted[at].most - wanted[at].least)
    for before, at in enumerate(order):
        more = min(wanted[at].most - wanted[at].least, left // (len(order) - before))
        widths[at] += more
        left -= more
    return widths


def blocks(columns: Sequence[str], cells: Cells, within: int) -> Iterator[str]:
    """The lines of a table that is too wide: for each row its first cell, and below it what the others say,
    each behind its column's name, as a first cell that is a bare number is too. What is empty is left out.

    >>> rows = [["7", "HELD", "no answer came"], ["8", "READY", ""]]
    >>> print(*blocks(["id", "state", "why"], rows, 20), sep="\\n")
    id 7
      state HELD
      why no answer came
    id 8
      state READY
    """
    for row in cells:
        first = row[0].replace("\n", " ")
        yield " ".join(filter(None, (columns[0], first))) if first.isdecimal() else first
        line = ""
        for column, cell in zip(columns[1:], row[1:], strict=True):
            said = " ".join(filter(None, (column, cell.replace("\n", ", "))))
            if not cell:
                continue
            if line and width(f"{_INDENT}{line}{_APART}{said}") > within:
                yield from _within(line, within)
                line = said
            else:
                line = f"{line}{_APART}{said}" if line else said
        yield from _within(line, within)


def _within(line: str, within: int) -> Iterator[str]:
    """A line of a block, folded at blanks where it must be."""
    while width(_INDENT + line) > within:
        cut = line.rfind(" ", 0, max(within - len(_INDENT), 1) + 1)
        if cut <= 0:
            break
        yield _INDENT + line[:cut].rstrip()
        line = line[cut:].lstrip()
    if line:
        yield _INDENT + line
