"""Retention: what is over and old enough goes, in small batches between other work; counts of it stay.

A message may go when nothing of it is open or waits for anybody, its last step is old enough, no younger
repeat takes its body from it, and nothing of it is held, as `legal_holds.held` says. The ledger counts what
went as it counted it before, `schema.gone`, so that it balances for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, get_args

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Delete,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from bridge.delivery.state import DELIVERY_OPEN, DeliveryState, MessageState
from bridge.journal.batch_schema import collected
from bridge.journal.capture_schema import captured, confirmations, refusals
from bridge.journal.disclosing import ALSO_ABOUT, OUTCOME, WENT
from bridge.journal.file_schema import file_messages, taken_files
from bridge.journal.flow_schema import flow_steps
from bridge.journal.ledger import became, entry_of
from bridge.journal.legal_holds import held
from bridge.journal.newness_schema import newest_told, newness
from bridge.journal.schema import (
    answers,
    attempts,
    bodies,
    bodies_gone,
    deliveries,
    facts,
    gone,
    messages,
    more_keys,
    owed_answers,
    requests,
    revised_bodies,
    revised_requests,
    search_keys,
    transitions,
)
from bridge.journal.stage_schema import feeds, outputs, pairs
from bridge.journal.statements import ForIds, among
from bridge.journal.triggers import RETAINING
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

LOOKED_AT_MAX = 500
"""So many messages one transaction looks at, and deletes, at most."""
LOOKED_BEYOND_MESSAGES = 10_000
UNDECIDED = (MessageState.RECEIVED, MessageState.QUARANTINED)
UNSETTLED = (*sorted(DELIVERY_OPEN), DeliveryState.QUARANTINED)
MAYBE_UNTRANSLATED = (
    MessageState.REFUSED,
    MessageState.IGNORED,
    MessageState.RELAYED,
    MessageState.DISCARDED,
)
"""States that a message may reach without being translated; it then has no keys."""

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


def beyond(connection: Connection, channel: str, after: int, before_us: Microseconds) -> Page | None:
    """A look at the next `LOOKED_BEYOND_MESSAGES` of a channel, without their ids: what to go on after, which
    is just before the first that is old enough. None where the channel has no more.

    Messages are numbered as they came, and yet a clock that was ahead leaves old ones behind younger ones.
    """
    rows = (
        select(messages.c.seq, messages.c.received_at_us)
        .where(messages.c.channel == channel, messages.c.seq > after)
        .order_by(messages.c.seq)
        .limit(LOOKED_BEYOND_MESSAGES)
        .subquery()
    )
    old = func.min(case((rows.c.received_at_us < before_us, rows.c.seq)))
    first, last = connection.execute(select(old, func.max(rows.c.seq))).one()
    if last is None:
        return None
    return Page((), last if first is None else first - 1, first is not None)


def last_step_us(connection: Connection) -> Microseconds | None:
    """When the newest change of a state was written; None in a journal without any."""
    newest = select(transitions.c.at_us).order_by(transitions.c.id.desc()).limit(1)
    return connection.execute(newest).scalar()


def _may_go(connection: Connection, each: Retire) -> list[Any]:
    """Those of the messages that may go now, as rows with ``id`` and ``state``."""
    if not each.ids or each.channel in (holds := held(connection)).channels:
        return []
    fitting = _FITTING[each.what]
    known = {"channel": each.channel, "before_us": each.before_us}
    rows = fitting.run(connection, {"ids": each.ids}, known).all()
    if rows and holds.hashes:
        free = set(connection.execute(_not_about(holds.hashes, [row.id for row in rows])).scalars())
        rows = [row for row in rows if row.id in free]
    return list(rows)


def _not_about(hashes: Sequence[bytes], ids: Sequence[int]) -> Select[Any]:
    """Which of the messages have none of the keys about which nothing may go."""
    of, first = func.coalesce(messages.c.duplicate_of, messages.c.id), messages.alias("first")
    known = select(search_keys.c.message_id).where(search_keys.c.message_id == of)
    untranslated = select(first.c.id).where(first.c.id == of, first.c.state.in_(MAYBE_UNTRANSLATED))
    # Whom it is about is not known of what was never translated, so it stays as long as any key is held.
    return select(messages.c.id).where(
        messages.c.id.in_(ids),
        ~known.where(search_keys.c.hash.in_(hashes)).exists(),
        known.exists() | ~untranslated.exists(),
    )


def _fitting(dialect: str, what: What) -> Select[Any]:
    # Looked up by their ids before anything else is asked: both would read the whole channel instead.
    looked_at = (
        select(messages.c.id, messages.c.state, messages.c.channel, messages.c.seq, messages.c.received_at_us)
        .where(among(dialect, messages.c.id, "ids"))
        .cte("looked_at")
        .prefix_with("MATERIALIZED")
    )
    message, repeat = looked_at.c, messages.alias("repeat")
    channel, before_us = (
        bindparam("channel", type_=message.channel.type),
        bindparam("before_us", type_=BigInteger),
    )
    last_of_channel = select(func.max(messages.c.seq)).where(messages.c.channel == channel).scalar_subquery()
    last_delivery = (
        select(deliveries.c.message_id).order_by(deliveries.c.id.desc()).limit(1).scalar_subquery()
    )
    against = [
        select(deliveries.c.id).where(
            deliveries.c.message_id == message.id, deliveries.c.state.in_(_literals(UNSETTLED))
        ),
        select(transitions.c.id).where(
            transitions.c.message_id == message.id, transitions.c.at_us >= before_us
        ),
        select(owed_answers.c.message_id).where(
            owed_answers.c.message_id == message.id, owed_answers.c.state.in_(_literals(("OWED", "WAITING")))
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
        message.channel == channel,
        message.received_at_us < before_us,
        message.state.not_in(_literals(UNDECIDED)),
        *(~each.exists() for each in against),
    )
    if what == "bodies":
        return query.where(
            ~select(bodies_gone.c.message_id).where(bodies_gone.c.message_id == message.id).exists()
        )
    # Numbers and ids go on from the highest that are there, so these stay; and so does whatever an answer
    # gave that something which waits for its turn may need. The states stand in the text: with parameters
    # no plan can see that the indexes of what is open, and of what is in quarantine, hold all that is asked.
    gave, waits = deliveries.alias("gave"), deliveries.alias("waits")
    needed = [
        select(captured.c.name)
        .join(gave, gave.c.id == captured.c.delivery_id)
        .where(
            gave.c.message_id == message.id,
            select(waits.c.id)
            .where(waits.c.api == captured.c.api, waits.c.key_hash == gave.c.key_hash, waiting)
            .exists(),
        )
        for waiting in (
            waits.c.state.in_([literal_column(f"'{state}'") for state in sorted(DELIVERY_OPEN)]),
            waits.c.state == literal_column(f"'{DeliveryState.QUARANTINED}'"),
        )
    ]
    return query.where(
        message.seq < last_of_channel,
        or_(last_delivery.is_(None), message.id != last_delivery),
        *(~each.exists() for each in needed),
    )


def _literals(words: Sequence[str]) -> list[ColumnElement[str]]:
    return [literal(str(word)) for word in words]


_FITTING: Final[Mapping[What, ForIds]] = {
    what: ForIds(partial(_fitting, what=what)) for what in get_args(What)
}


def _retire(tx: Transaction, items: Sequence[Retire]) -> list[int]:
    return [_retire_some(tx, each) for each in items]


def _retire_some(tx: Transaction, each: Retire) -> int:
    connection = tx.connection
    _plan_once(connection)
    rows = _may_go(connection, each)
    if not rows:
        return 0
    ids = [row.id for row in rows]
    sent = _SENT.run(connection, {"ids": ids}).all()
    gone_by = {"ids": ids, "delivery_ids": [row.delivery_id for row in sent]}
    if each.what == "bodies":
        _delete(connection, "bodies", gone_by)
        connection.execute(
            insert(bodies_gone), [{"message_id": number, "at_us": each.at_us} for number in ids]
        )
        return len(ids)
    counts = Counter(
        ("", entry) for entry in became(connection, {row.id: row.state for row in rows}).values()
    )
    counts.update((row.route, entry_of(row.state)) for row in sent)
    _count(connection, each.channel, counts)
    also = _SENT_ALSO_ABOUT.run(connection, {"ids": ids}).all()
    tx.disclose([row for row in (*sent, *also) if row.at_us is not None and row.patient is not None])
    tx.retire(_STEPS.run(connection, {"ids": ids}).scalars().all(), each.at_us)
    connection.execute(insert(facts).values(name=RETAINING, value=b"1"))
    _delete(connection, "messages", gone_by)
    connection.execute(delete(facts).where(facts.c.name == RETAINING))
    return len(ids)


def _plan_once(connection: Connection) -> None:
    """For this transaction PostgreSQL keeps the plans of prepared statements; planning takes it longer
    than what it plans. All look for few rows by an index, so a plan that a small table had must not scan."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "SELECT set_config('plan_cache_mode', 'force_generic_plan', true), "
            "set_config('enable_seqscan', 'off', true)"
        )


