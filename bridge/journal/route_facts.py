"""What the journal knows of one route that moves: counts, who agreed, and what a person must look at."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from bridge.journal.actions import ROWS_MAX, latest
from bridge.journal.feeding import OWED, REFUSED, feed_counts
from bridge.journal.ledger import stuck_on
from bridge.journal.parity import Tally, tallies_of
from bridge.journal.stages import approved_by, movers
from bridge.journal.would_refuse import would_refuse
from bridge.message import Microseconds


class RouteFacts(NamedTuple):
    """Of one route: its counts, messages that block their keys, what the old engine is owed and has refused,
    whether a person ever took it back, who agrees to the next stage, and who moved it here and why; and how
    many messages the engine took that the bridge alone would have refused."""

    tallies: list[Tally]
    stuck: int
    owed: int
    refused: int
    stepped_back: bool
    approved_by: tuple[str, ...]
    mover: str
    why: str
    would_refuse: int


APPROVAL_COUNTS_US = 7 * 86_400_000_000
"""Who agreed longer ago has agreed to something else."""


def route_facts(
    connection: Connection, channel: str, route: str, next_stage: str, now_us: Microseconds
) -> RouteFacts:
    """What is known of a route."""
    fed = feed_counts(connection).get(channel, {})
    actions = latest(connection, subjects=[f"route {channel}/{route}"], limit=ROWS_MAX)
    mover, why = movers(connection).get((channel, route), ("", "as its file says"))
    return RouteFacts(
        tallies_of(connection, channel, route),
        stuck_on(connection, channel, route),
        fed.get(OWED, 0),
        fed.get(REFUSED, 0),
        any(row.action == "stage-back" for row in actions),
        tuple(approved_by(connection, channel, route, next_stage, now_us - APPROVAL_COUNTS_US)),
        mover,
        why,
        would_refuse(connection, channel, route),
    )
