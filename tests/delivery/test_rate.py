"""The rate: never more calls than it says, and no wait longer than it must be."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.rate import Rate

SECOND_US = 1_000_000
AT_US = 1_700_000_000 * SECOND_US
RATES = st.one_of(
    st.sampled_from([1 / 3600, 1 / 60, 0.1, 1.0, 1.5, 3.0, 20.0, 999.0, 1e6, 999_999_999.0]),
    st.floats(1e-4, 1e7),
)
BURSTS = st.integers(1, 20)
WAITS_US = st.lists(
    st.one_of(st.just(0), st.integers(0, 2_000), st.integers(0, 3_000_000), st.integers(0, 10**11)),
    max_size=80,
)


def allowed(per_s: float, burst: int, span_us: int) -> Fraction:
    return burst + Fraction(span_us, SECOND_US) * Fraction(per_s)


def assert_within(made_us: list[int], per_s: float, burst: int) -> None:
    for first, start_us in enumerate(made_us):
        for last in range(first, len(made_us)):
            assert last - first + 1 <= allowed(per_s, burst, made_us[last] - start_us)


@given(per_s=RATES, burst=BURSTS, waits_us=WAITS_US)
def test_no_span_of_time_has_more_calls_than_allowed(per_s: float, burst: int, waits_us: list[int]) -> None:
    rate, now_us, made_us = Rate(per_s, burst), AT_US, []
    for wait_us in waits_us:
        now_us += wait_us
        if rate.take(now_us) == 0:
            made_us.append(now_us)
    assert_within(made_us, per_s, burst)


@given(per_s=RATES, burst=BURSTS, waits_us=WAITS_US)
def test_waiting_as_told_always_suffices_and_is_never_too_long(
    per_s: float, burst: int, waits_us: list[int]
) -> None:
    rate, now_us = Rate(per_s, burst), AT_US
    for wait_us in waits_us:
        now_us += wait_us
        told_us = rate.take(now_us)
        if told_us:
            assert told_us <= SECOND_US / Fraction(per_s) + 1
            assert rate.take(now_us + told_us - 1) > 0
            now_us += told_us
            assert rate.take(now_us) == 0


@given(
    per_s=RATES,
    burst=BURSTS,
    steps=st.lists(st.tuples(st.integers(0, 3_000_000), st.booleans(), st.integers(0, 3)), max_size=60),
)
def test_calls_given_back_make_room_for_no_more_than_themselves(
    per_s: float, burst: int, steps: list[tuple[int, bool, int]]
) -> None:
    rate, now_us, made_us = Rate(per_s, burst), AT_US, list[int]()
    for wait_us, gives_back, which in steps:
        now_us += wait_us
        if gives_back and made_us:
            rate.give_back(made_us.pop(-1 - which % len(made_us)))
        elif rate.take(now_us) == 0:
            made_us.append(now_us)
    assert_within(made_us, per_s, burst)


@given(per_s=RATES, burst=BURSTS, waits_us=st.lists(st.integers(-(10**10), 10**10), max_size=80))
def test_a_clock_that_is_set_back_makes_no_flood_and_no_wedge(
    per_s: float, burst: int, waits_us: list[int]
) -> None:
    rate, now_us, made, forward_us = Rate(per_s, burst), AT_US, 0, 0
    for wait_us in waits_us:
        now_us += wait_us
        forward_us += max(0, wait_us)
        told_us = rate.take(now_us)
        made += told_us == 0
        assert told_us <= SECOND_US / Fraction(per_s) + 1
    assert made <= allowed(per_s, burst, forward_us)


def test_a_steady_rate_is_reached() -> None:
    rate, now_us, made = Rate(20.0, 5), AT_US, 0
    while now_us < AT_US + 60 * SECOND_US:
        wait_us = rate.take(now_us)
        made += wait_us == 0
        now_us += wait_us
    assert made == 5 + 60 * 20 - 1  # what 60 s give, without the call that is due when they end


@pytest.mark.parametrize(("per_s", "burst"), [(20.0, 20), (1.5, 2), (0.01, 1), (1.0, 1)])
def test_without_a_burst_a_second_may_come_at_once(per_s: float, burst: int) -> None:
    rate = Rate(per_s)
    assert [rate.take(AT_US) == 0 for _ in range(burst + 1)] == [True] * burst + [False]


def test_a_call_given_back_at_once_is_as_if_it_had_not_been() -> None:
    rate = Rate(1.0, 2)
    for _ in range(10):
        assert rate.take(AT_US) == 0
        rate.give_back()
    assert [rate.take(AT_US) for _ in range(3)] == [0, 0, SECOND_US]


def test_a_call_given_back_late_gives_only_what_time_has_not() -> None:
    rate = Rate(1.0, 1)
    assert rate.take(AT_US) == 0
    assert rate.take(AT_US + SECOND_US) == 0
    rate.give_back(AT_US)
    assert rate.take(AT_US + SECOND_US) == SECOND_US
    rate.give_back(AT_US + SECOND_US)
    assert rate.take(AT_US + SECOND_US) == 0
