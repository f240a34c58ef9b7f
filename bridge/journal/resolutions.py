"""What a person decides about something in quarantine: again, aside, or never; and messages once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, case, func, insert, select, update

from bridge.audit.details import digest, of_delivery
from bridge.delivery.state import DELIVERY_OPEN, SET_ASIDE, DeliveryState, MessageState
from bridge.journal.actions import EDIT, ActionRow, note
from bridge.journal.messages import Untranslated, keys_of_message
from bridge.journal.replays import NEW_KEY, ONLY, first_arrivals
from bridge.journal.replays import REPLAY as AGAIN
from bridge.journal.schema import bodies, deliveries, messages, requests, revised_bodies, revised_requests
from bridge.journal.statements import insert_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

Action = Literal["retry", "skip", "discard"]

REPLAY_PEER = "replay"
REPLAYED = frozenset(
    {MessageState.RECEIVED, MessageState.MAPPED, MessageState.QUARANTINED, MessageState.DISCARDED}
)
"""States of messages that can be sent once more; a refused or an ignored one was never the bridge's."""

_RETRY_FROM = frozenset({"QUARANTINED", "HELD", "RETRY_WAIT"})
_DISCARD_FROM = frozenset({"QUARANTINED", "HELD", "RETRY_WAIT", "READY"})


@dataclass(frozen=True, slots=True)
class Resolution:
    """A decision about one delivery, or about one message in quarantine; exactly one of the ids is given.

    ``retry`` sends a delivery again at its old place: the same bytes, or ``request`` where it was made anew.
    ``skip`` sets it aside: it stays in quarantine, and its keys go on. ``discard`` ends it.
    """

    delivery_id: int | None
    message_id: int | None
    action: Action
    actor: str
    reason: str
    at_us: Microseconds
    request: bytes | None = None
    operation: str = ""
    mapping: str = ""
    mapping_digest: str = ""
    verdicts: str = ""
    contract_digest: str = ""
    asks: str | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """What came of a decision: done, or why not; and whose keys may go on now."""

    done: bool
    why_not: str
    api: str
    keys: tuple[bytes, ...]
    message_id: int
    operation: str = ""


def _resolve(tx: Transaction, resolutions: Sequence[Resolution]) -> list[Resolved]:
    return [
        _of_delivery(tx, each, each.delivery_id)
        if each.delivery_id is not None
        else _of_message(tx, each, each.message_id or 0)
        for each in resolutions
    ]


def _of_delivery(tx: Transaction, each: Resolution, delivery_id: int) -> Resolved:
    connection = tx.connection
    row = connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).first()
    if row is None:
        return Resolved(False, "there is no such delivery", "", (), 0)

    def not_done(why: str) -> Resolved:
        return Resolved(False, why, row.api, (), row.message_id)

    if row.state == DeliveryState.IN_FLIGHT:
        return not_done("it is being sent just now; look again in a moment")
    values: dict[str, Any] = {}
    match each.action:
        case "retry":
            if row.state not in _RETRY_FROM:
                return not_done(
                    f"it is {row.state}, and only what is in quarantine, held or waiting goes again"
                )
            if each.request is None and not _has_request(connection, row):
                return not_done("a policy let no request be made of it: retry --remap makes one")
            values = {"state": DeliveryState.READY, "due_at_us": 0, "poison_attempts": 0, "aside": 0}
            values["held_since_us"] = None
            if each.request is not None:
                values |= _revise(tx, row, each)
        case "skip":
            if row.state != DeliveryState.QUARANTINED or row.aside:
                return not_done(
                    "it is set aside already" if row.aside else f"it is {row.state}, not in quarantine"
                )
            values = {"aside": 1}
        case "discard":
            if row.state not in _DISCARD_FROM:
                return not_done(f"it is {row.state}, and nothing can be taken back")
            values = {"state": DeliveryState.DISCARDED}
    reason = f"{SET_ASIDE}: {each.reason}" if each.action == "skip" else f"{each.action}: {each.reason}"
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(**values, reason=_kept(row, values, reason))
    )
    tx.transition(
        row.message_id,
        delivery_id,
        row.state,
        values.get("state", row.state),
        each.at_us,
        reason,
        each.actor,
        _remade(row, each),
    )
    note(tx, ActionRow(each.at_us, each.actor, each.action, f"delivery {delivery_id}", each.reason))
    keys = keys_of_message(connection, row.message_id)
    return Resolved(True, "", row.api, keys, row.message_id, each.operation or row.operation)


def _has_request(connection: Connection, row: Any) -> bool:
    if row.revision > 1:
        return True
    found = select(requests.c.delivery_id).where(requests.c.delivery_id == row.id)
    return connection.execute(found).first() is not None


