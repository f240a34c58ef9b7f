"""Whether what a delivery tells of a record is older than what its API has taken of it already.

It is asked in the transaction that sets a delivery IN_FLIGHT, and noted in the one that says it was taken, so
neither can be missed. Two deliveries of one record that are under way at once do not see each other: within a
lane there are none, and between channels the one that is taken last has the word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, or_, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from bridge.journal.newness_schema import newest_told, newness
from bridge.journal.statements import insert_rows, select_ids


class Newness(NamedTuple):
    """``about`` stands for a record at an API; of two states the one with the larger numbers is newer."""

    about: str
    first: int
    second: int


_INSERT = insert_rows(newness)
_OVERTAKEN = select_ids(
    newness.c.delivery_id,
    where=select(newest_told.c.about)
    .where(
        newest_told.c.about == newness.c.about,
        or_(
            newest_told.c.first > newness.c.first,
            (newest_told.c.first == newness.c.first) & (newest_told.c.second > newness.c.second),
        ),
    )
    .exists(),
)


def keep_newness(connection: Connection, made: Iterable[tuple[int, Newness | None]]) -> None:
    """Write down how new deliveries are, by their ids; None for one of which nobody asks."""
    rows = [
        {
            "delivery_id": delivery_id,
            "about": bytes.fromhex(each[0]),
            "first": each[1],
            "second": each[2],
        }
        for delivery_id, each in made
        if each is not None
    ]
    _INSERT.many(connection, rows)


def overtaken(connection: Connection, delivery_ids: Sequence[int]) -> set[int]:
    """Those that tell an older state than their API has taken."""
    return _OVERTAKEN.of(connection, delivery_ids) if delivery_ids else set()


def note_told(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """An API has taken these: what they tell is the newest of their records, where nothing newer was told."""
    if not delivery_ids:
        return
    found = connection.execute(
        select(newness).where(newness.c.delivery_id.in_(list(delivery_ids))).order_by(newness.c.delivery_id)
    )
    # Of several that tell of one record the newest goes in; a statement may touch a row only once.
    newest: dict[bytes, dict[str, Any]] = {}
    for row in map(dict, found.mappings()):
        known = newest.get(row["about"])
        if known is None or (row["first"], row["second"]) >= (known["first"], known["second"]):
            newest[row["about"]] = row
    if newest:
        insert = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
        told = insert(newest_told)
        new, old = told.excluded, newest_told.c
        newer = or_(new.first > old.first, (new.first == old.first) & (new.second >= old.second))
        values = {name: new[name] for name in ("first", "second", "delivery_id")}
        connection.execute(
            told.on_conflict_do_update(index_elements=["about"], set_=values, where=newer),
            list(newest.values()),
        )
