"""How many calls an operation takes in a while: a token bucket."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Final

from bridge.message import Microseconds

_TICKS_PER_US: Final = 1_000_000
"""Picoseconds: whole numbers that add up without error, and fine enough for any rate."""


class Rate:
    """At most ``burst`` calls at once, and ``per_s`` a second after that.

    In any span of t seconds there are at most ``burst + t * per_s`` calls. ``burst`` None is what
    ``per_s`` gives in a second, and 1 at least. A clock that is set back gives no call, and takes none away.
    """

    __slots__ = ("_at_us", "_call_ticks", "_full_ticks", "_owed_ticks")

    def __init__(self, per_s: float, burst: int | None = None) -> None:
        assert per_s > 0
        assert burst is None or burst > 0
        # The bucket is kept upside down, as what calls still owe: nothing when it is full.
        self._call_ticks = ceil(_TICKS_PER_US * 1_000_000 / Fraction(per_s))
        self._full_ticks = self._call_ticks * max(1, ceil(per_s) if burst is None else burst)
        self._owed_ticks = 0
        self._at_us: Microseconds | None = None

    def take(self, now_us: Microseconds) -> Microseconds:
        """0 where a call may go now, which is counted; else how long to wait before asking again."""
        if self._at_us is not None and now_us > self._at_us:
            self._owed_ticks = max(0, self._owed_ticks - (now_us - self._at_us) * _TICKS_PER_US)
        self._at_us = now_us
        missing_ticks = self._owed_ticks + self._call_ticks - self._full_ticks
        if missing_ticks > 0:
            return -(-missing_ticks // _TICKS_PER_US)
        self._owed_ticks += self._call_ticks
        return 0

    def spare_us(self, share: int, more: int = 0) -> Microseconds:
        """0 where, beside what is taken and ``more`` calls, one in ``share`` calls of the burst is still
        there for others; else how long until it is. As of the last `take`. A burst too small to share keeps
        nothing back."""
        kept_ticks = (self._full_ticks // self._call_ticks // share + more) * self._call_ticks
        missing_ticks = self._owed_ticks + kept_ticks - self._full_ticks
        return max(0, -(-missing_ticks // _TICKS_PER_US))

    def give_back(self, taken_us: Microseconds | None = None) -> None:
        """A call that was counted was not made.

        ``taken_us`` is when it was counted, None for a moment ago. What time has given back since is not
        given back again, so that the limit holds, however late this is told.
        """
        since_us = 0 if taken_us is None or self._at_us is None else max(0, self._at_us - taken_us)
        left_ticks = max(0, self._call_ticks - since_us * _TICKS_PER_US)
        self._owed_ticks = max(0, self._owed_ticks - left_ticks)
