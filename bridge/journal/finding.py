"""Finding messages among millions: walked newest first, along an index where there is one, in bounded steps.

A search is a walk and a filter. The walk is the index that leaves least to look at: a key, a control ID, a
reason, a channel, a type, or else all messages. It goes in steps of `STEP_ROWS`, each in a transaction of its
own, so that nothing is held long, whoever watches sees how far it is, and memory does not grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, text, tuple_

from bridge.delivery.state import DELIVERY_OPEN, DeliveryState, MessageState
from bridge.journal.database import Facts
from bridge.journal.ledger import became
from bridge.journal.schema import (
    IS_OPEN,
    IS_RARE,
    answers,
    bodies,
    deliveries,
    messages,
    revised_bodies,
    search_keys,
)
from bridge.message import Microseconds

P = ParamSpec("P")
T = TypeVar("T")
Row = Mapping[str, Any]

STEP_ROWS = 10_000
"""So many messages one query looks at, at most, where no index answers all of the question."""
TEXT_ROWS = 64
"""So many bodies are in memory at once."""
CLOCK_ROWS = 1000
"""A clock that was set back lets times and ids differ: so many rows at either end are looked at for it."""
IDS_MAX = 2_000

WITH_ANSWERS = messages.outerjoin(answers, answers.c.message_id == messages.c.id)
LISTED = (
    messages.c.id,
    messages.c.channel,
    messages.c.seq,
    messages.c.received_at_us,
    messages.c.message_type,
    messages.c.control_id,
    messages.c.body_size_bytes,
    messages.c.state,
    messages.c.reason,
    messages.c.flags,
    messages.c.tolerated,
    messages.c.charset,
    messages.c.answer_code,
    answers.c.reached.label("answer_reached"),
    messages.c.duplicate_of,
)
_RARE_STATES = (
    frozenset(MessageState) - {MessageState.RECEIVED, MessageState.MAPPED} - frozenset(DeliveryState)
)
"""States of messages alone that have an index of their own."""
_IN_QUARANTINE = text("state = 'QUARANTINED'")
_WAITING = text("state = 'RECEIVED'")

Progress = Callable[[int], object]
"""Told how many more messages were looked at."""


class Reads(Protocol):
    """Runs a query in a transaction of its own."""

    def __call__(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs
    ) -> T: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None where it does not matter.

    ``state`` is one of a message or of a delivery, ``problem`` the reason of either. ``key`` is a search
    value, under the name ``key_name`` where that is given. ``since_us`` to ``until_us`` is when it came,
    the end not included; ``before`` is the id below which the search goes on.
    """

    channel: str | None = None
    control_id: str | None = None
    message_type: str | None = None
    state: str | None = None
    problem: str | None = None
    key: str | None = None
    key_name: str | None = None
    since_us: Microseconds | None = None
    until_us: Microseconds | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class _Walk:
    """Along which column, of which rows, under which conditions; and what else must be so.

    ``lead`` is the column that comes first in the index, with the one value of it that is walked along.
    """

    column: ColumnElement[int]
    source: Any
    along: tuple[Any, ...]
    filters: tuple[ColumnElement[bool], ...]
    lead: tuple[ColumnElement[str], str] | None = None

    def between(self, low: int, high: int) -> ColumnElement[bool]:
        """The condition for what stands between two places of the walk, both included.

        With a lead it compares pairs: so asked, a planner cannot walk along another index and look for the
        value on the way, which takes longest where nothing is found.
        """
        if self.lead is None:
            return and_(*self.along, self.column >= low, self.column <= high)
        column, value = self.lead
        pair = tuple_(column, self.column)
        return and_(*self.along, pair >= (value, low), pair <= (value, high))

    @property
    def newest_first(self) -> tuple[ColumnElement[Any], ...]:
        """The order of the walk."""
        return (self.column.desc(),) if self.lead is None else (self.lead[0].desc(), self.column.desc())


