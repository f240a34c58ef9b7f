"""How fast a route uses up the share of its calls that may fail. Pure.

A budget of 0.1 % is burnt at rate 1 where one call of a thousand fails. Somebody must act at once where it
burns 14.4 times as fast both over an hour, so that it is no accident, and over five minutes, so that it
still goes on. A call has failed that needs a person now; one that is tried again has not.
"""

from __future__ import annotations

from collections import deque
from typing import Final

FAST: Final = 14.4
LONG_S: Final = 3600.0
SHORT_S: Final = 300.0
STEP_S: Final = 15.0
FAILED_MIN: Final = 3
"""Fewer say nothing: of a small canary the first failure would be a large share."""


class Burn:
    """The calls of one route over the last hour, in steps of `STEP_S`."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: deque[list[int]] = deque(maxlen=int(LONG_S / STEP_S))
        """Number of the step, calls that ended in it, and how many of them failed."""

    def note(self, now_s: float, *, failed: bool) -> None:
        """A call has ended for good."""
        step = int(now_s / STEP_S)
        if not self._steps or self._steps[-1][0] < step:
            self._steps.append([step, 0, 0])
        self._steps[-1][1] += 1
        self._steps[-1][2] += failed

    def rate(self, now_s: float, within_s: float, budget: float) -> tuple[float, int]:
        """How many times as fast as it may the budget burns, and how many calls failed."""
        since = int((now_s - within_s) / STEP_S)
        seen = [each for each in self._steps if each[0] > since]
        calls, failed = sum(each[1] for each in seen), sum(each[2] for each in seen)
        return (failed / calls / budget if calls else 0.0), failed

    def is_fast(self, now_s: float, budget: float) -> bool:
        """Whether somebody must act. ``budget`` is the share that may fail, above 0."""
        long, failed = self.rate(now_s, LONG_S, budget)
        short, _ = self.rate(now_s, SHORT_S, budget)
        return failed >= FAILED_MIN and min(long, short) >= FAST
