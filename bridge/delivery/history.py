"""The rules that a history must have kept, held against what is on disk, in the order of commits.

    I1   what was acknowledged is there                        I7   each call ended once
    I2   numbers of a channel have no gaps                     I8   each state is that of the last step
    I3   only the arrows of the state machine                  I9   what needs a person says why, and who
    I4   of a key nothing overtakes                            I10  attempts of a delivery follow each other
    I5   of a key one call at a time                           I11  nothing is missing
    I6   the same call has the same bytes, and no blind repeat I12  what waits says since when

I7 and I10 speak of leases where several nodes share a journal. Here one process owns it, by a lock, so they
hold of each call and attempt. The ledger (I2) is counted by the journal itself.

Pure. What is read grows with the history, some hundred bytes for each message, not with the bodies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bridge.delivery.outcomes import COLLECTED
from bridge.delivery.state import (
    DELIVERY_ARROWS,
    DELIVERY_BEGINS,
    DELIVERY_OPEN,
    MESSAGE_ARROWS,
    MESSAGE_BEGINS,
    NEEDS_NOBODY,
    SET_ASIDE,
)
from bridge.message import Microseconds

_NEEDS_A_REASON = frozenset({"QUARANTINED", "DISCARDED", "SUPPRESSED"})
_ON_ITS_WAY = frozenset(DELIVERY_OPEN) | {"QUARANTINED"}


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, where, and how; no patient data."""

    invariant: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as it is now. ``corrected`` tells that its keys may once have been others."""

    id: int
    channel: str
    seq: int
    state: str
    keys: tuple[bytes, ...]
    whole: bool
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as it is now. ``attempts`` counts its starts; ``whole``: its request is there."""

    id: int
    message_id: int
    api: str
    state: str
    attempts: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One change of state. ``delivery_id`` None: of the message."""

    message_id: int
    delivery_id: int | None
    from_state: str | None
    to_state: str
    at_us: Microseconds
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call that ended."""

    delivery_id: int
    number: int
    started_at_us: Microseconds
    ended_at_us: Microseconds


@dataclass(slots=True)
class History:
    """All that is known of the past. ``repeat_safety`` of an API that is not named is not judged."""

    messages: Mapping[int, MessageRow]
    deliveries: Mapping[int, DeliveryRow]
    repeat_safety: Mapping[str, str] = field(default_factory=dict)
    actions: frozenset[tuple[Microseconds, str]] = frozenset()
    """When and by whom something was done, as the audit rows have it."""
    retained: Mapping[str, int] = field(default_factory=dict)
    """How many messages of each channel retention has deleted, and below, how many deliveries."""
    retained_deliveries: int = 0

    def violations(self, steps: Iterable[Step], attempts: Iterable[Attempt]) -> Iterator[Violation]:
        """Every broken rule but those that need evidence from outside; ``steps`` in the order of commits."""
        replay = _Replay(self)
        for step in steps:
            yield from replay.step(step)
        yield from self._gaps()
        yield from self._states(replay)
        yield from self._attempts(replay, attempts)

    def _gaps(self) -> Iterator[Violation]:
        numbers: dict[str, int] = {}
        for known, what, retained in (
            (self.messages, "message", sum(self.retained.values())),
            (self.deliveries, "delivery", self.retained_deliveries),
        ):
            missing = set(range(1, max(known, default=0) + 1)) - known.keys()
            if len(missing) == retained:
                continue  # which they are is not known any more
            for number in sorted(missing)[:10]:
                yield Violation("I11", f"{what} {number}", "is missing")
        left = Counter(row.channel for row in self.messages.values())
        for row in sorted(self.messages.values(), key=lambda row: (row.channel, row.seq)):
            numbers[row.channel] = max(row.seq, numbers.get(row.channel, 0))
        whole = {
            name for name, newest in numbers.items() if newest == left[name] + self.retained.get(name, 0)
        }
        numbers.clear()
        for row in sorted(self.messages.values(), key=lambda row: (row.channel, row.seq)):
            expected = numbers.get(row.channel, 0) + 1
            if row.seq != expected and not (row.channel in whole and row.seq > expected):
                yield Violation(
                    "I2", f"message {row.id}", f"is number {row.seq} of its channel, not {expected}"
                )
            numbers[row.channel] = row.seq
            if not row.whole:
                yield Violation("I11", f"message {row.id}", "has lost its body")

    def _states(self, replay: _Replay) -> Iterator[Violation]:
        for row in self.messages.values():
            yield from _agrees(f"message {row.id}", row.state, replay.message_states.get(row.id))
        for delivery in self.deliveries.values():
            where = f"delivery {delivery.id}"
            yield from _agrees(where, delivery.state, replay.delivery_states.get(delivery.id))
            if delivery.attempts and not delivery.whole:
                yield Violation("I11", where, "was sent, and its request is gone")

    def _attempts(self, replay: _Replay, attempts: Iterable[Attempt]) -> Iterator[Violation]:
        ended: dict[int, Attempt] = {}
        for attempt in attempts:
            where = f"delivery {attempt.delivery_id}"
            before = ended.get(attempt.delivery_id)
            expected = 1 if before is None else before.number + 1
            if attempt.number != expected:
                yield Violation("I6", where, f"attempt {attempt.number} follows {expected - 1}")
            began_early_us = max(
                attempt.started_at_us - attempt.ended_at_us,
                0 if before is None else before.ended_at_us - attempt.started_at_us,
            )
            # Where the machine's clock was set back, times tell nothing within what it went back by.
            if began_early_us > replay.set_back_us:
                yield Violation(
                    "I10", where, f"attempt {attempt.number} began before the one before it ended"
                )
            ended[attempt.delivery_id] = attempt
        for delivery in self.deliveries.values():
            where, started = f"delivery {delivery.id}", replay.started.get(delivery.id, 0)
            last = ended.get(delivery.id)
            under_way = replay.delivery_states.get(delivery.id) == "IN_FLIGHT"
            if started != (0 if last is None else last.number) + under_way:
                yield Violation("I7", where, f"was started {started} times, which ended otherwise")
            if delivery.attempts != started:
                yield Violation("I6", where, f"counts {delivery.attempts} attempts, of which {started} began")


