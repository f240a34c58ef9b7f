"""The time of day, as waits and records need it: it does not go back."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from bridge.message import Microseconds

log = structlog.get_logger("bridge.clock")

TOLD_FROM_NS = 1_000_000_000
"""A clock that was set back by less is not worth a word."""


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