def find(reads: Reads, wanted: Wanted, *, limit: int, progress: Progress = lambda _: None) -> list[Row]:
    """The newest messages that fit, newest first, with what ``became`` of each. No bodies."""
    found: list[Row] = []
    for rows in pages(reads, wanted, limit=limit, progress=progress):
        found += rows
        if len(found) >= limit:
            break
    return found[:limit]


def pages(
    reads: Reads, wanted: Wanted, *, limit: int = STEP_ROWS, progress: Progress = lambda _: None
) -> Iterator[list[Row]]:
    """All that fits, newest first, some at a time; no page has more than ``limit``."""
    bounds = reads(_bounds, wanted)
    if bounds is None:
        return
    low, high = bounds
    walk = reads(_walk, wanted)
    at = high
    if walk.column is messages.c.seq:
        low, at = reads(_seq_bounds, wanted.channel or "", low, high)
    while at >= low:
        step = _Step(walk, low, at, limit)
        rows, at, looked = reads(step)
        progress(looked)
        if rows:
            yield rows


@dataclass(frozen=True, slots=True)
class _Step:
    walk: _Walk
    low: int
    high: int
    limit: int

    def __call__(self, connection: Connection) -> tuple[list[Row], int, int]:
        """The rows of a step, from where to go on, and how many were looked at."""
        walk = self.walk
        far: Select[Any] = (
            select(walk.column).select_from(walk.source).where(walk.between(self.low, self.high))
        )
        if walk.filters:
            last = connection.execute(
                far.order_by(*walk.newest_first).offset(STEP_ROWS - 1).limit(1)
            ).scalar()
            end = self.low if last is None else last
        else:
            end = self.low
        query = (
            select(*LISTED, walk.column.label("place"))
            .select_from(walk.source)
            .where(walk.between(end, self.high), *walk.filters)
            .order_by(*walk.newest_first)
            .limit(self.limit)
        )
        rows = [dict(row) for row in connection.execute(query).mappings()]
        full = len(rows) >= self.limit
        following = rows[-1]["place"] - 1 if full else end - 1
        for row in rows:
            del row["place"]
        looked = len(rows) if full or not walk.filters else STEP_ROWS
        return with_entries(connection, rows), following, looked


def _bounds(connection: Connection, wanted: Wanted) -> tuple[int, int] | None:
    """The ids between which the walk goes; None where nothing can fit."""
    newest = connection.execute(select(func.max(messages.c.id))).scalar() or 0
    high = newest if wanted.before is None else min(newest, wanted.before - 1)
    low = 1
    at = messages.c.received_at_us
    # Ids rise with time but for what a clock does that is set back.
    for since, until in ((wanted.since_us, None), (None, wanted.until_us)):
        if since is not None:
            near = select(messages.c.id).where(at >= since).order_by(at, messages.c.id).limit(CLOCK_ROWS)
            first = connection.execute(select(func.min(near.subquery().c.id))).scalar()
            if first is None:
                return None
            low = first
        if until is not None:
            near = (
                select(messages.c.id)
                .where(at < until)
                .order_by(at.desc(), messages.c.id.desc())
                .limit(CLOCK_ROWS)
            )
            last = connection.execute(select(func.max(near.subquery().c.id))).scalar()
            if last is None:
                return None
            high = min(high, last)
    return (low, high) if low <= high else None


