"""Deliveries that are under way at the same time, in one transaction, each with an outcome of its own.

Those of one key are under way one after the other, so what meets here is of different keys. A transaction is
done whole or not at all: where one is refused, each of its deliveries is sent by itself, so that only the one
that is at fault hears so. Where it failed and may have happened, none is sent again here, since not every API
may be called twice: what comes again is sent by itself then, so that what a server cannot bear fails alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field
from twisted.internet.defer import Deferred

from bridge.component import Options
from bridge.delivery.outcomes import Outcome, Verdict, about_one
from bridge.delivery.together import Suspects, counted_once
from bridge.destinations.base import GUARDED
from bridge.destinations.fhir_responses import of_all
from bridge.fhir.exchange import Entry, Identity
from bridge.units import DurationS

_EACH_ITS_OWN: Final = frozenset({Verdict.POISON, Verdict.NOT_FOUND, Verdict.HOLD})
Do = Callable[[Sequence[Entry], Mapping[str, str]], Awaitable[Sequence[Outcome]]]
"""Does entries, and says what became of each."""


class TogetherOptions(Options):
    """How many deliveries share a transaction."""

    max: int = Field(20, ge=2, le=100, description="So many deliveries at most.")
    wait: DurationS = Field(0.01, gt=0, le=1, description="How long the first of them waits for others.")


@dataclass(eq=False, slots=True)
class _Waiting:
    operation: str
    key: str
    entries: Sequence[Entry]
    headers: Mapping[str, str]
    size_bytes: int
    outcome: Deferred[Outcome] = field(repr=False)


class Together:
    """Collects deliveries for `TogetherOptions.wait`, and sends them as one."""

    def __init__(self, options: TogetherOptions, do: Do, body_max_bytes: int) -> None:
        self._suspects = Suspects()
        self._options, self._do, self._body_max_bytes = options, do, body_max_bytes
        self._waiting: list[_Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(
        self, operation: str, key: str, entries: Sequence[Entry], headers: Mapping[str, str], size_bytes: int
    ) -> Outcome:
        """The outcome of one delivery, which is known by its ``key`` at each attempt. Cancelling it takes it
        out, unless it is under way already."""
        if self._closed:
            return Outcome(Verdict.RETRY, "closing", steps=f"{GUARDED}!closing")
        outcome: Deferred[Outcome] = Deferred(self._cancelled)
        waiting = _Waiting(operation, key, entries, headers, size_bytes, outcome)
        if key in self._suspects:
            self._begin([waiting])
            return await outcome
        self._waiting.append(waiting)
        if len(self._waiting) >= self._options.max:
            self._go()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._options.wait, self._go)
        return await outcome

    def _cancelled(self, outcome: Deferred[Outcome]) -> None:
        self._waiting = [each for each in self._waiting if each.outcome is not outcome]

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        while waiting:
            first, waiting = self._fitting(waiting)
            self._begin(first)

    def _begin(self, waiting: list[_Waiting]) -> None:
        Deferred.fromCoroutine(self._all(waiting)).addErrback(self._failed, waiting)

    def _fitting(self, waiting: list[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
        """Those that go into one transaction: each resource once, and not too large."""
        taken: list[_Waiting] = []
        rest: list[_Waiting] = []
        seen: set[Identity] = set()
        size_bytes = 0
        for each in waiting:
            about = {entry.identity for entry in each.entries}
            size_bytes += each.size_bytes
            if taken and (about & seen or size_bytes > self._body_max_bytes or rest):
                rest.append(each)
            else:
                taken.append(each)
                seen |= about
        return taken, rest

    async def _all(self, waiting: list[_Waiting]) -> None:
        entries = [entry for each in waiting for entry in each.entries]
        left = iter(await self._do(entries, waiting[0].headers))
        outcomes = [of_all([next(left) for _ in each.entries]) for each in waiting]
        if len(waiting) > 1 and all(map(_refused, outcomes)):
            for each in waiting:
                self._begin([each])
            return
        counted = counted_once(zip((each.operation for each in waiting), outcomes, strict=True))
        for each, outcome in zip(waiting, counted, strict=True):
            self._suspects.learn(each.key, outcome)
            if not each.outcome.called:
                each.outcome.callback(outcome)

    def _failed(self, failure: object, waiting: list[_Waiting]) -> None:
        """A fault of ours: whoever waits must hear of it."""
        for each in waiting:
            if not each.outcome.called:
                each.outcome.errback(failure)  # type: ignore[arg-type]

    def close(self) -> None:
        """Send nothing more: who waits still has not been sent."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.outcome.callback(Outcome(Verdict.RETRY, "closing", steps=f"{GUARDED}!closing"))


def _refused(outcome: Outcome) -> bool:
    """Whether a server has done nothing of it, for a reason that may be another delivery's."""
    return about_one(outcome) or outcome.verdict in _EACH_ITS_OWN
