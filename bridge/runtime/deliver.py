"""Deliver: each delivery when its lane's turn comes, IN_FLIGHT on disk before its first byte leaves.

One outlet for each API. An API that is down stops nothing but itself, a key that is stuck nothing but its
own lane.
"""

from __future__ import annotations

import structlog
from twisted.internet.interfaces import IDelayedCall

from bridge.config.topology import Api
from bridge.delivery.lanes import Entry, Lanes, Reload
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.delivery.state import DeliveryState, Next, after_attempt
from bridge.delivery.window import Window
from bridge.destinations.base import Destination
from bridge.errors import JournalUnavailable
from bridge.journal import deliveries as journaled
from bridge.journal.deliveries import SETTLE, START, Call, Settlement, Start, Waiting
from bridge.journal.journal import Journal
from bridge.message import Microseconds
from bridge.observe.metrics import Metrics
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.deliver")

LIVE_MAX_ENTRIES = 5000
LANES_MAX = 50_000
PAGE_ENTRIES = 1000
JOURNAL_WAIT_S = 1.0
DRAIN_MAX_S = 35.0
"""Above the default timeout of a call, so that calls under way may end by themselves."""
SPAN_ID_BYTES = 8
FAILING_AFTER_CALLS = 5
"""So many failures in a row are the API's, not those of what is sent; the next success means it is back."""


