"""What a way out calls its gates, whom it tells, and what it keeps of a call that has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bridge.delivery.lane import Entry
from bridge.delivery.outcomes import NOT_CALLED, Outcome, Verdict
from bridge.delivery.state import DeliveryState
from bridge.journal.deliveries import Call, Settlement

JOURNAL_WAIT_S = 1.0
HAND_OVER = "hand-over"
DRAIN_MAX_S = 35.0
"""Above the default timeout of a call, so that calls under way may end by themselves."""

Settled = Callable[[str, int, int, DeliveryState, str], None]
"""Told of each delivery that rests: channel, message id, delivery id, state, reason."""

SET_ASIDE_FOR = frozenset({Verdict.POISON, Verdict.NOT_FOUND, *NOT_CALLED})
"""Of these it is known that the API did not take the request. What may have happened stops its key always."""


class Ended(NamedTuple):
    """A call that has ended, and what is to be written of it."""

    entry: Entry
    call: Call
    outcome: Outcome
    settlement: Settlement


def operation_gate(name: str) -> str:
    """The gate of an operation."""
    return f"operation {name}"


def blocked_gate(channel: str, route: str) -> str:
    """The gate of a route that a person must let go."""
    return f"blocked {channel}/{route}"
