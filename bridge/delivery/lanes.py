"""Lanes: what waits for one API, kept in order for each key.

A delivery stands in the lane of each of its keys; most have one, a merge has two. It goes when it is at the
head of all of them, and all of them have no other under way. The order in a lane is that of messages, and of
deliveries within a message.

Memory is bounded. A lane that must wait keeps its head and forgets the rest, one that needs a person is
forgotten whole but for its barrier. The journal has them all, and they are read back when the lane moves on.
So a stuck key holds no memory that another key could need.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from bridge.delivery.lane import BEGINNING, Entry, Lane, Position, Reload, State, Theirs
from bridge.delivery.parked import Parked
from bridge.delivery.ready import Ready
from bridge.message import Microseconds

LANE_MAX_ENTRIES = 64
"""Of one lane no more than this stands in memory."""


class Lanes:
    """All lanes of one API."""

    def __init__(self, *, lane_max_entries: int | None = None) -> None:
        self._lane_max_entries = LANE_MAX_ENTRIES if lane_max_entries is None else lane_max_entries
        self._lanes: dict[bytes, Lane] = {}
        self._ready = Ready()
        self._due: list[tuple[Microseconds, int, bytes]] = []
        self._parked = Parked()
        self._of_several: dict[int, Entry] = {}
        self._derived: set[bytes] = set()
        self._reloads: list[Reload] = []
        self.barriers: dict[bytes, int] = {}
        """Keys that wait for a person: nothing of such a key from this message on may go."""
        self.theirs = Theirs()
        self.live = 0
        """Places in memory that could go before long; those of sleeping lanes do not count."""
        self.live_of: Counter[str] = Counter()
        """The same by channel."""

    def __len__(self) -> int:
        """How many lanes are in memory."""
        return len(self._lanes)

    @property
    def waiting(self) -> int:
        """How many lanes wait for a time to come."""
        return sum(lane.state == "waiting" for lane in self._lanes.values())

    @property
    def blocked(self) -> int:
        """How many keys wait for a person, of those that may have something here."""
        return sum(map(self.theirs.comes_here, self.barriers))

    def parked(self, gate: str) -> int:
        """How many lanes stand before a closed gate."""
        return sum(lane.state == "parked" and lane.gate == gate for lane in self._lanes.values())

    def asleep(self) -> Counter[str]:
        """How many lanes wait for a time or before a gate, by the operation of what goes first there."""
        return Counter(each.entries[0].operation for each in self._lanes.values() if each.asleep)

    def waiting_for(self, gate: str, of: str | None = None) -> list[Entry]:
        """The heads of lanes that wait for their time, or for a gate to open; of an operation ``of``, all."""
        lanes = (each for each in self._lanes.values() if each.state == "waiting")
        heads = {each.entries[0] for each in lanes if each.gate == gate or each.entries[0].operation == of}
        return sorted(heads, key=lambda each: each.position)

    def to_read(self) -> list[Reload]:
        """The lanes that must be read from the journal now; each is to be handed to `reloaded`."""
        wanted, self._reloads = self._reloads, []
        return wanted

    def has_parked(self, gate: str | None = None) -> bool:
        """Whether any may stand before a gate, or before any; quick, and seldom wrong with yes."""
        return bool(self._parked) if gate is None else gate in self._parked

    def stands_before(self, keys: Iterable[bytes], message_id: int) -> bool:
        """Whether something of one of these keys, from this message or before it, has not ended here."""
        for key in keys:
            lane = self._lanes.get(key)
            if lane and (lane.reading or (lane.entries and lane.entries[0].message_id <= message_id)):
                return True
        return False

    def bars(self, keys: Iterable[bytes], message_id: int) -> bool:
        """Whether something of one of these keys, from this message or before it, waits for a person."""
        return any(self.barriers.get(key, message_id + 1) <= message_id for key in keys)

    # Coming in.

    def admit(self, entry: Entry, now_us: Microseconds) -> None:
        """Take an entry in, after all that were admitted before it.

        One that a lane holds already, because it was read with the lane, does not come in twice. One that was
        read so and is done may; the journal does not let it start again.
        """
        if self._barred(entry):
            return
        for key in entry.keys:
            lane = self._lanes.setdefault(key, Lane())
            if lane.reading or lane.spilled or lane.asleep or len(lane.entries) >= self._lane_max_entries:
                lane.spilled = lane.missed = True
            elif not lane.entries or entry.position > lane.entries[-1].position:
                self._append(lane, entry)
        self._line_up(entry.keys[0], now_us)

    def _append(self, lane: Lane, entry: Entry) -> None:
        lane.entries.append(entry)
        self._count(entry, 1)
        if len(entry.keys) > 1:
            self._of_several[entry.delivery_id] = entry

    def _count(self, entry: Entry, more: int) -> None:
        """So many places of the lane of an entry count now, or no longer. A lane is one channel's."""
        self.live += more
        self.live_of[entry.channel] += more

    def _line_up(self, key: bytes, now_us: Microseconds) -> None:
        """See whether the head of a lane can go, or must wait for its time."""
        lane = self._lanes.get(key)
        if lane is None or not lane.entries:
            return
        head = lane.entries[0]
        if not all(self._heads(each, head) for each in head.keys):
            self._see_to_others(head)
            return
        if head.due_at_us > now_us:
            self._sleep(head, "waiting")
            heapq.heappush(self._due, (head.due_at_us, head.delivery_id, head.keys[0]))
        else:
            self._make_ready(head)

    def _see_to_others(self, head: Entry) -> None:
        """The head of one lane waits for its others; one that does not know of it must read on."""
        for key in head.keys:
            lane = self._lanes.setdefault(key, Lane())
            if lane.reading or lane.state == "busy":
                continue
            if any(each.delivery_id == head.delivery_id for each in lane.entries):
                continue
            if lane.entries and lane.entries[-1].position < head.position:
                lane.spilled = True
            else:
                self._restart(key)

    def _heads(self, key: bytes, entry: Entry, state: State = "idle") -> bool:
        lane = self._lanes.get(key)
        return (
            lane is not None
            and lane.state == state
            and bool(lane.entries)
            and lane.entries[0].delivery_id == entry.delivery_id
        )

    def _make_ready(self, head: Entry, *, first: bool = False) -> None:
        for key in head.keys:
            self._lanes[key].state = "ready"
        self._ready.add(head.channel, (head.keys[0], head.delivery_id), first=first)

    def _sleep(self, head: Entry, state: Literal["waiting", "parked"], gate: str | None = None) -> None:
        for key in head.keys:
            lane = self._lanes[key]
            lane.state = state
            lane.gate = lane.gate if gate is None else gate
            self._count(head, -len(lane.entries))
            forgotten = list(lane.entries)[1:]
            lane.entries = deque((head,))
            if forgotten:
                lane.spilled = lane.missed = True
                self._forget_several(forgotten)

    def _forget_several(self, entries: Iterable[Entry]) -> None:
        """Keep no note of entries that stand in no lane in memory any more."""
        for entry in entries:
            if len(entry.keys) > 1 and not any(
                entry in lane.entries for key in entry.keys if (lane := self._lanes.get(key)) is not None
            ):
                self._of_several.pop(entry.delivery_id, None)

    def _wake(self, head: Entry, *, first: bool = False) -> None:
        for key in head.keys:
            lane = self._lanes[key]
            lane.gate = ""
            self._count(head, len(lane.entries))
        self._make_ready(head, first=first)

    # Going out.

    def next_ready(
        self,
        now_us: Microseconds,
        closed: Callable[[Entry], str | None],
        passed_over: Callable[[str], bool] = lambda _channel: False,
    ) -> Entry | None:
        """The next delivery that may be sent now, or None; its lanes are busy until it is handed back.

        ``closed`` names the gate that keeps an entry back, if one does: its lanes are parked before it.
        Channels have their turns one after the other; those ``passed_over`` have none now.
        """
        while self._due and self._due[0][0] <= now_us:
            _, delivery_id, key = heapq.heappop(self._due)
            head = self._asleep_head(key, "waiting")
            if head is not None and head.delivery_id == delivery_id and head.due_at_us <= now_us:
                self._wake(head)
        while (token := self._ready.take(passed_over)) is not None:
            key, delivery_id = token
            lane = self._lanes.get(key)
            if lane is None or lane.state != "ready" or lane.entries[0].delivery_id != delivery_id:
                continue
            head = lane.entries[0]
            if self._barred(head):
                continue
            if (gate := closed(head)) is not None:
                self._sleep(head, "parked", gate)
                self._parked.stand(gate, lane.tried, head.position, key)
                continue
            for each in head.keys:
                self._lanes[each].state = "busy"
            return head
        return None

    def _asleep_head(self, key: bytes, state: State) -> Entry | None:
        lane = self._lanes.get(key)
        return lane.entries[0] if lane is not None and lane.state == state else None

    def next_due_at_us(self) -> Microseconds | None:
        """When the next waiting lane is due, or None."""
        return self._due[0][0] if self._due else None

    def wake_one(self, gate: str) -> bool:
        """Let one of those before a gate try it, before all others; False where none stands there.

        The oldest of those that have tried it least: one that always comes back must not be all that an API
        is judged by.
        """
        return self._wake_parked(gate, first=True)

    def _wake_parked(self, gate: str, *, first: bool) -> bool:
        while (standing := self._parked.take(gate)) is not None:
            position, key = standing
            head = self._asleep_head(key, "parked")
            if head is not None and self._lanes[key].gate == gate and head.position == position:
                self._wake(head, first=first)
                return True
        return False

    def open(self, gate: str, of: str | None = None) -> int:
        """Let all go that stand before a gate, in order, and all of `waiting_for`; returns how many."""
        count = 0
        while self._wake_parked(gate, first=False):
            count += 1
        waiting = self.waiting_for(gate, of)
        for head in waiting:
            self._wake(head)
        return count + len(waiting)

    # Coming back.

    def finished(self, entry: Entry, now_us: Microseconds) -> None:
        """The head needs nothing more, and its lanes go on."""
        self._end(entry)
        self._leave(entry, now_us)

    def put_back(
        self, entry: Entry, due_at_us: Microseconds, now_us: Microseconds, *, gate: str = ""
    ) -> None:
        """The head is to be tried again; nothing of its lanes goes before that.

        ``gate`` is the one whose opening means that there is nothing left to wait for.
        """
        self._end(entry)
        again = entry._replace(due_at_us=due_at_us)
        for key in entry.keys:
            lane = self._lanes[key]
            lane.gate = gate
            lane.tried += bool(gate)
            lane.entries[0] = again
            if lane.stale:
                self._restart(key)
        self._line_up(entry.keys[0], now_us)

    def block(self, entry: Entry, now_us: Microseconds) -> None:
        """The head waits for a person, and its lanes with it."""
        self._end(entry)
        for key in entry.keys:
            self.barriers[key] = min(entry.message_id, self.barriers.get(key, entry.message_id))
            self._lanes[key].spilled = False
        self._leave(entry, now_us)
        for key in entry.keys:
            self.bar(key, entry.message_id)

    def _end(self, entry: Entry) -> None:
        for key in entry.keys:
            lane = self._lanes[key]
            assert lane.state == "busy", "only a delivery under way can end"
            assert lane.entries[0].delivery_id == entry.delivery_id, "only a lane's head is under way"
            lane.state = "idle"

    def _leave(self, entry: Entry, now_us: Microseconds) -> None:
        self._of_several.pop(entry.delivery_id, None)
        for key in entry.keys:
            lane = self._lanes[key]
            lane.tried = 0
            lane.entries.popleft()
            self._count(entry, -1)
        for key in entry.keys:
            self._go_on(key, entry.position, now_us)

    def _go_on(self, key: bytes, last: Position, now_us: Microseconds) -> None:
        lane = self._lanes[key]
        if lane.reading:
            return
        if lane.stale:
            self._restart(key)
        elif lane.entries:
            self._line_up(key, now_us)
        elif lane.spilled:
            self._read(key, last)
        else:
            del self._lanes[key]

    # Barriers.

    def bar(self, key: bytes, message_id: int) -> None:
        """Nothing of a key from this message on may go; what came before it still does.

        What has further keys and can no longer go bars these too.
        """
        barrier = self.barriers[key] = min(message_id, self.barriers.get(key, message_id))
        self._cut(key, barrier)
        for entry in list(self._of_several.values()):
            if key in entry.keys and entry.message_id >= barrier and not self._heads(key, entry, "busy"):
                self._bar_all(entry)

    def _barred(self, entry: Entry) -> bool:
        """Whether a barrier keeps an entry back; then it bars all its keys."""
        barriers = self.barriers
        if not any(key in barriers and entry.message_id >= barriers[key] for key in entry.keys):
            return False
        self._bar_all(entry)
        for key in entry.keys:
            self._cut(key, barriers[key])
        return True

    def _bar_all(self, entry: Entry) -> None:
        self._of_several.pop(entry.delivery_id, None)
        for key in entry.keys:
            if (known := self.barriers.get(key)) is None or known > entry.message_id:
                self._derived.add(key)
                self.bar(key, entry.message_id)

    def _cut(self, key: bytes, barrier: int) -> None:
        """Forget what stands behind the barrier of a lane, but for what is under way."""
        lane = self._lanes.get(key)
        if lane is None:
            return
        entries = lane.entries
        kept = sum(entry.message_id < barrier for entry in entries)
        if lane.state == "busy":
            kept = max(kept, 1)
        if kept == len(entries):
            return  # what it has spilled may still stand before the barrier
        if kept == 0:
            self._release(entries[0])
        self._count(entries[0], kept - len(entries))
        lane.entries = deque(list(entries)[:kept])
        lane.spilled = False
        if not kept and not lane.reading:
            del self._lanes[key]

    def _release(self, head: Entry) -> None:
        """The head of a lane is about to leave it unsent: its lanes no longer wait with it."""
        for key in head.keys:
            lane = self._lanes.get(key)
            if lane is None or not lane.entries or lane.entries[0].delivery_id != head.delivery_id:
                continue
            if lane.asleep:
                self._count(head, len(lane.entries))
            lane.state = "idle"

    def lift(self, asked: Iterable[bytes], barriers: Mapping[bytes, int]) -> None:
        """Set anew the barriers of the keys ``asked``, of which only ``barriers`` are left.

        These lanes are read from the beginning, since what waited behind a barrier is in the journal alone.
        """
        keys = {*asked, *self._derived}
        self._derived.clear()
        for delivery_id in [each.delivery_id for each in self._of_several.values() if keys & {*each.keys}]:
            del self._of_several[delivery_id]
        for key in keys:
            self.barriers.pop(key, None)
        self.barriers.update({key: first for key, first in barriers.items() if key in keys})
        for key in sorted(keys):
            self._restart(key)

    # Reading back.

    def _restart(self, key: bytes) -> None:
        """Read a lane from its beginning: now, or when what is under way has ended."""
        lane = self._lanes.setdefault(key, Lane())
        if lane.state == "busy" or lane.reading:
            lane.stale = True
            return
        if lane.entries:
            self._release(lane.entries[0])
            self._count(lane.entries[0], -len(lane.entries))
            lane.entries.clear()
        lane.stale = False
        self._read(key, BEGINNING)

    def _read(self, key: bytes, after: Position) -> None:
        lane = self._lanes[key]
        lane.reading, lane.missed = True, False
        lane.state, lane.gate = "idle", ""
        self._reloads.append(Reload(key, after))

    def reloaded(self, reload: Reload, entries: Iterable[Entry], *, full: bool, now_us: Microseconds) -> None:
        """More of a lane was read, in order; ``full`` tells that there may be more still."""
        key = reload.lane
        lane = self._lanes.get(key)
        if lane is None or not lane.reading:
            return
        lane.reading = False
        if lane.stale:
            self._restart(key)
            return
        lane.spilled = full or lane.missed
        last = reload.after
        for entry in entries:
            if self._barred(entry):
                lane.spilled = False
                break
            if len(lane.entries) >= self._lane_max_entries:
                lane.spilled = True
                break
            last = entry.position
            self._append(lane, entry)
        self._lanes.setdefault(key, lane)
        self._go_on(key, last, now_us)
