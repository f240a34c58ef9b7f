"""Withheld: what waits until a policy that is asked about each delivery says something else.

It is looked at before a delivery's turn, so that what waits uses up no attempt and no call slot, and stands
as HELD in the journal with its reason. It holds its own lane, as order demands: what came after it for the
same key of the same channel to the same API. Other keys, other APIs and other channels go on. A channel that
keeps order of everything, or for a key that several patients share, is held as a whole: that is the price of
its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from bridge.delivery.lane import Entry
from bridge.delivery.lanes import Lanes
from bridge.errors import JournalUnavailable
from bridge.governance.base import Policies
from bridge.governance.consent import ASKED_FOR
from bridge.journal.consents import WITHHOLD, Withhold, asks_of
from bridge.journal.journal import Journal
from bridge.message import Microseconds
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.consent")

KNOWN_MAX_DELIVERIES = 2000
READ_MAX_DELIVERIES = 200
LOOKED_AT_MAX_DELIVERIES = 2000
"""Of what waits, so many are looked at again at a time; the others at the next."""
JOURNAL_WAIT_S = 1.0


@dataclass(slots=True)
class _Waits:
    entry: Entry
    asks: str | None
    reason: str
    since_us: Microseconds


class Withheld:
    """What waits of one API."""

    def __init__(
        self,
        journal: Journal,
        world: Surroundings,
        tasks: Tasks,
        lanes: Lanes,
        move: Callable[[], None],
    ) -> None:
        self._journal, self._world, self._tasks, self._lanes, self._move = journal, world, tasks, lanes, move
        self._policies: Policies | None = None
        self._known: dict[int, str | None] = {}
        self._wanted: dict[int, None] = {}
        self._waiting: dict[int, _Waits] = {}
        self._unwritten: dict[int, str] = {}
        self._reading = self._writing = False
        self._next: Iterator[int] = iter(())
        self.comes: Callable[[Entry], str] = lambda _: ""
        """Why what decides about a delivery is not written down yet, or empty."""

    def use(self, policies: Policies) -> None:
        """Ask these from now on."""
        self._policies = policies if policies.asks_anew else None
        self.look_again()

    @property
    def policies(self) -> Policies | None:
        """Those that are asked about each delivery; None where there are none."""
        return self._policies

    def keep(self, delivery_id: int, asks: str | None) -> None:
        """What is asked about a delivery that was just journaled."""
        if self._policies is not None:
            self._known[delivery_id] = asks
            while len(self._known) > KNOWN_MAX_DELIVERIES:
                del self._known[next(iter(self._known))]

    def gate(self, entry: Entry) -> str | None:
        """The gate before which a delivery waits, or None where nothing withholds it."""
        if self._policies is None:
            return None
        delivery_id = entry.delivery_id
        if delivery_id not in self._known:
            self._wanted[delivery_id] = None
            if not self._reading:
                self._reading = True
                self._tasks.spawn("consent-asks", self._read())
            return _gate(delivery_id)
        now_us, asks = self._world.now_us(), self._known[delivery_id]
        if not (reason := self._why(entry, asks, now_us)):
            self._waiting.pop(delivery_id, None)
            return None
        before = self._waiting.get(delivery_id)
        since_us = now_us if before is None else before.since_us
        self._waiting[delivery_id] = _Waits(entry, asks, reason, since_us)
        self._write(delivery_id, reason)
        return _gate(delivery_id)

    def look_again(self) -> None:
        """Let go what nothing withholds any more; of very many not all at once."""
        woken, now_us = False, self._world.now_us()
        for _ in range(min(len(self._waiting) + 1, LOOKED_AT_MAX_DELIVERIES)):
            if (delivery_id := next(self._next, None)) is None:
                self._next = iter(tuple(self._waiting))
                continue
            if (waits := self._waiting.get(delivery_id)) is None:
                continue
            reason = self._why(waits.entry, waits.asks, now_us)
            if not reason or not self._lanes.has_parked(_gate(delivery_id)):
                del self._waiting[delivery_id]
                woken |= self._wake(delivery_id, waits.asks)
            elif reason != waits.reason:
                waits.reason = reason
                self._write(delivery_id, reason)
        if woken:
            self._move()

    def _why(self, entry: Entry, asks: str | None, now_us: Microseconds) -> str:
        """Why a delivery waits, or empty."""
        if self._policies is None:
            return ""
        return self.comes(entry) or self._policies.withholds(asks, now_us)

    def _wake(self, delivery_id: int, asks: str | None) -> bool:
        self.keep(delivery_id, asks)
        return self._lanes.wake_one(_gate(delivery_id))

    def _write(self, delivery_id: int, reason: str) -> None:
        if reason == ASKED_FOR:
            return  # that is over in a moment
        self._unwritten[delivery_id] = reason
        if not self._writing:
            self._writing = True
            self._tasks.spawn("withhold", self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._unwritten:
                await self._world.pause(0)
                unwritten, self._unwritten = self._unwritten, {}
                at_us = self._world.now_us()
                items = [Withhold(each, reason, at_us) for each, reason in unwritten.items()]
                ends = await self._journal.submit_all(WITHHOLD, items)
                for item, end in zip(items, ends, strict=True):
                    if isinstance(end, JournalUnavailable):
                        self._unwritten.setdefault(item.delivery_id, item.reason)
                if self._unwritten:
                    await self._world.pause(JOURNAL_WAIT_S)
        finally:
            self._writing = False

    async def _read(self) -> None:
        """Learn from the journal what is asked about deliveries that were not just made."""
        try:
            while self._wanted:
                ids = list(self._wanted)[:READ_MAX_DELIVERIES]
                try:
                    found = await self._journal.read(asks_of, ids)
                except JournalUnavailable as error:
                    log.error("journal-unavailable", reading="asks", reason=str(error))
                    await self._world.pause(JOURNAL_WAIT_S)
                    continue
                for each in ids:
                    del self._wanted[each]
                    self._wake(each, found.get(each))
                self._move()
        finally:
            self._reading = False

    def status(self) -> dict[str, Any]:
        """How many deliveries wait, since when the first does, and why."""
        reasons: dict[str, int] = {}
        for each in self._waiting.values():
            reasons[each.reason] = reasons.get(each.reason, 0) + 1
        since = min((each.since_us for each in self._waiting.values()), default=None)
        return {"count": len(self._waiting), "since_us": since, "reasons": reasons}


def _gate(delivery_id: int) -> str:
    return f"withheld {delivery_id}"
