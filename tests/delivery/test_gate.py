"""The gate of an operation: breaker, rate and calls at once, together."""

from __future__ import annotations

from bridge.delivery.breaker import Breaker, BreakerPolicy
from bridge.delivery.gate import Gate
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.delivery.rate import Rate

GOOD = Outcome(Verdict.DELIVERED, "delivered", 200)
BAD = Outcome(Verdict.RETRY, "unavailable", 503)
SECOND = 1_000_000


def gate(*, rate: Rate | None = None, in_flight_max: int | None = None) -> Gate:
    return Gate(Breaker(BreakerPolicy(failures_in_row=2, open_s=10)), rate, in_flight_max)


def test_no_more_calls_at_once_than_the_operation_takes() -> None:
    made = gate(in_flight_max=2)
    calls = [made.begin(0) for _ in range(3)]
    assert calls[:2] == [1, 2]
    assert calls[2] == 0
    assert not made.may_begin(0)
    made.end(calls[0], GOOD, 0, key=b"a")
    assert made.may_begin(0)


def test_no_more_calls_in_a_while_than_the_operation_takes_and_it_says_when_to_look_again() -> None:
    made = gate(rate=Rate(2.0, 1))
    assert made.begin(0)
    assert not made.begin(0)
    assert made.look_again_us(0) == SECOND // 2
    assert made.begin(SECOND // 2)


def test_a_call_that_was_not_made_is_given_back() -> None:
    made = gate(rate=Rate(1.0, 1), in_flight_max=1)
    call = made.begin(0)
    made.cancel(call, 0)
    assert made.in_flight == 0
    assert made.may_begin(0)


def test_looking_costs_nothing() -> None:
    made = gate(rate=Rate(1.0, 1))
    assert all(made.may_begin(0) for _ in range(5))
    assert made.look_again_us(0) == 0
    assert made.begin(0)


def test_a_stopped_operation_lets_one_try_when_its_time_is_over_and_all_when_that_goes_well() -> None:
    made = gate()
    first, second = made.begin(0), made.begin(0)
    made.end(first, BAD, 0, key=b"a")
    made.end(second, BAD, 0, key=b"b")
    assert made.breaker.state == "open"
    assert not made.begin(5 * SECOND)
    assert made.look_again_us(5 * SECOND) == 10 * SECOND
    probe = made.begin(10 * SECOND)
    assert probe
    assert not made.begin(10 * SECOND)
    assert made.look_again_us(10 * SECOND) is None
    assert made.end(probe, GOOD, 11 * SECOND, key=b"a")
    assert made.begin(11 * SECOND)
