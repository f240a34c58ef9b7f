"""Whose data went where and when, and whom a release or a time has touched; also of what retention
deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, func, literal, select, union_all

from bridge.journal.audit_schema import disclosures
from bridge.journal.database import Facts
from bridge.journal.disclosing import ALSO_ABOUT, OUTCOME, WENT
from bridge.journal.schema import attempts, deliveries, search_keys
from bridge.message import Microseconds

ROWS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """Which disclosures; None where it does not matter. ``patients`` are hashes; ``mapping`` is a name, or a
    name and its version, ``adt-admit@7``, or the beginning of a digest."""

    patients: Sequence[bytes] | None = None
    mapping: str | None = None
    api: str | None = None
    since_us: Microseconds | None = None
    until_us: Microseconds | None = None


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One delivery that went somewhere, or may have, about one patient; a merge is there twice. ``at_us`` is
    when it last went, ``outcome`` the state that it is in, or ended in."""

    at_us: Microseconds
    patient: str
    message_id: int
    delivery_id: int
    api: str
    operation: str
    mapping: str
    mapping_digest: str
    outcome: str
    kept: bool
    """Whether its message is still in the journal."""
    replaced: bool = False
    """Whether its message, where that is kept, names the patient beside the one that PID has."""


def patients_of(connection: Connection, facts: Facts, text: str) -> dict[str, bytes]:
    """The hashes of a patient, by how they were found.

    The key of a patient is authority and number, ``NORTH:100234``; a number alone is looked for among
    messages that are still there, and may be several people's.
    """
    whole = bytes.fromhex(facts.hashes.patient(text))
    known = {"key": whole} if _has_any(connection, whole) else {}
    by_number = (
        select(deliveries.c.patient)
        .join(search_keys, search_keys.c.message_id == deliveries.c.message_id)
        .where(search_keys.c.hash == facts.search_hash(text), deliveries.c.patient.is_not(None))
        .distinct()
    )
    found = sorted({bytes(each) for each in connection.execute(by_number).scalars()} - set(known.values()))
    return known | {f"number {at}": each for at, each in enumerate(found, 1)}


def _has_any(connection: Connection, patient: bytes) -> bool:
    known = deliveries.c.patient, disclosures.c.patient, search_keys.c.hash
    return any(connection.execute(select(each).where(each == patient).limit(1)).first() for each in known)


def disclosed(connection: Connection, asked: Asked) -> Iterator[Disclosure]:
    """What went somewhere, in order of time; no more than `ROWS_MAX`."""
    sources = _GONE, _here(asked), _here(asked, also_about=True)
    all_ = union_all(*(_narrowed(each, asked) for each in sources)).subquery()
    query = select(all_).order_by(all_.c.at_us, all_.c.delivery_id, all_.c.patient).limit(ROWS_MAX)
    for row in connection.execute(query):
        yield Disclosure(
            row.at_us,
            bytes(row.patient).hex() if row.patient is not None else "",
            row.message_id,
            row.delivery_id,
            row.api,
            row.operation,
            row.mapping,
            row.mapping_digest,
            row.outcome,
            bool(row.kept),
            bool(row.replaced),
        )


_D, _G = deliveries.c, disclosures.c
_NAMES: Final = (
    "at_us", "patient", "message_id", "delivery_id", "api", "operation", "mapping", "mapping_digest",
    "outcome",
)  # fmt: skip
_GONE: Final = select(
    *(_G[name] for name in _NAMES), literal(0).label("kept"), literal(0).label("replaced")
).subquery()


def _here(asked: Asked, *, also_about: bool = False) -> Any:
    """What the journal still has: each delivery with the last attempt that went, of those in the time that is
    asked about. One that went again later went then too. With its first patient, or all others."""
    within = select(attempts.c.delivery_id, func.max(attempts.c.ended_at_us).label("at_us")).where(WENT)
    if asked.since_us is not None:
        within = within.where(attempts.c.ended_at_us >= asked.since_us)
    if asked.until_us is not None:
        within = within.where(attempts.c.ended_at_us < asked.until_us)
    last = within.group_by(attempts.c.delivery_id).subquery()
    query = (
        select(
            last.c.at_us,
            (search_keys.c.hash if also_about else _D.patient).label("patient"),
            _D.message_id,
            _D.id.label("delivery_id"),
            _D.api,
            _D.operation,
            _D.mapping,
            _D.mapping_digest,
            OUTCOME.label("outcome"),
            literal(1).label("kept"),
            literal(int(also_about)).label("replaced"),
        )
        .select_from(deliveries)
        .join(last, last.c.delivery_id == _D.id)
    )
    return (query.join(search_keys, ALSO_ABOUT) if also_about else query).subquery()


def _narrowed(source: Any, asked: Asked) -> Select[Any]:
    query = select(source)
    if asked.patients is not None:
        query = query.where(source.c.patient.in_(list(asked.patients)))
    if asked.api is not None:
        query = query.where(source.c.api == asked.api)
    if asked.mapping is not None:
        name = asked.mapping
        same = source.c.mapping == name
        if "@" not in name:
            same = same | source.c.mapping.startswith(f"{name}@", autoescape=True)
            same = same | source.c.mapping_digest.startswith(name, autoescape=True)
        query = query.where(same)
    if asked.since_us is not None:
        query = query.where(source.c.at_us >= asked.since_us)
    if asked.until_us is not None:
        query = query.where(source.c.at_us < asked.until_us)
    return query
