"""Whether all rows are there that the chain covers, and all rows of the chain itself: by counting, so that a
running node can look at any moment.

Ids have no gaps but what retention left, which the chain tells. So what was deleted, anywhere, is a number
that lacks; what was changed is `verify_chain`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, func, select

from bridge.audit.entries import let_go_in
from bridge.audit.ranges import read as read_ranges
from bridge.journal.audit_schema import chain, disclosures
from bridge.journal.file_schema import file_steps
from bridge.journal.schema import actions, transitions

_COVERED: Final[dict[str, tuple[Table, Column[Any], Column[Any]]]] = {
    "steps": (transitions, chain.c.first_step, chain.c.steps),
    "actions": (actions, chain.c.first_action, chain.c.actions),
    "file steps": (file_steps, chain.c.first_file_step, chain.c.file_steps),
    "disclosures": (disclosures, chain.c.first_disclosure, chain.c.disclosures),
}
COMMITS: Final = "commits"


@dataclass(frozen=True, slots=True)
class Presence:
    """How many rows were written and how many of them are there, by what they are.

    ``first`` and ``last`` are the ids that count, ``deleted`` what retention took of the steps, up to row
    ``seq`` of the chain: what the next look goes on from.
    """

    written: dict[str, int] = field(default_factory=dict)
    there: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    deleted: int = 0
    seq: int = 0

    @property
    def ratio(self) -> float:
        """Rows that are there, to rows that were written: 1.0 where nothing is missing."""
        written = sum(self.written.values())
        return 1.0 if not self.lacking else max(0.0, 1.0 - sum(self.lacking.values()) / max(1, written))

    @property
    def lacking(self) -> dict[str, int]:
        """How many are missing of what."""
        missing = {name: self.written[name] - self.there[name] for name in self.written}
        return {name: count for name, count in missing.items() if count > 0}


def presence(connection: Connection, before: Presence) -> Presence:
    """Count; ``before`` is what the look before gave, or an empty one. In a transaction of one moment."""
    told = connection.execute(
        select(chain.c.retired, chain.c.note).where(
            chain.c.seq > before.seq, (chain.c.retired != "") | (chain.c.note != "")
        )
    ).all()
    first, last, written, there = dict(before.first), dict(before.last), {}, {}
    count, _, high = _counted(connection, chain, chain.c.seq)
    seq = max(before.last.get(COMMITS, 0), high)
    # A chain begins with its first row, or where it says so itself.
    first[COMMITS] = max(first.get(COMMITS, 1), *(let_go_in(row.note) + 1 for row in told), 1)
    last[COMMITS] = seq
    written[COMMITS], there[COMMITS] = (seq - first[COMMITS] + 1 if seq else 0), count
    for name, (table, begins, size) in _COVERED.items():
        if not first.get(name):
            first[name] = _first_covered(connection, begins, size)
        count, low, high = _counted(connection, table, table.c.id)
        last[name] = max(last.get(name, 0), high)
        if not first[name]:
            continue  # the chain has covered none of it: all of it is older
        older = 0
        if low < first[name]:
            # Rows older than the chain, which do not get more.
            older = connection.execute(
                select(func.count()).select_from(table).where(table.c.id < first[name])
            ).scalar_one()
        written[name], there[name] = last[name] - first[name] + 1, count - older
    deleted = before.deleted + _deleted((row.retired for row in told), first["steps"])
    if "steps" in written:
        written["steps"] -= deleted
    return Presence(written, there, first, last, deleted, seq)


def _counted(connection: Connection, table: Table, key: Column[Any]) -> tuple[int, int, int]:
    counted = select(func.count()).select_from(table).scalar_subquery()
    lowest, highest = select(func.min(key)).scalar_subquery(), select(func.max(key)).scalar_subquery()
    count, low, high = connection.execute(select(counted, lowest, highest)).one()
    return count, low or 0, high or 0


def _first_covered(connection: Connection, begins: Column[Any], size: Column[Any]) -> int:
    query = select(begins).where(size > 0).order_by(chain.c.seq).limit(1)
    return connection.execute(query).scalar() or 0


def _deleted(texts: Any, first: int) -> int:
    """How many of the steps from ``first`` on these name; what cannot be read is altered, and counts as
    nothing."""
    count = 0
    for text in texts:
        try:
            ranges = list(read_ranges(text))
        except ValueError:
            continue
        count += sum(max(0, high - max(low, first) + 1) for low, high in ranges)
    return count
