"""The state machine: what follows each outcome, and what never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.backoff import RetryPolicy
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.delivery.state import (
    DELIVERY_ARROWS,
    DELIVERY_BEGINS,
    DELIVERY_OPEN,
    MESSAGE_ARROWS,
    MESSAGE_BEGINS,
    DeliveryState,
    MessageState,
    Next,
    after_attempt,
    after_crash,
)

D = DeliveryState
RETRY = RetryPolicy(base_s=1.0, cap_s=300.0, poison_attempts_max=3)


def after(
    verdict: Verdict,
    *,
    status: int | None = None,
    safety: str = "header",
    poison: int = 0,
    wait: float | None = None,
) -> Next:
    outcome = Outcome(verdict, "because", status, wait)
    return after_attempt(
        outcome, attempt=2, poison_attempts=poison, repeat_safety=safety, retry=RETRY, chance=0.5
    )


CASES = [
    (after(Verdict.DELIVERED), (D.DELIVERED,)),
    (after(Verdict.RETRY, status=503), (D.RETRY_WAIT,)),
    (after(Verdict.RETRY, status=503, safety="none"), (D.RETRY_WAIT,)),
    (after(Verdict.RETRY, status=500, safety="none"), (D.AMBIGUOUS, D.QUARANTINED)),
    (after(Verdict.HOLD, status=403), (D.HELD,)),
    (after(Verdict.AMBIGUOUS), (D.AMBIGUOUS, D.READY)),
    (after(Verdict.AMBIGUOUS, safety="natural_key"), (D.AMBIGUOUS, D.READY)),
    (after(Verdict.AMBIGUOUS, safety="none"), (D.AMBIGUOUS, D.QUARANTINED)),
    (after(Verdict.POISON, status=422), (D.RETRY_WAIT,)),
    (after(Verdict.POISON, status=422, poison=1), (D.RETRY_WAIT,)),
    (after(Verdict.POISON, status=422, poison=2), (D.QUARANTINED,)),
    (after(Verdict.AMBIGUOUS, safety="query_before_retry"), (D.AMBIGUOUS, D.READY)),
    (after(Verdict.RETRY, status=500, safety="query_before_retry"), (D.AMBIGUOUS, D.READY)),
    (after(Verdict.RETRY, status=503, safety="query_before_retry"), (D.RETRY_WAIT,)),
    (after_crash("query_before_retry"), (D.AMBIGUOUS, D.READY)),
    (after_crash("header"), (D.AMBIGUOUS, D.READY)),
    (after_crash("none"), (D.AMBIGUOUS, D.QUARANTINED)),
]


@pytest.mark.parametrize(("found", "states"), CASES)
def test_an_outcome_leads_to_these_states(found: Next, states: tuple[DeliveryState, ...]) -> None:
    assert found.states == states


def test_only_poison_uses_up_attempts() -> None:
    for verdict in Verdict:
        assert after(verdict).counts_as_poison is (verdict is Verdict.POISON)


def test_what_the_destination_asks_for_is_waited_at_least() -> None:
    assert after(Verdict.RETRY, wait=40.0).wait_s == 40.0
    assert after(Verdict.RETRY, wait=0.1).wait_s == 1.0


@given(
    verdict=st.sampled_from(Verdict),
    status=st.sampled_from([None, 200, 422, 500, 502, 503, 504]),
    safety=st.sampled_from(["header", "natural_key", "query_before_retry", "none"]),
    poison=st.integers(0, 5),
    chance=st.floats(0, 1, exclude_max=True),
    attempt=st.integers(1, 10_000),
)
def test_every_outcome_follows_arrows_of_the_machine(
    verdict: Verdict, status: int | None, safety: str, poison: int, chance: float, attempt: int
) -> None:
    following = after_attempt(
        Outcome(verdict, "because", status),
        attempt=attempt,
        poison_attempts=poison,
        repeat_safety=safety,
        retry=RETRY,
        chance=chance,
    )
    state = D.IN_FLIGHT
    for to in following.states:
        assert (state, to) in DELIVERY_ARROWS
        state = to
    assert 0 <= following.wait_s <= RETRY.cap_s


def test_every_state_can_be_reached_and_what_is_open_goes_on() -> None:
    assert DELIVERY_BEGINS | {to for _, to in DELIVERY_ARROWS} == set(DeliveryState)
    assert MESSAGE_BEGINS | {to for _, to in MESSAGE_ARROWS} == set(MessageState)
    going_on = {start for start, _ in DELIVERY_ARROWS} - {D.QUARANTINED}
    assert going_on == DELIVERY_OPEN
