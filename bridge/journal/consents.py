"""Consent in the journal: what deliveries ask, which of them wait, and what a person lets through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, literal, select, tuple_, update

from bridge.delivery.state import DeliveryState
from bridge.journal.actions import ActionRow, note
from bridge.journal.consent_schema import consent_overrides, consents
from bridge.journal.deliveries import asked_of
from bridge.journal.hashes import Hashes
from bridge.journal.legal_holds import held
from bridge.journal.schema import deliveries, requests, revised_requests
from bridge.journal.transaction import Transaction, Work
from bridge.message import Microseconds

PATIENT, CONSENT = b"patient of a consent", b"consent of a patient"
"""What the hashes of patients and consents begin with, so that they are none of lanes and of searches."""
SHOWN_CHARACTERS = 12
"""So much of a hash stands in an audit row: enough to tell two patients apart."""
_FROM = frozenset({DeliveryState.READY, DeliveryState.RETRY_WAIT})


def patient_hash(hashes: Hashes, patient: str) -> bytes:
    """What stands for a patient in tables of consent."""
    return hashes.hash(PATIENT, patient.encode())


class Withhold(NamedTuple):
    """A delivery that may not be sent yet, and why."""

    delivery_id: int
    reason: str
    at_us: Microseconds


def _withhold(tx: Transaction, items: Sequence[Withhold]) -> list[bool]:
    rows = {
        row.id: row
        for row in tx.connection.execute(
            select(deliveries.c.id, deliveries.c.message_id, deliveries.c.state, deliveries.c.reason).where(
                deliveries.c.id.in_([each.delivery_id for each in items])
            )
        )
    }
    done = []
    for each in items:
        row = rows.get(each.delivery_id)
        state = None if row is None else DeliveryState(row.state)
        done.append(row is not None and (state in _FROM or state is DeliveryState.HELD))
        if row is None or not done[-1] or (state is DeliveryState.HELD and row.reason == each.reason):
            continue
        values: dict[str, Any] = {"reason": each.reason, "due_at_us": 0}
        if state is not DeliveryState.HELD:
            values["state"] = DeliveryState.HELD
            tx.transition(row.message_id, row.id, row.state, DeliveryState.HELD, each.at_us, each.reason)
        tx.connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(**values))
    return done


WITHHOLD: Work[Withhold, bool] = Work("withhold", _withhold)
"""Write that deliveries wait for a policy's word, once each; False for one that can no longer wait."""


def asks_of(connection: Connection, ids: Sequence[int]) -> dict[int, str | None]:
    """What policies are asked again with about each of these deliveries."""
    rows = connection.execute(
        select(
            requests.c.delivery_id,
            requests.c.asks,
            revised_requests.c.request.is_not(None).label("revised"),
            revised_requests.c.asks.label("asks_anew"),
        )
        .join(deliveries, deliveries.c.id == requests.c.delivery_id)
        .outerjoin(
            revised_requests,
            (revised_requests.c.delivery_id == deliveries.c.id)
            & (revised_requests.c.revision == deliveries.c.revision),
        )
        .where(requests.c.delivery_id.in_(list(ids)))
    )
    return {row.delivery_id: asked_of(row) for row in rows}


@dataclass(frozen=True, slots=True)
class Override:
    """A person lets a patient's data through to an API, whatever was decided, until ``until_us``.

    ``until_us`` None ends it. ``patient`` is given as it is, and kept as its hash.
    """

    patient: str
    api: str
    until_us: Microseconds | None
    at_us: Microseconds
    actor: str
    reason: str


def _override(tx: Transaction, items: Sequence[Override]) -> list[bool]:
    return [_override_one(tx, each) for each in items]


def _override_one(tx: Transaction, each: Override) -> bool:
    hashed = patient_hash(tx.facts.hashes, each.patient)
    table = consent_overrides
    gone = tx.connection.execute(delete(table).where(table.c.patient_hash == hashed, table.c.api == each.api))
    if each.until_us is not None:
        tx.connection.execute(
            insert(table).values(
                patient_hash=hashed,
                api=each.api,
                until_us=each.until_us,
                at_us=each.at_us,
                actor=each.actor,
                reason=each.reason,
            )
        )
    elif not gone.rowcount:
        return False
    action = "consent-override-end" if each.until_us is None else "consent-override"
    subject = f"api {each.api} patient {hashed.hex()[:SHOWN_CHARACTERS]}"
    note(tx, ActionRow(each.at_us, each.actor, action, subject, each.reason))
    return True


OVERRIDE: Work[Override, bool] = Work("consent-override", _override)
"""Begin or end an override, with its audit row; False where there was none to end."""