def _walk(connection: Connection, wanted: Wanted) -> _Walk:
    """The best walk for a question; everything else becomes a filter."""
    equal = {
        name: column == value
        for name, column, value in (
            ("control_id", messages.c.control_id, wanted.control_id),
            ("channel", messages.c.channel, wanted.channel),
            ("message_type", messages.c.message_type, wanted.message_type),
        )
        if value is not None
    }
    filters, is_in_state = _in_time(wanted), _is_in_state(wanted.state)
    few: set[int] | None = None
    for one, condition in (
        (_in_state(connection, wanted.state), is_in_state),
        (_with_problem(connection, wanted.problem), _has_problem(wanted.problem)),
    ):
        if one is not None:
            few = one if few is None else few & one
        elif condition is not None:
            filters.append(condition)
    if wanted.key is not None:
        found_by = [search_keys.c.hash == Facts(connection).search_hash(wanted.key)]
        if few is not None:
            filters.append(messages.c.id.in_(few))
        if wanted.key_name is not None:
            found_by.append(search_keys.c.name == wanted.key_name)
        else:
            # A value may stand under several names; each message is found once.
            other = search_keys.alias("other")
            same = (other.c.hash == search_keys.c.hash, other.c.message_id == search_keys.c.message_id)
            first = select(func.min(other.c.name)).where(*same).scalar_subquery()
            found_by.append(search_keys.c.name == first)
        source = WITH_ANSWERS.join(search_keys, search_keys.c.message_id == messages.c.id)
        return _Walk(search_keys.c.message_id, source, tuple(found_by), (*equal.values(), *filters))
    if few is not None:
        return _Walk(messages.c.id, WITH_ANSWERS, (messages.c.id.in_(few),), (*equal.values(), *filters))
    if wanted.state in _RARE_STATES and "control_id" not in equal:
        lead = messages.c.state, wanted.state
        filters = [each for each in filters if each is not is_in_state]
        return _Walk(messages.c.id, WITH_ANSWERS, (IS_RARE,), (*equal.values(), *filters), lead)
    for name in ("control_id", "channel", "message_type"):
        if name in equal:
            del equal[name]
            column = messages.c.seq if name == "channel" else messages.c.id
            lead = messages.c[name], getattr(wanted, name)
            # As something computed: the index of another column would be taken, and all of it sorted.
            filters += [messages.c[other].concat("") == getattr(wanted, other) for other in equal]
            return _Walk(column, WITH_ANSWERS, (), tuple(filters), lead)
    return _Walk(messages.c.id, WITH_ANSWERS, (), tuple(filters))


def _in_time(wanted: Wanted) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if wanted.since_us is not None:
        filters.append(messages.c.received_at_us >= wanted.since_us)
    if wanted.until_us is not None:
        filters.append(messages.c.received_at_us < wanted.until_us)
    return filters


def _few(connection: Connection, queries: Sequence[Select[Any]]) -> set[int] | None:
    """The messages that queries give; None where they are too many to be held."""
    ids: set[int] = set()
    for query in queries:
        ids.update(connection.execute(query.limit(IDS_MAX + 1)).scalars())
        if len(ids) > IDS_MAX:
            return None
    return ids


def _in_state(connection: Connection, state: str | None) -> set[int] | None:
    """The messages in a state that has an index of its own, or with an open delivery in it."""
    of_message, of_delivery = select(messages.c.id), select(deliveries.c.message_id)
    if state == MessageState.RECEIVED:
        return _few(connection, [of_message.where(_WAITING)])
    if state == MessageState.QUARANTINED:
        return _few(connection, [of_message.where(_IN_QUARANTINE), of_delivery.where(_IN_QUARANTINE)])
    if state in DELIVERY_OPEN:
        return _few(connection, [of_delivery.where(IS_OPEN, deliveries.c.state == state)])
    return None


def _is_in_state(state: str | None) -> ColumnElement[bool] | None:
    """Whether a message is in this state, or has a delivery in it."""
    if state is None:
        return None
    ways: list[ColumnElement[bool]] = []
    if state in list(MessageState):
        ways.append(messages.c.state == state)
    if state in list(DeliveryState):
        ways.append(_has_a_delivery(deliveries.c.state == state))
    return or_(*ways)


def _with_problem(connection: Connection, reason: str | None) -> set[int] | None:
    """The messages with this reason of theirs, or of a delivery that is not done."""
    if not reason:
        return None
    return _few(
        connection,
        [
            select(messages.c.id).where(messages.c.reason == reason, text("reason <> ''")),
            select(deliveries.c.message_id).where(IS_OPEN, deliveries.c.reason == reason),
            select(deliveries.c.message_id).where(_IN_QUARANTINE, deliveries.c.reason == reason),
        ],
    )


