"""Drift in the journal: what APIs do otherwise than their contracts say, and what was decided about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, func, insert, select, text, update

from bridge.journal.actions import ActionRow, note
from bridge.journal.drift_schema import drifts as table
from bridge.journal.schema import IS_OPEN, attempts, deliveries, kept_files
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

DriftState = Literal["noticed", "held", "accepted", "over"]
ACCEPT: Final = "accept-drift"
REFUSED_MAX_COUNT: Final = 1000
_REFUSED: Final = ("bad-request", "unprocessable")


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
class VersionOpen:
    """How much of an API is open or in quarantine that was made by one version of its mapping and contract.

    ``contract`` is its file and version, empty where there was none.
    """

    api: str
    mapping: str
    contract: str
    open: int
    quarantined: int


def versions_open(connection: Connection) -> list[VersionOpen]:
    """What is open or in quarantine, by the versions that it was made by."""
    found: dict[tuple[str, str, str], list[int]] = {}
    made_by = deliveries.c.api, deliveries.c.mapping, deliveries.c.contract_digest
    for place, condition in enumerate((IS_OPEN, text("state = 'QUARANTINED'"))):
        for row in connection.execute(
            select(*made_by, func.count().label("number")).where(condition).group_by(*made_by)
        ):
            versions = row.api, row.mapping, row.contract_digest
            found.setdefault(versions, [0, 0])[place] = row.number
    digests = {digest for _, _, digest in found if digest}
    kept = select(kept_files.c.digest, kept_files.c.name).where(kept_files.c.digest.in_(digests))
    names = {row.digest: row.name for row in connection.execute(kept)} if digests else {}
    return [
        VersionOpen(api, mapping, _named(digest, names), *counts)
        for (api, mapping, digest), counts in sorted(found.items())
    ]


def _named(digest: str, names: Mapping[str, str]) -> str:
    """A contract by its name, with the beginning of its digest, since two of one name may be open."""
    return f"{names.get(digest, 'contract')} {digest[:8]}" if digest else ""


def refused_since(connection: Connection, api: str, operation: str, since_us: Microseconds) -> list[int]:
    """Deliveries of an operation that its API has refused since then for good, and that wait for a person."""
    its = (deliveries.c.api == api) & (deliveries.c.operation == operation)
    last = select(func.max(attempts.c.ended_at_us)).where(attempts.c.delivery_id == deliveries.c.id)
    rows = connection.execute(
        select(deliveries.c.id)
        .where(text("state = 'QUARANTINED'"), its, deliveries.c.reason.in_(_REFUSED))
        .where(last.scalar_subquery() >= since_us)
        .order_by(deliveries.c.id)
        .limit(REFUSED_MAX_COUNT)
    )
    return [row.id for row in rows]
