"""Messages in the journal: taken in, translated, answered, and read back in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from bridge.delivery.state import MessageState
from bridge.journal.repeats import Arrival, Repeats
from bridge.journal.schema import answers, bodies, deliveries, messages, requests
from bridge.journal.statements import insert_rows, update_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the journal made of an arrival. A duplicate has the answer of the first."""

    message_id: int
    state: MessageState
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A record on a route, as release decided it. ``request`` is None where nothing is to be sent."""

    route: str
    api: str
    operation: str
    key_hash: bytes
    state: str
    reason: str
    mapping: str
    mapping_digest: str
    request: bytes | None


@dataclass(frozen=True, slots=True)
class Translation:
    """What became of one message: its deliveries, or why it needs a person."""

    message_id: int
    channel: str
    at_us: Microseconds
    key_hash: bytes | None
    state: MessageState
    reason: str
    issues: str
    deliveries: tuple[NewDelivery, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """Whether an answer could be written to its open connection."""

    message_id: int
    reached_socket: bool


@dataclass(frozen=True, slots=True)
class Untranslated:
    """A message that waits for translation."""

    message_id: int
    body: bytes


_INSERT_MESSAGE = insert_rows(messages)
_INSERT_BODY = insert_rows(bodies)
_INSERT_ANSWER = insert_rows(answers)
_INSERT_DELIVERY = insert_rows(deliveries)
_INSERT_REQUEST = insert_rows(requests)
_TRANSLATED = update_rows(messages, "state", "reason", "issues", "key_hash")

CONTROL_ID_REUSED = "control-id-reused"


def _receive(tx: Transaction, arrivals: Sequence[Arrival]) -> list[Receipt]:
    rows: list[dict[str, Any]] = []
    receipts: list[Receipt] = []
    repeats = Repeats(tx.connection, arrivals)
    for arrival in arrivals:
        message_id = tx.next_id("messages")
        row: dict[str, Any] = {
            "id": message_id,
            "channel": arrival.channel,
            "seq": tx.next_seq(arrival.channel),
            "received_at_us": arrival.received_at_us,
            "peer": arrival.peer,
            "message_type": arrival.message_type,
            "control_id": arrival.control_id,
            "body_size_bytes": len(arrival.body),
            "fingerprint": arrival.fingerprint,
            "repeat_hash": arrival.repeat_hash,
            "duplicate_of": None,
            "flags": arrival.flags,
            "key_hash": None,
            "state": arrival.state,
            "reason": arrival.reason,
            "issues": "",
            "trace_id": arrival.trace_id,
            "answer_code": arrival.answer_code,
            "message_id": message_id,
            "body": arrival.body,
            "answer": arrival.answer,
        }
        if arrival.repeat_hash is not None:
            if (first := repeats.first(arrival)) is not None:
                _mark_duplicate(row, first)
            elif repeats.control_id_used(arrival):
                row["flags"] = " ".join(filter(None, (arrival.flags, CONTROL_ID_REUSED)))
            repeats.note(row)
        rows.append(row)
        tx.transition(row["id"], None, None, row["state"], arrival.received_at_us, row["reason"])
        receipts.append(Receipt(row["id"], row["state"], row["answer"]))
    _INSERT_MESSAGE.many(tx.connection, rows)
    _INSERT_BODY.many(tx.connection, rows)
    return receipts


def _mark_duplicate(row: dict[str, Any], first: Mapping[str, Any]) -> None:
    row.update(
        state=MessageState.DUPLICATE,
        reason="repeated",
        duplicate_of=first["id"],
        body=None,  # the first one holds the same bytes
        repeat_hash=None,
        answer=first["answer"],
        answer_code=first["answer_code"],
    )


def _translate(tx: Transaction, translations: Sequence[Translation]) -> list[tuple[int, ...]]:
    updates: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    ids: list[tuple[int, ...]] = []
    for each in translations:
        updates.append(
            {
                "id": each.message_id,
                "state": each.state,
                "reason": each.reason,
                "issues": each.issues,
                "key_hash": each.key_hash,
            }
        )
        tx.transition(each.message_id, None, MessageState.RECEIVED, each.state, each.at_us, each.reason)
        made: list[int] = []
        for new in each.deliveries:
            delivery_id = tx.next_id("deliveries")
            row: dict[str, Any] = {
                "id": delivery_id,
                "message_id": each.message_id,
                "channel": each.channel,
                "route": new.route,
                "api": new.api,
                "operation": new.operation,
                "key_hash": new.key_hash,
                "state": new.state,
                "reason": new.reason,
                "attempts": 0,
                "poison_attempts": 0,
                "revision": 1,
                "due_at_us": 0,
                "mapping": new.mapping,
                "mapping_digest": new.mapping_digest,
                "delivery_id": delivery_id,
                "request": new.request,
            }
            rows.append(row)
            made.append(row["id"])
            tx.transition(each.message_id, row["id"], None, new.state, each.at_us, new.reason)
        ids.append(tuple(made))
    _TRANSLATED.many(tx.connection, updates)
    _INSERT_DELIVERY.many(tx.connection, rows)
    _INSERT_REQUEST.many(tx.connection, [row for row in rows if row["request"] is not None])
    return ids


def _answered(tx: Transaction, items: Sequence[Answered]) -> list[None]:
    _INSERT_ANSWER.many(
        tx.connection,
        [{"message_id": item.message_id, "reached": int(item.reached_socket)} for item in items],
    )
    return [None] * len(items)


RECEIVE: Work[Arrival, Receipt] = Work("receive", _receive)
"""Journal arrivals; repeats within the window become DUPLICATE with the first one's answer."""
TRANSLATE: Work[Translation, tuple[int, ...]] = Work("translate", _translate)
"""Write what became of messages; results are the ids of their deliveries, in order."""
ANSWERED: Work[Answered, None] = Work("answered", _answered)
"""Note whether answers reached their sockets."""


def to_translate(connection: Connection, channel: str, after_id: int, limit: int) -> list[Untranslated]:
    """The next messages of a channel that wait for translation, in order."""
    rows = connection.execute(
        select(messages.c.id, bodies.c.body)
        .join(bodies, bodies.c.message_id == messages.c.id)
        .where(
            messages.c.channel == channel, messages.c.state == _literal("RECEIVED"), messages.c.id > after_id
        )
        .order_by(messages.c.id)
        .limit(limit)
    )
    return [Untranslated(row.id, row.body) for row in rows]


def barriers(connection: Connection, channel: str) -> dict[bytes, int]:
    """For each key of a channel that a message in quarantine occupies, the id of the first such message."""
    rows = connection.execute(
        select(messages.c.key_hash, func.min(messages.c.id).label("first"))
        .where(
            messages.c.channel == channel,
            messages.c.state == _literal("QUARANTINED"),
            messages.c.key_hash.is_not(None),
        )
        .group_by(messages.c.key_hash)
    )
    return {row.key_hash: row.first for row in rows}


def _literal(state: str) -> Any:
    """A state as text in the statement: a partial index does not serve a parameter."""
    return bindparam(None, state, literal_execute=True)