def _has_problem(reason: str | None) -> ColumnElement[bool] | None:
    if not reason:
        return None
    of_it = _has_a_delivery(
        deliveries.c.reason == reason,
        deliveries.c.state.in_([*DELIVERY_OPEN, DeliveryState.QUARANTINED]),
    )
    return or_(messages.c.reason == reason, of_it)


def _has_a_delivery(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a message has such a delivery. Asked with a limit: an EXISTS is made one pass over them all."""
    of_it = select(deliveries.c.id).where(deliveries.c.message_id == messages.c.id, *conditions)
    return of_it.limit(1).scalar_subquery().is_not(None)


def _seq_bounds(connection: Connection, channel: str, low: int, high: int) -> tuple[int, int]:
    """The numbers of a channel's messages between two ids. Both rise together."""
    newest = connection.execute(
        select(func.max(messages.c.seq)).where(messages.c.channel == channel)
    ).scalar()
    if newest is None:
        return 1, 0
    return _first_seq(connection, channel, low, newest), _first_seq(connection, channel, high + 1, newest) - 1


def _first_seq(connection: Connection, channel: str, message_id: int, newest: int) -> int:
    """The lowest number whose message has this id or a higher one; one more than the newest for none."""
    low, high = 1, newest + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            select(messages.c.seq, messages.c.id)
            .where(messages.c.channel == channel, messages.c.seq >= middle)
            .order_by(messages.c.seq)
            .limit(1)
        ).first()
        if row is None or row.id >= message_id:
            high = middle
        else:
            low = row.seq + 1
    return low


# Text


def find_text(
    reads: Reads,
    wanted: Wanted,
    needle: str,
    *,
    limit: int,
    progress: Progress = lambda _: None,
) -> list[Row]:
    """The newest messages that fit and whose body holds a text, as it came or as it was corrected.

    Bodies are opened `TEXT_ROWS` at a time, whatever they are encrypted with. Case does not matter.
    """
    needles = spellings(needle)
    found: list[Row] = []
    for rows in pages(reads, wanted):
        for start in range(0, len(rows), TEXT_ROWS):
            some = rows[start : start + TEXT_ROWS]
            ids = [row["duplicate_of"] or row["id"] for row in some]
            holding = reads(_holding, ids, needles)
            found += [row for row, of in zip(some, ids, strict=True) if of in holding]
            progress(len(some))
            if len(found) >= limit:
                return found[:limit]
    return found


def spellings(needle: str) -> tuple[bytes, ...]:
    """How a text may stand in a body whose ASCII letters were made small.

    >>> spellings("Ölwin")
    (b'\\xc3\\x96lwin', b'\\xc3\\xb6lwin', b'\\xd6lwin', b'\\xf6lwin')
    """
    found = set()
    for written in (needle, needle.lower(), needle.upper()):
        for charset in ("utf-8", "cp1252", "latin-1"):
            try:
                found.add(written.encode(charset).lower())
            except UnicodeEncodeError:
                continue
    return tuple(sorted(found))


def _holding(connection: Connection, ids: Sequence[int], needles: Sequence[bytes]) -> set[int]:
    holding = set()
    for table in (bodies, revised_bodies):
        query = select(table.c.message_id, table.c.body).where(table.c.message_id.in_(list(ids)))
        for number, body in connection.execute(query):
            small = (body or b"").lower()
            if any(each in small for each in needles):
                holding.add(number)
    return holding


def with_entries(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[Row]:
    """Rows with what became of each message."""
    entries = became(connection, {row["id"]: row["state"] for row in rows})
    return [{**row, "became": entries[row["id"]]} for row in rows]


def newer(connection: Connection, after: int, limit: int) -> list[Row]:
    """The messages after an id, oldest first."""
    rows = connection.execute(
        select(*LISTED)
        .select_from(WITH_ANSWERS)
        .where(messages.c.id > after)
        .order_by(messages.c.id)
        .limit(limit)
    )
    return with_entries(connection, [dict(row) for row in rows.mappings()])
