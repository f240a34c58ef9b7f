"""The levels of an interchange of X12 or EDIFACT, and what their trailers say against what came. Pure.

In both a trailer has a count first and the number of its header second: SE01 and SE02, UNT-01 and UNT-02.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from bridge.formats.base import Batch, Difference, Unsplittable

BATCHES_MAX_COUNT: Final = 10_000
_NUMBER: Final = re.compile(r"\d{1,18}")
OF_ONE: Final = frozenset({"transaction", "message"})
"""What one message of X12 and of EDIFACT is called as a batch."""


@dataclass(slots=True)
class Level:
    """An interchange, a group or a message that has begun. ``inside`` counts what its trailer counts."""

    kind: str
    control_id: str
    made: str
    offset_bytes: int
    first: int
    inside: int = 0
    amount: Decimal | None = None
    """What the messages come to that say an amount."""
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)


class Counted(NamedTuple):
    """What a level's trailer counts, and what the two places are called that say so."""

    what: str
    of_count: str
    of_number: str


@dataclass(slots=True)
class Totals:
    """What a message says of itself beside its trailer, and what was found in it, by name."""

    declared: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def judge(self, what: str, said: Decimal | None, found: Decimal, place: str) -> None:
        """Hold what was said against what was found."""
        self.found[what] = f"{found:f}"
        if said is None:
            return
        self.declared[what] = f"{said:f}"
        if said != found:
            self.differences.append(Difference(what, self.declared[what], self.found[what], place))


class Levels:
    """The levels that are open in a file, the innermost last, and the batches of those that have ended."""

    def __init__(self, counted: Mapping[str, Counted]) -> None:
        self.batches: list[Batch] = []
        self._counted = counted
        self._open: list[Level] = []
        self.messages = 0
        """That have ended so far."""

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def innermost(self) -> Level:
        """The last one that has begun; there must be one."""
        return self._open[-1]

    def begin(self, kind: str, control_id: str, made: str, offset_bytes: int) -> None:
        """A level begins, one more of what the level around it counts."""
        if self._open:
            self._open[-1].inside += 1
        self._open.append(Level(kind, control_id, made, offset_bytes, self.messages + 1))

    def leave(self, kind: str, offset_bytes: int) -> None:
        """End the innermost level without a trailer, if it is of this kind."""
        if self._open and self._open[-1].kind == kind:
            self.close(None, offset_bytes)

    def message(self, segments: int, content: bytes) -> None:
        """The message that is open is whole; `close` judges it."""
        self._open[-1].inside = segments
        self.messages += 1
        digest = hashlib.sha256(content).digest()
        for each in self._open:
            each.digest.update(digest)

    def beside(self, content: bytes) -> None:
        """A message has come that no trailer counts."""
        self.messages += 1
        for each in self._open:
            each.digest.update(hashlib.sha256(content).digest())

    def add(self, amount: Decimal) -> None:
        """What the message that is open comes to, for all levels that it is in."""
        for each in self._open:
            each.amount = amount if each.amount is None else each.amount + amount

    def close(self, trailer: Sequence[str] | None, offset_bytes: int, totals: Totals | None = None) -> None:
        """End the innermost level; ``trailer`` is count and number as it says them, None where it has none.

        ``totals`` is what a message says of itself beyond that. Raises Unsplittable.
        """
        level = self._open.pop()
        names = self._counted[level.kind]
        declared: dict[str, str] = {}
        found = {names.what: str(level.inside)}
        differences: list[Difference] = []
        if trailer and trailer[0]:
            declared[names.what] = str(int(trailer[0])) if _NUMBER.fullmatch(trailer[0]) else "unreadable"
            if declared[names.what] != found[names.what]:
                place = f"{names.of_count} at byte {offset_bytes}"
                differences.append(Difference(names.what, declared[names.what], found[names.what], place))
        number = trailer[1] if trailer is not None and len(trailer) > 1 else ""
        if trailer is not None and number != level.control_id:
            place = f"{names.of_number} at byte {offset_bytes}"
            differences.append(Difference("control number", number, level.control_id, place))
        if level.amount is not None:
            found["amount"] = f"{level.amount:f}"
        if totals is not None:
            declared |= totals.declared
            found |= totals.found
            differences += totals.differences
        if level.kind in OF_ONE and totals is None and not differences:
            return  # it is as it says, and there is nothing to sum up in it
        if len(self.batches) >= BATCHES_MAX_COUNT:
            text = f"The file has more than {BATCHES_MAX_COUNT} batches."
            raise Unsplittable("too-many-batches", offset_bytes, text)
        self.batches.append(
            Batch(
                kind=level.kind,
                control_id=level.control_id,
                made=level.made if len(level.made) in (0, 8) else f"20{level.made}"[:8],
                offset_bytes=level.offset_bytes,
                first=level.first,
                last=self.messages,
                declared=declared,
                found=found,
                differences=tuple(differences),
                ended=trailer is not None,
                digest=level.digest.digest(),
            )
        )
