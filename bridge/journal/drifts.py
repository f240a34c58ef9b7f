"""Drift in the journal: what APIs do otherwise than their contracts say, and what was decided about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, func, insert, select, text, update

from bridge.journal.actions import ActionRow, note
from bridge.journal.drift_schema import drifts as table
from bridge.journal.schema import IS_OPEN, deliveries
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

DriftState = Literal["noticed", "held", "accepted", "over"]
ACCEPT: Final = "accept-drift"


@dataclass(frozen=True, slots=True)
class Drifted:
    """One place where an operation is other than its contract says.

    ``noticed``: seen, and nothing was stopped. ``held``: the operation waits for a person. ``accepted``: a
    person has said that it is so now. ``over``: it was, and is no longer. ``pointer`` and ``rule`` are words
    of the contract, never values. ``times`` is how often it was seen at least.
    """

    api: str
    operation: str
    kind: str
    pointer: str
    rule: str
    contract_digest: str
    state: DriftState
    times: int
    first_seen_at_us: Microseconds
    seen_at_us: Microseconds
    actor: str = ""
    reason: str = ""


def _drift(tx: Transaction, items: Sequence[Drifted]) -> list[None]:
    for each in items:
        its = (
            (table.c.api == each.api)
            & (table.c.operation == each.operation)
            & (table.c.kind == each.kind)
            & (table.c.pointer == each.pointer)
            & (table.c.rule == each.rule)
        )
        told = {
            "contract_digest": each.contract_digest,
            "state": each.state,
            "times": each.times,
            "seen_at_us": each.seen_at_us,
            "actor": each.actor,
            "reason": each.reason,
        }
        if not tx.connection.execute(update(table).where(its).values(**told)).rowcount:
            tx.connection.execute(
                insert(table).values(
                    api=each.api,
                    operation=each.operation,
                    kind=each.kind,
                    pointer=each.pointer,
                    rule=each.rule,
                    first_seen_at_us=each.first_seen_at_us,
                    **told,
                )
            )
    return [None] * len(items)


DRIFT: Work[Drifted, None] = Work("drift", _drift)
"""Keep what was seen; the newest word of a place stands."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided about all that is held of one operation: ``accepted`` by a person, or ``over``."""

    api: str
    operation: str
    state: DriftState
    at_us: Microseconds
    actor: str
    reason: str


def _decide(tx: Transaction, items: Sequence[Decided]) -> list[int]:
    counts = []
    for each in items:
        held = (table.c.api == each.api) & (table.c.operation == each.operation) & (table.c.state == "held")
        told = {"state": each.state, "decided_at_us": each.at_us, "actor": each.actor, "reason": each.reason}
        counts.append(tx.connection.execute(update(table).where(held).values(**told)).rowcount)
        subject = f"operation {each.api}/{each.operation}"
        note(tx, ActionRow(each.at_us, each.actor, ACCEPT, subject, each.reason))
    return counts


DECIDE: Work[Decided, int] = Work("decide-drift", _decide)
"""Write what was decided, with its audit row; how many places it was about."""


def drifts(connection: Connection, *, api: str | None = None) -> list[Drifted]:
    """All that is known of drift, or of one API's, the newest of each operation first."""
    query = select(table).order_by(table.c.api, table.c.operation, table.c.seen_at_us.desc())
    if api is not None:
        query = query.where(table.c.api == api)
    return [
        Drifted(
            row.api,
            row.operation,
            row.kind,
            row.pointer,
            row.rule,
            row.contract_digest,
            row.state,
            row.times,
            row.first_seen_at_us,
            row.seen_at_us,
            row.actor,
            row.reason,
        )
        for row in connection.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class Pinned:
    """How many open deliveries of an API are made by one version of its mapping and contract."""

    api: str
    mapping: str
    contract_digest: str
    open: int
    quarantined: int


def pinned(connection: Connection) -> list[Pinned]:
    """What is open or in quarantine, by the versions that it was made by."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for place, condition in enumerate((IS_OPEN, text("state = 'QUARANTINED'"))):
        for row in connection.execute(
            select(
                deliveries.c.api, deliveries.c.mapping, deliveries.c.contract_digest, func.count().label("n")
            )
            .where(condition)
            .group_by(deliveries.c.api, deliveries.c.mapping, deliveries.c.contract_digest)
        ):
            counts = found.setdefault((row.api, row.mapping, row.contract_digest), [0, 0])
            counts[place] = row.n
    return [Pinned(*versions, *counts) for versions, counts in sorted(found.items())]
