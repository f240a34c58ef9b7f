"""What must be so at the end of a simulation: of the journal, and of what senders and APIs saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sim_api import SimApi
from sim_site import CHANNEL
from sqlalchemy import Connection, select

from bridge.cli.synthetic import Synthetic
from bridge.delivery.state import DeliveryState, MessageState
from bridge.journal.audit import verify_chain
from bridge.journal.audit_completeness import completeness
from bridge.journal.database import Facts
from bridge.journal.history import check
from bridge.journal.schema import bodies, deliveries, messages

UNSETTLED = {
    DeliveryState.READY,
    DeliveryState.IN_FLIGHT,
    DeliveryState.RETRY_WAIT,
    DeliveryState.HELD,
    DeliveryState.AMBIGUOUS,
    DeliveryState.ACCEPTED,
    DeliveryState.QUARANTINED,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen outside the bridge."""

    acknowledged: list[Synthetic]
    odd: list[str]
    apis: Mapping[str, SimApi]


def moving(connection: Connection) -> list[str]:
    """What is not finished, and waits for no person either."""
    stuck: dict[tuple[str, bytes], int] = {}
    found = [
        f"message {row.id}"
        for row in connection.execute(
            select(messages.c.id).where(messages.c.state == MessageState.RECEIVED).order_by(messages.c.id)
        )
    ]
    rows = connection.execute(
        select(deliveries).where(deliveries.c.state.in_(UNSETTLED)).order_by(deliveries.c.id)
    )
    for row in rows:
        lane = row.api, row.key_hash
        if row.state == DeliveryState.QUARANTINED:
            stuck.setdefault(lane, row.message_id)
        elif not (row.state == DeliveryState.READY and stuck.get(lane, row.message_id) < row.message_id):
            found.append(f"delivery {row.id} {row.state} {row.reason}".rstrip())
    return found


def judge(connection: Connection, seen: Seen) -> list[str]:
    """All that is not as it must be."""
    checked = check(
        connection,
        repeat_safety={name: "header" if api.knows_repeats else "none" for name, api in seen.apis.items()},
        acknowledged=[(CHANNEL, each.control_id) for each in seen.acknowledged],
        calls=[call for api in seen.apis.values() for call in api.calls],
    )
    return [
        *(str(each) for each in checked.violations),
        *seen.odd,
        *_kept_whole(connection, seen),
        *_arrived(connection, seen),
        *_in_order(seen),
        *_audited(connection),
    ]


def _audited(connection: Connection) -> Iterator[str]:
    """Every change of state has its row in the chain, in both directions, whatever cut the node off."""
    report = verify_chain(connection)
    for each in report.findings:
        yield f"audit: {each.where} {each.kind}: {each.what}"
    found = completeness(connection, report)
    if not found.complete or report.before:
        yield f"audit: {found}, {report.before} rows before the chain"


def _kept_whole(connection: Connection, seen: Seen) -> Iterator[str]:
    """What was acknowledged is there as it was sent."""
    rows = connection.execute(
        select(messages.c.control_id, bodies.c.body).join(bodies, bodies.c.message_id == messages.c.id)
    )
    kept = {(row.control_id, row.body) for row in rows}
    for each in seen.acknowledged:
        if (each.control_id, each.body) not in kept:
            yield f"{each.control_id} was acknowledged, and is not there as it was sent"


def _arrived(connection: Connection, seen: Seen) -> Iterator[str]:
    """What is called delivered has arrived, once; what has arrived was sent by a delivery."""
    journal_id = Facts(connection).journal_id
    rows = connection.execute(select(deliveries)).all()
    for row in rows:
        key = f"{journal_id}-{row.sent_as or f'{row.id}-{row.revision}'}"
        api = seen.apis[row.api]
        if row.state == DeliveryState.DELIVERED and not api.is_there(key):
            yield f"delivery {row.id} is DELIVERED, and {row.api} never did it"
        if sum(each.key == key for each in api.effects) > 1:
            yield f"delivery {row.id} was done twice at {row.api}"


def _in_order(seen: Seen) -> Iterator[str]:
    for name, api in seen.apis.items():
        newest: dict[str, int] = {}
        for effect in api.effects:
            if effect.step <= newest.get(effect.patient, 0):
                yield f"{name} did step {effect.step} of {effect.patient} after step {newest[effect.patient]}"
            newest[effect.patient] = max(effect.step, newest.get(effect.patient, 0))
        yield from api.at_once
        for key in api.changed_bytes:
            yield f"{name} got other bytes under the key {key}"
