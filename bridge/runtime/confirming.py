"""Confirming: what an API has accepted, it is asked about until it says what became of it.

Or it tells us by itself, in a message of its own to a channel of ours, by what it called the call.

The address or name that its answer gave was kept as the call was settled, so a start goes on. While it is
not known, the delivery is ACCEPTED and its lane waits. What failed, or is not known after `within`, needs a
person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bridge.config.topology import Api
from bridge.delivery.lane import Entry
from bridge.delivery.lanes import Lanes
from bridge.delivery.outcomes import Verdict
from bridge.delivery.state import DeliveryState
from bridge.destinations.base import Confirms, Destination
from bridge.errors import JournalUnavailable
from bridge.journal.confirmations import CONFIRM, Awaited, Confirmed, awaited, call_of
from bridge.journal.journal import Journal
from bridge.message import Microseconds
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.deliver")

ASKED_MAX_AT_ONCE = 4
KNOWN_MAX_DELIVERIES = 1000
UNKNOWN = "confirm-unknown"
NOT_KNOWN = "confirm-not-known"
"""No call is known by what an API has called back with; it may still come."""
EVERY_S = 5.0
"""Where an operation no longer says how often."""


@dataclass(slots=True)
class _Waits:
    awaited: Awaited
    due_at_us: Microseconds
    asking: bool = False


class Confirming:
    """What of one API was accepted and has not ended."""

    def __init__(
        self,
        api: Callable[[], tuple[Api, Destination]],
        journal: Journal,
        world: Surroundings,
        tasks: Tasks,
        lanes: Lanes,
        move: Callable[[], None],
        ended: Callable[[Awaited, DeliveryState, str], None],
    ) -> None:
        """``ended`` is told of each of which it is known what became."""
        self._api, self._journal, self._world, self._tasks = api, journal, world, tasks
        self._lanes, self._move, self._ended = lanes, move, ended
        self._waiting: dict[int, _Waits] = {}
        self._done: dict[int, None] = {}
        """What ended of late: an API may call back before its own answer has been settled here."""

    async def start(self) -> None:
        """Learn what was accepted before. Raises JournalUnavailable."""
        for each in await self._journal.read(awaited, self._api()[0].name):
            self._waiting[each.delivery_id] = _Waits(each, 0)

    def begin(self, each: Awaited) -> None:
        """A call was accepted just now."""
        if each.delivery_id not in self._done:
            self._waiting[each.delivery_id] = _Waits(each, self._due(each))

    def gate(self, entry: Entry) -> str | None:
        """The gate before which a delivery waits that was accepted; None for any other."""
        return _gate(entry.delivery_id) if entry.delivery_id in self._waiting else None

    def _due(self, each: Awaited) -> Microseconds:
        declared = getattr(self._api()[0].operations.get(each.operation), "confirm", None)
        return self._world.now_us() + int(getattr(declared, "every", EVERY_S) * 1e6)

    def look_again(self) -> None:
        """Ask about what it is time for."""
        now_us, asking = self._world.now_us(), sum(each.asking for each in self._waiting.values())
        for waits in list(self._waiting.values()):
            if asking >= ASKED_MAX_AT_ONCE:
                break
            if waits.due_at_us <= now_us and not waits.asking:
                waits.asking, asking = True, asking + 1
                self._tasks.spawn("confirm", self._ask(waits))

    async def _ask(self, waits: _Waits) -> None:
        each, (api, destination) = waits.awaited, self._api()
        try:
            verdict, reason = Verdict.RETRY, UNKNOWN
            if each.target and isinstance(destination, Confirms):
                trace = f"00-{self._world.random_bytes(16).hex()}-{self._world.random_bytes(8).hex()}-01"
                outcome = await destination.confirm(each.operation, each.target, traceparent=trace)
                verdict, reason = outcome.verdict, outcome.reason
            waits.due_at_us = self._due(each)
            if verdict is Verdict.DELIVERED:
                await self._end(waits, DeliveryState.DELIVERED, reason)
            elif verdict is Verdict.POISON:
                await self._end(waits, DeliveryState.QUARANTINED, reason)
            elif self._world.now_us() >= each.until_us:
                await self._end(waits, DeliveryState.QUARANTINED, UNKNOWN)
        except JournalUnavailable as error:
            log.error("journal-unavailable", api=api.name, reason=str(error))
        finally:
            waits.asking = False

    async def told(self, called: str, word: str) -> str:
        """The API has called back: what it calls a call, and its word for what became of that. The code of
        what this means; raises JournalUnavailable."""
        api, destination = self._api()
        known, each = await self._journal.read(call_of, self._journal.facts.hashes, api.name, called)
        if not known or not isinstance(destination, Confirms):
            return NOT_KNOWN
        if each is None:
            return "told-before"
        outcome = destination.told(each.operation, word)
        if outcome.verdict is Verdict.RETRY:
            return outcome.reason
        state = DeliveryState.DELIVERED if outcome.verdict is Verdict.DELIVERED else DeliveryState.QUARANTINED
        await self._end(self._waiting.get(each.delivery_id, _Waits(each, 0)), state, outcome.reason)
        return outcome.reason

    async def _end(self, waits: _Waits, state: DeliveryState, reason: str) -> None:
        each = waits.awaited
        confirmed = Confirmed(each.delivery_id, state, reason, self._world.now_us())
        first = await self._journal.submit(CONFIRM, confirmed)
        self._waiting.pop(each.delivery_id, None)
        self._done[each.delivery_id] = None
        while len(self._done) > KNOWN_MAX_DELIVERIES:
            del self._done[next(iter(self._done))]
        if first:  # and it was not told another way meanwhile
            self._ended(each, state, reason)
        # What is done is found so in the journal as its turn comes, and its lane goes on.
        if self._lanes.wake_one(_gate(each.delivery_id)):
            self._move()

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._waiting)


def _gate(delivery_id: int) -> str:
    return f"confirm {delivery_id}"
