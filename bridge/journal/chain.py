"""The chain: one row for each commit that changed a state, made by the writer in the same transaction.

What a verification reads of a journal is here too; what it says is `bridge.audit.verifying`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from bridge.audit.entries import (
    GENESIS,
    Commit,
    Span,
    action_entry,
    disclosure_entry,
    entry_hash,
    file_step_entry,
    let_go_note,
    step_hashes,
)
from bridge.audit.merkle import Frontier, root
from bridge.audit.ranges import written
from bridge.journal.audit_schema import chain, checkpoints
from bridge.journal.statements import insert_rows
from bridge.message import Microseconds

ROWS_AT_ONCE: Final = 10_000


LATER_MAX: Final = 64
"""So many rows of the chain wait to be joined to what is left of its tree: many at once cost less."""

Step = tuple[int, int, int | None, str | None, str, Microseconds, str, str, str]
"""A row of `transitions`, in the order of its columns and of what `step_entry` takes."""


class Head(NamedTuple):
    """How far the chain is: its last row's number, epoch and hash; what is left of its tree up to some row,
    and the hashes of those after it."""

    seq: int = 0
    epoch: int = 0
    hash: bytes = GENESIS
    before: Frontier = Frontier()
    later: tuple[bytes, ...] = ()

    @property
    def tree(self) -> Frontier:
        """What is left of its tree."""
        return self.before.appended(self.later)


class Whose(NamedTuple):
    """What stands in each row of a chain: the journal's own id, the epoch and why it began, and the digest of
    the configuration that the node runs by."""

    journal_id: str
    epoch: int
    why: str
    configuration: str = ""


@dataclass(eq=False, slots=True)
class Written:
    """What one transaction has written, as far as the chain covers it; each list in order of ids."""

    steps: list[Step] = field(default_factory=list)
    actions: list[tuple[int, bytes]] = field(default_factory=list)
    files: list[tuple[int, bytes]] = field(default_factory=list)
    disclosures: list[tuple[int, bytes]] = field(default_factory=list)
    retired: list[int] = field(default_factory=list)
    let_go: int = 0
    """Up to which of its own rows the chain goes on without them; 0 for none."""
    latest_us: Microseconds = 0

    def action(self, row: Mapping[str, Any]) -> None:
        """Cover a row of `actions`."""
        entry = action_entry(
            row["id"], row["at_us"], row["actor"], row["action"], row["object"], row["reason"]
        )
        self.actions.append((row["id"], entry_hash(entry)))
        self.latest_us = max(self.latest_us, row["at_us"])

    def file_step(self, row: Mapping[str, Any]) -> None:
        """Cover a row of `file_steps`."""
        before = row["from_state"]
        entry = file_step_entry(
            row["id"],
            row["file_id"],
            None if before is None else str(before),
            str(row["to_state"]),
            row["at_us"],
            row["actor"],
            row["reason"],
        )
        self.files.append((row["id"], entry_hash(entry)))
        self.latest_us = max(self.latest_us, row["at_us"])

    def disclose(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Cover rows of `disclosures`."""
        for row in rows:
            entry = disclosure_entry(
                row["id"],
                row["at_us"],
                row["patient"].hex(),
                row["message_id"],
                row["delivery_id"],
                row["api"],
                row["operation"],
                row["mapping"],
                row["mapping_digest"],
                row["outcome"],
            )
            self.disclosures.append((row["id"], entry_hash(entry)))


_INSERT = insert_rows(chain)
_AT_US: Final = itemgetter(5)
_NONE: Final = Span()


def extend(connection: Connection, head: Head, whose: Whose, wrote: Written) -> Head:
    """Write the row of a transaction into it; the head that the chain has once it is on disk.

    A transaction is extended by once.
    """
    steps = wrote.steps
    leaves = step_hashes(steps)
    at_us = max(wrote.latest_us, max(map(_AT_US, steps), default=0))
    first = Span(steps[0][0], len(steps)) if steps else _NONE
    actions = files = gone = _NONE
    if wrote.actions or wrote.files or wrote.disclosures:
        actions, files, gone = map(_covered, (wrote.actions, wrote.files, wrote.disclosures))
        leaves += [leaf for rows in (wrote.actions, wrote.files, wrote.disclosures) for _, leaf in rows]
    if not leaves and not wrote.retired:
        return head
    commit = Commit(
        head.seq + 1,
        whose.epoch,
        at_us,
        first,
        actions,
        files,
        gone,
        root(leaves),
        whose.configuration,
        written(wrote.retired) if wrote.retired else "",
        _note(head, whose, wrote),
    )
    hashed = commit.hash(whose.journal_id, head.hash)
    _INSERT.one(connection, _row(commit, head.hash, hashed, b"".join(leaves)))
    later = (*head.later, hashed)
    if len(later) < LATER_MAX:
        return Head(commit.seq, commit.epoch, hashed, head.before, later)
    return Head(commit.seq, commit.epoch, hashed, head.before.appended(later))


def _note(head: Head, whose: Whose, wrote: Written) -> str:
    begins = whose.why if whose.epoch != max(1, head.epoch) else ""
    if not wrote.let_go:
        return begins
    gone = let_go_note(wrote.let_go)
    return f"{begins}; {gone}" if begins else gone


def _covered(rows: Sequence[tuple[int, bytes]]) -> Span:
    return Span(rows[0][0], len(rows)) if rows else _NONE


def _row(commit: Commit, previous: bytes, hashed: bytes, leaves: bytes) -> tuple[Any, ...]:
    """The row as it stands in the table, column by column."""
    seq, epoch, at_us, steps, actions, files, gone, over, configuration, retired, note = commit
    counted = (*steps, *actions, *files, *gone)
    return (seq, epoch, at_us, *counted, over, configuration, retired, note, previous, hashed, leaves)


def head_of(connection: Connection) -> Head:
    """How far the chain of a journal is, from its last checkpoint on."""
    newest = connection.execute(
        select(checkpoints.c.size, checkpoints.c.frontier).order_by(checkpoints.c.size.desc()).limit(1)
    ).first()
    try:
        tree = Frontier() if newest is None else Frontier.from_bytes(newest.size, bytes(newest.frontier))
    except ValueError:
        tree = Frontier()  # somebody changed it, as a verification says; the rows themselves know as much
    at = tree.size
    last: Any = None
    columns = (chain.c.seq, chain.c.epoch, chain.c.hash)
    if at:
        last = connection.execute(select(*columns).where(chain.c.seq == at)).first()
    # Page by page, and not by a cursor of the server, which a connection that is lost just then leaves open.
    while some := _hashes_after(connection, at if last is None else last.seq):
        tree = tree.appended(bytes(row.hash) for row in some)
        last = some[-1]
    if last is None:
        # Cut off below its last checkpoint, a chain goes on from there, and a verification says so.
        return Head(at, 0, GENESIS, tree)
    return Head(last.seq, last.epoch, bytes(last.hash), tree)


def _hashes_after(connection: Connection, seq: int) -> Sequence[Any]:
    """The next rows of the chain behind one, as far as its head takes them."""
    later = select(chain.c.seq, chain.c.epoch, chain.c.hash).where(chain.c.seq > seq).order_by(chain.c.seq)
    return connection.execute(later.limit(ROWS_AT_ONCE)).all()
