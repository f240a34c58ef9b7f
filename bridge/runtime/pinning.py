"""Pinning: a request that needs what an earlier answer gave is made whole once, before its first attempt.

What it needs was kept as the earlier call was settled, in one transaction with it. Where it is not there, the
call that gives it has not been through: the delivery is HELD, and its lane with it, until it is, and for no
longer than `retry.not_found_for`; then a person must look at it. Once pinned, every attempt sends the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from bridge.config.topology import Api
from bridge.delivery.lane import Entry
from bridge.delivery.lanes import Lanes
from bridge.destinations.base import FillsIn
from bridge.errors import ItemRefused, JournalUnavailable
from bridge.journal.captures import PIN, Pin, captured_of, unpinned
from bridge.journal.journal import Journal
from bridge.message import Microseconds
from bridge.runtime.release import requests_of
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.deliver")

KNOWN_MAX_DELIVERIES = 2000
LOOK_EVERY_S = 5.0
JOURNAL_WAIT_S = 1.0


class Pinning:
    """What of one API waits for what it says of its records."""

    def __init__(
        self,
        api: Callable[[], Api],
        journal: Journal,
        world: Surroundings,
        tasks: Tasks,
        lanes: Lanes,
        move: Callable[[], None],
        gave_up: Callable[[Entry], None],
    ) -> None:
        """``move`` is called when something may go, ``gave_up`` is told of what needs a person now."""
        self._api, self._journal, self._world, self._tasks = api, journal, world, tasks
        self._lanes, self._move, self._gave_up = lanes, move, gave_up
        self._known: Api | None = None
        self._any = False
        """Whether any operation of the API that is known needs something."""
        self._whole: dict[int, None] = {}
        self._wanted: dict[int, Entry] = {}
        self._waiting: dict[int, Entry] = {}
        self._looking = False
        self._looked_at_us: Microseconds = 0

    def gate(self, entry: Entry) -> str | None:
        """The gate before which a delivery waits, or None where its request is whole."""
        api = self._api()
        if api is not self._known:
            self._known, self._any = api, any(getattr(each, "needs", ()) for each in api.operations.values())
        if not self._any:
            return None
        if entry.delivery_id in self._whole:
            return None
        self._want([entry])
        return _gate(entry.delivery_id)

    def look_again(self, *, now: bool = False) -> None:
        """Look once more whether what is needed is there; once in a while, or ``now``."""
        now_us = self._world.now_us()
        if self._waiting and (now or abs(now_us - self._looked_at_us) >= LOOK_EVERY_S * 1e6):
            self._looked_at_us = now_us
            self._want(list(self._waiting.values()))

    def _want(self, entries: Sequence[Entry]) -> None:
        self._wanted.update((each.delivery_id, each) for each in entries)
        if not self._looking:
            self._looking = True
            self._tasks.spawn("pin", self._pin_all())

    async def _pin_all(self) -> None:
        try:
            while self._wanted:
                entry = self._wanted.pop(next(iter(self._wanted)))
                self._waiting.pop(entry.delivery_id, None)
                try:
                    await self._pin(entry)
                except JournalUnavailable as error:
                    log.error("journal-unavailable", api=self._api().name, reason=str(error))
                    self._wanted[entry.delivery_id] = entry
                    await self._world.pause(JOURNAL_WAIT_S)
        finally:
            self._looking = False

    async def _pin(self, entry: Entry) -> None:
        found = await self._journal.read(unpinned, entry.delivery_id)
        fills = requests_of(self._api())
        needs = fills.needs(found.request) if found is not None and isinstance(fills, FillsIn) else None
        if found is None or needs is None or not isinstance(fills, FillsIn):
            self._go(entry)
            return
        api, now_us = self._api(), self._world.now_us()
        about, names = needs
        values = await self._journal.read(captured_of, self._journal.facts.hashes, api.name, about)
        request = fills.fill(found.request, values) if all(name in values for name in names) else None
        waited_us = 0 if found.held_since_us is None else now_us - found.held_since_us
        give_up = request is None and waited_us >= api.retry.not_found_for_s * 1e6
        pin = Pin(entry.delivery_id, found.revision, request, give_up, now_us, about)
        try:
            done = await self._journal.submit(PIN, pin)
        except ItemRefused as error:
            log.error("not-pinned", api=api.name, message=entry.message_id, reason=str(error))
            self._waiting[entry.delivery_id] = entry
            return
        if request is not None or not done:
            self._go(entry)
        elif give_up:
            self._gave_up(entry)
        else:
            self._waiting[entry.delivery_id] = entry

    def _go(self, entry: Entry) -> None:
        self._whole[entry.delivery_id] = None
        while len(self._whole) > KNOWN_MAX_DELIVERIES:
            del self._whole[next(iter(self._whole))]
        if self._lanes.wake_one(_gate(entry.delivery_id)):
            self._move()


def _gate(delivery_id: int) -> str:
    return f"pin {delivery_id}"
