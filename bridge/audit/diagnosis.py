"""Which row is bad, and what was done to it: told from what hashes say about the rows around it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from bridge.audit.entries import entry_hash
from bridge.audit.report import Kind, Report

if TYPE_CHECKING:
    from bridge.audit.verifying import Kept

COMPARED_MAX: Final = 300
"""So many rows that are wrong are held against each other, to tell a change from a move."""


class WrongRows:
    """Rows of a table that are not what their commits have covered."""

    def __init__(self, kind: str, entry: Callable[..., str]) -> None:
        self._kind, self._entry = kind, entry
        self._leaves: dict[int, bytes] = {}
        self._rows: dict[int, tuple[Any, ...]] = {}
        self._told: list[tuple[int, str]] = []

    def missing(self, id_: int, leaf: bytes) -> None:
        """A row is not there."""
        if len(self._leaves) < COMPARED_MAX:
            self._leaves[id_] = leaf

    def different(self, row: tuple[Any, ...], leaf: bytes) -> None:
        """A row is there, and is another one."""
        if len(self._leaves) < COMPARED_MAX:
            self._leaves[row[0]], self._rows[row[0]] = leaf, row

    def inserted(self, id_: int, why: str) -> None:
        """A row is there that should not be."""
        self._told.append((id_, why))

    def tell(self, report: Report) -> None:
        """Report what is wrong, with its kind: what moved to another number is told from what was changed."""
        for id_, kind, what in self._kinds():
            report.add(kind, f"{self._kind} {id_}", what)
        for id_, why in sorted(self._told):
            report.add("inserted", f"{self._kind} {id_}", why)

    def _kinds(self) -> Iterator[tuple[int, Kind, str]]:
        written_as = self._written_as()
        now_at = {written: at for at, written in written_as.items()}
        for id_ in sorted(self._leaves):
            moved, holds = now_at.get(id_), written_as.get(id_)
            if id_ not in self._rows:
                if moved is None:
                    yield id_, "missing", "it is not there"
                else:
                    yield id_, "reordered", f"its number is {moved} now"
            elif moved is None and holds is None:
                yield id_, "altered", "it is not what was written"
            elif moved is None:
                yield id_, "missing", "it is not there, and those behind it moved up"
                return  # what follows is wrong by this one step
            elif holds is None:
                yield id_, "inserted", f"what was written as {id_} is number {moved} now"
                return
            else:
                yield id_, "reordered", f"what was written as {id_} is number {moved} now"

    def _written_as(self) -> dict[int, int]:
        """By number of a row that is there, the number under which its content was written; for those that
        were written at all."""
        written = {leaf: id_ for id_, leaf in self._leaves.items()}
        found: dict[int, int] = {}
        for at, row in self._rows.items():
            hashes = (entry_hash(self._entry(id_, *row[1:])) for id_ in self._leaves)
            if (original := next((written[each] for each in hashes if each in written), None)) is not None:
                found[at] = original
        return found


class WrongCommits:
    """Rows of the chain held against each other as they come: number, link, content."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._sought: tuple[int, bytes, bool] | None = None
        """The place where the chain broke first, what should follow there, and whether the row
        there is whole by itself."""
        self._before: bytes | None = None
        """What the last row went on from."""
        self._broken = False

    def look(self, kept: Kept, expected: int, head: bytes, journal_id: str) -> None:
        """Hold a row against the one before it. After the first break only the place of what is sought
        counts."""
        seq = kept.commit.seq
        if self._sought is not None and kept.previous == self._sought[1]:
            self._report.add(
                "reordered", f"commit {self._sought[0]}", f"what was written in its place is number {seq} now"
            )
            self._sought = None
        if not self._broken:
            self._first_break(kept, seq, expected, head, journal_id)
        elif kept.commit.hash(journal_id, kept.previous) != kept.hash and self._sought is None:
            self._report.add("altered", f"commit {seq}", "its hash is not that of its content")
        self._before = kept.previous

    def _first_break(self, kept: Kept, seq: int, expected: int, head: bytes, journal_id: str) -> None:
        linked = kept.previous == head
        whole = kept.commit.hash(journal_id, kept.previous) == kept.hash
        if seq == expected and linked and whole:
            return
        self._broken = True
        if seq != expected:
            last = f" to {seq - 1}" if seq - 1 > expected else ""
            self._report.add("missing", f"commit {expected}", f"commits {expected}{last} are not there")
        elif not linked and self._before is not None and kept.previous == self._before:
            self._report.add("inserted", f"commit {seq - 1}", f"commit {seq} goes on from the one before it")
        elif not linked:
            self._sought = (seq, head, whole)
        else:
            self._report.add("altered", f"commit {seq}", "its hash is not that of its content")

    def leaves(self, kept: Kept) -> None:
        """The hashes of its rows are not those that it was made over."""
        seq = kept.commit.seq
        self._broken = True
        if self._sought is None and not any(
            found.where == f"commit {seq}" for found in self._report.findings
        ):
            self._report.add(
                "altered", f"commit {seq}", "the hashes of its rows are not those it was made over"
            )

    def end(self) -> None:
        """Report what was sought and never came."""
        if self._sought is not None:
            seq, _, whole = self._sought
            if whole:
                self._report.add("altered", f"commit {seq}", "it does not go on from the row before it")
            else:
                words = "what was written in its place is not there, and those behind it moved up"
                self._report.add("missing", f"commit {seq}", words)
