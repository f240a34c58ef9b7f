"""Messages in the journal: taken in, translated, answered, and read back in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select

from bridge.audit.details import digest, of_delivery, of_receipt, plain_type
from bridge.delivery.state import SET_ASIDE, MessageState
from bridge.journal.disclosing import first_of, further_of, keep_further
from bridge.journal.feeding import owe_to_engine
from bridge.journal.flows import NewStep, keep_steps
from bridge.journal.newness import Newness, keep_newness
from bridge.journal.outputs import OursMade, Pairing, pair_ours
from bridge.journal.owed_answers import Owed, owe
from bridge.journal.repeats import Arrival, Repeats
from bridge.journal.replays import carry_over, first_arrivals
from bridge.journal.schema import answers, bodies, deliveries, messages, more_keys, requests, search_keys
from bridge.journal.statements import insert_rows, update_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds


class Receipt(NamedTuple):
    """What the journal made of an arrival. A duplicate has the answer of the first, where that had one;
    ``replay_of`` is the message that its sender was given back before, ``feed_id`` what the old engine is
    owed of it."""

    message_id: int
    state: MessageState
    answer: bytes | None
    flags: str = ""
    duplicate_of: int | None = None
    replay_of: int | None = None
    feed_id: int | None = None


class NewDelivery(NamedTuple):
    """A record on a route, as release decided it. ``request`` is None where nothing is to be sent; ``aside``
    tells of one in quarantine that its key does not wait for it; ``verdicts`` are what policies said;
    ``pairing`` is how what the old engine makes of the same finds it, ``contract_digest`` the API's contract
    that it was made by; ``asks`` is what policies are asked again with at each attempt; ``newness`` is how
    new a state it tells, where its operation asks; ``step`` is what it is to its flow, where it is of one;
    ``patient`` are hashes of whom it is about, with blanks between: a merge is about two."""

    route: str
    api: str
    operation: str
    state: str
    reason: str
    mapping: str
    mapping_digest: str
    request: bytes | None
    aside: bool = False
    verdicts: str = ""
    pairing: Pairing | None = None
    contract_digest: str = ""
    asks: str | None = None
    patient: str = ""
    newness: Newness | None = None
    step: NewStep | None = None

    @property
    def anew(self) -> tuple[bytes | None, str, str, str, str, str, str | None]:
        """What a delivery that is there already gets of it, as the last parts of a `Resolution`."""
        made = self.request, self.operation, self.mapping, self.mapping_digest
        return *made, self.verdicts, self.contract_digest, self.asks


class Translation(NamedTuple):
    """What became of one message: its deliveries, or why it needs a person.

    ``keys`` are the lanes that it and its deliveries occupy; ``search`` the values by which it is found, as
    name and hash. ``again`` tells that a person had it translated once more, out of quarantine, and ``actor``
    who. ``replay_of`` is the message that this one is once more: a replay, or one that was given back to its
    sender and came again. ``tolerated`` are codes of what was not as it should be and was taken all the same,
    with blanks between; ``charset`` the codec, and whose word it was.
    """

    message_id: int
    channel: str
    at_us: Microseconds
    keys: tuple[bytes, ...]
    state: MessageState
    reason: str
    issues: str
    deliveries: tuple[NewDelivery, ...]
    search: tuple[tuple[str, bytes], ...] = ()
    again: bool = False
    actor: str = "bridge"
    replay_of: int | None = None
    tolerated: str = ""
    charset: str = ""


class Answered(NamedTuple):
    """Whether an answer could be written to its open connection."""

    message_id: int
    reached_socket: bool


class Untranslated(NamedTuple):
    """A message that waits for translation. ``flags`` are what intake found odd about it, ``tolerated`` what
    its transport forgave. Of a replay ``received_at_us`` is when the message came that it replays, so that
    the same is made of it."""

    message_id: int
    body: bytes
    flags: str = ""
    replay_of: int | None = None
    tolerated: str = ""
    trace_id: bytes = b""
    received_at_us: Microseconds = 0


_AS_IT_CAME = (
    messages.c.flags,
    messages.c.replay_of,
    messages.c.tolerated,
    messages.c.trace_id,
    messages.c.received_at_us,
)
_INSERT_MESSAGE = insert_rows(messages)
_INSERT_BODY = insert_rows(bodies)
_INSERT_ANSWER = insert_rows(answers)
_INSERT_DELIVERY = insert_rows(deliveries)
_INSERT_REQUEST = insert_rows(requests)
_TRANSLATED = update_rows(messages, "state", "reason", "issues", "key_hash", "tolerated", "charset")
_AGAIN = update_rows(messages, "state", "aside")

_INSERT_MORE_KEYS = insert_rows(more_keys)
_INSERT_SEARCH_KEYS = insert_rows(search_keys)

CONTROL_ID_REUSED = "control-id-reused"
CONTROL_ID_CONFLICT = "control-id-conflict"
UNCHANGED = "unchanged"
"""The reason of a record that another file of its day had already."""


def receive(tx: Transaction, arrivals: Sequence[Arrival]) -> list[Receipt]:
    """Write arrivals, each with its body; repeats within the window become DUPLICATE."""
    rows: list[dict[str, Any]] = []
    receipts: list[Receipt] = []
    owed: list[tuple[int, str, Microseconds, Owed]] = []
    to_engine: list[tuple[int, str, str, Microseconds]] = []
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
            "flags": repeats.flags_of(arrival),
            "key_hash": None,
            "state": str(arrival.state),
            "reason": arrival.reason,
            "issues": "",
            "trace_id": arrival.trace_id,
            "answer_code": str(arrival.answer_code),
            "replay_of": arrival.replay_of,
            "aside": 0,
            "body_revision": 0,
            "tolerated": arrival.tolerated,
            "charset": "",
            "message_id": message_id,
            "body": arrival.body,
            "answer": arrival.answer,
        }
        if arrival.same_as is not None:
            row.update(
                state=MessageState.DUPLICATE,
                reason=UNCHANGED,
                duplicate_of=arrival.same_as,
                repeat_hash=None,
            )
        elif arrival.repeat_hash is not None:
            if (first := repeats.first(arrival)) is not None:
                if first["state"] == MessageState.REFUSED:
                    # One of its APIs may have taken it, and must know it again.
                    row["replay_of"] = first["id"]
                else:
                    _mark_duplicate(row, first)
            elif repeats.control_id_used(arrival):
                flag = CONTROL_ID_CONFLICT if arrival.control_ids_unique else CONTROL_ID_REUSED
                row["flags"] = " ".join(filter(None, (row["flags"], flag)))
            repeats.note(row)
        rows.append(row)
        tx.transition(
            row["id"],
            None,
            None,
            row["state"],
            arrival.received_at_us,
            row["reason"],
            detail=of_receipt(
                arrival.channel, plain_type(arrival.message_type), digest(arrival.body), arrival.trace_id
            ),
        )
        if arrival.owed is not None and row["duplicate_of"] is None:
            owed.append((message_id, arrival.channel, arrival.received_at_us, arrival.owed))
        if arrival.feed_line is not None and row["duplicate_of"] is None:
            to_engine.append((message_id, arrival.channel, arrival.feed_line, arrival.received_at_us))
        state = arrival.state if row["duplicate_of"] is None else MessageState.DUPLICATE
        known = (row["duplicate_of"], row["replay_of"])
        receipts.append(Receipt(row["id"], state, row["answer"], row["flags"], *known))
    _INSERT_MESSAGE.many(tx.connection, rows)
    _INSERT_BODY.many(tx.connection, rows)
    owe(tx, owed)
    if to_engine:
        feed_ids = dict(zip((each[0] for each in to_engine), owe_to_engine(tx, to_engine), strict=True))
        receipts = [each._replace(feed_id=feed_ids.get(each.message_id)) for each in receipts]
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
    ours: list[OursMade] = []
    told: list[tuple[int, Newness | None]] = []
    steps: list[tuple[int, int, str, NewStep | None]] = []
    further: list[dict[str, Any]] = []
    for each in translations:
        updates.append(
            {
                "id": each.message_id,
                "state": str(each.state),
                "reason": each.reason,
                "issues": each.issues,
                "key_hash": each.keys[0] if each.keys else None,
                "tolerated": each.tolerated,
                "charset": each.charset,
            }
        )
        _step(tx, each)
        made = [_delivery_row(tx, each, new) for new in each.deliveries]
        if each.replay_of is not None:
            carry_over(tx.connection, tx.facts, each.replay_of, made)
        for row, new in zip(made, each.deliveries, strict=True):
            if " " in new.patient:
                further += further_of(row, new.patient)
            tx.transition(
                each.message_id,
                row["id"],
                None,
                row["state"],
                each.at_us,
                row["reason"],
                detail=of_delivery(
                    new.route,
                    new.api,
                    row["operation"],
                    new.mapping,
                    new.mapping_digest,
                    new.contract_digest,
                    new.verdicts,
                    "" if new.request is None else digest(new.request),
                    new.patient,
                ),
            )
            if row["aside"]:
                tx.transition(each.message_id, row["id"], row["state"], row["state"], each.at_us, SET_ASIDE)
        rows += made
        ids.append(tuple(row["id"] for row in made))
        told += zip(ids[-1], (new.newness for new in each.deliveries), strict=True)
        steps += [
            (row["id"], each.message_id, row["state"], new.step)
            for row, new in zip(made, each.deliveries, strict=True)
            if new.step is not None
        ]
        ours += [
            OursMade(
                each.channel, new.route, each.message_id, row["id"], row["key_hash"], each.at_us, new.pairing
            )
            for row, new in zip(made, each.deliveries, strict=True)
            if new.pairing is not None
        ]
    _TRANSLATED.many(tx.connection, updates)
    _INSERT_DELIVERY.many(tx.connection, rows)
    _INSERT_REQUEST.many(tx.connection, [row for row in rows if row["request"] is not None])
    keep_newness(tx.connection, told)
    keep_steps(tx.connection, steps)
    _write_keys(tx, translations)
    keep_further(tx.connection, further)
    pair_ours(tx, ours)
    return ids


def _step(tx: Transaction, each: Translation) -> None:
    """The change of a message's state; one that is translated again passes through RECEIVED."""
    before = MessageState.RECEIVED
    if each.again:
        _AGAIN.many(tx.connection, [{"id": each.message_id, "state": before, "aside": 0}])
        tx.transition(
            each.message_id,
            None,
            MessageState.QUARANTINED,
            before,
            each.at_us,
            "translated-again",
            each.actor,
        )
    tx.transition(each.message_id, None, before, each.state, each.at_us, each.reason)


