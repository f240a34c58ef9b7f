"""Files that are collected of many deliveries: what waits for one, which were closed, and what was written.

A delivery waits as ACCEPTED, in the order of its row in `collected`. A file is closed by one row that names
the first and the last of them, so that all that comes later is another file's; what stands in between never
changes. It is written after that, as often as it takes to know that it is there, and then its deliveries end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from bridge.delivery.outcomes import COLLECTED
from bridge.delivery.state import DeliveryState
from bridge.journal.batch_schema import IS_UNWRITTEN, collected, collections
from bridge.journal.messages import keys_of_message
from bridge.journal.schema import deliveries, requests, revised_requests
from bridge.journal.statements import insert_rows, update_rows
from bridge.journal.transaction import Transaction, Work
from bridge.message import Microseconds

ENDED_AT_ONCE = 500
"""So many deliveries of a written file end in one transaction, so that none keeps senders waiting."""
COLLECTED_MAX_COUNT = 100_000
"""More deliveries than these never go into one file."""

_INSERT = insert_rows(collected)
_ENDED = update_rows(deliveries, "state", "reason")
_CALLED = update_rows(collected, "control")
AWAITED = "awaited"
"""Of a file that is written, and of which its receiver has not said all."""


class Joined(NamedTuple):
    """A delivery that waits for a file from now on."""

    api: str
    channel: str
    size_bytes: int


def join(tx: Transaction, items: Sequence[tuple[int, int, Joined, Microseconds]]) -> None:
    """Give deliveries their places, in the transaction that settles them: id, message, what it is, when."""
    if items:
        _behind_closed(tx)
    rows = [
        {
            "id": tx.next_id("collected"),
            "api": joined.api,
            "delivery_id": delivery_id,
            "message_id": message_id,
            "channel": joined.channel,
            "size_bytes": joined.size_bytes,
            "at_us": at_us,
            "control": None,
            "said": None,
        }
        for delivery_id, message_id, joined, at_us in items
    ]
    _INSERT.many(tx.connection, rows)


def _behind_closed(tx: Transaction) -> None:
    """Retention deletes places; one that a closed file has named is not given again."""
    newest = tx.connection.execute(select(func.max(collections.c.last))).scalar() or 0
    tx.counters["collected"] = max(tx.counters["collected"], newest)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What waits for the next file of an API: how much, since when, and of which channels."""

    count: int
    size_bytes: int
    oldest_at_us: Microseconds
    channels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Collection:
    """A file that was closed. ``number`` counts the files of its API, nothing else has its ``sent_as``,
    ``why`` is what closed it; ``name`` is empty and ``written_at_us`` None until it is written.

    ``control_number`` counts the files for its ``partner``, by whichever API; None where an older bridge has
    closed it, and its ``number`` is what it says. ``acknowledged`` is empty where nobody acknowledges it, and
    what was said of it is due by ``due_at_us``; ``codes`` are what its receiver said with it."""

    collection_id: int
    api: str
    number: int
    first: int
    last: int
    count: int
    sent_as: str
    why: str
    closed_at_us: Microseconds
    name: str
    sha256: bytes
    size_bytes: int
    totals: str
    written_at_us: Microseconds | None
    partner: str
    control_number: int | None
    acknowledged: str
    due_at_us: Microseconds | None
    acknowledged_at_us: Microseconds | None
    codes: str

    @property
    def control(self) -> int:
        """What the file says of itself as its number."""
        return self.number if self.control_number is None else self.control_number


class Member(NamedTuple):
    """A delivery of a file: its place, and its request."""

    place: int
    request: bytes


def _after_closed(connection: Connection, api: str) -> int:
    """The last place of an API that is in a closed file; 0 for none."""
    found: int | None = connection.execute(
        select(collections.c.last)
        .where(collections.c.api == api)
        .order_by(collections.c.number.desc())
        .limit(1)
    ).scalar()
    return found or 0


def gathered(connection: Connection, api: str) -> Gathered:
    """What waits for the next file of an API."""
    after = _after_closed(connection, api)
    rows = connection.execute(
        select(
            collected.c.channel,
            func.count().label("number"),
            func.sum(collected.c.size_bytes).label("size"),
            func.min(collected.c.at_us).label("oldest"),
        )
        .where(collected.c.api == api, collected.c.id > after)
        .group_by(collected.c.channel)
    ).all()
    return Gathered(
        sum(row.number for row in rows),
        int(sum(row.size for row in rows)),
        min((row.oldest for row in rows), default=0),
        frozenset(row.channel for row in rows),
    )


def waiting_for_files(connection: Connection) -> dict[str, Gathered]:
    """What waits for the next file, by API."""
    apis = connection.execute(select(collected.c.api).distinct().order_by(collected.c.api)).scalars().all()
    found = {api: gathered(connection, api) for api in apis}
    return {api: each for api, each in found.items() if each.count}


def unwritten(connection: Connection, api: str) -> list[Collection]:
    """The files of an API that were closed and are not known to be written, in order."""
    rows = connection.execute(
        select(collections).where(collections.c.api == api, IS_UNWRITTEN).order_by(collections.c.id)
    )
    return [collection_of(row) for row in rows]


