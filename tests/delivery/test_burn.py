"""When a route's calls go so badly that it goes back by itself, and when they do not."""

from __future__ import annotations

import pytest

from bridge.delivery.burn import LONG_S, Burn

BUDGET = 0.001

CASES = [
    ("nothing was called", [], False),
    ("all is well", [(0.0, 5000, 0)], False),
    ("within the budget", [(0.0, 5000, 5)], False),
    ("14 times the budget", [(0.0, 10_000, 140)], False),
    ("14.5 times the budget", [(0.0, 10_000, 145)], True),
    ("two failures of a few calls say nothing", [(0.0, 4, 2)], False),
    ("three do", [(0.0, 4, 3)], True),
    ("an hour ago", [(-LONG_S - 60, 100, 100), (0.0, 1000, 0)], False),
    ("it was bad, and is not any more", [(-600.0, 100, 100), (0.0, 100, 0)], False),
    ("it is bad now, and an hour makes it little", [(-1200.0, 100_000, 0), (0.0, 100, 50)], False),
]


@pytest.mark.parametrize(("about", "calls", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_fast_burn_is_one_of_both_windows(
    about: str, calls: list[tuple[float, int, int]], expected: bool
) -> None:
    burn, now_s = Burn(), 100_000.0
    for at_s, ended, failed in calls:
        for number in range(ended):
            burn.note(now_s + at_s, failed=number < failed)
    assert burn.is_fast(now_s, BUDGET) is expected, about


def test_what_is_kept_of_the_past_is_bounded() -> None:
    burn = Burn()
    for second in range(0, 50_000, 5):
        burn.note(float(second), failed=False)
    assert len(burn._steps) == 240
