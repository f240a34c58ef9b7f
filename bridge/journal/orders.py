"""What each channel keeps order for, as its file said when a node last ran by it.

Keys of lanes are hashes of what ``order_by`` finds. What was made under another one stands in other lanes,
where what is made now could overtake it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from bridge.journal.schema import facts
from bridge.journal.writer import Transaction, Work

_NAME = "order of "


@dataclass(frozen=True, slots=True)
class Order:
    """What a channel keeps order for from now on, in the words of its file."""

    channel: str
    words: str


def orders(connection: Connection) -> dict[str, str]:
    """The words of each channel that has run on this journal."""
    rows = connection.execute(select(facts.c.name, facts.c.value).where(facts.c.name.startswith(_NAME)))
    return {row.name.removeprefix(_NAME): row.value.decode() for row in rows}


def _order(tx: Transaction, items: Sequence[Order]) -> list[None]:
    for each in items:
        name = f"{_NAME}{each.channel}"
        tx.connection.execute(delete(facts).where(facts.c.name == name))
        tx.connection.execute(insert(facts).values(name=name, value=each.words.encode()))
    return [None] * len(items)


ORDER: Work[Order, None] = Work("order", _order)
"""Remember what channels keep order for."""
