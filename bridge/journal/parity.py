"""How what both sides made compares: pairs to be compared, differences in clusters, exact counts."""

from __future__ import annotations

from collections.abc import Sequence, Set
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, and_, delete, func, insert, select, update

from bridge.journal.actions import ActionRow, note
from bridge.journal.clusters import Found, write_clusters
from bridge.journal.outputs import UNCOUNTED
from bridge.journal.schema import deliveries, requests
from bridge.journal.stage_schema import (
    IS_UNCOMPARED,
    IS_UNPAIRED,
    accepted,
    clusters,
    outputs,
    pairs,
    tallies,
)
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

COMPARED = "COMPARED"
DAY_US = 86_400_000_000
SAME, EXPLAINED, DIFFERENT, IGNORED = "same", "explained", "different", "ignored"
"""What a pair can be: the same; different in accepted ways alone; different; the same by rules alone."""


class ToCompare(NamedTuple):
    """A pair that is complete, or that lacks a side for good: ``ours`` or ``theirs`` is None then."""

    pair_id: int
    route: str
    state: str
    stage: str
    message_id: int | None
    message_type: str
    mapping: str | None
    delivery_state: str | None
    delivery_reason: str
    ours: bytes | None
    theirs: bytes | None
    ours_at_us: Microseconds | None
    theirs_at_us: Microseconds | None
    counted: bool
    overtaken: bool


_COLUMNS = (
    pairs.c.id,
    pairs.c.route,
    pairs.c.state,
    pairs.c.stage,
    pairs.c.message_id,
    pairs.c.message_type,
    deliveries.c.mapping_digest,
    deliveries.c.state.label("delivery_state"),
    deliveries.c.reason.label("delivery_reason"),
    requests.c.request,
    outputs.c.output,
    pairs.c.ours_at_us,
    pairs.c.theirs_at_us,
    pairs.c.ended_at_us,
    pairs.c.key_hash,
    pairs.c.output_id,
)


def to_compare(
    connection: Connection, channel: str, unpaired_before_us: Microseconds, limit: int
) -> list[ToCompare]:
    """Pairs that are complete, and such as have waited for their other side since before a time."""
    waited = func.coalesce(pairs.c.theirs_at_us, pairs.c.ours_at_us) < unpaired_before_us
    ids: list[int] = []
    for condition in (IS_UNCOMPARED, and_(IS_UNPAIRED, waited)):  # each by an index of its own
        query = (
            select(pairs.c.id).where(pairs.c.channel == channel, condition).order_by(pairs.c.id).limit(limit)
        )
        ids += connection.execute(query).scalars()
    rows = connection.execute(
        select(*_COLUMNS)
        .outerjoin(deliveries, deliveries.c.id == pairs.c.delivery_id)
        .outerjoin(requests, requests.c.delivery_id == pairs.c.delivery_id)
        .outerjoin(outputs, outputs.c.id == pairs.c.output_id)
        .where(pairs.c.id.in_(ids[:limit]))
        .order_by(pairs.c.id)
    ).all()
    return [
        ToCompare(
            row.id, row.route, row.state, row.stage, row.message_id, row.message_type, row.mapping_digest,
            row.delivery_state, row.delivery_reason or "", row.request, row.output, row.ours_at_us,
            row.theirs_at_us,
            row.ended_at_us is not None or (row.state == "THEIRS" and row.stage == UNCOUNTED),
            _overtaken(connection, row),
        )
        for row in rows
    ]  # fmt: skip


def _overtaken(connection: Connection, row: Any) -> bool:
    """Whether the old engine's output for a later message of the same key came before this one."""
    if row.key_hash is None or row.output_id is None:
        return False
    later = select(pairs.c.id).where(
        pairs.c.key_hash == row.key_hash,
        pairs.c.route == row.route,
        pairs.c.id > row.id,
        pairs.c.output_id < row.output_id,
    )
    return connection.execute(later.limit(1)).first() is not None


class Verdict(NamedTuple):
    """What came of comparing a pair. ``used`` are the rules that helped, ``money`` amounts by place as text,
    ``late`` is how long the bridge was done after the old engine, as a word; ``counted`` tells that it was
    compared before."""

    pair_id: int
    channel: str
    route: str
    mapping: str
    stage: str
    message_type: str
    message_id: int | None
    differences: tuple[Found, ...]
    used: tuple[tuple[str, int], ...]
    money: tuple[tuple[str, str, str], ...]
    late: str
    at_us: Microseconds
    counted: bool


