"""A journal's history held against its rules, and against what senders and APIs saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, func, select

from bridge.delivery.history import (
    Attempt,
    DeliveryRow,
    History,
    MessageRow,
    Step,
    Violation,
)
from bridge.journal.database import Facts
from bridge.journal.ledger import ledger
from bridge.journal.schema import (
    actions,
    answers,
    attempts,
    bodies,
    bodies_gone,
    deliveries,
    gone,
    messages,
    more_keys,
    requests,
    transitions,
)

VIOLATIONS_MAX = 1000
_ROWS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and what was found; no more than `VIOLATIONS_MAX` of it."""

    messages: int
    deliveries: int
    steps: int
    violations: tuple[Violation, ...]


def check(
    connection: Connection,
    *,
    repeat_safety: Mapping[str, str] | None = None,
    acknowledged: Iterable[tuple[str, str]] = (),
    calls: Iterable[tuple[str, str]] = (),
) -> Checked:
    """Hold a whole journal against its rules, at one moment.

    ``repeat_safety`` by API says where a repeat is harmless. ``acknowledged`` are channels and control IDs of
    which a sender saw AA or CA; ``calls`` what an API saw: idempotency keys, each with a digest of the body.
    """
    history = _read(connection, repeat_safety or {})
    found = list(
        islice(
            _all(connection, history, acknowledged, calls),
            VIOLATIONS_MAX,
        )
    )
    steps = connection.execute(select(func.count()).select_from(transitions)).scalar_one()
    return Checked(len(history.messages), len(history.deliveries), steps, tuple(found))


def _all(
    connection: Connection,
    history: History,
    acknowledged: Iterable[tuple[str, str]],
    calls: Iterable[tuple[str, str]],
) -> Iterator[Violation]:
    yield from history.violations(_steps(connection), _attempts(connection))
    if not ledger(connection).balanced:
        yield Violation("I2", "ledger", "does not balance")
    lost = select(answers.c.message_id).where(answers.c.message_id.not_in(select(messages.c.id)))
    for row in connection.execute(lost):
        yield Violation("I1", f"message {row.message_id}", "was answered, and is not there")
    yield from _acknowledged(connection, acknowledged)
    yield from _called(connection, history, calls)


def _read(connection: Connection, repeat_safety: Mapping[str, str]) -> History:
    further: dict[int, list[bytes]] = {}
    for row in connection.execute(select(more_keys)):
        further.setdefault(row.message_id, []).append(row.key_hash)
    kept = (
        select(
            messages.c.id,
            messages.c.channel,
            messages.c.seq,
            messages.c.state,
            messages.c.key_hash,
            messages.c.body_revision,
            (
                bodies.c.body.is_not(None)
                | messages.c.duplicate_of.is_not(None)
                | bodies_gone.c.message_id.is_not(None)
            ).label("whole"),
        )
        .outerjoin(bodies_gone, bodies_gone.c.message_id == messages.c.id)
        .outerjoin(bodies, bodies.c.message_id == messages.c.id)
        .order_by(messages.c.id)
    )
    known = {
        row.id: MessageRow(
            row.id,
            row.channel,
            row.seq,
            row.state,
            () if row.key_hash is None else (row.key_hash, *further.get(row.id, ())),
            bool(row.whole),
            corrected=row.body_revision > 0,
        )
        for row in connection.execute(kept)
    }
    sent = (
        select(
            deliveries.c.id,
            deliveries.c.message_id,
            deliveries.c.api,
            deliveries.c.state,
            deliveries.c.attempts,
            (requests.c.delivery_id.is_not(None) | bodies_gone.c.message_id.is_not(None)).label("whole"),
        )
        .outerjoin(bodies_gone, bodies_gone.c.message_id == deliveries.c.message_id)
        .outerjoin(requests, requests.c.delivery_id == deliveries.c.id)
        .order_by(deliveries.c.id)
    )
    made = {
        row.id: DeliveryRow(row.id, row.message_id, row.api, row.state, row.attempts, bool(row.whole))
        for row in connection.execute(sent)
    }
    done = frozenset((row.at_us, row.actor) for row in connection.execute(select(actions)))
    retained: dict[str, int] = {}
    sent_before = 0
    for row in connection.execute(select(gone)):
        if row.route:
            sent_before += row.number
        else:
            retained[row.channel] = retained.get(row.channel, 0) + row.number
    return History(known, made, repeat_safety, done, retained, sent_before)


def _steps(connection: Connection) -> Iterator[Step]:
    after = 0
    while True:
        rows = connection.execute(
            select(transitions)
            .where(transitions.c.id > after)
            .order_by(transitions.c.id)
            .limit(_ROWS_AT_ONCE)
        ).all()
        for row in rows:
            yield Step(
                row.message_id,
                row.delivery_id,
                row.from_state,
                row.to_state,
                row.at_us,
                row.actor,
                row.reason,
            )
        if len(rows) < _ROWS_AT_ONCE:
            return
        after = rows[-1].id


def _attempts(connection: Connection) -> Iterator[Attempt]:
    rows = connection.execute(select(attempts).order_by(attempts.c.delivery_id, attempts.c.number))
    for row in rows:
        yield Attempt(row.delivery_id, row.number, row.started_at_us, row.ended_at_us)


def _acknowledged(connection: Connection, seen: Iterable[tuple[str, str]]) -> Iterator[Violation]:
    wanted = set(seen)
    if not wanted:
        return
    kept = {
        (row.channel, row.control_id)
        for row in connection.execute(select(messages.c.channel, messages.c.control_id))
    }
    for channel, _ in sorted(wanted - kept):
        yield Violation("I1", f"channel {channel}", "acknowledged a message that is not there")


def _called(
    connection: Connection, history: History, calls: Iterable[tuple[str, str]]
) -> Iterator[Violation]:
    facts = Facts(connection)
    journal_id = facts.journal_id
    started = {
        row.sent_as or facts.sent_as(row.id, row.revision): row.id
        for row in connection.execute(
            select(deliveries.c.id, deliveries.c.revision, deliveries.c.sent_as).where(
                deliveries.c.attempts > 0
            )
        )
    }
    bytes_of: dict[str, str] = {}
    for key, digest in calls:
        name = key.removeprefix(f"{journal_id}-")
        number = int(name.partition("-")[0]) if name.partition("-")[0].isdigit() else 0
        if name not in started and not (number in history.deliveries and history.deliveries[number].attempts):
            yield Violation("I6", f"call {name}", "was seen by the API, and is not on disk as IN_FLIGHT")
        if bytes_of.setdefault(key, digest) != digest:
            yield Violation("I6", f"call {name}", "was made with other bytes than before")