def overrides(connection: Connection, now_us: Microseconds) -> Mapping[tuple[bytes, str], Microseconds]:
    """Until when whose data are let through to which API, those that are not over."""
    table = consent_overrides
    rows = connection.execute(select(table).where(table.c.until_us > now_us))
    return {(row.patient_hash, row.api): row.until_us for row in rows}


class OverrideInForce(NamedTuple):
    """Whose data, by the hash of whom they are about, a person lets through to which API."""

    patient: str
    api: str
    until_us: Microseconds
    at_us: Microseconds
    actor: str
    reason: str


def overrides_in_force(connection: Connection, now_us: Microseconds) -> list[OverrideInForce]:
    """Those that are not over, what ends first before the others; the hash as in audit rows."""
    table = consent_overrides
    rows = connection.execute(
        select(table).where(table.c.until_us > now_us).order_by(table.c.until_us, table.c.api)
    )
    return [
        OverrideInForce(
            row.patient_hash.hex()[:SHOWN_CHARACTERS], row.api, row.until_us, row.at_us, row.actor, row.reason
        )
        for row in rows
    ]


class KeptConsent(NamedTuple):
    """One consent of a table, as JSON. ``names`` are those of its patient, of which each finds it."""

    table: str
    name: str
    names: tuple[str, ...]
    content: bytes
    at_us: Microseconds


def _keep(tx: Transaction, items: Sequence[KeptConsent]) -> list[None]:
    hashes = tx.facts.hashes
    for each in items:
        for name in each.names:
            patient = patient_hash(hashes, name)
            known = hashes.hash(CONSENT, each.name.encode(), patient)
            place = (consents.c.table_name == each.table) & (consents.c.consent_hash == known)
            tx.connection.execute(delete(consents).where(place))
            tx.connection.execute(
                insert(consents).values(
                    table_name=each.table,
                    consent_hash=known,
                    patient_hash=patient,
                    consent=each.content,
                    at_us=each.at_us,
                )
            )
    return [None] * len(items)


KEEP_CONSENT: Work[KeptConsent, None] = Work("keep-consent", _keep)
"""Keep consents, each in the place of the one of its name and patient before it."""


class Old(NamedTuple):
    """A consent of a table as it is kept, and since when."""

    table: str
    known_as: bytes
    content: bytes
    at_us: Microseconds


def consents_before(
    connection: Connection, after: tuple[str, bytes], before_us: Microseconds, most: int
) -> list[Old]:
    """The next consents of all tables that were kept before a time, in order of table and hash."""
    place = tuple_(consents.c.table_name, consents.c.consent_hash)
    rows = connection.execute(
        select(consents.c.table_name, consents.c.consent_hash, consents.c.consent, consents.c.at_us)
        .where(place > tuple_(literal(after[0]), literal(after[1])), consents.c.at_us < before_us)
        .order_by(consents.c.table_name, consents.c.consent_hash)
        .limit(most)
    )
    return [Old(row[0], bytes(row[1]), bytes(row[2]), row[3]) for row in rows]


class Forget(NamedTuple):
    """Consents that are over, unless they were replaced since they were looked at; and overrides that ended
    before a time. Nothing goes while anything is held, as `legal_holds.held` says."""

    over: tuple[Old, ...]
    before_us: Microseconds


def _forget(tx: Transaction, items: Sequence[Forget]) -> list[int]:
    holds = held(tx.connection)
    if holds.channels or holds.hashes:
        return [0] * len(items)
    counts = []
    for each in items:
        count = 0
        for old in each.over:
            place = (consents.c.table_name == old.table) & (consents.c.consent_hash == old.known_as)
            gone = tx.connection.execute(delete(consents).where(place, consents.c.at_us == old.at_us))
            count += gone.rowcount
        ended = consent_overrides.c.until_us < each.before_us
        count += tx.connection.execute(delete(consent_overrides).where(ended)).rowcount
        counts.append(count)
    return counts


FORGET_CONSENTS: Work[Forget, int] = Work("forget-consents", _forget)
"""Delete what is over; how many rows that were."""


def consents_of(connection: Connection, table: str, hashes: Hashes, names: Sequence[str]) -> list[bytes]:
    """The consents of a patient who is known by any of these names, as JSON, the oldest first."""
    wanted = [patient_hash(hashes, name) for name in names]
    rows = connection.execute(
        select(consents.c.consent)
        .where(consents.c.table_name == table, consents.c.patient_hash.in_(wanted))
        .order_by(consents.c.at_us)
    )
    return [bytes(row.consent) for row in rows]