_STEPS: Final = ForIds(
    lambda dialect: select(transitions.c.id).where(among(dialect, transitions.c.message_id, "ids"))
)


def _sent(dialect: str, *, also_about: bool = False) -> Select[Any]:
    """Deliveries, with the time at which they last went, each with its first patient or all others."""
    last_us = (
        select(func.max(attempts.c.ended_at_us))
        .where(attempts.c.delivery_id == deliveries.c.id, WENT)
        .scalar_subquery()
    )
    columns = (
        deliveries.c.route,
        deliveries.c.state,
        (search_keys.c.hash if also_about else deliveries.c.patient).label("patient"),
        deliveries.c.message_id,
        deliveries.c.id.label("delivery_id"),
        deliveries.c.api,
        deliveries.c.operation,
        deliveries.c.mapping,
        deliveries.c.mapping_digest,
        OUTCOME.label("outcome"),
        last_us.label("at_us"),
    )
    query = select(*columns).where(among(dialect, deliveries.c.message_id, "ids"))
    return query.join(search_keys, ALSO_ABOUT) if also_about else query


_SENT: Final = ForIds(_sent)
_SENT_ALSO_ABOUT: Final = ForIds(partial(_sent, also_about=True))
_CONTENT: Final = (
    flow_steps.c.delivery_id,
    refusals.c.delivery_id,
    requests.c.delivery_id,
    revised_requests.c.delivery_id,
    revised_bodies.c.message_id,
    bodies.c.message_id,
    outputs.c.message_id,
)
_ALL: Final = (
    *_CONTENT,
    attempts.c.delivery_id,
    newness.c.delivery_id,
    newest_told.c.delivery_id,
    collected.c.delivery_id,
    captured.c.delivery_id,
    confirmations.c.delivery_id,
    deliveries.c.message_id,
    transitions.c.message_id,
    more_keys.c.message_id,
    search_keys.c.message_id,
    answers.c.message_id,
    owed_answers.c.message_id,
    file_messages.c.message_id,
    bodies_gone.c.message_id,
    feeds.c.message_id,
    pairs.c.message_id,
    messages.c.id,
)
_GONE_BY: Final[Mapping[What, Sequence[Column[int]]]] = {"bodies": _CONTENT, "messages": _ALL}