def _delivery_row(tx: Transaction, each: Translation, new: NewDelivery) -> dict[str, Any]:
    delivery_id = tx.next_id("deliveries")
    return {
        "id": delivery_id,
        "message_id": each.message_id,
        "channel": each.channel,
        "route": new.route,
        "api": new.api,
        "operation": new.operation,
        "key_hash": each.keys[0],
        "state": str(new.state),
        "reason": new.reason,
        "attempts": 0,
        "poison_attempts": 0,
        "revision": 1,
        "due_at_us": 0,
        "mapping": new.mapping,
        "mapping_digest": new.mapping_digest,
        "aside": int(new.aside),
        "held_since_us": None,
        "sent_as": None,
        "late": int(each.again),
        "verdicts": new.verdicts,
        "contract_digest": new.contract_digest,
        "patient": first_of(new.patient),
        "delivery_id": delivery_id,
        "request": new.request,
        "asks": None if new.asks is None else new.asks.encode(),
    }


def _write_keys(tx: Transaction, translations: Sequence[Translation]) -> None:
    again = [each.message_id for each in translations if each.again]
    if again:
        # A corrected message may have other keys than the one that came.
        for table in (more_keys, search_keys):
            tx.connection.execute(delete(table).where(table.c.message_id.in_(again)))
    _INSERT_MORE_KEYS.many(
        tx.connection,
        [
            {"message_id": each.message_id, "key_hash": key}
            for each in translations
            if len(each.keys) > 1
            for key in each.keys[1:]
        ],
    )
    _INSERT_SEARCH_KEYS.many(
        tx.connection,
        [
            {"hash": hashed, "message_id": each.message_id, "name": name}
            for each in translations
            for name, hashed in dict.fromkeys(each.search)
        ],
    )


