"""The gate of one operation of an API: its breaker, its rate, and how many calls it takes at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridge.delivery.breaker import Breaker
from bridge.delivery.outcomes import Advertised, Outcome
from bridge.delivery.rate import Rate
from bridge.message import Microseconds

HEEDED_RATIO: Final = 0.95
"""The part of an advertised quota that is used."""
REST_MAX_S: Final = 900.0
"""The longest rest that is kept because an API asked for it."""


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
        self._in_flight_max = in_flight_max
        self._rates = () if rate is None else (rate,)
        self._declared = self._rates
        self._advertised_per_s: float | None = None
        self._rest_until_us: Microseconds = 0

    def heed(self, said: Advertised, now_us: Microseconds) -> None:
        """Call no more often than the API says that it may be called, beside what its file says.

        A quota is spread over its window, and a little of it left: when windows begin, the API alone knows.
        """
        if said.per_s is not None and said.per_s != self._advertised_per_s:
            self._advertised_per_s = said.per_s
            told = Rate(said.per_s * HEEDED_RATIO, 1)
            told.take(now_us)  # the call that was told of it
            self._rates = (*self._declared, told)
        if said.rest_s:
            self._rest_until_us = now_us + int(min(said.rest_s, REST_MAX_S) * 1e6)

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
        """How long the rates let a call wait that would begin now."""
        if (wait_us := self._take(now_us)) == 0:
            for rate in self._rates:
                rate.give_back()
        return wait_us

    def _take(self, now_us: Microseconds) -> Microseconds:
        """0 where all rates let a call go now, which they count; else how long to wait."""
        left_us = self._rest_until_us - now_us
        if 0 < left_us <= REST_MAX_S * 1e6:  # more is left only after a clock was set back
            return left_us
        for place, rate in enumerate(self._rates):
            if wait_us := rate.take(now_us):
                for taken in self._rates[:place]:
                    taken.give_back()
                return wait_us
        return 0

    def begin(self, now_us: Microseconds) -> int:
        """The number of a call that begins now, or 0 where none may begin.

        Exactly one of `end` and `cancel` must follow each number.
        """
        if not self._has_room(now_us) or self._take(now_us):
            return 0
        self.in_flight += 1
        return self.breaker.begin(now_us)

    def end(self, call: int, outcome: Outcome, now_us: Microseconds, *, key: bytes) -> bool:
        """A call ended. True where this opened the gate again: all that waited may go."""
        self.in_flight -= 1
        if outcome.advertised is not None:
            self.heed(outcome.advertised, now_us)
        return self.breaker.end(outcome, now_us, key=key, call=call)

    def end_wait(self) -> None:
        """End what calls wait for that a person can know to be over: failures, and what was asked for."""
        self.breaker.end_wait()
        self._rest_until_us = 0

    def cancel(self, call: int, begun_at_us: Microseconds) -> None:
        """A call was not made after all."""
        self.in_flight -= 1
        self.breaker.cancelled(call)
        for rate in self._rates:
            rate.give_back(begun_at_us)

    def look_again_us(self, now_us: Microseconds) -> Microseconds | None:
        """When a call may begin that may not now; None where that depends on a call under way."""
        if self.shut(now_us):
            return None
        if (until_us := self.breaker.until_us()) is not None:
            return until_us
        return now_us + self._wait_us(now_us) if self._has_room(now_us) else None