def newest_collections(connection: Connection, api: str | None, limit: int) -> list[Collection]:
    """The newest files that were closed, of one API or of all."""
    query = select(collections).order_by(collections.c.id.desc()).limit(limit)
    return [
        collection_of(row)
        for row in connection.execute(query if api is None else query.where(collections.c.api == api))
    ]


def members(connection: Connection, collection: Collection, after: int, limit: int) -> list[Member]:
    """The next deliveries of a file, behind a place, with what is sent of each."""
    rows = connection.execute(
        select(collected.c.id, func.coalesce(revised_requests.c.request, requests.c.request).label("request"))
        .join(deliveries, deliveries.c.id == collected.c.delivery_id)
        .outerjoin(requests, requests.c.delivery_id == deliveries.c.id)
        .outerjoin(
            revised_requests,
            (revised_requests.c.delivery_id == deliveries.c.id)
            & (revised_requests.c.revision == deliveries.c.revision),
        )
        .where(collected.c.api == collection.api, collected.c.id > after, collected.c.id <= collection.last)
        .order_by(collected.c.id)
        .limit(limit)
    )
    return [Member(row.id, row.request) for row in rows]


class Waiting(NamedTuple):
    """A delivery that waits for a file: its place, and its number."""

    place: int
    delivery_id: int


def waiting_members(connection: Connection, api: str, after: int, limit: int) -> list[Waiting]:
    """The next deliveries that wait for a file of an API, behind a place."""
    rows = connection.execute(
        select(collected.c.id, collected.c.delivery_id)
        .where(collected.c.api == api, collected.c.id > max(after, _after_closed(connection, api)))
        .order_by(collected.c.id)
        .limit(limit)
    )
    return [Waiting(*row) for row in rows]


class LeftOut(NamedTuple):
    """A delivery that does not go into the file that is closed: it waits for a later one, or becomes what
    ``becomes`` says, SUPPRESSED or QUARANTINED."""

    place: int
    delivery_id: int
    reason: str
    becomes: DeliveryState | None


class Closing(NamedTuple):
    """Close a file of an API with what waits for it: of a count from least to most, and of so many bytes but
    for the first of them. ``partner`` is whom it goes to, with the lowest control number for that; empty
    where its files have none. What is ``left_out`` is so also where too few are left to close it."""

    api: str
    partner: tuple[str, int]
    least_and_most: tuple[int, int]
    bytes_max: int
    why: str
    at_us: Microseconds
    left_out: tuple[LeftOut, ...] = ()


class Rested(NamedTuple):
    """A collected delivery that waits for no file any more: what it is now and why, and the keys that it bars
    if that is QUARANTINED."""

    channel: str
    route: str
    message_id: int
    delivery_id: int
    state: DeliveryState
    reason: str
    keys: tuple[bytes, ...] = ()


class Closed(NamedTuple):
    """The file that was closed, None where too few wait for one; and what goes into none."""

    collection: Collection | None
    apart: list[Rested]


def _close(tx: Transaction, items: Sequence[Closing]) -> list[Closed]:
    closed = []
    for each in items:
        newest = tx.connection.execute(select(func.max(collected.c.id))).scalar() or 0
        apart = _leave_out(tx, each)
        closed.append(Closed(_close_one(tx, each, newest), apart))
    return closed


def _leave_out(tx: Transaction, each: Closing) -> list[Rested]:
    """Give places of what waits on to the end, and take out what may not go at all."""
    after, apart = _after_closed(tx.connection, each.api), []
    if each.left_out:
        _behind_closed(tx)
    for left in each.left_out:
        place = collected.c.id == left.place
        row = tx.connection.execute(
            select(deliveries.c.channel, deliveries.c.route, deliveries.c.message_id, deliveries.c.state)
            .join(collected, collected.c.delivery_id == deliveries.c.id)
            .where(place, collected.c.id > after, deliveries.c.id == left.delivery_id)
        ).one_or_none()
        if row is None or row.state != DeliveryState.ACCEPTED:
            continue
        if left.becomes is None:
            moved = update(collected).where(place).values(id=tx.next_id("collected"), at_us=each.at_us)
            tx.connection.execute(moved)
            continue
        tx.connection.execute(delete(collected).where(place))
        state = left.becomes
        tx.transition(row.message_id, left.delivery_id, row.state, state, each.at_us, left.reason)
        _ENDED.many(tx.connection, [{"id": left.delivery_id, "state": str(state), "reason": left.reason}])
        keys = keys_of_message(tx.connection, row.message_id) if state is DeliveryState.QUARANTINED else ()
        its = row.channel, row.route, row.message_id, left.delivery_id
        apart.append(Rested(*its, state, left.reason, keys))
    return apart


