"""Retention: what is over and old enough goes, in small batches between other work; counts of it stay.

A message may go when nothing of it is open or waits for anybody, its last step is old enough, no younger
repeat takes its body from it, and nothing of it is under legal hold. The ledger counts what went as it
counted it before, `schema.gone`, so that it balances for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    Select,
    and_,
    any_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from bridge.delivery.state import DELIVERY_OPEN, DeliveryState, MessageState
from bridge.journal.ledger import became, entry_of
from bridge.journal.legal_holds import held_channels, held_hashes
from bridge.journal.schema import (
    answers,
    attempts,
    bodies,
    bodies_gone,
    deliveries,
    facts,
    file_messages,
    gone,
    messages,
    more_keys,
    owed_answers,
    requests,
    revised_bodies,
    revised_requests,
    search_keys,
    taken_files,
    transitions,
)
from bridge.journal.stage_schema import feeds, outputs, pairs
from bridge.journal.triggers import RETAINING
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

LOOKED_AT_MAX = 500
"""So many messages one transaction looks at, and deletes, at most."""
UNDECIDED = (MessageState.RECEIVED, MessageState.QUARANTINED)
UNSETTLED = (*sorted(DELIVERY_OPEN), DeliveryState.QUARANTINED)
NEVER_TRANSLATED = (MessageState.REFUSED, MessageState.IGNORED)

What = Literal["messages", "bodies"]


@dataclass(frozen=True, slots=True)
class Retire:
    """Of these messages of a channel, what may go: all of them, or their content only.

    ``before_us`` is when their last step must have been over.
    """

    what: What
    channel: str
    ids: tuple[int, ...]
    before_us: Microseconds
    at_us: Microseconds


@dataclass(frozen=True, slots=True)
class Page:
    """Messages of a channel to look at, the number to go on after, and whether any is old enough."""

    ids: tuple[int, ...]
    after: int
    any_old: bool


def page(connection: Connection, channel: str, after: int, before_us: Microseconds, most: int) -> Page:
    """The next messages of a channel in their order, those that came before a time."""
    rows = connection.execute(
        select(messages.c.id, messages.c.seq, messages.c.received_at_us)
        .where(messages.c.channel == channel, messages.c.seq > after)
        .order_by(messages.c.seq)
        .limit(min(most, LOOKED_AT_MAX))
    ).all()
    old = tuple(row.id for row in rows if row.received_at_us < before_us)
    return Page(old, rows[-1].seq if rows else after, bool(old))


def may_go(connection: Connection, what: What, channel: str, ids: Sequence[int], before_us: int) -> list[Any]:
    """Those of the messages that may go now, as rows with ``id`` and ``state``."""
    if not ids or channel in held_channels(connection):
        return []
    rows = connection.execute(_fitting(connection, what, channel, ids, before_us)).all()
    return list(rows)


def _fitting(
    connection: Connection, what: What, channel: str, ids: Sequence[int], before_us: int
) -> Select[Any]:
    message, repeat = messages.c, messages.alias("repeat")
    last_of_channel = select(func.max(messages.c.seq)).where(messages.c.channel == channel).scalar_subquery()
    last_delivery = (
        select(deliveries.c.message_id).order_by(deliveries.c.id.desc()).limit(1).scalar_subquery()
    )
    against = [
        select(deliveries.c.id).where(
            deliveries.c.message_id == message.id, deliveries.c.state.in_(UNSETTLED)
        ),
        select(transitions.c.id).where(
            transitions.c.message_id == message.id, transitions.c.at_us >= before_us
        ),
        select(owed_answers.c.message_id).where(
            owed_answers.c.message_id == message.id, owed_answers.c.state.in_(("OWED", "WAITING"))
        ),
        select(file_messages.c.message_id)
        .join(taken_files, taken_files.c.id == file_messages.c.file_id)
        .where(file_messages.c.message_id == message.id, taken_files.c.settled == 0),
        select(feeds.c.id).where(feeds.c.message_id == message.id, feeds.c.state == "OWED"),
        select(pairs.c.id).where(pairs.c.message_id == message.id, pairs.c.state != "COMPARED"),
        # A younger repeat has its body from here, and a replay that waits its keys.
        select(repeat.c.id).where(
            repeat.c.duplicate_of == message.id,
            repeat.c.duplicate_of.is_not(None),
            repeat.c.received_at_us >= before_us,
        ),
        select(repeat.c.id).where(
            repeat.c.replay_of == message.id, repeat.c.replay_of.is_not(None), repeat.c.state == "RECEIVED"
        ),
    ]
    query = select(message.id, message.state).where(
        message.id.in_(list(ids)),
        message.channel == channel,
        message.received_at_us < before_us,
        message.state.not_in(UNDECIDED),
        *(~each.exists() for each in against),
    )
    if held := held_hashes(connection):
        of = func.coalesce(message.duplicate_of, message.id)
        about = select(search_keys.c.message_id).where(
            search_keys.c.message_id == of, search_keys.c.hash.in_(held)
        )
        # Whom it is about is not known of what was never translated, so it stays as long as any key is held.
        query = query.where(~about.exists(), message.state.not_in(NEVER_TRANSLATED))
    if what == "bodies":
        return query.where(
            ~select(bodies_gone.c.message_id).where(bodies_gone.c.message_id == message.id).exists()
        )
    # Numbers and ids go on from the highest that are there, so these stay.
    return query.where(
        message.seq < last_of_channel, or_(last_delivery.is_(None), message.id != last_delivery)
    )


def _retire(tx: Transaction, items: Sequence[Retire]) -> list[int]:
    return [_retire_some(tx.connection, each) for each in items]


def _retire_some(connection: Connection, each: Retire) -> int:
    rows = may_go(connection, each.what, each.channel, each.ids, each.before_us)
    if not rows:
        return 0
    ids = [row.id for row in rows]
    sent = connection.execute(
        select(deliveries.c.id, deliveries.c.route, deliveries.c.state).where(
            deliveries.c.message_id.in_(ids)
        )
    ).all()
    if each.what == "bodies":
        _delete(connection, _content(ids, [row.id for row in sent]))
        connection.execute(
            insert(bodies_gone), [{"message_id": number, "at_us": each.at_us} for number in ids]
        )
        return len(ids)
    counts = Counter(
        ("", entry) for entry in became(connection, {row.id: row.state for row in rows}).values()
    )
    counts.update((row.route, entry_of(row.state)) for row in sent)
    for (route, entry), number in counts.items():
        _count(connection, each.channel, route, entry, number)
    of_delivery = [row.id for row in sent]
    connection.execute(insert(facts).values(name=RETAINING, value=b"1"))
    _delete(
        connection,
        [
            *_content(ids, of_delivery),
            (attempts.c.delivery_id, of_delivery),
            *((table.c.message_id, ids) for table in _OF_A_MESSAGE),
            (messages.c.id, ids),
        ],
    )
    connection.execute(delete(facts).where(facts.c.name == RETAINING))
    return len(ids)


_OF_A_MESSAGE = (
    deliveries,
    transitions,
    more_keys,
    search_keys,
    answers,
    owed_answers,
    file_messages,
    bodies_gone,
    feeds,
    pairs,
)


def _content(ids: Sequence[int], delivery_ids: Sequence[int]) -> list[tuple[Column[int], Sequence[int]]]:
    return [
        (requests.c.delivery_id, delivery_ids),
        (revised_requests.c.delivery_id, delivery_ids),
        (revised_bodies.c.message_id, ids),
        (bodies.c.message_id, ids),
        (outputs.c.message_id, ids),
    ]


def _delete(connection: Connection, gone_by: Sequence[tuple[Column[int], Sequence[int]]]) -> None:
    """Run them all; PostgreSQL in one statement, since senders would wait for each round trip."""
    if connection.dialect.name != "postgresql":
        for column, ids in gone_by:
            connection.execute(delete(column.table).where(column.in_(list(ids))))
        return
    # An array is one value: the text of the statement is the same each time, and planned once.
    parts = [
        delete(column.table).where(column == any_(bindparam(None, list(ids), ARRAY(BigInteger))))
        for column, ids in gone_by
        if ids
    ]
    connection.execute(
        select(literal(1)).add_cte(*(each.cte(f"part_{number}") for number, each in enumerate(parts)))
    )


def _count(connection: Connection, channel: str, route: str, entry: str, number: int) -> None:
    this = and_(gone.c.channel == channel, gone.c.route == route, gone.c.entry == entry)
    done = connection.execute(update(gone).where(this).values(number=gone.c.number + number))
    if not done.rowcount:
        connection.execute(insert(gone).values(channel=channel, route=route, entry=entry, number=number))


RETIRE: Work[Retire, int] = Work("retire", _retire)
"""Delete what may go; how many messages that were."""