def _verdicts(tx: Transaction, items: Sequence[Verdict]) -> list[str]:
    connection = tx.connection
    meant = {
        (row.channel, row.route, row.fingerprint): row.until_us
        for row in connection.execute(select(accepted))
    }
    counts: dict[tuple[Any, ...], list[Any]] = {}
    found: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    ended: list[dict[str, Any]] = []
    said = []
    for each in items:
        ended.append({"pair": each.pair_id, "at": each.at_us})
        verdict = _judge(each, meant)
        said.append(verdict)
        if each.counted:
            continue
        base = (each.channel, each.route, each.mapping, each.stage, each.at_us // DAY_US, each.message_type)
        _add(counts, (*base, verdict))
        for rule, number in each.used:
            _add(counts, (*base, f"rule {rule}"), number)
        if each.late:
            _add(counts, (*base, f"late {each.late}"))
        for path, ours, theirs in each.money:
            _add(counts, (*base, f"money here {path}"), amount=ours)
            _add(counts, (*base, f"money there {path}"), amount=theirs)
        for difference in each.differences:
            key = (each.channel, each.route, each.mapping, difference.fingerprint)
            row = found.setdefault(
                key,
                {"difference": difference, "number": 0, "alone": 0, "first": each.at_us, "examples": []},
            )
            row["number"] += 1
            row["alone"] += len(each.differences) == 1
            row["last"] = each.at_us
            row["examples"].append(each.message_id)
    for start in range(0, len(ended), 400):
        some = ended[start : start + 400]
        connection.execute(
            update(pairs)
            .where(pairs.c.id.in_([row["pair"] for row in some]))
            .values(state=COMPARED, ended_at_us=some[0]["at"])
        )
    _write_counts(connection, counts)
    write_clusters(connection, found)
    return said


def _judge(each: Verdict, meant: dict[tuple[str, str, str], int | None]) -> str:
    if not each.differences:
        return IGNORED if each.used else SAME
    for difference in each.differences:
        key = (each.channel, each.route, difference.fingerprint)
        if key not in meant or ((until := meant[key]) is not None and until < each.at_us):
            return DIFFERENT
    return EXPLAINED


def _add(
    counts: dict[tuple[Any, ...], list[Any]], key: tuple[Any, ...], number: int = 1, amount: str = "0"
) -> None:
    row = counts.setdefault(key, [0, Decimal(0)])
    row[0] += number
    row[1] += Decimal(amount)


def _write_counts(connection: Connection, counts: dict[tuple[Any, ...], list[Any]]) -> None:
    names = ("channel", "route", "mapping", "stage", "day", "message_type", "what")
    for key, (number, amount) in counts.items():
        this = and_(*(tallies.c[name] == value for name, value in zip(names, key, strict=True)))
        before = connection.execute(select(tallies.c.number, tallies.c.amount).where(this)).one_or_none()
        if before is None:
            values = dict(zip(names, key, strict=True))
            connection.execute(insert(tallies).values(**values, number=number, amount=str(amount)))
        else:
            connection.execute(
                update(tallies)
                .where(this)
                .values(number=before.number + number, amount=str(Decimal(before.amount) + amount))
            )


VERDICT: Work[Verdict, str] = Work("verdict", _verdicts)
"""Write what came of comparing pairs; the result of each is what the pair is."""


class Accept(NamedTuple):
    """Differences that are alike are meant, until a time or for good; with ``end`` no longer."""

    channel: str
    route: str
    fingerprint: str
    until_us: Microseconds | None
    at_us: Microseconds
    actor: str
    reason: str
    end: bool = False


def _accept(tx: Transaction, items: Sequence[Accept]) -> list[bool]:
    return [_accept_one(tx, each) for each in items]


def _accept_one(tx: Transaction, each: Accept) -> bool:
    connection = tx.connection
    this = and_(
        accepted.c.channel == each.channel,
        accepted.c.route == each.route,
        accepted.c.fingerprint == each.fingerprint,
    )
    gone = connection.execute(delete(accepted).where(this)).rowcount
    known = connection.execute(
        select(clusters.c.kind, clusters.c.path).where(
            clusters.c.channel == each.channel,
            clusters.c.route == each.route,
            clusters.c.fingerprint == each.fingerprint,
        ).limit(1)
    ).one_or_none()  # fmt: skip
    if known is None or (each.end and not gone):
        return False
    if not each.end:
        row = each._asdict()
        del row["end"]
        connection.execute(insert(accepted).values(**row))
    action = "parity-reject" if each.end else "parity-accept"
    subject = f"route {each.channel}/{each.route}"
    said = f"{each.fingerprint} ({known.kind} {known.path}): {each.reason}"
    note(tx, ActionRow(each.at_us, each.actor, action, subject, said))
    return True


ACCEPT: Work[Accept, bool] = Work("parity-accept", _accept)
"""Note that a difference is meant, or no longer; False where there is none such."""


class Cluster(NamedTuple):
    """Differences that are alike, of one route and mapping."""

    route: str
    mapping: str
    fingerprint: str
    kind: str
    path: str
    ours: str
    theirs: str
    number: int
    alone: int
    first_at_us: Microseconds
    last_at_us: Microseconds
    examples: tuple[int | None, ...]
    accepted_by: str
    accepted_why: str
    accepted_until_us: Microseconds | None

    def is_explained(self, now_us: Microseconds) -> bool:
        """Whether somebody has said that it is meant, and that still counts."""
        return bool(self.accepted_by) and (self.accepted_until_us is None or self.accepted_until_us >= now_us)


def clusters_of(connection: Connection, channel: str, route: str | None = None) -> list[Cluster]:
    """The differences of a channel, those that are most frequent first."""
    query = (
        select(clusters, accepted.c.actor, accepted.c.reason, accepted.c.until_us)
        .outerjoin(
            accepted,
            and_(
                accepted.c.channel == clusters.c.channel,
                accepted.c.route == clusters.c.route,
                accepted.c.fingerprint == clusters.c.fingerprint,
            ),
        )
        .where(clusters.c.channel == channel)
        .order_by(clusters.c.number.desc(), clusters.c.fingerprint)
    )
    if route is not None:
        query = query.where(clusters.c.route == route)
    return [
        Cluster(
            row.route, row.mapping, row.fingerprint, row.kind, row.path, row.ours, row.theirs, row.number,
            row.alone, row.first_at_us, row.last_at_us, tuple(orjson.loads(row.examples)), row.actor or "",
            row.reason or "", row.until_us,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


class Tally(NamedTuple):
    """One count."""

    route: str
    mapping: str
    stage: str
    day: int
    message_type: str
    what: str
    number: int
    amount: Decimal


def tallies_of(connection: Connection, channel: str, route: str | None = None) -> list[Tally]:
    """The counts of a channel."""
    query = select(tallies).where(tallies.c.channel == channel)
    if route is not None:
        query = query.where(tallies.c.route == route)
    return [
        Tally(
            row.route, row.mapping, row.stage, row.day, row.message_type, row.what, row.number,
            Decimal(row.amount),
        )
        for row in connection.execute(query)
    ]  # fmt: skip


LATEST_PAIRS_MAX = 200
"""Pairs of a route that ended last, which are looked at: what waited long ends among those of a newer
mapping."""


def latest_mappings(connection: Connection, channel: str) -> dict[str, str]:
    """The mapping that each route of a channel was compared by last."""
    rows = connection.execute(
        select(tallies.c.route, tallies.c.mapping, func.max(tallies.c.day).label("day"))
        .where(tallies.c.channel == channel)
        .group_by(tallies.c.route, tallies.c.mapping)
    ).all()
    by_day = {row.route: row.mapping for row in sorted(rows, key=lambda row: (row.day, row.mapping))}
    counted = {(row.route, row.mapping) for row in rows}
    return {
        route: _latest(connection, channel, route, counted) or mapping for route, mapping in by_day.items()
    }


def _latest(connection: Connection, channel: str, route: str, counted: Set[tuple[str, str]]) -> str:
    """The mapping of the newest delivery among the pairs that ended last; none where it counted nothing."""
    ended = (
        select(pairs.c.delivery_id)
        .where(pairs.c.channel == channel, pairs.c.route == route, pairs.c.ended_at_us.is_not(None))
        .order_by(pairs.c.ended_at_us.desc())
        .limit(LATEST_PAIRS_MAX)
        .subquery()
    )
    newest = (
        select(deliveries.c.mapping_digest)
        .join(ended, ended.c.delivery_id == deliveries.c.id)
        .order_by(deliveries.c.id.desc())
        .limit(1)
    )
    found = connection.execute(newest).scalar() or ""
    return found if (route, found) in counted else ""


def unpaired_counts(connection: Connection, channel: str) -> dict[tuple[str, str], int]:
    """How many pairs of each route still wait for a side, by route and state."""
    rows = connection.execute(
        select(pairs.c.route, pairs.c.state, func.count().label("number"))
        .where(pairs.c.channel == channel, IS_UNPAIRED)
        .group_by(pairs.c.route, pairs.c.state)
    )
    return {(row.route, row.state): row.number for row in rows}