class Outlet:
    """The way out to one API."""

    def __init__(
        self, api: Api, destination: Destination, journal: Journal, metrics: Metrics, world: Surroundings
    ) -> None:
        self.api, self.destination = api, destination
        self.in_flight = 0
        self.failures_in_row = 0
        self.lanes = Lanes()
        self._journal, self._world, self._metrics = journal, world, metrics
        self._window: Window[Entry] = Window()
        self._tasks = Tasks()
        self._timer: IDelayedCall | None = None
        self._timer_due_at_us: Microseconds | None = None
        self._stopped = True

    async def start(self, barriers: dict[bytes, int]) -> None:
        """Begin with what the journal holds; nothing goes past the ``barriers`` of keys in quarantine."""
        for key, message_id in barriers.items():
            self.lanes.bar(key, message_id)
        for key, message_id in (await self._journal.read(journaled.barriers, self.api.name)).items():
            self.lanes.bar(key, message_id)
        self._stopped = False
        self._move()

    async def drain(self) -> None:
        """Start nothing more, and wait for what is under way, though no longer than `DRAIN_MAX_S`.

        An outcome that cannot be written by then is lost, and its delivery AMBIGUOUS at the next start.
        """
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        give_up = self._world.reactor.callLater(DRAIN_MAX_S, self._tasks.cancel)
        await self._tasks.settle()
        if give_up.active():
            give_up.cancel()
        await self.destination.close()

    def offer(self, delivery_id: int, message_id: int, key_hash: bytes) -> None:
        """A delivery was just journaled."""
        entry = Entry(delivery_id, message_id, key_hash, 0)
        if self._window.offer(delivery_id, entry, room=self._room()):
            self.lanes.admit(entry, self._world.now_us())
        self._move()

    def bar(self, key_hash: bytes, message_id: int) -> None:
        """A message in quarantine occupies its key: nothing of it from this message on goes."""
        self.lanes.bar(key_hash, message_id)

    def _room(self) -> bool:
        return self.lanes.live < LIVE_MAX_ENTRIES and len(self.lanes) < LANES_MAX

    def _move(self) -> None:
        """Start what may start, read on where there is room, and wake up when the next lane is due."""
        if self._stopped:
            return
        while self.in_flight < self.api.in_flight_max:
            if (entry := self.lanes.next_ready(self._world.now_us())) is None:
                break
            self.in_flight += 1
            self._tasks.spawn("deliver", self._deliver(entry))
        if self._window.behind and self._room() and self._window.begin_page():
            self._tasks.spawn("read-deliveries", self._read_page())
        self._set_timer()

    def _set_timer(self) -> None:
        due_at_us = self.lanes.next_due_at_us()
        active = self._timer is not None and self._timer.active()
        if active and due_at_us == self._timer_due_at_us:
            return
        if active and self._timer is not None:
            self._timer.cancel()
        self._timer_due_at_us = due_at_us
        if due_at_us is not None:
            wait_s = max(0.0, (due_at_us - self._world.now_us()) / 1e6)
            self._timer = self._world.reactor.callLater(wait_s, self._move)

    async def _deliver(self, entry: Entry) -> None:
        try:
            await self._attempt(entry)
        finally:
            self.in_flight -= 1
            self._move()

    async def _attempt(self, entry: Entry) -> None:
        started_at_us = self._world.now_us()
        try:
            call = await self._journal.submit(START, Start(entry.delivery_id, started_at_us))
        except JournalUnavailable as error:
            # Nothing has been sent, and nothing may be.
            log.error("journal-unavailable", api=self.api.name, reason=str(error))
            now_us = self._world.now_us()
            self.lanes.put_back(entry, now_us + int(JOURNAL_WAIT_S * 1e6), now_us)
            return
        span_id = self._world.random_bytes(SPAN_ID_BYTES)
        outcome = await self.destination.send(
            call.request,
            idempotency_key=f"{self._journal.facts.journal_id}-{call.delivery_id}-{call.revision}",
            traceparent=f"00-{call.trace_id.hex()}-{span_id.hex()}-01",
        )
        following = after_attempt(
            outcome,
            attempt=call.attempt,
            poison_attempts=call.poison_attempts,
            repeat_safety=self.api.repeat_safety,
            retry=self.api.retry,
            chance=self._world.chance(),
        )
        due_at_us = await self._settle(call, outcome, following, started_at_us, span_id)
        self._go_on(entry, call, outcome, following, due_at_us)

    async def _settle(
        self, call: Call, outcome: Outcome, following: Next, started_at_us: Microseconds, span_id: bytes
    ) -> Microseconds:
        ended_at_us = self._world.now_us()
        settlement = Settlement(
            delivery_id=call.delivery_id,
            message_id=call.message_id,
            attempt=call.attempt,
            started_at_us=started_at_us,
            ended_at_us=ended_at_us,
            verdict=outcome.verdict,
            status=outcome.status,
            reason=following.reason,
            span_id=span_id,
            states=following.states,
            due_at_us=ended_at_us + int(following.wait_s * 1e6),
            poison_attempts=call.poison_attempts + following.counts_as_poison,
        )
        while True:
            try:
                await self._journal.submit(SETTLE, settlement)
                return settlement.due_at_us
            except JournalUnavailable as error:
                # The outcome is known here alone: keep it, and the lane with it, until it is on disk.
                log.error("journal-unavailable", api=self.api.name, reason=str(error))
                await self._world.pause(JOURNAL_WAIT_S)

    def _go_on(
        self, entry: Entry, call: Call, outcome: Outcome, following: Next, due_at_us: Microseconds
    ) -> None:
        now_us = self._world.now_us()
        self._metrics.attempts.labels(self.api.name, outcome.verdict).inc()
        self._watch_api(outcome)
        match following.last:
            case DeliveryState.DELIVERED:
                self._metrics.delivered.labels(call.channel, self.api.name).inc()
                self._metrics.latency.labels(self.api.name).observe((now_us - call.received_at_us) / 1e6)
                self._next_of_lane(self.lanes.finished(entry, now_us))
            case DeliveryState.QUARANTINED:
                log.warning(
                    "quarantined", api=self.api.name, message=call.message_id, reason=following.reason
                )
                self._metrics.quarantined.labels(self.api.name, following.reason).inc()
                self.lanes.block(entry)
            case _:
                log.info(
                    "not-delivered",
                    api=self.api.name,
                    message=call.message_id,
                    reason=following.reason,
                    attempt=call.attempt,
                    again_in_s=round(following.wait_s, 3),
                )
                failed = outcome.verdict is not Verdict.POISON
                self.lanes.put_back(entry, due_at_us, now_us, for_api=failed)

    def _watch_api(self, outcome: Outcome) -> None:
        """Notice when an API goes, and when it is back: then its backlog has nothing left to wait for."""
        match outcome.verdict:
            case Verdict.RETRY | Verdict.AMBIGUOUS:
                self.failures_in_row += 1
                if self.failures_in_row == FAILING_AFTER_CALLS:
                    log.warning(
                        "api-failing", api=self.api.name, reason=outcome.reason, status=outcome.status
                    )
            case Verdict.DELIVERED | Verdict.POISON:
                if self.failures_in_row >= FAILING_AFTER_CALLS:
                    log.warning("api-is-back", api=self.api.name, lanes=self.lanes.api_is_back())
                self.failures_in_row = 0

    def _next_of_lane(self, reload: Reload | None) -> None:
        if reload is not None:
            self._tasks.spawn("read-lane", self._read_lane(reload))

    async def _read_page(self) -> None:
        try:
            page = await self._journal.read(
                journaled.of_api, self.api.name, self._window.cursor, PAGE_ENTRIES
            )
        except JournalUnavailable as error:
            log.error("journal-unavailable", api=self.api.name, reason=str(error))
            self._window.page_failed()
            await self._world.pause(JOURNAL_WAIT_S)
            self._move()
            return
        now_us = self._world.now_us()
        pairs = [(waiting.delivery_id, _entry(waiting)) for waiting in page]
        for entry in self._window.end_page(pairs, full=len(page) == PAGE_ENTRIES):
            self.lanes.admit(entry, now_us)
        self._move()

    async def _read_lane(self, reload: Reload | None) -> None:
        while reload is not None:
            try:
                page = await self._journal.read(
                    journaled.of_lane, self.api.name, reload.lane, reload.after_id, PAGE_ENTRIES
                )
            except JournalUnavailable as error:
                log.error("journal-unavailable", api=self.api.name, reason=str(error))
                await self._world.pause(JOURNAL_WAIT_S)
                continue
            reload = self.lanes.reloaded(
                reload,
                [_entry(waiting) for waiting in page],
                full=len(page) == PAGE_ENTRIES,
                now_us=self._world.now_us(),
            )
        self._move()


def _entry(waiting: Waiting) -> Entry:
    return Entry(waiting.delivery_id, waiting.message_id, waiting.key_hash, waiting.due_at_us)