def _answered(tx: Transaction, items: Sequence[Answered]) -> list[None]:
    _INSERT_ANSWER.many(
        tx.connection,
        [{"message_id": item.message_id, "reached": int(item.reached_socket)} for item in items],
    )
    return [None] * len(items)


RECEIVE: Work[Arrival, Receipt] = Work("receive", receive, waited_for=True)
"""Journal arrivals; repeats within the window become DUPLICATE with the first one's answer."""
TRANSLATE: Work[Translation, tuple[int, ...]] = Work("translate", _translate)
"""Write what became of messages; results are the ids of their deliveries, in order."""
ANSWERED: Work[Answered, None] = Work("answered", _answered)
"""Note whether answers reached their sockets."""


def to_translate(connection: Connection, channel: str, after_id: int, limit: int) -> list[Untranslated]:
    """The next messages of a channel that wait for translation, in order."""
    rows = connection.execute(
        select(messages.c.id, bodies.c.body, *_AS_IT_CAME)
        .join(bodies, bodies.c.message_id == messages.c.id)
        .where(
            messages.c.channel == channel, messages.c.state == _literal("RECEIVED"), messages.c.id > after_id
        )
        .order_by(messages.c.id)
        .limit(limit)
    )
    return _as_arrived(connection, [Untranslated(*row) for row in rows])


