"""An API that says how often it may be called is called so often, and no more."""

from __future__ import annotations

import pytest

from bridge.delivery.breaker import Breaker, BreakerPolicy
from bridge.delivery.gate import REST_MAX_S, Gate
from bridge.delivery.outcomes import Advertised, Outcome, Verdict
from bridge.delivery.rate import Rate
from bridge.destinations.http_limits import advertised

SECOND_US = 1_000_000
SAID = Advertised(10.0, 0.0)


def calls_of(gate: Gate, said: Advertised | None, seconds: int, *, start_us: int = 0) -> list[int]:
    """When calls began that came as soon as they could; each is answered at once."""
    now_us, begun = start_us, []
    while now_us < start_us + seconds * SECOND_US:
        if call := gate.begin(now_us):
            begun.append(now_us)
            gate.end(call, Outcome(Verdict.DELIVERED, "", 200, advertised=said), now_us, key=b"k")
        else:
            look_us = gate.look_again_us(now_us)
            assert look_us is not None
            now_us = max(now_us + 1, look_us)
    return begun


def gate(rate: Rate | None = None) -> Gate:
    return Gate(Breaker(BreakerPolicy()), rate)


def test_a_quota_of_ten_a_second_is_never_exceeded_wherever_its_windows_begin() -> None:
    begun = calls_of(gate(), SAID, 60)
    assert 500 <= len(begun) <= 605
    for shift_us in range(0, SECOND_US, 70_000):
        for window in range(60):
            first_us = window * SECOND_US + shift_us
            assert sum(first_us <= each < first_us + SECOND_US for each in begun) <= 10


def test_without_a_word_nothing_is_held_back() -> None:
    free = gate()
    assert all(free.begin(0) for _ in range(1000))


def test_what_the_file_says_holds_beside_it() -> None:
    assert len(calls_of(gate(Rate(2.0, 1)), SAID, 30)) <= 61
    assert len(calls_of(gate(Rate(1000.0, 1)), SAID, 30)) <= 300


def test_an_empty_quota_is_waited_for() -> None:
    held = gate()
    call = held.begin(0)
    held.end(call, Outcome(Verdict.DELIVERED, "", 200, advertised=Advertised(None, 5.0)), 0, key=b"k")
    assert not held.may_begin(4_999_999)
    assert held.look_again_us(1 * SECOND_US) == 5 * SECOND_US
    assert held.may_begin(5 * SECOND_US)


def test_no_rest_is_longer_than_it_may_be_also_where_a_clock_is_set_back() -> None:
    held = gate()
    held.heed(Advertised(None, 1e9), 10_000 * SECOND_US)
    assert not held.may_begin(10_000 * SECOND_US + int(REST_MAX_S * 1e6) - 1)
    assert held.may_begin(10_000 * SECOND_US + int(REST_MAX_S * 1e6))
    held.heed(Advertised(None, 60.0), 10_000 * SECOND_US)
    assert held.may_begin(1), "before the rest was asked for, by a clock that was set back"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({"ratelimit-policy": "nonsense"}, None),
        ({"ratelimit-policy": '"a";q=0;w=1'}, None),
        ({"ratelimit-policy": '"a";q=5;w=0'}, None),
        ({"ratelimit-policy": '"a";q=5'}, None),
        ({"ratelimit-policy": '"a";q=60;w=60'}, Advertised(1.0, 0.0)),
        ({"ratelimit-policy": '"a";q=60;w=60, "b";q=10;w=20'}, Advertised(0.5, 0.0)),
        ({"ratelimit": '"a";r=0;t=30'}, Advertised(None, 30.0)),
        ({"ratelimit": '"a";r=7;t=30'}, None),
        ({"ratelimit": '"a";r=99999999999999;t=1'}, None),
        ({"ratelimit": '"a";r=0;t=999999999'}, Advertised(None, 86400.0)),
    ],
)
def test_what_cannot_be_read_counts_as_not_said(headers: dict[str, str], found: Advertised | None) -> None:
    assert advertised(headers) == found
