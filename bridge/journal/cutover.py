"""What the journal knows of a feed that somebody wants to cut over: senders, types, counts, the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from bridge.journal.feeding import feed_counts
from bridge.journal.schema import messages
from bridge.journal.stage_schema import feeds
from bridge.journal.tolerances import charsets, tolerated
from bridge.message import Microseconds

DAY_US = 86_400_000_000
LISTED_MAX = 50


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as it has been. ``senders`` and ``types`` count messages; ``last_fed`` is the last control ID
    that the old engine has answered, ``newest`` the newest that came."""

    senders: Mapping[str, int]
    types: Mapping[str, int]
    charsets: Mapping[str, int]
    odd: Mapping[str, int]
    of_last_day: int
    of_last_week: int
    owed_to_engine: int
    refused_by_engine: int
    last_fed: tuple[str, Microseconds] | None
    newest: tuple[str, Microseconds] | None


def feed_facts(connection: Connection, channel: str, now_us: Microseconds) -> Feed:
    """What is known of a feed."""

    def counted(column: object) -> dict[str, int]:
        rows = connection.execute(
            select(column, func.count().label("number"))  # type: ignore[call-overload]
            .where(messages.c.channel == channel)
            .group_by(column)
            .order_by(func.count().desc())
            .limit(LISTED_MAX)
        )
        return {str(row[0]): row.number for row in rows}

    def since(us: Microseconds) -> int:
        query = select(func.count()).select_from(messages).where(messages.c.channel == channel)
        return int(connection.execute(query.where(messages.c.received_at_us >= us)).scalar_one())

    fed = feed_counts(connection).get(channel, {})
    last = connection.execute(
        select(messages.c.control_id, feeds.c.at_us)
        .join(feeds, feeds.c.message_id == messages.c.id)
        .where(feeds.c.channel == channel, feeds.c.state == "GIVEN")
        .order_by(feeds.c.id.desc())
        .limit(1)
    ).one_or_none()
    newest = connection.execute(
        select(messages.c.control_id, messages.c.received_at_us)
        .where(messages.c.channel == channel)
        .order_by(messages.c.seq.desc())
        .limit(1)
    ).one_or_none()
    return Feed(
        counted(messages.c.peer),
        counted(messages.c.message_type),
        dict(charsets(connection).get(channel, {})),
        dict(tolerated(connection).get(channel, {})),
        since(now_us - DAY_US),
        since(now_us - 7 * DAY_US),
        fed.get("OWED", 0),
        fed.get("REFUSED", 0),
        None if last is None else (last.control_id, last.at_us),
        None if newest is None else (newest.control_id, newest.received_at_us),
    )