def _remade(row: Any, each: Resolution) -> str:
    """What the chain keeps of a request that was made anew; empty where it is the one that was there."""
    if each.request is None:
        return ""
    return of_delivery(
        row.route,
        row.api,
        each.operation,
        each.mapping,
        each.mapping_digest,
        each.contract_digest,
        each.verdicts,
        digest(each.request),
        "" if row.patient is None else bytes(row.patient).hex(),
    )


def _kept(row: Any, values: dict[str, Any], reason: str) -> str:
    """The reason that a row shows: of one that stays in quarantine, why it is there."""
    return row.reason if "state" not in values else ("" if values["state"] == DeliveryState.READY else reason)


def _revise(tx: Transaction, row: Any, each: Resolution) -> dict[str, Any]:
    revision = row.revision + 1
    tx.connection.execute(
        insert(revised_requests).values(
            delivery_id=row.id,
            revision=revision,
            request=each.request,
            asks=None if each.asks is None else each.asks.encode(),
        )
    )
    return {
        "revision": revision,
        "operation": each.operation,
        "mapping": each.mapping,
        "mapping_digest": each.mapping_digest,
        "verdicts": each.verdicts,
        "contract_digest": each.contract_digest,
        "sent_as": tx.facts.revised_as(row.id, revision),
    }


def _of_message(tx: Transaction, each: Resolution, message_id: int) -> Resolved:
    connection = tx.connection
    row = connection.execute(
        select(messages.c.state, messages.c.aside).where(messages.c.id == message_id)
    ).first()
    if row is None or row.state != MessageState.QUARANTINED:
        why = "there is no such message" if row is None else f"it is {row.state}, not in quarantine"
        return Resolved(False, why, "", (), message_id)
    if each.action == "retry":
        return Resolved(False, "a message is translated again, not sent", "", (), message_id)
    if each.action == "skip" and row.aside:
        return Resolved(False, "it is set aside already", "", (), message_id)
    skip = each.action == "skip"
    state = MessageState.QUARANTINED if skip else MessageState.DISCARDED
    reason = f"{SET_ASIDE if skip else each.action}: {each.reason}"
    values: dict[str, Any] = {"aside": 1} if skip else {"state": state, "reason": reason}
    connection.execute(update(messages).where(messages.c.id == message_id).values(**values))
    tx.transition(message_id, None, row.state, state, each.at_us, reason, each.actor)
    note(tx, ActionRow(each.at_us, each.actor, each.action, f"message {message_id}", each.reason))
    return Resolved(True, "", "", keys_of_message(connection, message_id), message_id)


RESOLVE: Work[Resolution, Resolved] = Work("resolve", _resolve)
"""Write decisions, each with its audit row."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A message as a person corrected it."""

    message_id: int
    body: bytes
    actor: str
    reason: str
    at_us: Microseconds


def _revise_body(tx: Transaction, revisions: Sequence[Revision]) -> list[int]:
    numbers = []
    for each in revisions:
        newest = select(func.max(revised_bodies.c.number)).where(
            revised_bodies.c.message_id == each.message_id
        )
        number = (tx.connection.execute(newest).scalar() or 0) + 1
        tx.connection.execute(
            insert(revised_bodies).values(message_id=each.message_id, number=number, body=each.body)
        )
        tx.connection.execute(
            update(messages).where(messages.c.id == each.message_id).values(body_revision=number)
        )
        note(tx, ActionRow(each.at_us, each.actor, EDIT, f"message {each.message_id}", each.reason))
        numbers.append(number)
    return numbers


REVISE: Work[Revision, int] = Work("revise", _revise_body)
"""Keep a corrected message beside the one that came; the result is its number."""


def body_of(connection: Connection, message_id: int) -> bytes | None:
    """A message as it is to be translated: corrected, or as it came; of a repeat, the first one's."""
    corrected = connection.execute(
        select(revised_bodies.c.body)
        .where(revised_bodies.c.message_id == message_id)
        .order_by(revised_bodies.c.number.desc())
        .limit(1)
    ).scalar()
    return bytes(corrected) if corrected is not None else original_of(connection, message_id)


def original_of(connection: Connection, message_id: int) -> bytes | None:
    """A message as it came, whatever a person has corrected since; of a repeat, the first one's."""
    row = connection.execute(
        select(bodies.c.body, messages.c.duplicate_of)
        .join(messages, messages.c.id == bodies.c.message_id)
        .where(bodies.c.message_id == message_id)
    ).first()
    if row is None:
        return None
    if row.body is None and row.duplicate_of is not None:
        return original_of(connection, row.duplicate_of)
    return None if row.body is None else bytes(row.body)