def _deleting(dialect: str, column: Column[int]) -> Delete:
    name = "delivery_ids" if column.name == "delivery_id" else "ids"
    return delete(column.table).where(among(dialect, column, name))


def _deleting_all(dialect: str, columns: Sequence[Column[int]]) -> Select[Any]:
    parts = (_deleting(dialect, column).cte(f"part_{at}") for at, column in enumerate(columns))
    return select(literal(1)).add_cte(*parts)


_AT_ONCE: Final = {
    what: ForIds(partial(_deleting_all, columns=columns)) for what, columns in _GONE_BY.items()
}
_ONE_BY_ONE: Final = {
    what: [ForIds(partial(_deleting, column=column)) for column in columns]
    for what, columns in _GONE_BY.items()
}


def _delete(connection: Connection, what: What, gone_by: Mapping[str, Sequence[int]]) -> None:
    """Delete rows everywhere; PostgreSQL in one statement, since senders would wait for each round trip."""
    if connection.dialect.name == "postgresql":
        _AT_ONCE[what].run(connection, gone_by)
    else:
        for each in _ONE_BY_ONE[what]:
            each.run(connection, gone_by)


def _count(connection: Connection, channel: str, counts: Mapping[tuple[str, str], int]) -> None:
    """Add to what has gone of a channel, by route and entry."""
    insert_ = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
    more = insert_(gone)
    number = gone.c.number + more.excluded.number
    connection.execute(
        more.on_conflict_do_update(index_elements=["channel", "route", "entry"], set_={"number": number}),
        [
            {"channel": channel, "route": route, "entry": entry, "number": count}
            for (route, entry), count in counts.items()
        ],
    )


RETIRE: Work[Retire, int] = Work("retire", _retire)
"""Delete what may go; how many messages that were."""
