"""Slots: which deliveries of one API may be called now, and what keeps the others back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bridge.config.topology import Api
from bridge.delivery.gate import Gate
from bridge.delivery.lane import Entry
from bridge.delivery.lanes import Lanes
from bridge.message import Microseconds
from bridge.runtime.governed import Governed
from bridge.runtime.outlet_words import HAND_OVER, blocked_gate, operation_gate
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.turns import Turns
from bridge.runtime.waits import Waits


class Begun(NamedTuple):
    """A call that has a slot: the gate that it went through, and its number there."""

    gate: Gate
    number: int


class Slots:
    """The calls that one API takes at once. Each has its slot until it `is_written`, or is `let_go`."""

    def __init__(
        self,
        api: Callable[[], Api],
        world: Surroundings,
        lanes: Lanes,
        governed: Governed,
        waits: Waits,
        turns: Turns,
        paused: set[str],
    ) -> None:
        """``paused`` are the gates that a person has shut."""
        self._said, self._world, self._lanes = api, world, lanes
        self._governed, self._waits, self._turns, self._paused = governed, waits, turns, paused
        self.taken = self.over = 0
        """Deliveries whose turn it is, until their outcome is on disk; and those whose call is over."""
        self.blocked_routes: frozenset[tuple[str, str]] = frozenset()
        self._begun: dict[int, Begun] = {}
        self.use()

    def use(self) -> None:
        """Go by the API's rate as it is said now."""
        self._rate = self._turns.rate_of(self._said())

    def take(self, begun: list[Entry]) -> Microseconds | None:
        """Take what may be called into ``begun``; when to look again, if not at the end of a call."""
        now_us = self._world.now_us()
        if "api" in self._paused:
            return None
        while self._is_free:
            if self._rate is not None and (wait_us := self._rate.take(now_us)):
                return now_us + wait_us
            if self._lanes.has_parked():
                self._wake_before_gates(now_us)
            most = self._said().in_flight_max
            entry = self._turns.take(self._lanes, now_us, self._closed, most, self._rate)
            if entry is None:
                if self._rate is not None:
                    self._rate.give_back()
                break
            self.taken += 1
            begun.append(entry)
        else:
            return None
        times = [self._lanes.next_due_at_us(), self._turns.look_again_us(now_us, self._rate)]
        if self._lanes.has_parked():
            times += [
                gate.look_again_us(now_us)
                for name, gate in self._governed.gates.items()
                if self._lanes.has_parked(operation_gate(name))
            ]
        return min((each for each in times if each is not None), default=None)

    @property
    def _is_free(self) -> bool:
        """A call that is over makes room for the next, whose start is then written together with its end."""
        most = self._said().in_flight_max
        return self.taken - self.over < most and self.over <= most

    def _wake_before_gates(self, now_us: Microseconds) -> None:
        """Whoever stands before a gate that lets one through comes before all that came later."""
        for name, gate in self._governed.gates.items():
            if self._lanes.has_parked(operation_gate(name)) and gate.may_begin(now_us):
                self._lanes.wake_one(operation_gate(name))

    def _closed(self, entry: Entry) -> str | None:
        """The gate that keeps an entry back; where there is none, its call has begun at its operation's."""
        if self._paused:
            for stopped in (f"channel {entry.channel}", f"route {entry.channel}/{entry.route}"):
                if stopped in self._paused:
                    return stopped
        if (entry.channel, entry.route) in self.blocked_routes:
            return blocked_gate(entry.channel, entry.route)
        if not self._turns.is_clear(entry):
            return HAND_OVER
        if (waits := self._waits.gate(entry)) is not None:
            return waits
        gate = self._governed.gate(entry.operation)
        if not (number := gate.begin(self._world.now_us())):
            return operation_gate(entry.operation)
        self._begun[entry.delivery_id] = Begun(gate, number)
        return None

    # Until it ends.

    def begun(self, entry: Entry) -> Begun:
        """The call of a delivery that has a slot."""
        return self._begun[entry.delivery_id]

    def ends(self, entry: Entry) -> Begun:
        """The same, whose end its gate is told of now."""
        return self._begun.pop(entry.delivery_id)

    def let_go(self, entry: Entry, begun_at_us: Microseconds) -> None:
        """A call was not made after all, or what it came to is not known here."""
        self.taken -= 1
        self._turns.ended(entry)
        if (begun := self._begun.pop(entry.delivery_id, None)) is not None:
            begun.gate.cancel(begun.number, begun_at_us)

    def is_over(self, entry: Entry) -> None:
        """A call is over; its outcome is not on disk yet."""
        self.over += 1
        self._turns.ended(entry)

    def is_written(self) -> None:
        """The outcome of a call that is over is on disk."""
        self.taken, self.over = self.taken - 1, self.over - 1