def _agrees(where: str, state: str, last: str | None) -> Iterator[Violation]:
    if last is None:
        invariant = "I12" if state in ("QUARANTINED", "HELD") else "I8"
        yield Violation(invariant, where, f"is {state}, and no step says since when")
    elif last != state:
        yield Violation("I8", where, f"is {state}, and its last step led to {last}")


class _Replay:
    """The lanes as they were at each step."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.message_states: dict[int, str] = {}
        self.delivery_states: dict[int, str] = {}
        self.started: dict[int, int] = {}
        self.set_back_us = 0
        """How far a step lies at most before one that was written earlier."""
        self._newest_us = 0
        self._waiting: dict[tuple[str, bytes], set[tuple[int, int]]] = {}
        self._in_flight: dict[tuple[str, bytes], int] = {}
        self._stuck: dict[bytes, set[int]] = {}

    def step(self, step: Step) -> Iterator[Violation]:
        of_delivery = step.delivery_id is not None
        where = f"delivery {step.delivery_id}" if of_delivery else f"message {step.message_id}"
        states = self.delivery_states if of_delivery else self.message_states
        self._newest_us = max(self._newest_us, step.at_us)
        self.set_back_us = max(self.set_back_us, self._newest_us - step.at_us)
        number = step.delivery_id if step.delivery_id is not None else step.message_id
        yield from self._is_an_arrow(step, where, states.get(number), of_delivery=of_delivery)
        states[number] = step.to_state
        if step.to_state in _NEEDS_A_REASON and not (step.reason and step.actor):
            yield Violation("I9", where, f"became {step.to_state}, and nobody said why")
        if step.actor != "bridge" and (step.at_us, step.actor) not in self._history.actions:
            yield Violation("I9", where, "was changed by a person, and no action says so")
        if step.delivery_id is None:
            self._of_message(step)
        elif (row := self._history.deliveries.get(step.delivery_id)) is not None:
            yield from self._of_delivery(step, row, where)
        else:
            yield Violation("I8", where, "has steps and no row")

    def _is_an_arrow(
        self, step: Step, where: str, before: str | None, *, of_delivery: bool
    ) -> Iterator[Violation]:
        if step.from_state != before:
            yield Violation("I3", where, f"went from {step.from_state}, and was {before}")
        aside = step.from_state == step.to_state == "QUARANTINED" and step.reason.startswith(SET_ASIDE)
        if step.from_state is None:
            right = step.to_state in (DELIVERY_BEGINS if of_delivery else MESSAGE_BEGINS)
        else:
            arrows = DELIVERY_ARROWS if of_delivery else MESSAGE_ARROWS
            right = aside or (step.from_state, step.to_state) in arrows
        if not right:
            yield Violation(
                "I3", where, f"went from {step.from_state} to {step.to_state}: there is no such step"
            )

    def _of_message(self, step: Step) -> None:
        row = self._history.messages.get(step.message_id)
        if row is None or row.corrected:
            return  # its keys then may have been others than its keys now
        stuck = step.to_state == "QUARANTINED" and step.from_state != "QUARANTINED"
        for key in row.keys:
            if stuck:
                self._stuck.setdefault(key, set()).add(step.message_id)
            elif step.from_state == "QUARANTINED":
                self._stuck.get(key, set()).discard(step.message_id)

    def _of_delivery(self, step: Step, row: DeliveryRow, where: str) -> Iterator[Violation]:
        message = self._history.messages.get(row.message_id)
        keys = () if message is None else message.keys
        lanes, position = [(row.api, key) for key in keys], (row.message_id, row.id)
        if step.to_state == "IN_FLIGHT":
            self.started[row.id] = self.started.get(row.id, 0) + 1
            yield from self._may_go(lanes, position, where)
        change = (step.to_state == "IN_FLIGHT") - (step.from_state == "IN_FLIGHT")
        aside = step.from_state == step.to_state == "QUARANTINED"
        # What goes into a file stands there before all that follows: its key does not wait.
        in_a_file = step.to_state == "ACCEPTED" and step.reason == COLLECTED
        waits = step.to_state in _ON_ITS_WAY and not aside and not in_a_file
        for lane in lanes:
            self._in_flight[lane] = self._in_flight.get(lane, 0) + change
            waiting = self._waiting.setdefault(lane, set())
            (waiting.add if waits else waiting.discard)(position)
            if not waiting:
                del self._waiting[lane]
        safety = self._history.repeat_safety.get(row.api)
        blind = (step.from_state, step.to_state, step.actor) == ("AMBIGUOUS", "READY", "bridge")
        if blind and safety is not None and safety not in NEEDS_NOBODY:
            yield Violation("I6", where, "may have happened, and is sent again although nobody decided")

    def _may_go(
        self, lanes: list[tuple[str, bytes]], position: tuple[int, int], where: str
    ) -> Iterator[Violation]:
        for lane in lanes:
            before = min(self._waiting.get(lane, ()), default=position)
            if before < position:
                yield Violation("I4", where, f"goes before delivery {before[1]}, which came before it")
            stuck = min(self._stuck.get(lane[1], ()), default=position[0])
            if stuck < position[0]:
                yield Violation("I4", where, f"goes before message {stuck}, which is in quarantine")
            if self._in_flight.get(lane):
                yield Violation("I5", where, "goes while another of its key is under way")
