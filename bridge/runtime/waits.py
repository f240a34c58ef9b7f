"""What keeps a delivery from its turn beside its operation: consent, a missing value, a call not yet done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence, Set

import structlog

from bridge.config.topology import Api
from bridge.delivery.lane import Entry
from bridge.delivery.lanes import Lanes
from bridge.delivery.outcomes import Outcome
from bridge.delivery.state import DeliveryState
from bridge.destinations.base import Destination
from bridge.journal.captures import CAPTURED_MISSING
from bridge.journal.collections import Rested
from bridge.journal.confirmations import Awaited
from bridge.journal.deliveries import Call, Settlement
from bridge.journal.journal import Journal
from bridge.message import Microseconds
from bridge.observe.metrics import Metrics
from bridge.runtime.acknowledging import Acknowledging
from bridge.runtime.collecting import Collecting
from bridge.runtime.confirming import Confirming
from bridge.runtime.flows import Flows, gate_of
from bridge.runtime.may_go import MayGo
from bridge.runtime.outlet_words import Settled
from bridge.runtime.pinning import Pinning
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks
from bridge.runtime.withheld import Withheld

log = structlog.get_logger("bridge.deliver")


class Waits:
    """What of one API waits for something other than its operation."""

    def __init__(
        self,
        api: Callable[[], tuple[Api, Destination]],
        ours: tuple[Journal, Surroundings, Tasks, Lanes, Callable[[], None]],
        metrics: Metrics,
        settled: Settled,
        relax: Callable[[Sequence[bytes]], Awaitable[None]],
        paused: Set[str],
    ) -> None:
        """``settled`` is told of what rests, ``relax`` lets go or bars keys anew, ``paused`` are gates that a
        person has shut."""
        self.flows: Flows | None = None
        self._lanes, self._move = ours[3], ours[4]
        self._api, self._tasks, self._metrics = api, ours[2], metrics
        self._settled, self._relax = settled, relax
        self.withheld = Withheld(*ours)
        self.pinning = Pinning(lambda: api()[0], *ours, self._gave_up)
        self.confirming = Confirming(api, *ours, self._confirmed)
        self.acknowledging = Acknowledging(api, *ours[:3], self._rested)
        told = self._rested, self.acknowledging.written
        may_go = MayGo(*ours[:2], lambda: self.withheld.policies)
        self.collecting = Collecting(api, *ours[:3], paused, *told, may_go)

    async def start(self) -> None:
        """Learn what was accepted or collected before. Raises JournalUnavailable."""
        await self.confirming.start()
        await self.collecting.start()
        await self.acknowledging.start()

    def gate(self, entry: Entry) -> str | None:
        """The gate before which a delivery waits, or None."""
        for each in (self.confirming, self.withheld, self.pinning):
            if (gate := each.gate(entry)) is not None:
                return gate
        return None if self.flows is None else self.flows.gate(entry, self._wake)

    def _wake(self, delivery_id: int) -> None:
        """What a delivery follows is done, or it has ended."""
        if self._lanes.wake_one(gate_of(delivery_id)):
            self._move()

    def look_again(self) -> None:
        """Look whether anything need wait no longer."""
        for each in (self.confirming, self.withheld, self.pinning):
            each.look_again()
        self.collecting.look_again()
        self.acknowledging.look_again()

    def delivered(self, outcome: Outcome) -> None:
        """What an answer gave may be what others wait for."""
        if outcome.captured is not None:
            self.pinning.look_again(now=True)

    def accepted(self, entry: Entry, call: Call, settlement: Settlement, now_us: Microseconds) -> None:
        """A call was accepted: ask what becomes of it, while its lane waits; or it goes into a file with
        others, and its lane goes on."""
        if settlement.joined is not None:
            self.collecting.joined(settlement.joined)
            self._lanes.finished(entry, now_us)
            return
        assert settlement.confirm is not None, "who accepts says where to ask"
        at = call.delivery_id, call.message_id, call.channel, call.route, entry.operation, entry.keys
        self.confirming.begin(Awaited(*at, *settlement.confirm))
        self._lanes.put_back(entry, now_us, now_us)

    def _rested(self, each: Rested) -> None:
        place = each.channel, each.route, each.message_id, each.delivery_id
        if each.state is DeliveryState.QUARANTINED:
            self._needs_person(place, each.keys, each.reason.partition(":")[0])
            return
        if each.state is DeliveryState.DELIVERED:
            self._metrics.delivered.count(each.channel, self._api()[0].name)
        self._settled(*place, each.state, each.reason)

    def _confirmed(self, each: Awaited, state: DeliveryState, reason: str) -> None:
        if state is DeliveryState.DELIVERED:
            self._metrics.delivered.count(each.channel, self._api()[0].name)
            self._settled(each.channel, each.route, each.message_id, each.delivery_id, state, reason)
        else:
            place = each.channel, each.route, each.message_id, each.delivery_id
            self._needs_person(place, each.keys, reason)

    def _gave_up(self, entry: Entry) -> None:
        place = entry.channel, entry.route, entry.message_id, entry.delivery_id
        self._needs_person(place, entry.keys, CAPTURED_MISSING)

    def _needs_person(self, place: tuple[str, str, int, int], keys: Sequence[bytes], reason: str) -> None:
        """A delivery is in quarantine, and no call is under way: learn its barrier, and tell who waits."""
        api = self._api()[0].name
        log.warning("quarantined", api=api, message=place[2], reason=reason)
        self._metrics.quarantine(api, reason)

        async def bar() -> None:
            await self._relax(keys)

        self._tasks.spawn("relax", bar())
        self._settled(*place, DeliveryState.QUARANTINED, reason)
