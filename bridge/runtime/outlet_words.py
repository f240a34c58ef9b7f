"""What a way out calls its gates, whom it tells, and what it keeps of a call that has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bridge.config.topology import OnPoison
from bridge.delivery.lane import Entry
from bridge.delivery.outcomes import COLLECTED, NOT_CALLED, Outcome, Verdict
from bridge.delivery.state import DeliveryState, Next
from bridge.journal.captures import Captured
from bridge.journal.collections import Joined
from bridge.journal.deliveries import Call, Settlement
from bridge.journal.refusals import REFUSAL_MAX_BYTES
from bridge.message import Microseconds

JOURNAL_WAIT_S = 1.0
HAND_OVER = "hand-over"
START_GOOD_S = 2.0
"""So long after it was asked for, what the journal let begin may be sent without another question."""
DRAIN_MAX_S = 35.0
"""Above the default timeout of a call, so that calls under way may end by themselves."""

Settled = Callable[[str, str, int, int, DeliveryState, str], None]
"""Told of each delivery that rests: channel, route, message id, delivery id, state, reason."""

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


def settlement_of(
    call: Call,
    outcome: Outcome,
    following: Next,
    times: tuple[Microseconds, Microseconds],
    span_id: bytes,
    verdicts: str,
    on_poison: OnPoison | None,
    api: str,
) -> Settlement:
    """What is written of an attempt; ``times`` are when it began and ended, ``on_poison`` is its route's."""
    started_at_us, ended_at_us = times
    quarantined = following.last is DeliveryState.QUARANTINED
    not_found = outcome.verdict is Verdict.NOT_FOUND
    asked, collected = outcome.confirm, outcome.verdict is Verdict.ACCEPTED and outcome.reason == COLLECTED
    confirm = None if asked is None else (asked.target, ended_at_us + int(asked.within_s * 1e6))
    return Settlement(
        delivery_id=call.delivery_id,
        message_id=call.message_id,
        attempt=call.attempt,
        started_at_us=started_at_us,
        ended_at_us=ended_at_us,
        verdict=outcome.verdict,
        status=outcome.status,
        reason=following.reason,
        span_id=span_id,
        states=following.states,
        due_at_us=ended_at_us + int(following.wait_s * 1e6),
        poison_attempts=call.poison_attempts + following.counts_as_poison,
        held_since_us=(call.held_since_us or ended_at_us) if not_found else None,
        aside=quarantined and on_poison == "quarantine_and_continue" and outcome.verdict in SET_ASIDE_FOR,
        verdicts=verdicts,
        watched=call.watched,
        confirm=confirm,
        joined=Joined(api, call.channel, len(call.request)) if collected else None,
        called="" if asked is None else asked.called,
        captured=None if outcome.captured is None else Captured(*outcome.captured),
        refusal=b"" if outcome.answer is None else outcome.answer.body[:REFUSAL_MAX_BYTES],
    )
