"""The gate of one operation of an API: its breaker, its rate, and how many calls it takes at once."""

from __future__ import annotations

from collections.abc import Callable

from bridge.delivery.breaker import Breaker
from bridge.delivery.outcomes import Outcome
from bridge.delivery.rate import Rate
from bridge.message import Microseconds


class Gate:
    """Whether an operation may be called now. What may not stays in its lane and uses up no attempt."""

    def __init__(
        self,
        breaker: Breaker,
        rate: Rate | None = None,
        in_flight_max: int | None = None,
        shut: Callable[[Microseconds], str] = lambda _: "",
    ) -> None:
        """``shut`` says why no call may begin now, or nothing; it asks for no call."""
        self.breaker = breaker
        self.in_flight = 0
        self.shut = shut
        self._rate, self._in_flight_max = rate, in_flight_max

    @property
    def steps(self) -> str:
        """The letters of the policies that a call which begins here has passed: slot, breaker and rate."""
        return "bkr"

    def may_begin(self, now_us: Microseconds) -> bool:
        """Whether a call could begin now."""
        return self._has_room(now_us) and not self._wait_us(now_us)

    def _has_room(self, now_us: Microseconds) -> bool:
        full = self._in_flight_max is not None and self.in_flight >= self._in_flight_max
        return not full and not self.shut(now_us) and self.breaker.may_call(now_us)

    def _wait_us(self, now_us: Microseconds) -> Microseconds:
        """How long the rate lets a call wait that would begin now."""
        if self._rate is None:
            return 0
        wait_us = self._rate.take(now_us)
        if not wait_us:
            self._rate.give_back()
        return wait_us

    def begin(self, now_us: Microseconds) -> int:
        """The number of a call that begins now, or 0 where none may begin.

        Exactly one of `end` and `cancel` must follow each number.
        """
        if not self._has_room(now_us) or (self._rate is not None and self._rate.take(now_us)):
            return 0
        self.in_flight += 1
        return self.breaker.begin(now_us)

    def end(self, call: int, outcome: Outcome, now_us: Microseconds, *, key: bytes) -> bool:
        """A call ended. True where this opened the gate again: all that waited may go."""
        self.in_flight -= 1
        return self.breaker.end(outcome, now_us, key=key, call=call)

    def cancel(self, call: int, begun_at_us: Microseconds) -> None:
        """A call was not made after all."""
        self.in_flight -= 1
        self.breaker.cancelled(call)
        if self._rate is not None:
            self._rate.give_back(begun_at_us)

    def look_again_us(self, now_us: Microseconds) -> Microseconds | None:
        """When a call may begin that may not now; None where that depends on a call under way."""
        if self.shut(now_us):
            return None
        if (until_us := self.breaker.until_us()) is not None:
            return until_us
        return now_us + self._wait_us(now_us) if self._has_room(now_us) else None
