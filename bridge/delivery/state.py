"""The states of messages and deliveries, and the arrows between them.

A message is what a sender sent; a delivery is one record of it on one route. The tables below are the
whole machine: the journal's triggers are made from them, so that no other step can be written.

    message   RECEIVED ─→ MAPPED ─→ REFUSED    its deliveries carry it from here
                       ├→ QUARANTINED ─→ RECEIVED | DISCARDED
                       ├→ REFUSED           its sender waited, and heard AE
                       ├→ RELAYED           no route of it is beyond the stage `relay`
              REFUSED, DUPLICATE, IGNORED, RELAYED      known when it arrives, final

    delivery  READY ─→ IN_FLIGHT ─→ DELIVERED
                                 ├→ ACCEPTED ─→ DELIVERED | QUARANTINED
                                 ├→ RETRY_WAIT ─→ READY       the destination's fault
                                 ├→ AMBIGUOUS ─→ READY | QUARANTINED   it may have happened; so may
                                 │      what was open in a journal of which an older copy was put back
                                 ├→ HELD ─→ READY             the operation cannot be called, or
                                 │     └→ SUPPRESSED          a policy says not yet, or never
                                 └→ QUARANTINED ─→ READY | DISCARDED   needs a person
              FILTERED, RECORDED, SUPPRESSED, SUPERSEDED      nothing to send, final
"""

from __future__ import annotations

from enum import StrEnum

from bridge.delivery.backoff import RetryPolicy
from bridge.delivery.outcomes import Outcome, Verdict


class MessageState(StrEnum):
    """Where a message is."""

    RECEIVED = "RECEIVED"
    MAPPED = "MAPPED"
    QUARANTINED = "QUARANTINED"
    DISCARDED = "DISCARDED"
    REFUSED = "REFUSED"
    DUPLICATE = "DUPLICATE"
    IGNORED = "IGNORED"
    RELAYED = "RELAYED"


class DeliveryState(StrEnum):
    """Where a delivery is."""

    READY = "READY"
    IN_FLIGHT = "IN_FLIGHT"
    RETRY_WAIT = "RETRY_WAIT"
    HELD = "HELD"
    AMBIGUOUS = "AMBIGUOUS"
    ACCEPTED = "ACCEPTED"
    QUARANTINED = "QUARANTINED"
    DELIVERED = "DELIVERED"
    FILTERED = "FILTERED"
    RECORDED = "RECORDED"
    SUPPRESSED = "SUPPRESSED"
    SUPERSEDED = "SUPERSEDED"
    DISCARDED = "DISCARDED"


_M, _D = MessageState, DeliveryState

MESSAGE_BEGINS = frozenset({_M.RECEIVED, _M.REFUSED, _M.DUPLICATE, _M.IGNORED, _M.RELAYED, _M.QUARANTINED})
MESSAGE_ARROWS: frozenset[tuple[MessageState, MessageState]] = frozenset(
    {
        (_M.RECEIVED, _M.MAPPED),
        (_M.RECEIVED, _M.QUARANTINED),
        (_M.RECEIVED, _M.REFUSED),
        (_M.RECEIVED, _M.RELAYED),
        (_M.MAPPED, _M.REFUSED),
        (_M.QUARANTINED, _M.RECEIVED),
        (_M.QUARANTINED, _M.DISCARDED),
    }
)

DELIVERY_BEGINS = frozenset({_D.READY, _D.FILTERED, _D.RECORDED, _D.SUPPRESSED, _D.QUARANTINED})
DELIVERY_ARROWS: frozenset[tuple[DeliveryState, DeliveryState]] = frozenset(
    {
        (_D.READY, _D.IN_FLIGHT),
        (_D.READY, _D.RETRY_WAIT),
        (_D.READY, _D.HELD),
        (_D.READY, _D.AMBIGUOUS),
        (_D.READY, _D.SUPPRESSED),
        (_D.READY, _D.SUPERSEDED),
        (_D.RETRY_WAIT, _D.READY),
        (_D.RETRY_WAIT, _D.HELD),
        (_D.RETRY_WAIT, _D.AMBIGUOUS),
        (_D.RETRY_WAIT, _D.DISCARDED),
        (_D.READY, _D.DISCARDED),
        (_D.IN_FLIGHT, _D.DELIVERED),
        (_D.IN_FLIGHT, _D.ACCEPTED),
        (_D.IN_FLIGHT, _D.RETRY_WAIT),
        (_D.IN_FLIGHT, _D.AMBIGUOUS),
        (_D.IN_FLIGHT, _D.HELD),
        (_D.IN_FLIGHT, _D.QUARANTINED),
        (_D.ACCEPTED, _D.DELIVERED),
        (_D.ACCEPTED, _D.QUARANTINED),
        (_D.ACCEPTED, _D.SUPPRESSED),
        (_D.AMBIGUOUS, _D.READY),
        (_D.AMBIGUOUS, _D.QUARANTINED),
        (_D.HELD, _D.READY),
        (_D.HELD, _D.AMBIGUOUS),
        (_D.HELD, _D.SUPPRESSED),
        (_D.HELD, _D.SUPERSEDED),
        (_D.HELD, _D.QUARANTINED),
        (_D.HELD, _D.DISCARDED),
        (_D.QUARANTINED, _D.READY),
        (_D.QUARANTINED, _D.DISCARDED),
    }
)

