"""A chain held against the rows it covers, the signatures over it, and what was anchored elsewhere. Pure.

Everything comes as streams in order of ids, and nothing of them is kept but what is wrong, so that the size
of a journal does not matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple

from bridge.audit.checkpoints import Checkpoint, checkpoint_of, read_origin
from bridge.audit.diagnosis import WrongCommits, WrongRows
from bridge.audit.entries import GENESIS, Commit, Span, entry_hash, let_go_in, split
from bridge.audit.merkle import HASH_BYTES, Frontier, root
from bridge.audit.notes import Note, Verifier
from bridge.audit.ranges import Ranges
from bridge.audit.report import Report

Row = tuple[Any, ...]
"""A row of a table: its id, and the other arguments of its entry."""


class Kept(NamedTuple):
    """A row of the chain as it stands in a journal."""

    commit: Commit
    previous: bytes
    hash: bytes
    leaves: bytes


class Signed(NamedTuple):
    """A checkpoint as it stands in a journal: its note, and what is left of the tree up to it."""

    size: int
    note: str
    frontier: bytes


@dataclass(eq=False, slots=True)
class Covered:
    """A table that commits cover: its rows in order of ids, and how one of them is hashed."""

    kind: str
    rows: Iterator[Row]
    entry: Callable[..., str]
    may_be_retired: bool = False
    held: deque[Row] = field(default_factory=deque)
    expected: int | None = None
    """The id that the next commit begins at; None before the first."""
    wrong: WrongRows = field(init=False)

    def __post_init__(self) -> None:
        self.wrong = WrongRows(self.kind, self.entry)

    def next(self) -> Row | None:
        """The next row, which stays the next one."""
        if not self.held and (row := next(self.rows, None)) is not None:
            self.held.append(row)
        return self.held[0] if self.held else None

    def span(self, first: int, size: int) -> list[Row]:
        """The rows with these ids; as `up_to`, for the usual case that they are all there and come next."""
        end = first + size
        if len(self.held) <= size:
            found = [*self.held, *islice(self.rows, size - len(self.held))]
            if len(found) == size and found[0][0] == first and found[-1][0] == end - 1:
                self.held.clear()
                return found
            self.held = deque(found)
        return self.up_to(end)

    def drop(self) -> int:
        """How many rows are left; none is, then."""
        count = len(self.held) + sum(1 for _ in self.rows)
        self.held.clear()
        return count

    def up_to(self, end: int) -> list[Row]:
        """The next rows whose ids are below ``end``."""
        found: list[Row] = []
        while (row := self.next()) is not None and row[0] < end:
            found.append(self.held.popleft())
        return found


Tables = tuple[Covered, Covered, Covered, Covered]
"""Steps, actions, steps of files, disclosures."""


def read_anchors(notes: Iterable[str], verifiers: Sequence[Verifier], report: Report) -> list[Checkpoint]:
    """The checkpoints among notes from elsewhere that a given key has signed; what is wrong is reported."""
    read = (_trusted("anchor", text, verifiers, report) for text in notes)
    found = [each for each in read if each is not None]
    report.anchors = len(found)
    return sorted(found, key=lambda each: (each.size, each.origin))


def _trusted(what: str, text: str, verifiers: Sequence[Verifier], report: Report) -> Checkpoint | None:
    if what == "checkpoint" and "\n\n" not in text:
        return None  # made where there was no key: nobody has signed it
    try:
        note = Note.read(text)
        checkpoint = checkpoint_of(note)
        name, _, _ = read_origin(checkpoint.origin)
    except ValueError as wrong:
        report.add("forged", what, str(wrong))
        return None
    try:
        signers = note.signed_by(verifiers)
    except ValueError as wrong:
        report.add("forged", f"{what} {checkpoint.size}", str(wrong))
        return None
    if not any(signer.name == name for signer in signers):
        report.unknown_keys.add(name)
        return None
    return checkpoint


def verify(
    journal_id: str,
    commits: Iterable[Kept],
    tables: Tables,
    checkpoints: Sequence[Signed],
    retired: Ranges,
    verifiers: Sequence[Verifier] = (),
    anchors: Iterable[str] = (),
    *,
    first: int = 1,
) -> Report:
    """Verify a chain from its first row that is there to its last.

    Its first row is number ``first``, or a later one where it says itself that those before were let go of.
    ``retired`` is what the chain itself says that retention
    has deleted; ``anchors`` notes that were kept elsewhere, which count where a key of ``verifiers`` signed
    them.
    """
    return _Verification(journal_id, tables, checkpoints, retired, verifiers, anchors, first).run(commits)


class _Verification:
    def __init__(
        self,
        journal_id: str,
        tables: Tables,
        checkpoints: Sequence[Signed],
        retired: Ranges,
        verifiers: Sequence[Verifier],
        anchors: Iterable[str],
        first: int,
    ) -> None:
        self._first, self._let_go = first, 0
        self._journal_id, self._tables, self._retired = journal_id, tables, retired
        self._report = report = Report()
        self._anchors = read_anchors(anchors, verifiers, report)
        self._signed = sorted(checkpoints)
        self._trusted = {
            each.size: _trusted("checkpoint", each.note, verifiers, report) for each in self._signed
        }
        report.checkpoints = len(self._signed)
        self._roots_asked = {each.size for each in self._anchors} | self._trusted.keys()
        self._roots: dict[int, bytes] = {}
        self._frontiers: dict[int, bytes] = {}
        self._tree = Frontier()
        self._pending: list[bytes] = []
        self._head = GENESIS
        self._wrong = WrongCommits(report)
        self._last_of_epoch: dict[int, int] = {}

    def run(self, commits: Iterable[Kept]) -> Report:
        report, expected = self._report, self._first
        for kept in commits:
            seq = kept.commit.seq
            if not report.commits:
                report.first_commit = seq
                expected = self._begin(kept)
            self._wrong.look(kept, expected, self._head, self._journal_id)
            self._look_at_rows(kept, gap=seq != expected)
            self._grow(kept, seq)
            if kept.commit.note:
                self._let_go = max(self._let_go, let_go_in(kept.commit.note))
            report.commits += 1
            expected = seq + 1
        report.last_commit = expected - 1
        self._look_at_the_beginning()
        self._wrong.end()
        for table in self._tables:
            table.wrong.behind(table.next())
            table.wrong.tell(report)
        self._look_at_signatures()
        self._look_at_anchors()
        for table in self._tables:
            self._look_behind_the_end(table)
        return report

    def _begin(self, kept: Kept) -> int:
        """The number that the first row should have: the first, or what follows a checkpoint up to which rows
        were let go of."""
        seq = kept.commit.seq
        if seq == 1:
            return self._first
        for signed in self._signed:
            if signed.size == seq - 1:
                try:
                    self._tree = Frontier.from_bytes(signed.size, signed.frontier)
                except ValueError:
                    break
                self._head = kept.previous
                self._roots[signed.size] = self._tree.root
                self._report.let_go = seq - self._first
                return seq
        return self._first

    def _look_at_the_beginning(self) -> None:
        """That what is not there any more was let go of: the chain says so itself, further on."""
        report = self._report
        if report.let_go and self._let_go < report.first_commit - 1:
            words = f"the chain begins with commit {report.first_commit}, and says of none that it went"
            first = max(self._let_go, self._first - 1) + 1
            report.add("missing", f"commit {first}", words)

    def _grow(self, kept: Kept, seq: int) -> None:
        self._head = kept.hash
        self._pending.append(kept.hash)
        epoch = kept.commit.epoch
        self._report.epochs.setdefault(epoch, seq)
        self._last_of_epoch[epoch] = seq
        size = self._tree.size + len(self._pending)
        if size in self._roots_asked:
            self._tree, self._pending = self._tree.appended(self._pending), []
            self._roots[size] = self._tree.root
            self._frontiers[size] = self._tree.to_bytes()

    # Rows.

    def _look_at_rows(self, kept: Kept, *, gap: bool) -> None:
        commit, leaves = kept.commit, kept.leaves
        spans = (commit.steps, commit.actions, commit.files, commit.disclosures)
        counted = sum(span.size for span in spans)
        if len(leaves) != counted * HASH_BYTES or root(split(leaves)) != commit.root:
            self._wrong.leaves(kept)
            for span, table in zip(spans, self._tables, strict=True):
                if span.size:
                    self._expect(table, span, gap=True)
                    self._report.covered += len(table.up_to(span.first + span.size))
            return
        at = 0
        for span, table in zip(spans, self._tables, strict=True):
            if span.size:
                self._expect(table, span, gap=gap)
                end = at + span.size * HASH_BYTES
                self._hold(table, span, leaves[at:end])
                at = end

    def _expect(self, table: Covered, span: Span, *, gap: bool) -> None:
        """Look at what stands between the last commit's rows and this one's."""
        if span.first == table.expected:
            table.expected += span.size
            return
        between = table.up_to(span.first)
        if table.expected is None:
            self._report.before += len(between)
        elif not gap and between:
            words = f"no row of the chain covers numbers {between[0][0]} to {between[-1][0]}"
            table.wrong.inserted(between[0][0], f"{words}: inserted, or written by a bridge without a chain")
        elif not gap and span.first != table.expected:
            self._report.add(
                "altered", f"{table.kind} {table.expected}", f"the chain goes on with number {span.first}"
            )
        table.expected = span.first + span.size

    def _hold(self, table: Covered, span: Span, leaves: bytes) -> None:
        rows = table.span(span.first, span.size)
        entry = table.entry
        self._report.covered += len(rows)
        # As `entry_hash` does it, but for what hardly any row has: a million of them are waited for.
        hashes = [sha256(b"\x00" + entry(*row).encode()).digest() for row in rows]
        if len(rows) == span.size and b"".join(hashes) == leaves:
            return
        there = {row[0]: (row, entry_hash(entry(*row))) for row in rows}
        for number in range(span.size):
            id_ = span.first + number
            leaf = leaves[number * HASH_BYTES : (number + 1) * HASH_BYTES]
            found = there.get(id_)
            gone = table.may_be_retired and id_ in self._retired
            if found is None:
                if gone:
                    self._report.retired += 1
                else:
                    table.wrong.missing(id_, leaf)
            elif gone:
                table.wrong.inserted(id_, "retention has deleted it, and it is there")
            elif found[1] != leaf:
                table.wrong.different(found[0], leaf)

    def _look_behind_the_end(self, table: Covered) -> None:
        if table.expected is None:
            # No commit has covered any of this table: all of it is older than the chain.
            self._report.before += table.drop()
            return
        row = table.next()
        if row is not None and not table.wrong.moved(row[0]):
            words = "no row of the chain covers it: it was inserted, or the end of the chain was cut off"
            self._report.add("inserted", f"{table.kind} {row[0]}", words)

    # What was signed.

    def _look_at_signatures(self) -> None:
        report = self._report
        for signed in self._signed:
            checkpoint = self._trusted[signed.size]
            if self._frontiers.get(signed.size, signed.frontier) != signed.frontier and not report.findings:
                words = "what it keeps of the tree is not what the chain comes to"
                report.add("altered", f"checkpoint {signed.size}", words)
            if checkpoint is None:
                continue
            if checkpoint.size != signed.size:
                report.add("forged", f"checkpoint {signed.size}", f"its note is over {checkpoint.size} rows")
                continue
            if not self._of_this_journal(checkpoint, f"checkpoint {signed.size}"):
                continue
            if self._agrees(checkpoint, f"checkpoint {signed.size}", report.signed_up_to):
                report.signed_up_to = max(report.signed_up_to, signed.size)

    def _look_at_anchors(self) -> None:
        report = self._report
        for anchor in self._anchors:
            if not self._of_this_journal(anchor, f"anchor {anchor.size}"):
                continue
            if self._agrees(anchor, f"anchor {anchor.size}", report.anchored_up_to):
                report.anchored_up_to = max(report.anchored_up_to, anchor.size)

    def _of_this_journal(self, checkpoint: Checkpoint, where: str) -> bool:
        _, journal_id, _ = read_origin(checkpoint.origin)
        if journal_id == self._journal_id:
            return True
        if where.startswith("checkpoint"):
            self._report.add("forged", where, f"it is of another journal, {journal_id}")
        return False

    def _agrees(self, checkpoint: Checkpoint, where: str, agreed: int) -> bool:
        """Whether the chain has this root at this size; ``agreed`` is up to where it is known to be right."""
        report, size = self._report, checkpoint.size
        epoch = read_origin(checkpoint.origin)[2]
        last, ended = report.last_commit, self._last_of_epoch.get(epoch, 0)
        if epoch in report.epochs and ended < min(size, last) and epoch < max(report.epochs):
            report.add(
                "lost",
                f"commit {ended + 1}",
                f"{where} of epoch {epoch} stands for {size} commits; of these the journal that was put back "
                f"has {ended}",
            )
            return False
        if size > last:
            report.add(
                "truncated",
                f"commit {last + 1}",
                f"{where} stands for {size} commits, and the chain ends with {last}",
            )
            return False
        if size < report.first_commit - 1:
            return False  # let go of: what followed is held against a later one
        if self._roots.get(size) != checkpoint.root:
            first = f"commit {agreed + 1}"
            report.add(
                "forked",
                first,
                f"the first {size} commits are not those that {where} was signed over; "
                f"what differs stands between commit {agreed + 1} and {size}",
            )
            return False
        return True
