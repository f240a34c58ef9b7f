"""Lanes: what waits for one API, kept in order for each key.

A lane has at most one delivery under way. One that must wait keeps its head and forgets the rest, and a
lane that needs a person is forgotten whole but for its barrier; the journal has them all, and they are
read back when the lane moves on. So a stuck key holds no memory that another key could need.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.message import Microseconds

LANE_MAX_ENTRIES = 64
"""Of one lane no more than this stands in memory."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A delivery that waits for its turn."""

    delivery_id: int
    message_id: int
    lane: bytes
    due_at_us: Microseconds


class _Lane:
    __slots__ = ("busy", "entries", "for_api", "missed", "reading", "spilled", "waiting")

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.busy = False  # its head is under way
        self.waiting = False  # its head is not due yet
        self.for_api = False  # it waits because the API failed, not because of what it sends
        self.spilled = False  # the journal holds more of it after the last entry here
        self.reading = False  # more of it is being read
        self.missed = False  # something came while it was being read


@dataclass(frozen=True, slots=True)
class Reload:
    """A lane whose further entries must be read from the journal, after ``after_id``."""

    lane: bytes
    after_id: int


class Lanes:
    """All lanes of one API."""

    def __init__(self, barriers: Mapping[bytes, int] | None = None) -> None:
        self._lanes: dict[bytes, _Lane] = {}
        self._ready: deque[bytes] = deque()
        self._due: list[tuple[Microseconds, int, bytes]] = []
        self.barriers: dict[bytes, int] = dict(barriers or {})
        """Keys that wait for a person: nothing of such a key from this message on may go."""
        self.live = 0
        """Entries in memory that could go before long; those of waiting lanes do not count."""

    def __len__(self) -> int:
        """How many lanes are in memory."""
        return len(self._lanes)

    @property
    def waiting(self) -> int:
        """How many lanes wait for a time to come."""
        return sum(lane.waiting for lane in self._lanes.values())

    def admit(self, entry: Entry, now_us: Microseconds) -> None:
        """Take an entry in, after all that were admitted before it."""
        if self._barred(entry):
            return
        lane = self._lanes.get(entry.lane)
        if lane is None:
            lane = self._lanes[entry.lane] = _Lane()
        elif lane.spilled or lane.waiting or len(lane.entries) >= LANE_MAX_ENTRIES:
            lane.spilled = lane.missed = True
            return
        self._append(lane, entry, now_us)

    def _barred(self, entry: Entry) -> bool:
        barrier = self.barriers.get(entry.lane)
        return barrier is not None and entry.message_id >= barrier

    def _append(self, lane: _Lane, entry: Entry, now_us: Microseconds) -> None:
        lane.entries.append(entry)
        self.live += 1
        if len(lane.entries) == 1 and not lane.busy:
            self._line_up(lane, now_us)

    def _line_up(self, lane: _Lane, now_us: Microseconds) -> None:
        head = lane.entries[0]
        if head.due_at_us <= now_us:
            self._ready.append(head.lane)
            return
        lane.waiting = True
        self.live -= len(lane.entries)
        if len(lane.entries) > 1:
            lane.entries = deque((head,))
            lane.spilled = lane.missed = True
        heapq.heappush(self._due, (head.due_at_us, head.delivery_id, head.lane))

    def next_ready(self, now_us: Microseconds) -> Entry | None:
        """The next delivery that may be sent now, or None; its lane is busy until it is handed back."""
        while self._due and self._due[0][0] <= now_us:
            self._wake(heapq.heappop(self._due)[2])
        while self._ready:
            lane = self._lanes[self._ready.popleft()]
            if self._barred(lane.entries[0]):
                self._forget(lane)
                continue
            lane.busy = True
            return lane.entries[0]
        return None

    def _wake(self, key: bytes) -> None:
        lane = self._lanes[key]
        lane.waiting = lane.for_api = False
        self.live += len(lane.entries)
        self._ready.append(key)

    def next_due_at_us(self) -> Microseconds | None:
        """When the next waiting lane is due, or None."""
        return self._due[0][0] if self._due else None

    def finished(self, entry: Entry, now_us: Microseconds) -> Reload | None:
        """The head needs nothing more, and its lane goes on; maybe in the journal: then what to read."""
        lane = self._end(entry)
        lane.entries.popleft()
        self.live -= 1
        return self._go_on(entry, lane, now_us)

    def put_back(
        self, entry: Entry, due_at_us: Microseconds, now_us: Microseconds, *, for_api: bool = False
    ) -> None:
        """The head is to be tried again; nothing of its lane goes before that.

        ``for_api`` tells that the API failed: once it is known to be back, there is nothing to wait for.
        """
        lane = self._end(entry)
        lane.for_api = for_api
        lane.entries[0] = Entry(entry.delivery_id, entry.message_id, entry.lane, due_at_us)
        self._line_up(lane, now_us)

    def api_is_back(self) -> int:
        """Let every lane go that waits because the API failed; returns how many there were."""
        back = {key for key, lane in self._lanes.items() if lane.waiting and lane.for_api}
        self._due = [waiting for waiting in self._due if waiting[2] not in back]
        heapq.heapify(self._due)
        for key in sorted(back, key=lambda key: self._lanes[key].entries[0].delivery_id):
            self._wake(key)
        return len(back)

    def block(self, entry: Entry) -> None:
        """The head waits for a person, and its lane with it."""
        lane = self._end(entry)
        self.bar(entry.lane, entry.message_id)
        self._forget(lane)

    def bar(self, key: bytes, message_id: int) -> None:
        """Nothing of a key from this message on may go; what came before it still does."""
        self.barriers[key] = min(message_id, self.barriers.get(key, message_id))

    def reloaded(
        self, reload: Reload, entries: Iterable[Entry], *, full: bool, now_us: Microseconds
    ) -> Reload | None:
        """More of a lane was read, in order; ``full`` tells that there may be more still."""
        lane = self._lanes.get(reload.lane)
        if lane is None or not lane.reading:
            return None
        lane.reading = False
        lane.spilled = full or lane.missed
        last = Entry(reload.after_id, 0, reload.lane, 0)
        for entry in entries:
            if self._barred(entry):
                lane.spilled = False
                break
            if lane.waiting:
                lane.spilled = True
                break
            last = entry
            self._append(lane, entry, now_us)
        return None if lane.entries else self._go_on(last, lane, now_us)

    def _end(self, entry: Entry) -> _Lane:
        lane = self._lanes[entry.lane]
        assert lane.busy, "only a delivery under way can end"
        assert lane.entries[0].delivery_id == entry.delivery_id, "only a lane's head is under way"
        lane.busy = False
        return lane

    def _go_on(self, last: Entry, lane: _Lane, now_us: Microseconds) -> Reload | None:
        if lane.entries:
            self._line_up(lane, now_us)
            return None
        if lane.spilled:
            lane.reading, lane.missed = True, False
            return Reload(last.lane, last.delivery_id)
        del self._lanes[last.lane]
        return None

    def _forget(self, lane: _Lane) -> None:
        key = lane.entries[0].lane
        self.live -= len(lane.entries)
        del self._lanes[key]
