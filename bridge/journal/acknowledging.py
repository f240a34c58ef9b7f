"""Files whose receivers acknowledge them: which are awaited, which one is meant, and what was said of each.

What is said of a delivery stands in its row of `collected`, once; its state follows in the same transaction.
A file is over once something was said of all of it.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from sqlalchemy import Connection, func, select, update

from bridge.delivery.state import SET_ASIDE, DeliveryState
from bridge.formats.acknowledged import (
    AMBIGUOUS,
    FILE_NOT_KNOWN,
    MEMBER_NOT_KNOWN,
    Acknowledgement,
    Sent,
    Told,
    Word,
    file_word,
)
from bridge.journal.batch_schema import IS_AWAITED, collected, collections
from bridge.journal.collections import AWAITED, Collection, Rested, collection_of
from bridge.journal.messages import keys_of_message
from bridge.journal.schema import deliveries
from bridge.journal.statements import update_rows
from bridge.journal.transaction import Transaction, Work
from bridge.message import Microseconds

REJECTED = "rejected-by-receiver"
"""The reason of a delivery that the receiver of its file does not take; codes and places stand behind it."""
SAME_CONTROL_ID_MAX_COUNT = 100
_SAID = update_rows(collected, "said")
_ENDED = update_rows(deliveries, "state", "reason", "aside")


class Meant(NamedTuple):
    """The file that an acknowledgement means, and those of its messages that it is about. Without one,
    ``code`` says why."""

    collection: Collection | None
    sent: Sequence[Sent]
    code: str = ""


def awaited_files(connection: Connection, api: str | None = None) -> list[Collection]:
    """The files of which their receivers have not said all, of one API or of all, the oldest first."""
    query = select(collections).where(IS_AWAITED).order_by(collections.c.id)
    rows = connection.execute(query if api is None else query.where(collections.c.api == api))
    return [collection_of(row) for row in rows]


def overdue_files(connection: Connection, now_us: Microseconds) -> list[Collection]:
    """The files that should have been acknowledged by now."""
    return [
        each for each in awaited_files(connection) if each.due_at_us is not None and each.due_at_us <= now_us
    ]


def refused_files(connection: Connection, since_us: Microseconds, until_us: Microseconds) -> list[Collection]:
    """The files of which a receiver has said in a window that it does not take them, or not all of them."""
    rows = connection.execute(
        select(collections)
        .where(
            collections.c.acknowledged.in_(("rejected", "rejected in part")),
            collections.c.acknowledged_at_us >= since_us,
            collections.c.acknowledged_at_us < until_us,
        )
        .order_by(collections.c.id)
    )
    return [collection_of(row) for row in rows]


def file_numbered(connection: Connection, api: str, number: int) -> Collection | None:
    """A file of an API by its number among these."""
    row = connection.execute(
        select(collections).where(collections.c.api == api, collections.c.number == number)
    ).first()
    return None if row is None else collection_of(row)


def meant_by(connection: Connection, api: str, said: Acknowledgement) -> Meant:
    """Which file of an API an acknowledgement means."""
    if said.control is None:
        return _by_member(connection, api, said.said[0].called if said.said else "")
    used = func.coalesce(collections.c.control_number, collections.c.number)
    row = connection.execute(
        select(collections)
        .where(collections.c.api == api, used == said.control, collections.c.acknowledged != "")
        .order_by(collections.c.id.desc())
        .limit(1)
    ).first()
    if row is None:
        return Meant(None, (), FILE_NOT_KNOWN)
    collection = collection_of(row)
    if said.scope or not said.said:
        return Meant(collection, sent_in(connection, collection))
    sent = [each for one in said.said for each in sent_in(connection, collection, called=one.called)]
    return Meant(collection if sent else None, sent, "" if sent else MEMBER_NOT_KNOWN)


def _by_member(connection: Connection, api: str, called: str) -> Meant:
    """The file that has a message called so: one of which nothing was said yet, or else the newest."""
    rows = connection.execute(
        select(collected.c.id, collected.c.control, collected.c.said)
        .where(collected.c.api == api, collected.c.control == called)
        .order_by(collected.c.id.desc())
        .limit(SAME_CONTROL_ID_MAX_COUNT)
    ).all()
    found: dict[int, tuple[Collection, list[Sent]]] = {}
    for row in rows:
        holds = connection.execute(
            select(collections)
            .where(collections.c.last >= row.id, collections.c.first <= row.id, collections.c.api == api)
            .order_by(collections.c.last)
            .limit(1)
        ).first()
        if holds is not None and holds.acknowledged:
            _, sent = found.setdefault(holds.id, (collection_of(holds), []))
            sent.append(Sent(row.id, row.control, row.said))
    if not found:
        return Meant(None, (), FILE_NOT_KNOWN)
    unsaid = [each for each in found.values() if any(one.said is None for one in each[1])]
    if len(unsaid) > 1:
        return Meant(None, (), AMBIGUOUS)
    return Meant(*(unsaid or list(found.values()))[0])


def sent_in(
    connection: Connection, collection: Collection, *, called: str | None = None, unsaid: bool = False
) -> list[Sent]:
    """The messages of a file, in order: all, those called so, or those of which nothing was said."""
    query = select(collected.c.id, collected.c.control, collected.c.said).where(
        collected.c.api == collection.api,
        collected.c.id >= collection.first,
        collected.c.id <= collection.last,
        collected.c.control.is_not(None),
    )
    if called is not None:
        query = query.where(collected.c.control == called)
    if unsaid:
        query = query.where(collected.c.said.is_(None))
    return [Sent(*row) for row in connection.execute(query.order_by(collected.c.id))]


class Saying(NamedTuple):
    """What is said of some messages of a file, and with which codes of the file itself. What is rejected of a
    channel's route in ``aside`` stops no other of its key."""

    collection: Collection
    told: Sequence[Told]
    codes: str
    aside: Set[tuple[str, str]]
    at_us: Microseconds


