"""Checkpoints in the journal: the chain at one size, signed where there is a key; who was given it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select

from bridge.audit.checkpoints import Checkpoint, origin_of
from bridge.audit.notes import Signer
from bridge.journal.audit_schema import anchored, chain, checkpoints
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

UNSIGNED = "unsigned"
"""In the place of a key's name in the origin of a checkpoint that nobody has signed."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """A checkpoint that is to be made of all that is committed; ``signer`` None leaves it unsigned."""

    signer: Signer | None
    at_us: Microseconds


class Sealed(NamedTuple):
    """A checkpoint as it was made: how many rows it stands for, and its note."""

    size: int
    note: str


def _seal(tx: Transaction, items: Sequence[Sealing]) -> list[Sealed | None]:
    return [_seal_one(tx, each) for each in items]


def _seal_one(tx: Transaction, each: Sealing) -> Sealed | None:
    # The head is of the last commit: this one's own row, if it has one, comes behind the checkpoint.
    head = tx.head
    known = tx.connection.execute(select(func.max(checkpoints.c.size))).scalar() or 0
    if head.seq <= known:
        return None
    name = UNSIGNED if each.signer is None else each.signer.name
    text = Checkpoint(origin_of(name, tx.facts.journal_id, max(1, head.epoch)), head.seq, head.tree.root).text
    note = text if each.signer is None else each.signer.sign(text)
    tx.connection.execute(
        insert(checkpoints).values(size=head.seq, at_us=each.at_us, note=note, frontier=head.tree.to_bytes())
    )
    return Sealed(head.seq, note)


class Anchored(NamedTuple):
    """A checkpoint that somebody outside has now; ``anchor`` is the name of where."""

    size: int
    anchor: str
    at_us: Microseconds


def _anchored(tx: Transaction, items: Sequence[Anchored]) -> list[None]:
    for each in items:
        tx.connection.execute(insert(anchored).values(**each._asdict()))
    return [None] * len(items)


CHECKPOINT: Work[Sealing, Sealed | None] = Work("checkpoint", _seal)
"""Make a checkpoint of all that was committed before; None where the last one stands for it already."""
ANCHORED: Work[Anchored, None] = Work("anchored", _anchored)
"""Note that a checkpoint was given to somebody outside."""


class Uncovered(NamedTuple):
    """Rows of the chain that no checkpoint stands for yet, and when the last checkpoint was made."""

    rows: int
    last_at_us: Microseconds


def uncovered(connection: Connection) -> Uncovered:
    """How much of the chain waits for a checkpoint."""
    newest = connection.execute(select(func.max(chain.c.seq))).scalar() or 0
    last = connection.execute(
        select(checkpoints.c.size, checkpoints.c.at_us).order_by(checkpoints.c.size.desc()).limit(1)
    ).first()
    return Uncovered(newest, 0) if last is None else Uncovered(max(0, newest - last.size), last.at_us)


def not_anchored(connection: Connection, anchor: str) -> Sealed | None:
    """The newest signed checkpoint, where an anchor does not have it yet.

    One stands for all before it, so an anchor that was away needs only the newest.
    """
    row = connection.execute(
        select(checkpoints.c.size, checkpoints.c.note).order_by(checkpoints.c.size.desc()).limit(1)
    ).first()
    if row is None or "\n\n" not in row.note:
        return None
    has = connection.execute(
        select(anchored.c.size).where(anchored.c.anchor == anchor, anchored.c.size >= row.size)
    ).first()
    return None if has else Sealed(row.size, row.note)