def untranslated_of(connection: Connection, message_id: int, body: bytes) -> Untranslated:
    """A message as it waited for translation, whatever has become of it, with the body that a person wants
    to be translated. It says nothing of a control ID that was there before: of that a person has decided."""
    row = connection.execute(select(*_AS_IT_CAME).where(messages.c.id == message_id)).first() or ()
    (known,) = _as_arrived(connection, [Untranslated(message_id, body, *row)])
    return known._replace(flags=" ".join(flag for flag in known.flags.split() if flag != CONTROL_ID_CONFLICT))


def _as_arrived(connection: Connection, waiting: list[Untranslated]) -> list[Untranslated]:
    """The same, a replay with the time at which the message came that it replays."""
    replayed = {each.replay_of for each in waiting if each.replay_of is not None}
    if not replayed:
        return waiting
    arrived = first_arrivals(connection, replayed)
    return [
        each
        if each.replay_of is None
        else each._replace(received_at_us=arrived.get(each.replay_of, each.received_at_us))
        for each in waiting
    ]


def keys_of_message(connection: Connection, message_id: int) -> tuple[bytes, ...]:
    """The keys that a message occupies, in order; none where they are not known."""
    first = connection.execute(select(messages.c.key_hash).where(messages.c.id == message_id)).scalar()
    further = connection.execute(
        select(more_keys.c.key_hash).where(more_keys.c.message_id == message_id)
    ).scalars()
    return () if first is None else (first, *further)


def _literal(state: str) -> Any:
    """A state as text in the statement: a partial index does not serve a parameter."""
    return bindparam(None, state, literal_execute=True)