DELIVERY_OPEN = frozenset({_D.READY, _D.IN_FLIGHT, _D.RETRY_WAIT, _D.HELD, _D.AMBIGUOUS, _D.ACCEPTED})
"""States from which a delivery goes on by itself. QUARANTINED is not among them: it waits for a person."""

SET_ASIDE = "set-aside"
"""The reason of a step from QUARANTINED to QUARANTINED: its keys no longer wait for it."""

HOLD_WAIT_S = 60.0
"""How long an operation that cannot be called is left alone before one delivery tries it again."""
DUPLICATE_SAFE = frozenset({"header", "natural_key"})
"""Values of an API's ``repeat_safety`` with which a call that may have happened may be repeated."""
QUERIED = "query_before_retry"
"""The value with which the API is asked first whether the call took effect."""
NEEDS_NOBODY = DUPLICATE_SAFE | {QUERIED}
"""Values with which a call that may have happened needs no person."""

MAY_HAVE_HAPPENED = frozenset({500, 502, 504})
"""Statuses of a call that failed, of which nobody can say how far it had come."""

_ENDS: dict[Verdict, tuple[DeliveryState, ...]] = {
    Verdict.DELIVERED: (_D.DELIVERED,),
    Verdict.ACCEPTED: (_D.ACCEPTED,),
    Verdict.REFUSED: (_D.QUARANTINED,),
    Verdict.SUPPRESSED: (_D.HELD, _D.SUPPRESSED),
}
"""What needs no further look follows whatever else is known."""


class Next:
    """What follows an attempt: the states to pass through in order, and when to try again."""

    __slots__ = ("counts_as_poison", "reason", "states", "wait_s")

    def __init__(
        self,
        states: tuple[DeliveryState, ...],
        reason: str,
        *,
        wait_s: float = 0.0,
        counts_as_poison: bool = False,
    ) -> None:
        self.states, self.reason, self.wait_s, self.counts_as_poison = (
            states,
            reason,
            wait_s,
            counts_as_poison,
        )

    @property
    def last(self) -> DeliveryState:
        """The state in which the delivery rests."""
        return self.states[-1]


def after_attempt(
    outcome: Outcome,
    *,
    attempt: int,
    poison_attempts: int,
    repeat_safety: str,
    retry: RetryPolicy,
    chance: float,
    not_found_for_s: float = 0.0,
    operation_held: bool = False,
) -> Next:
    """What an attempt's outcome leads to.

    ``attempt`` counts from 1, ``poison_attempts`` is how many before this one were refused as poison, and
    ``chance`` is a random number in [0, 1). Only poison uses up attempts: an outage costs nothing but time.
    ``not_found_for_s`` is how long the API has said that what the path names is not there. That needs a
    person after a while, but not while the whole operation is held: then the fault is not the message's.
    """
    wait_s = retry.wait_s(attempt, chance)
    if outcome.retry_after_s is not None:
        wait_s = max(wait_s, outcome.retry_after_s)
    match outcome.verdict:
        case Verdict.DELIVERED | Verdict.ACCEPTED | Verdict.REFUSED | Verdict.SUPPRESSED:
            return Next(_ENDS[outcome.verdict], outcome.reason)
        case Verdict.RETRY if outcome.status in MAY_HAVE_HAPPENED and repeat_safety == QUERIED:
            return Next((_D.AMBIGUOUS, _D.READY), outcome.reason, wait_s=wait_s)
        case Verdict.RETRY if outcome.status in MAY_HAVE_HAPPENED and repeat_safety not in DUPLICATE_SAFE:
            return Next((_D.AMBIGUOUS, _D.QUARANTINED), "outcome-unknown")
        case Verdict.RETRY:
            return Next((_D.RETRY_WAIT,), outcome.reason, wait_s=wait_s)
        case Verdict.HOLD | Verdict.WITHHELD:
            return Next((_D.HELD,), outcome.reason, wait_s=max(wait_s, HOLD_WAIT_S))
        case Verdict.NOT_FOUND if not_found_for_s >= retry.not_found_for_s and not operation_held:
            return Next((_D.HELD, _D.QUARANTINED), outcome.reason)
        case Verdict.NOT_FOUND:
            return Next((_D.HELD,), outcome.reason, wait_s=wait_s)
        case Verdict.AMBIGUOUS:
            if repeat_safety in NEEDS_NOBODY:
                return Next((_D.AMBIGUOUS, _D.READY), outcome.reason, wait_s=wait_s)
            return Next((_D.AMBIGUOUS, _D.QUARANTINED), "outcome-unknown")
        case Verdict.POISON:
            if poison_attempts + 1 >= retry.poison_attempts_max:
                return Next((_D.QUARANTINED,), outcome.reason, counts_as_poison=True)
            return Next((_D.RETRY_WAIT,), outcome.reason, wait_s=wait_s, counts_as_poison=True)


def after_crash(repeat_safety: str) -> Next:
    """What becomes of a delivery that was IN_FLIGHT when the process ended: nobody knows what happened."""
    if repeat_safety in NEEDS_NOBODY:
        return Next((_D.AMBIGUOUS, _D.READY), "process-ended")
    return Next((_D.AMBIGUOUS, _D.QUARANTINED), "outcome-unknown")
