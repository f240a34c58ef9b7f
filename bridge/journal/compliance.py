"""What policies said of all attempts, counted: what compliance is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select, text

from bridge.journal.schema import IS_OPEN, attempts, deliveries
from bridge.message import Microseconds


@dataclass(frozen=True, slots=True)
class Said:
    """What was kept of so many attempts to one API, or of deliveries that a policy let make no request.

    ``cut_short`` are attempts during which the process ended: nobody could write what they had passed.
    """

    api: str
    verdicts: str
    count: int
    cut_short: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    """The calls to one API in a while, and what of it is open or in quarantine now."""

    api: str
    calls: int
    failed: int
    open: int
    quarantined: int
    last_call_us: Microseconds | None


CUT_SHORT = "ambiguous"


def said(
    connection: Connection, *, since_us: Microseconds = 0, until_us: Microseconds | None = None
) -> list[Said]:
    """What policies said of each attempt that began since then, and before ``until_us``; alike ones counted
    together."""
    cut = (attempts.c.span_id == b"") & (attempts.c.verdict == CUT_SHORT)
    within = attempts.c.started_at_us >= since_us
    if until_us is not None:
        within &= attempts.c.started_at_us < until_us
    # In a query of its own, since PostgreSQL takes two parameters of one value for two values.
    each = (
        select(deliveries.c.api, attempts.c.verdicts, cut.label("cut"))
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .where(within)
        .subquery()
    )
    rows = connection.execute(
        select(*each.c, func.count().label("number")).group_by(*each.c).order_by(each.c.api, each.c.verdicts)
    )
    return [Said(row.api, row.verdicts, row.number, bool(row.cut)) for row in rows]


def traffic(connection: Connection, *, since_us: Microseconds = 0) -> list[Traffic]:
    """Calls that began since then, by API, and how many deliveries of it wait."""
    failed = func.sum(case((attempts.c.verdict == "delivered", 0), else_=1)).label("failed")
    called = {
        row.api: row
        for row in connection.execute(
            select(
                deliveries.c.api,
                func.count().label("calls"),
                failed,
                func.max(attempts.c.started_at_us).label("last"),
            )
            .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
            .where(attempts.c.started_at_us >= since_us)
            .group_by(deliveries.c.api)
        )
    }
    waiting: dict[str, dict[str, int]] = {}
    for condition, what in ((IS_OPEN, "open"), (text("state = 'QUARANTINED'"), "quarantined")):
        for row in connection.execute(
            select(deliveries.c.api, func.count().label("number")).where(condition).group_by(deliveries.c.api)
        ):
            waiting.setdefault(row.api, {})[what] = row.number
    found = []
    for api in sorted(called.keys() | waiting.keys()):
        seen, waits = called.get(api), waiting.get(api, {})
        calls, failures = (0, 0) if seen is None else (seen.calls, int(seen.failed))
        last_us = None if seen is None else seen.last
        found.append(
            Traffic(api, calls, failures, waits.get("open", 0), waits.get("quarantined", 0), last_us)
        )
    return found


def stopped(connection: Connection) -> Mapping[tuple[str, str], int]:
    """How many requests a policy stopped before they were made, by API and what was kept."""
    rows = connection.execute(
        select(deliveries.c.api, deliveries.c.verdicts, func.count().label("number"))
        .where(deliveries.c.verdicts.contains("!"))
        .group_by(deliveries.c.api, deliveries.c.verdicts)
    )
    return {(row.api, row.verdicts): row.number for row in rows}