class Heard(NamedTuple):
    """Which deliveries have ended, and what is now known of the file: `AWAITED`, or the word of it."""

    ended: list[Rested]
    file: str


def _acknowledge(tx: Transaction, items: Sequence[Saying]) -> list[Heard]:
    return [_acknowledge_one(tx, each) for each in items]


def _acknowledge_one(tx: Transaction, each: Saying) -> Heard:
    told = {one.place: one for one in each.told}
    rows = tx.connection.execute(
        select(
            collected.c.id,
            collected.c.said,
            deliveries.c.channel,
            deliveries.c.route,
            deliveries.c.message_id,
            deliveries.c.id.label("delivery_id"),
            deliveries.c.state,
        )
        .join(deliveries, deliveries.c.id == collected.c.delivery_id)
        .where(collected.c.id.in_(told), collected.c.said.is_(None), collected.c.control.is_not(None))
        .order_by(collected.c.id)
    ).all()
    ended: list[Rested] = []
    for row in rows:
        if row.state != DeliveryState.ACCEPTED:
            continue
        state, reason = _becomes(each.collection, told[row.id])
        tx.transition(row.message_id, row.delivery_id, row.state, state, each.at_us, reason)
        keys = keys_of_message(tx.connection, row.message_id) if state is DeliveryState.QUARANTINED else ()
        place = row.channel, row.route, row.message_id, row.delivery_id
        ended.append(Rested(*place, state, reason, keys))
        if _is_aside(ended[-1], each):
            tx.transition(row.message_id, row.delivery_id, state, state, each.at_us, SET_ASIDE)
    _SAID.many(tx.connection, [{"id": row.id, "said": str(told[row.id].word)} for row in rows])
    _ENDED.many(
        tx.connection,
        [
            {
                "id": one.delivery_id,
                "state": str(one.state),
                "reason": one.reason,
                "aside": _is_aside(one, each),
            }
            for one in ended
        ],
    )
    return Heard(ended, _note_file(tx.connection, each))


def _is_aside(ended: Rested, each: Saying) -> int:
    rejected = ended.state is DeliveryState.QUARANTINED
    return int(rejected and (ended.channel, ended.route) in each.aside)


def _becomes(collection: Collection, told: Told) -> tuple[DeliveryState, str]:
    match told.word:
        case Word.REJECTED:
            return DeliveryState.QUARANTINED, f"{REJECTED}: file {collection.number}, {told.codes}"
        case Word.ERRORS:
            return DeliveryState.DELIVERED, f"in file {collection.number}, with errors: {told.codes}"
    return DeliveryState.DELIVERED, f"in file {collection.number}"


def _note_file(connection: Connection, each: Saying) -> str:
    """Keep what was said of a file itself, and end it where something was said of all of it."""
    collection = each.collection
    its = collections.c.id == collection.collection_id
    if each.codes:
        connection.execute(update(collections).where(its).values(codes=each.codes))
    of_file = (
        collected.c.api == collection.api,
        collected.c.id >= collection.first,
        collected.c.id <= collection.last,
        collected.c.control.is_not(None),
    )
    # From the end: what is acknowledged in order leaves the last one open until the end.
    still = select(collected.c.id).where(*of_file, collected.c.said.is_(None))
    if connection.execute(still.order_by(collected.c.id.desc()).limit(1)).first() is not None:
        return AWAITED
    counts = select(collected.c.said, func.count()).where(*of_file).group_by(collected.c.said)
    word = file_word({row[0]: row[1] for row in connection.execute(counts)})
    connection.execute(
        update(collections).where(its, IS_AWAITED).values(acknowledged=word, acknowledged_at_us=each.at_us)
    )
    return word


ACKNOWLEDGE: Work[Saying, Heard] = Work("acknowledge-collected", _acknowledge)
"""Write what was said of messages of a file, each once, and what becomes of them."""
