"""Deliver: each delivery when its lanes' turn comes, IN_FLIGHT on disk before its first byte leaves.

One outlet for each API. An API that is down stops nothing but itself, an operation that cannot be called
nothing but its own calls, a key that is stuck nothing but its own lanes. What must wait uses up no attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IDelayedCall

from bridge.config.topology import Api, OnPoison
from bridge.delivery.gate import Gate
from bridge.delivery.lane import Entry
from bridge.delivery.outcomes import Outcome
from bridge.delivery.state import DeliveryState, Next, after_attempt
from bridge.destinations.base import Destination
from bridge.governance.base import Policies
from bridge.journal.deliveries import SETTLE, START, AsMade, Call, Fresh, Settlement, Start
from bridge.journal.journal import Journal
from bridge.journal.spans import attempt_span
from bridge.message import Microseconds
from bridge.observe.metrics import Metrics
from bridge.runtime.alarm import Alarm
from bridge.runtime.calling import Calling
from bridge.runtime.fresh import FreshRequests
from bridge.runtime.governed import Governed
from bridge.runtime.outlet_words import (
    DRAIN_MAX_S,
    HAND_OVER,
    JOURNAL_WAIT_S,
    SET_ASIDE_FOR,
    START_GOOD_S,
    Ended,
    Settled,
    blocked_gate,
    operation_gate,
    settlement_of,
)
from bridge.runtime.refill import Refill
from bridge.runtime.release import WayOut, requests_of
from bridge.runtime.slots import Slots
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks
from bridge.runtime.turns import Turns
from bridge.runtime.waits import Waits

log = structlog.get_logger("bridge.deliver")


class Outlet:
    """The way out to one API."""

    def __init__(
        self,
        api: Api,
        destination: Destination,
        policies: Policies,
        journal: Journal,
        metrics: Metrics,
        world: Surroundings,
        *,
        settled: Settled = lambda *_: None,
        turns: Turns,
    ) -> None:
        self.api, self.destination = api, destination
        self.on_poison: Mapping[tuple[str, str], OnPoison] = {}
        """What a refused request of a channel and route stops; where nothing is said, its key."""
        self._settled = settled
        self._journal, self._world, self._metrics = journal, world, metrics
        metrics.quarantined.begin(api.name)
        self._tasks = Tasks()
        self._refill = Refill(lambda: self.api, journal, world, self._tasks, self._move)
        self.lanes = self._refill.lanes
        self.governed = Governed(api, policies, journal, metrics, world, self._tasks)
        ours, self.paused = (journal, world, self._tasks, self.lanes, self._move), set[str]()
        told = settled, self.relax, self.paused
        self.waits = Waits(lambda: (self.api, self.destination), ours, metrics, *told)
        self.waits.withheld.use(policies)
        self._slots = Slots(
            lambda: self.api, world, self.lanes, self.governed, self.waits, turns, self.paused
        )
        self._fresh = FreshRequests()
        self._ended: list[Ended] = []
        self._moving: IDelayedCall | None = None
        self._calling = Calling(lambda: (self.api, self.destination), journal, self._tasks)
        self._alarm = Alarm(world, self._move)
        self._stopped = True

    async def start(self) -> None:
        """Begin with what the journal holds; nothing goes past the barriers of keys in quarantine."""
        await self.governed.restore()
        self._learn_routes((await self._refill.start()).routes)
        await self.waits.start()
        self._stopped = False
        self._move()

    @property
    def way(self) -> WayOut:
        """What release needs to know of it."""
        return WayOut(self.api, requests_of(self.api), self.governed.policies)

    @property
    def behind(self) -> bool:
        """Whether the journal may hold what is not known here yet."""
        return self._refill.behind

    @property
    def in_flight(self) -> int:
        """Deliveries whose turn it is, until their outcome is on disk."""
        return self._slots.taken

    @property
    def gates(self) -> Mapping[str, Gate]:
        """The gates of its operations, by name."""
        return self.governed.gates

    def use(self, api: Api, destination: Destination, policies: Policies) -> None:
        """Call from now on as this API's file says. Calls under way end by the destination of before."""
        old, self.api, self.destination = self.destination, api, destination
        names = self.governed.use(api, policies)
        self._slots.use()
        self._calling.leave(old)
        self.waits.withheld.use(policies)
        for name in names:
            self.lanes.open(operation_gate(name))
        self._move()

    async def drain(self) -> None:
        """Start nothing more, and wait for what is under way, though no longer than `DRAIN_MAX_S`.

        An outcome that cannot be written by then is lost, and its delivery AMBIGUOUS at the next start.
        """
        self._stopped = True
        self._alarm.set(None)
        if self._moving is not None and self._moving.active():
            self._moving.cancel()
        give_up = self._world.reactor.callLater(DRAIN_MAX_S, self._tasks.cancel)
        await self._tasks.settle()
        if give_up.active():
            give_up.cancel()
        await self.destination.close()

    # What comes in, and what a person does.

    def offer(self, entry: Entry, fresh: Fresh | None = None) -> None:
        """A delivery was just journaled, and with it what is sent of it."""
        if self._refill.offer(entry) and fresh is not None:
            self._fresh.keep(entry.delivery_id, fresh)
            self.waits.withheld.keep(entry.delivery_id, fresh.asks)
        self._move_soon()

    def bar(self, keys: Sequence[bytes], message_id: int) -> None:
        """A message in quarantine occupies its keys: nothing of them from this message on goes."""
        for key in keys:
            self.lanes.bar(key, message_id)

    async def relax(self, keys: Sequence[bytes]) -> None:
        """Somebody has decided about something in quarantine: let go what no longer waits for it."""
        before = self._slots.blocked_routes
        self._learn_routes((await self._refill.relax(keys)).routes)
        for channel, route in before - self._slots.blocked_routes:
            self.lanes.open(blocked_gate(channel, route))
        self._move()

    def _learn_routes(self, stuck: frozenset[tuple[str, str]]) -> None:
        stops = {route for route, on_poison in self.on_poison.items() if on_poison == "block_route"}
        self._slots.blocked_routes = stuck & stops

    def pause(self, gate: str) -> None:
        """Start no call behind a gate: ``api``, ``channel NAME`` or ``route CHANNEL/ROUTE``."""
        self.paused.add(gate)

    def resume(self, gate: str) -> None:
        """Let go what a pause has kept."""
        self.paused.discard(gate)
        self.lanes.open(gate)
        self._move()

    async def accept(self, operation: str, actor: str, reason: str) -> list[str]:
        """As `Governed.accept`, and let go what waited for it."""
        accepted = await self.governed.accept(operation, actor, reason)
        if accepted:
            self.lanes.open(operation_gate(operation))
            self._move()
        return accepted

    def look_again(self, gate: str = HAND_OVER) -> None:
        """A key was handed over, or something else opened: let go what waited for that."""
        self.lanes.open(gate)
        self._move()

    def status(self) -> dict[str, Any]:
        """How things stand, in names and numbers."""
        return {
            "in_flight": self.in_flight,
            "lanes": len(self.lanes),
            "lanes_waiting": self.lanes.waiting,
            "keys_blocked": self.lanes.blocked,
            "withheld": self.waits.withheld.status(),
            "collecting": self.waits.collecting.status(),
            "acknowledging": self.waits.acknowledging.status(),
            "paused": sorted(self.paused),
            "blocked_routes": sorted(f"{channel}/{route}" for channel, route in self._slots.blocked_routes),
            "operations": self.governed.status(self._world.now_us(), self.lanes),
        }

    # What goes out.

    def _move_soon(self) -> None:
        """`_move`, once for all that happens in this turn of the reactor."""
        if self._moving is None and not self._stopped:
            self._moving = self._world.reactor.callLater(0, self._move)

    def _move(self) -> None:
        """Start what may start, read on where there is room, and wake up when something is due."""
        if self._moving is not None and self._moving.active():
            self._moving.cancel()
        self._moving = None
        if self._stopped:
            return
        begun: list[Entry] = []
        wake_at_us = self._slots.take(begun)
        if begun:
            self._tasks.spawn("start", self._start_calls(begun))
        self._refill.read_on()
        self._alarm.set(wake_at_us)

    async def _start_calls(self, entries: Sequence[Entry]) -> None:
        """Set deliveries IN_FLIGHT on disk together, and then send each."""
        at_us, watched = self._world.now_us(), bool(self.api.newer_wins)
        asked_s, good_s = self._world.reactor.seconds(), START_GOOD_S
        fresh = [self._fresh.take(each.delivery_id) for each in entries]
        starts = [
            Start(each.delivery_id, at_us, known and known.message_id, watched)
            for each, known in zip(entries, fresh, strict=True)
        ]
        calls = await self._journal.submit_all(START, starts)
        while (now_s := self._world.reactor.seconds()) - asked_s > good_s:
            # This process may have stood still, and another have its journal and these deliveries by now. Or
            # its disk is that slow: so the answer may take longer each time.
            asked_s, good_s = now_s, good_s * 2
            await self._refill.until_ours()
        for entry, known, begun in zip(entries, fresh, calls, strict=True):
            call = known.call(entry.delivery_id, begun) if known and isinstance(begun, AsMade) else begun
            if isinstance(call, Call):
                self._tasks.spawn("call", self._attempt(entry, call, at_us))
                continue
            self._slots.let_go(entry, at_us)
            now_us = self._world.now_us()
            if call is None:  # a person has decided about it meanwhile
                self.lanes.finished(entry, now_us)
            else:
                # Nothing has been sent, and nothing may be.
                log.error("journal-unavailable", api=self.api.name, reason=str(call))
                self.lanes.put_back(entry, now_us + int(JOURNAL_WAIT_S * 1e6), now_us)
            self._move_soon()

    async def _attempt(self, entry: Entry, call: Call, started_at_us: Microseconds) -> None:
        written_down = False
        try:
            span_id = attempt_span(call.trace_id, call.delivery_id, call.attempt)
            traceparent = f"00-{call.trace_id.hex()}-{span_id.hex()}-01"
            gate = self._slots.begun(entry).gate
            try:
                outcome, verdicts = await self.governed.attempt(
                    *(call, entry.operation, gate, started_at_us),
                    lambda: self._calling.call(call, traceparent=traceparent),
                )
            except CancelledError:  # the node ends, and has waited long enough
                raise
            except Exception as error:  # noqa: BLE001 - a fault of ours is an outcome too
                outcome, verdicts = self._calling.fault(call, error)
            following = self._decide(entry, call, outcome)
            on_poison, ended_at_us = self.on_poison.get((call.channel, call.route)), self._world.now_us()
            said = (started_at_us, ended_at_us), span_id, verdicts, on_poison, self.api.name
            settlement = settlement_of(call, outcome, following, *said)
            self._ended.append(Ended(entry, call, outcome, settlement))
            self._slots.is_over(entry)
            written_down = True
        finally:
            self._calling.ended(call)
            if not written_down:  # its lane waits for the next start
                self._slots.let_go(entry, started_at_us)
                self._move_soon()
        if len(self._ended) == 1:
            self._tasks.spawn("settle", self._settle())
        self._move_soon()

    def _decide(self, entry: Entry, call: Call, outcome: Outcome) -> Next:
        """What follows an outcome; first of all for its operation."""
        (gate, begun), now_us = self._slots.ends(entry), self._world.now_us()
        before = gate.breaker.state
        if gate.end(begun, outcome, now_us, key=entry.keys[0]):
            count = self.lanes.open(operation_gate(entry.operation))
            log.warning("operation-is-back", api=self.api.name, operation=entry.operation, lanes=count)
        elif before == "closed" and gate.breaker.state == "open":
            log.warning(
                "operation-stopped",
                api=self.api.name,
                operation=entry.operation,
                reason=gate.breaker.reason,
                status=outcome.status,
            )
        held_since_us = call.held_since_us
        return after_attempt(
            outcome,
            attempt=call.attempt,
            poison_attempts=call.poison_attempts,
            repeat_safety=self.api.repeat_safety,
            retry=self.api.retry,
            chance=self._world.chance(),
            not_found_for_s=0.0 if held_since_us is None else (now_us - held_since_us) / 1e6,
            operation_held=gate.breaker.state != "closed",
        )

    async def _settle(self) -> None:
        """Write all outcomes of this turn of the reactor together, and let their lanes go on."""
        await self._world.pause(0)
        ended, self._ended = self._ended, []
        while ended:
            ends = await self._journal.submit_all(SETTLE, [each.settlement for each in ended])
            left: list[Ended] = []
            for each, end in zip(ended, ends, strict=True):
                if end is None:
                    self._slots.is_written()
                    self._go_on(*each)
                else:
                    # The outcome is known here alone: keep it, and the lane with it, until it is on disk.
                    log.error("journal-unavailable", api=self.api.name, reason=str(end))
                    left.append(each)
            self._move_soon()
            ended = left
            if ended:
                await self._world.pause(JOURNAL_WAIT_S)

    def _go_on(self, entry: Entry, call: Call, outcome: Outcome, settlement: Settlement) -> None:
        now_us, state = self._world.now_us(), settlement.states[-1]
        self._metrics.attempts.count(self.api.name, outcome.verdict)
        match state:
            case DeliveryState.DELIVERED:
                self._metrics.delivered.count(call.channel, self.api.name)
                self._metrics.latency.labels(self.api.name).observe((now_us - call.received_at_us) / 1e6)
                self.lanes.finished(entry, now_us)
                self.waits.delivered(outcome)
            case DeliveryState.SUPPRESSED:
                self.lanes.finished(entry, now_us)
            case DeliveryState.ACCEPTED:
                self.waits.accepted(entry, call, settlement, now_us)
                return
            case DeliveryState.QUARANTINED:
                self._quarantine(entry, call, settlement, now_us)
            case _:
                log.info(
                    "not-delivered",
                    api=self.api.name,
                    message=call.message_id,
                    reason=settlement.reason,
                    attempt=call.attempt,
                    again_in_s=round((settlement.due_at_us - now_us) / 1e6, 3),
                )
                its_own = outcome.verdict in SET_ASIDE_FOR
                gate = "" if its_own else operation_gate(entry.operation)
                self.lanes.put_back(entry, settlement.due_at_us, now_us, gate=gate)
                return
        self._settled(call.channel, call.route, call.message_id, call.delivery_id, state, settlement.reason)

    def _quarantine(self, entry: Entry, call: Call, settlement: Settlement, now_us: Microseconds) -> None:
        log.warning("quarantined", api=self.api.name, message=call.message_id, reason=settlement.reason)
        self._metrics.quarantine(self.api.name, settlement.reason)
        if settlement.aside:
            self.lanes.finished(entry, now_us)
            return
        if self.on_poison.get((call.channel, call.route)) == "block_route":
            self._slots.blocked_routes |= {(call.channel, call.route)}
        self.lanes.block(entry, now_us)
