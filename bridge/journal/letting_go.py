"""Rows of the chain that are old enough go, as far as a checkpoint that is signed and was given to somebody
outside; the checkpoint stays, and stands for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, delete, func, insert, select

from bridge.journal.actions import ActionRow, note
from bridge.journal.audit_schema import anchored, chain, checkpoints
from bridge.journal.schema import facts
from bridge.journal.triggers import RETAINING
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

ROWS_MIN: Final = 2000
"""So many rows go in one transaction, or a few more: up to the next checkpoint that may be the first one."""
LETS_GO: Final = "let-go"
"""The name of the action."""


class LetGo(NamedTuple):
    """That rows may go which a checkpoint from before ``before_us`` stands for; ``why`` is kept with it."""

    before_us: Microseconds
    at_us: Microseconds
    why: str


def _let_go(tx: Transaction, items: Sequence[LetGo]) -> list[int]:
    return [_one(tx, each) for each in items]


def _one(tx: Transaction, each: LetGo) -> int:
    connection = tx.connection
    oldest = connection.execute(select(func.min(chain.c.seq))).scalar()
    if oldest is None or (up_to := _goes_up_to(connection, oldest, each.before_us)) is None:
        return 0
    connection.execute(insert(facts).values(name=RETAINING, value=b"1"))
    gone = connection.execute(delete(chain).where(chain.c.seq <= up_to)).rowcount
    connection.execute(delete(facts).where(facts.c.name == RETAINING))
    tx.let_go(up_to)
    note(tx, ActionRow(each.at_us, "bridge", LETS_GO, f"commits {oldest} to {up_to}", each.why))
    return int(gone)


def _goes_up_to(connection: Connection, oldest: int, before_us: Microseconds) -> int | None:
    """The checkpoint behind which the chain is to begin; None where nothing may go."""
    few = connection.execute(_may_be_first(before_us, oldest + ROWS_MIN - 1, func.min)).scalar()
    return few or connection.execute(_may_be_first(before_us, oldest, func.max)).scalar()


def _may_be_first(before_us: Microseconds, at_least: int, which: Callable[..., Any]) -> Select[int]:
    """One of the checkpoints that can stand for all before them: old, signed, and kept elsewhere too. Never
    the newest, from which the chain goes on after a restart."""
    newest = select(func.max(checkpoints.c.size)).scalar_subquery()
    return (
        select(which(checkpoints.c.size))
        .join(anchored, anchored.c.size == checkpoints.c.size)
        .where(
            checkpoints.c.at_us < before_us,
            checkpoints.c.note.contains("\n\n"),
            checkpoints.c.size >= at_least,
            checkpoints.c.size < newest,
        )
    )


LET_GO: Work[LetGo, int] = Work("let go", _let_go)
"""Delete rows of the chain; how many, and none where no more may go."""
