"""Which row is bad, and what was done to it: told from what hashes say about the rows around it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from bridge.audit.entries import entry_hash
from bridge.audit.report import Finding, Kind, Report

if TYPE_CHECKING:
    from bridge.audit.verifying import Kept

COMPARED_MAX: Final = 300
"""So many rows that are wrong are held against each other, to tell a change from a move."""
MOVED_MAX: Final = 5000
"""So far from its place a row of the chain is known again."""


class WrongRows:
    """Rows of a table that are not what their commits have covered."""

    def __init__(self, kind: str, entry: Callable[..., str]) -> None:
        self._kind, self._entry = kind, entry
        self._leaves: dict[int, bytes] = {}
        self._rows: dict[int, tuple[Any, ...]] = {}
        self._written: dict[int, int] = {}
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

    def behind(self, row: tuple[Any, ...] | None) -> None:
        """The first row that no commit covers: what was written elsewhere may stand there now."""
        if row is not None and self._leaves:
            self._rows[row[0]] = row

    def moved(self, id_: int) -> bool:
        """Whether a row is one that was written under another number, and has been told of so."""
        return id_ in self._written

    def tell(self, report: Report) -> None:
        """Report what is wrong, with its kind: what moved to another number is told from what was changed."""
        for id_, kind, what in self._kinds():
            report.add(kind, f"{self._kind} {id_}", what)
        for id_, why in sorted(self._told):
            report.add("inserted", f"{self._kind} {id_}", why)

    def _kinds(self) -> Iterator[tuple[int, Kind, str]]:
        written_as = self._written = self._written_as()
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
    """Rows of the chain held against each other as they come: number, link, content.

    What is wrong with the first bad row is known only from those behind it, so it is told once they were
    seen. After it the links prove nothing, and only content is looked at.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._broken = False
        self._first: tuple[int, Kind, str] | None = None
        """The first bad row, and what is to be said of it if no row behind it says more."""
        self._sought: bytes | None = None
        """What the row goes on from that should stand in the place of the first bad one."""
        self._doubted: bytes | None = None
        """What the row goes on from that was bad just now, or that stands before what was."""

    def look(self, kept: Kept, expected: int, head: bytes, journal_id: str) -> None:
        """Hold a row against the one before it, which has this ``head``."""
        commit, seq = kept.commit, kept.commit.seq
        if self._sought is not None and kept.previous == self._sought:
            assert self._first is not None
            place = self._first[0]
            if self._doubted is not None:
                self._first = place, "inserted", f"what was written in its place is number {seq} now"
            else:
                self._first = place, "reordered", f"what was written in its place is number {seq} now"
            self._sought = None
        self._doubted = None
        whole = commit.hash(journal_id, kept.previous) == kept.hash
        if self._broken:
            if not whole and self._first is None:
                self._report.add("altered", f"commit {seq}", "its hash is not that of its content")
        elif seq != expected:
            many = f"commits {expected} to {seq - 1} are" if seq - 1 > expected else "it is"
            self._break((expected, "missing", f"{many} not there"), sought=head)
        elif kept.previous != head:
            self._unlinked(kept, head, journal_id, whole=whole)
        elif not whole:
            self._break((seq, "altered", "its hash is not that of its content"), sought=head)
            self._doubted = kept.previous
        self._before = kept.previous

    def _unlinked(self, kept: Kept, head: bytes, journal_id: str, *, whole: bool) -> None:
        seq = kept.commit.seq
        moved = not whole and any(
            kept.commit._replace(seq=other).hash(journal_id, kept.previous) == kept.hash
            for other in range(max(1, seq - MOVED_MAX), seq + MOVED_MAX)
        )
        if kept.previous == self._before:
            self._break((seq - 1, "inserted", f"commit {seq} goes on from the one before it"))
        elif moved:
            words = "what was written in its place is not there, and those behind it moved up"
            self._break((seq, "missing", words), sought=head)
        else:
            self._break((seq, "altered", "it does not go on from the row before it"), sought=head)

    _before: bytes | None = None

    def _break(self, first: tuple[int, Kind, str], *, sought: bytes | None = None) -> None:
        self._broken, self._first, self._sought = True, first, sought

    def leaves(self, kept: Kept) -> None:
        """The hashes of its rows are not those that it was made over."""
        if not self._broken:
            self._break((kept.commit.seq, "altered", "the hashes of its rows are not those it was made over"))

    def end(self) -> None:
        """Report the first bad row, before all else that was found."""
        if self._first is not None:
            seq, kind, what = self._first
            self._report.findings.insert(0, Finding(kind, f"commit {seq}", what))
