"""What policies said of all attempts, counted: what compliance is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from bridge.journal.schema import attempts, deliveries
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


CUT_SHORT = "ambiguous"


def said(connection: Connection, *, since_us: Microseconds = 0) -> list[Said]:
    """What policies said of each attempt that began since then, alike ones counted together."""
    cut = (attempts.c.span_id == b"") & (attempts.c.verdict == CUT_SHORT)
    rows = connection.execute(
        select(deliveries.c.api, attempts.c.verdicts, cut.label("cut"), func.count().label("number"))
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .where(attempts.c.started_at_us >= since_us)
        .group_by(deliveries.c.api, attempts.c.verdicts, cut)
        .order_by(deliveries.c.api, attempts.c.verdicts)
    )
    return [Said(row.api, row.verdicts, row.number, bool(row.cut)) for row in rows]


def stopped(connection: Connection) -> Mapping[tuple[str, str], int]:
    """How many requests a policy stopped before they were made, by API and what was kept."""
    rows = connection.execute(
        select(deliveries.c.api, deliveries.c.verdicts, func.count().label("number"))
        .where(deliveries.c.verdicts.contains("!"))
        .group_by(deliveries.c.api, deliveries.c.verdicts)
    )
    return {(row.api, row.verdicts): row.number for row in rows}
