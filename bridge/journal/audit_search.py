"""Who did what, and what changed: steps and actions of the chain, found and told in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, Table, select

from bridge.audit.entries import action_entry, file_step_entry, step_entry
from bridge.journal.disclosing import ALSO_ABOUT
from bridge.journal.file_schema import file_steps
from bridge.journal.schema import actions, deliveries, search_keys, transitions
from bridge.message import Microseconds

ROWS_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True)
class Sought:
    """Which rows; None where it does not matter. The end of a time is not in it."""

    actor: str | None = None
    action: str | None = None
    message_id: int | None = None
    delivery_id: int | None = None
    since_us: Microseconds | None = None
    until_us: Microseconds | None = None


class Entry(NamedTuple):
    """One row that the chain covers: the text that was hashed, its time, and of a delivery to where it goes,
    with what, about whom: the first patient, and others in a merge."""

    text: str
    at_us: Microseconds
    api: str = ""
    operation: str = ""
    mapping: str = ""
    patients: tuple[str, ...] = ()


def entries(connection: Connection, sought: Sought, *, newest: int | None = None) -> Iterator[Entry]:
    """The rows that are sought: steps, then actions, then steps of files, each in order of numbers; of each
    only so many of the ``newest``, where that is said."""
    of_one = sought.delivery_id is not None or sought.message_id is not None
    if sought.action is None:
        steps = _run(connection, _steps(sought), transitions, sought, newest)
        while some := list(islice(steps, ROWS_AT_ONCE)):
            further = _further(connection, {row[2] for row in some if row[9] is not None})
            for row in some:
                patients = () if row[9] is None else (bytes(row[9]).hex(), *further.get(row[2], ()))
                api, operation, mapping = (each or "" for each in row[10:13])
                yield Entry(step_entry(*row[:9]), row[5], api, operation, mapping, patients)
    for row in _run(connection, _actions(sought), actions, sought, newest):
        yield Entry(action_entry(*row), row[1])
    if sought.action is None and not of_one:
        for row in _run(connection, _FILE_STEPS, file_steps, sought, newest):
            yield Entry(file_step_entry(*row), row[4])


_T, _A, _F, _D = transitions.c, actions.c, file_steps.c, deliveries.c
_STEPS: Final = select(
    _T.id, _T.message_id, _T.delivery_id, _T.from_state, _T.to_state, _T.at_us, _T.actor, _T.reason,
    _T.detail, _D.patient, _D.api, _D.operation, _D.mapping,
).outerjoin(deliveries, _D.id == _T.delivery_id)  # fmt: skip
_FILE_STEPS: Final = select(_F.id, _F.file_id, _F.from_state, _F.to_state, _F.at_us, _F.actor, _F.reason)


def _further(connection: Connection, delivery_ids: Set[int]) -> dict[int, list[str]]:
    """All patients but the first, of those deliveries that have any."""
    found: dict[int, list[str]] = {}
    query = select(_D.id, search_keys.c.hash).join(search_keys, ALSO_ABOUT).order_by(search_keys.c.hash)
    for delivery_id, hashed in connection.execute(query.where(_D.id.in_(delivery_ids))):
        found.setdefault(delivery_id, []).append(bytes(hashed).hex())
    return found


def _steps(sought: Sought) -> Select[Any]:
    query = _STEPS
    if sought.message_id is not None:
        query = query.where(_T.message_id == sought.message_id)
    if sought.delivery_id is not None:
        # Steps are found by their message.
        message = select(_D.message_id).where(_D.id == sought.delivery_id).scalar_subquery()
        query = query.where(_T.message_id == message, _T.delivery_id == sought.delivery_id)
    return query


def _actions(sought: Sought) -> Select[Any]:
    query = select(_A.id, _A.at_us, _A.actor, _A.action, _A.object, _A.reason)
    if sought.action is not None:
        query = query.where(_A.action == sought.action)
    subjects = [
        f"{what} {number}"
        for what, number in (("message", sought.message_id), ("delivery", sought.delivery_id))
        if number is not None
    ]
    return query.where(_A.object.in_(subjects)) if subjects else query


def _run(
    connection: Connection, query: Select[Any], table: Table, sought: Sought, newest: int | None
) -> Iterator[tuple[Any, ...]]:
    if sought.actor is not None:
        query = query.where(table.c.actor == sought.actor)
    if sought.since_us is not None:
        query = query.where(table.c.at_us >= sought.since_us)
    if sought.until_us is not None:
        query = query.where(table.c.at_us < sought.until_us)
    if newest is not None:
        rows = connection.execute(query.order_by(table.c.id.desc()).limit(newest)).all()
        yield from map(tuple, reversed(rows))
        return
    found = connection.execute(query.order_by(table.c.id), execution_options={"yield_per": ROWS_AT_ONCE})
    yield from map(tuple, found)