def _close_one(tx: Transaction, each: Closing, newest_place: int) -> Collection | None:
    after = _after_closed(tx.connection, each.api)
    rows = tx.connection.execute(
        select(collected.c.id, collected.c.delivery_id, collected.c.size_bytes)
        .where(collected.c.api == each.api, collected.c.id > after, collected.c.id <= newest_place)
        .order_by(collected.c.id)
        .limit(min(each.least_and_most[1], COLLECTED_MAX_COUNT))
    ).all()
    if len(rows) < each.least_and_most[0]:
        return None
    size, taken = 0, 0
    for row in rows:
        if taken and size + row.size_bytes > each.bytes_max:
            break
        size, taken = size + row.size_bytes, taken + 1
    if not taken:
        return None
    newest = select(func.max(collections.c.number)).where(collections.c.api == each.api)
    number = (tx.connection.execute(newest).scalar() or 0) + 1
    row_of: dict[str, Any] = {
        "id": tx.next_id("collections"),
        "api": each.api,
        "number": number,
        "first": rows[0].id,
        "last": rows[taken - 1].id,
        "count": taken,
        # Revision 0 is no delivery's own, so that a file is sent as nothing else is.
        "sent_as": tx.facts.sent_as(rows[0].delivery_id, 0),
        "why": each.why,
        "closed_at_us": each.at_us,
        "name": "",
        "sha256": b"",
        "size_bytes": 0,
        "totals": "",
        "written_at_us": None,
        "partner": each.partner[0],
        "control_number": _control_number(tx.connection, each) if each.partner[0] else number,
        "acknowledged": "",
        "due_at_us": None,
        "acknowledged_at_us": None,
        "codes": "",
    }
    tx.connection.execute(insert(collections), row_of)
    return Collection(row_of.pop("id"), **row_of)


def _control_number(connection: Connection, each: Closing) -> int:
    """The next for a partner, whichever API has sent the file before; an older bridge counted by API."""
    of_partner = collections.c.partner == each.partner[0]
    of_older = (collections.c.api == each.api) & (collections.c.partner == "")
    used = func.coalesce(collections.c.control_number, collections.c.number)
    newest: int = connection.execute(select(func.max(used)).where(of_partner | of_older)).scalar() or 0
    return max(newest + 1, each.partner[1])


CLOSE_COLLECTION: Work[Closing, Closed] = Work("close-collection", _close)
"""Close a file, without what may not go into it."""


class Written(NamedTuple):
    """A closed file is there: end the next of its deliveries, behind a place, of which so many are ``done``.
    Where its receiver says what becomes of them within ``within_us``, they wait for that instead, each by
    what it is called in the file, ``controls``."""

    collection: Collection
    after: int
    done: int
    controls: Sequence[str]
    within_us: int | None
    name: str
    sha256: bytes
    size_bytes: int
    totals: str
    at_us: Microseconds


class EndedSome(NamedTuple):
    """Which deliveries have ended with their file, up to which place, and how many of the file are done."""

    ended: list[Rested]
    last: int
    done: int


def _written(tx: Transaction, items: Sequence[Written]) -> list[EndedSome]:
    return [_end_some(tx, each) for each in items]


def _end_some(tx: Transaction, each: Written) -> EndedSome:
    collection = each.collection
    rows = tx.connection.execute(
        select(
            collected.c.id,
            deliveries.c.channel,
            deliveries.c.route,
            deliveries.c.message_id,
            deliveries.c.id.label("delivery_id"),
            deliveries.c.state,
        )
        .join(deliveries, deliveries.c.id == collected.c.delivery_id)
        .where(
            collected.c.api == collection.api,
            collected.c.id > max(each.after, collection.first - 1),
            collected.c.id <= collection.last,
        )
        .order_by(collected.c.id)
        .limit(ENDED_AT_ONCE)
    ).all()
    reason, at_us = f"in file {collection.number}", each.at_us
    waits, state = each.within_us is not None, DeliveryState.DELIVERED
    ended = [row for row in rows if row.state == DeliveryState.ACCEPTED and not waits]
    for row in ended:
        tx.transition(row.message_id, row.delivery_id, row.state, state, at_us, reason)
    _ENDED.many(
        tx.connection, [{"id": row.delivery_id, "state": str(state), "reason": reason} for row in ended]
    )
    done = each.done + len(rows)
    if waits:
        called = zip(rows, each.controls[each.done : done], strict=True)
        _CALLED.many(tx.connection, [{"id": row.id, "control": control} for row, control in called])
    last = rows[-1].id if rows else collection.last
    if last == collection.last:
        tx.connection.execute(
            update(collections)
            .where(collections.c.id == collection.collection_id)
            .values(
                name=each.name,
                sha256=each.sha256,
                size_bytes=each.size_bytes,
                totals=each.totals,
                written_at_us=at_us,
                acknowledged=AWAITED if waits else "",
                due_at_us=None if each.within_us is None else at_us + each.within_us,
            )
        )
    told = [
        Rested(row.channel, row.route, row.message_id, row.delivery_id, state, COLLECTED) for row in ended
    ]
    return EndedSome(told, last, done)


END_COLLECTED: Work[Written, EndedSome] = Work("end-collected", _written)
"""End deliveries of a file that is there, or note that they wait for what its receiver says; and with the
last of them the file."""


def collection_of(row: Row[Any]) -> Collection:
    """A file, of its row."""
    values = dict(row._mapping)
    return Collection(values.pop("id"), **values)
