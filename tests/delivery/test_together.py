"""Deliveries that share a call: which go by themselves the next time, and what counts of them."""

from __future__ import annotations

import pytest

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.delivery.together import SUSPECTS_MAX_COUNT, Suspects, counted_once

FAILED = Outcome(Verdict.RETRY, "server-error", 500)
DONE = Outcome(Verdict.DELIVERED, "delivered", 200)


@pytest.mark.parametrize(
    ("outcome", "alone"),
    [
        (FAILED, True),
        (Outcome(Verdict.RETRY, "gateway-timeout", 504), True),
        (Outcome(Verdict.AMBIGUOUS, "disconnected"), True),
        (Outcome(Verdict.RETRY, "unavailable", 503), False),
        (Outcome(Verdict.RETRY, "connect-failed"), False),
        (Outcome(Verdict.RETRY, "too-many-requests", 429), False),
        (DONE, False),
    ],
)
def test_what_may_have_happened_goes_by_itself_and_what_did_not_shares_again(
    outcome: Outcome, alone: bool
) -> None:
    suspects = Suspects()
    suspects.learn("k", outcome)
    assert ("k" in suspects) is alone


def test_a_suspect_stays_one_until_it_is_delivered() -> None:
    suspects = Suspects()
    for outcome in (FAILED, Outcome(Verdict.RETRY, "unavailable", 503), FAILED):
        suspects.learn("k", outcome)
        assert "k" in suspects
    suspects.learn("k", DONE)
    assert "k" not in suspects


def test_of_suspects_without_end_the_last_are_kept() -> None:
    suspects = Suspects()
    for number in range(SUSPECTS_MAX_COUNT + 1):
        suspects.learn(str(number), FAILED)
    assert ("0" in suspects, "1" in suspects, str(SUSPECTS_MAX_COUNT) in suspects) == (False, True, True)


def test_what_several_have_of_one_call_counts_once_for_each_operation_and_outcome() -> None:
    told = [("put", FAILED), ("put", DONE), ("put", FAILED), ("cancel", FAILED), ("put", DONE)]
    counted = counted_once(told)
    assert [each.shared for each in counted] == [False, False, True, False, True]
    assert counted == [outcome for _, outcome in told]
