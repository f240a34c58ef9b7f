"""The time of day as waits and records need it, which does not go back; and as deleting needs it, which does
not jump."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import structlog

from bridge.message import Microseconds

log = structlog.get_logger("bridge.clock")

TOLD_FROM_NS = 1_000_000_000
"""A clock that was set back by less is not worth a word."""
SET_BY_US, DRIFTS_BY_US = 3600 * 1_000_000, 300 * 1_000_000
"""A clock that is ahead by more was set; one that stands as it was set is ahead by as much for as long."""
STANDS_FOR_S, TELL_EVERY_S = 86_400.0, 3600.0
AWAY_US = 30 * 86_400 * 1_000_000
"""For so long may a journal have had nothing to write before a start is in doubt of the time."""


class SteadyClock:
    """The system's time of day; where that was set back, a clock at half its speed until it has caught up.

    A retry that is due at two o'clock would wait for an hour longer where the clock was set back by one, a
    rate would let nothing through, and of two messages the later would seem to be the earlier. So time does
    not go back, and every wait ends after at most twice as long. A clock that was set forward is followed.

    ``wall_ns`` and ``monotonic_ns`` are as of `time`. Threads may ask; their times may then differ by as
    much as one of them was interrupted.
    """

    def __init__(self, wall_ns: Callable[[], int], monotonic_ns: Callable[[], int]) -> None:
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._last = wall_ns(), monotonic_ns()
        self._behind = False

    def __call__(self) -> Microseconds:
        """Microseconds since 1970, UTC."""
        wall_ns, monotonic_ns = self._wall_ns(), self._monotonic_ns()
        last_ns, at_ns = self._last
        if wall_ns < last_ns:
            if not self._behind and last_ns - wall_ns >= TOLD_FROM_NS:
                self._behind = True
                log.warning("clock-set-back", by_s=round((last_ns - wall_ns) / 1e9, 3))
            wall_ns = last_ns + max(0, monotonic_ns - at_ns) // 2
        else:
            self._behind = False
        self._last = wall_ns, monotonic_ns
        return wall_ns // 1000


class Doubt(NamedTuple):
    """A time of day that does not count yet: by how much it is ahead, and when it will count if it stays."""

    ahead_s: int
    counts_in_s: int


class BelievedTime:
    """The time of day for what cannot be undone. A clock that was set forward counts once it has stood so for
    a day; until then time goes on from what it was before.

    ``now_us`` is the time of day, and ``seconds`` a clock that nobody sets.
    """

    def __init__(self, now_us: Callable[[], Microseconds], seconds: Callable[[], float]) -> None:
        self._now_us, self._seconds = now_us, seconds
        self._base = now_us(), seconds()
        self._ahead: tuple[Microseconds, float] | None = None
        self._told_at_s = -TELL_EVERY_S
        self._journal_us: Microseconds = 0
        self.doubt: Doubt | None = None
        """What is in doubt, as of when it was last asked for the time."""

    def begin(self, last_us: Microseconds | None) -> None:
        """A start on a journal that was last written then; a time long after it is in doubt likewise."""
        now_us = self._now_us()
        if last_us is not None and now_us - last_us > AWAY_US:
            self._base = last_us, self._seconds()
        self._journal_us = last_us or 0
        if self.behind_s:
            log.warning("clock-behind", behind_s=self.behind_s)

    @property
    def behind_s(self) -> int:
        """By how much the time of day is behind the journal at the start; 0 where that is little."""
        behind_us = self._journal_us - self._now_us()
        return behind_us // 1_000_000 if behind_us > SET_BY_US else 0

    def __call__(self) -> Microseconds:
        """Microseconds since 1970, UTC; the log says now and then where that is not the time of day."""
        now_us, at_s = self._now_us(), self._seconds()
        base_us, base_s = self._base
        expected_us = base_us + int((at_s - base_s) * 1e6)
        ahead_us = now_us - expected_us
        if ahead_us > SET_BY_US:
            if self._ahead is None or abs(ahead_us - self._ahead[0]) > DRIFTS_BY_US:
                self._ahead = ahead_us, at_s
            left_s = STANDS_FOR_S - (at_s - self._ahead[1])
            if left_s > 0:
                self.doubt = Doubt(ahead_us // 1_000_000, round(left_s))
                if at_s - self._told_at_s >= TELL_EVERY_S:
                    self._told_at_s = at_s
                    log.warning("clock-doubtful", ahead_s=self.doubt.ahead_s, believed_in_s=round(left_s))
                return expected_us
        self._ahead, self._base, self.doubt = None, (now_us, at_s), None
        return now_us
