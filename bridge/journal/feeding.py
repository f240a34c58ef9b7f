"""What the old engine is owed: each message once as it came, in its order, until it has answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, update

from bridge.delivery.state import DeliveryState, MessageState
from bridge.journal.feeding_files import files_owed
from bridge.journal.schema import bodies, deliveries, messages
from bridge.journal.stage_schema import IS_OWED_TO_ENGINE, feeds, pairs
from bridge.journal.statements import insert_rows, update_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

_ASKED_MAX = 500
OWED, GIVEN, REFUSED = "OWED", "GIVEN", "REFUSED"
"""States of a feed: not answered yet; answered; refused by the engine, of which its sender does not know."""
UNREADABLE = "?"
"""In the place of a code: the engine has answered, and not in HL7."""
NEGATIVE = frozenset({"AE", "AR", "CE", "CR", UNREADABLE})
"""After these a message is not the engine's: the same again is given to it once more."""


AGAIN = "again"
"""Begins what stands in place of a connection: the line of what a host's messages are given once more, a
line for each step back."""


class OwedFeed(NamedTuple):
    """A message that the old engine has not answered. ``line`` is whose order it stands in.

    ``told`` tells that its sender has its answer already.
    """

    feed_id: int
    message_id: int
    line: str
    body: bytes
    attempts: int
    told: bool

    @property
    def host(self) -> str:
        """The sender that the line is of, as far as its address tells."""
        return self.line.rpartition(" ")[0]

    @property
    def is_again(self) -> bool:
        """Whether it is given once more."""
        return self.line.rpartition(" ")[2].startswith(AGAIN)


class Fed(NamedTuple):
    """How a feed ended, or stands after an attempt. ``answer`` is the engine's own, where the sender hears
    it; ``refused`` gives the message back to its sender, so that the same again is new."""

    feed_id: int
    message_id: int
    state: str
    attempts: int
    code: str
    reason: str
    at_us: Microseconds
    answer: bytes | None = None
    refused: bool = False


_INSERT_FEED = insert_rows(feeds)
_FED = update_rows(feeds, "state", "attempts", "code", "reason", "at_us")
_ANSWER = update_rows(bodies, "answer", key="message_id", where=bodies.c.answer.is_(None))
_ANSWER_CODE = update_rows(messages, "answer_code")


def owe_to_engine(tx: Transaction, owed: Sequence[tuple[int, str, str, Microseconds]]) -> list[int]:
    """Note in this transaction that messages are owed: message, channel, line, time. The ids of the feeds."""
    rows: list[dict[str, Any]] = [
        {
            "id": tx.next_id("feeds"),
            "message_id": message_id,
            "channel": channel,
            "line": line,
            "state": OWED,
            "attempts": 0,
            "code": "",
            "reason": "",
            "at_us": at_us,
        }
        for message_id, channel, line, at_us in owed
    ]
    _INSERT_FEED.many(tx.connection, rows)
    return [row["id"] for row in rows]


def _fed(tx: Transaction, items: Sequence[Fed]) -> list[None]:
    connection = tx.connection
    _FED.many(connection, [{**each._asdict(), "id": each.feed_id} for each in items])
    # A message that went to the engine twice has one answer: the last.
    heard = {each.message_id: each for each in items if each.answer is not None}
    rows: list[dict[str, Any]] = [
        {
            "id": each.message_id,
            "message_id": each.message_id,
            "answer": each.answer,
            "answer_code": each.code,
        }
        for each in heard.values()
    ]
    _ANSWER.many(connection, rows)
    _ANSWER_CODE.many(connection, rows)
    for message_id in dict.fromkeys(each.message_id for each in items if each.refused):
        connection.execute(update(messages).where(messages.c.id == message_id).values(repeat_hash=None))
        connection.execute(
            update(pairs)
            .where(pairs.c.message_id == message_id, pairs.c.state == "OURS")
            .values(state="REFUSED")
        )
    return [None] * len(items)


FED: Work[Fed, None] = Work("fed", _fed)
"""Write how far the old engine was fed, and with it what its answer means for the sender."""


class OwedMessages(NamedTuple):
    """How many messages, or files, an old engine is owed, and when the oldest of them came."""

    messages: int
    oldest_us: Microseconds


def owed_to_engines(connection: Connection) -> dict[str, OwedMessages]:
    """What is owed to the old engine of each channel; no row where nothing is."""
    owed = (
        select(feeds.c.channel, func.count().label("owed"), func.min(feeds.c.message_id).label("oldest"))
        .where(IS_OWED_TO_ENGINE)
        .group_by(feeds.c.channel)
        .subquery()
    )
    rows = connection.execute(
        select(owed.c.channel, owed.c.owed, messages.c.received_at_us).join(
            messages, messages.c.id == owed.c.oldest
        )
    )
    found = {row.channel: OwedMessages(row.owed, row.received_at_us) for row in rows}
    return found | {name: OwedMessages(*each) for name, each in files_owed(connection).items()}


def owed_feeds(connection: Connection, channel: str, after_id: int, limit: int) -> list[OwedFeed]:
    """What the old engine is owed next, in order."""
    rows = connection.execute(
        select(
            feeds.c.id,
            feeds.c.message_id,
            feeds.c.line,
            bodies.c.body,
            feeds.c.attempts,
            bodies.c.answer.is_not(None).label("told"),
        )
        .join(bodies, bodies.c.message_id == feeds.c.message_id)
        .where(
            feeds.c.channel == channel, IS_OWED_TO_ENGINE, feeds.c.id > after_id, bodies.c.body.is_not(None)
        )
        .order_by(feeds.c.id)
        .limit(limit)
    )
    return [
        OwedFeed(row.id, row.message_id, row.line, row.body, row.attempts, bool(row.told)) for row in rows
    ]


def is_bridges(connection: Connection, message_id: int) -> bool | None:
    """Whether all that was made of a message is the bridge's to deliver; None where nothing was made yet."""
    this = select(messages.c.state).where(messages.c.id == message_id)
    if connection.execute(this).scalar_one() == MessageState.RECEIVED:
        return None
    made = select(deliveries.c.state).where(deliveries.c.message_id == message_id)
    states = {*connection.execute(made).scalars()} - {DeliveryState.FILTERED}
    return bool(states) and DeliveryState.RECORDED not in states


def feed_counts(connection: Connection) -> Mapping[str, Mapping[str, int]]:
    """How many feeds of each channel are in which state."""
    rows = connection.execute(
        select(feeds.c.channel, feeds.c.state, func.count().label("number")).group_by(
            feeds.c.channel, feeds.c.state
        )
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.channel, {})[row.state] = row.number
    return found


class FeedAgain(NamedTuple):
    """Messages that the old engine is to be given, in this order, whatever it was given before."""

    channel: str
    message_ids: tuple[int, ...]
    at_us: Microseconds


def feed_again(tx: Transaction, again: FeedAgain) -> int:
    """Owe messages to the engine once more; how many that are."""
    ids = list(again.message_ids)
    lines: dict[int, str] = {}
    for start in range(0, len(ids), _ASKED_MAX):
        some = messages.c.id.in_(ids[start : start + _ASKED_MAX])
        rows = tx.connection.execute(select(messages.c.id, messages.c.peer).where(some))
        lines |= {row.id: row.peer for row in rows}
    owed = [
        (each, again.channel, f"{lines[each]} {AGAIN}{again.at_us}", again.at_us)
        for each in ids
        if each in lines
    ]
    return len(owe_to_engine(tx, owed))