@dataclass(frozen=True, slots=True)
class Place:
    """Which delivery of its message one is: number ``ordinal``, from 0, on its route."""

    message_id: int
    channel: str
    route: str
    ordinal: int
    state: str


def place_of(connection: Connection, delivery_id: int) -> Place | None:
    """Where a delivery belongs, or None where there is none of that id."""
    row = connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).first()
    if row is None:
        return None
    before = connection.execute(
        select(func.count()).where(
            deliveries.c.message_id == row.message_id,
            deliveries.c.route == row.route,
            deliveries.c.id < delivery_id,
        )
    ).scalar_one()
    return Place(row.message_id, row.channel, row.route, before, row.state)


@dataclass(frozen=True, slots=True)
class Replay:
    """One message once more. ``trace_id`` is the new message's; ``only`` names the one API that it is for,
    empty for all. With ``new_key`` an API that has applied it applies it again."""

    message_id: int
    actor: str
    reason: str
    at_us: Microseconds
    trace_id: bytes
    only: str = ""
    new_key: bool = False


_INSERT_MESSAGE = insert_rows(messages)
_INSERT_BODY = insert_rows(bodies)


def _replay(tx: Transaction, replays: Sequence[Replay]) -> list[tuple[str, Untranslated] | None]:
    return [_replay_one(tx, each) for each in replays]


def _replay_one(tx: Transaction, each: Replay) -> tuple[str, Untranslated] | None:
    connection = tx.connection
    original = connection.execute(select(messages).where(messages.c.id == each.message_id)).mappings().first()
    body = body_of(connection, each.message_id)
    if original is None or body is None or MessageState(original["state"]) not in REPLAYED:
        return None
    flags = " ".join(
        [AGAIN, *([NEW_KEY] if each.new_key else []), *([ONLY + each.only] if each.only else [])]
    )
    row = {
        **original,
        "id": tx.next_id("messages"),
        "seq": tx.next_seq(original["channel"]),
        "received_at_us": each.at_us,
        "peer": REPLAY_PEER,
        "body_size_bytes": len(body),
        "fingerprint": tx.facts.hash(body),
        "repeat_hash": None,
        "duplicate_of": None,
        "flags": flags,
        "key_hash": None,
        "state": MessageState.RECEIVED,
        "reason": "",
        "issues": "",
        "trace_id": each.trace_id,
        "answer_code": "",
        "replay_of": each.message_id,
        "aside": 0,
        "body_revision": 0,
        "tolerated": "",
        "charset": "",
    }
    _INSERT_MESSAGE.many(connection, [row])
    _INSERT_BODY.many(connection, [{"message_id": row["id"], "body": body, "answer": None}])
    tx.transition(row["id"], None, None, MessageState.RECEIVED, each.at_us, "replay", each.actor)
    what = f"message {each.message_id}" + (f" to {each.only}" if each.only else "")
    what += " under a new key" if each.new_key else ""
    note(tx, ActionRow(each.at_us, each.actor, "replay", what, each.reason))
    arrived = first_arrivals(connection, [each.message_id])[each.message_id]
    return original["channel"], Untranslated(row["id"], body, flags, each.message_id, received_at_us=arrived)


REPLAY: Work[Replay, tuple[str, Untranslated] | None] = Work("replay", _replay)
"""Take messages in once more, after all that came since; None for one that cannot be. The result is its
channel, and what is to be translated."""


def replayable(connection: Connection, message_ids: Sequence[int]) -> list[int]:
    """Those of these messages that can be taken in once more: they were taken, and have a body still."""
    has_one = bodies.c.body.is_not(None) | messages.c.id.in_(select(revised_bodies.c.message_id))
    rows = connection.execute(
        select(messages.c.id)
        .outerjoin(bodies, bodies.c.message_id == messages.c.id)
        .where(messages.c.id.in_(list(message_ids)), messages.c.state.in_(sorted(REPLAYED)), has_one)
    )
    found = set(rows.scalars())
    return [each for each in message_ids if each in found]


def replay_targets(connection: Connection, message_ids: Sequence[int]) -> dict[str, tuple[int, int]]:
    """The APIs that these messages were for, with how many deliveries each, and how many it has taken."""
    taken = func.sum(case((deliveries.c.state == DeliveryState.DELIVERED, 1), else_=0))
    rows = connection.execute(
        select(deliveries.c.api, func.count().label("number"), taken.label("taken"))
        .where(
            deliveries.c.message_id.in_(list(message_ids)),
            deliveries.c.state.in_([*DELIVERY_OPEN, "DELIVERED", "QUARANTINED", "DISCARDED"]),
        )
        .group_by(deliveries.c.api)
    )
    return {row.api: (row.number, int(row.taken)) for row in rows}
