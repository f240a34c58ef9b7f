"""Flows: a step waits until those before it are done, and what follows when one fails is seen to.

What is to be done is read from the journal each time, and done by one transaction that decides by what it
finds. So a start goes on wherever the process before ended, and nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from bridge.config.topology import Channel
from bridge.delivery.flow import Decision
from bridge.delivery.lane import Entry
from bridge.delivery.state import DeliveryState
from bridge.errors import ItemRefused, JournalUnavailable
from bridge.journal.flows import ADVANCE, Advance, Flow, Moved, flow_of, open_flows, routes_of_flows
from bridge.journal.journal import Journal
from bridge.journal.messages import keys_of_message
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.flows")

KNOWN_MAX_DELIVERIES = 10_000
PAGE_MESSAGES = 200
LOOKED_AT_MAX_MESSAGES = 200
JOURNAL_WAIT_S = 1.0
SWEEP_WAIT_S = 0.2

Wake = Callable[[int], None]
Route = tuple[str, str]


class Flows:
    """The flows of a node."""

    def __init__(self, journal: Journal, world: Surroundings, tasks: Tasks) -> None:
        self._journal, self._world, self._tasks = journal, world, tasks
        self._routes: set[Route] = set()
        self._clear: dict[int, None] = {}
        self._waiting: dict[int, dict[int, Wake]] = {}
        """Deliveries that wait for what they follow, by message, each with how its lane is woken."""
        self._wanted: dict[int, None] = {}
        self._looking = False
        self._turn = -LOOKED_AT_MAX_MESSAGES
        self.bar: Callable[[str, Sequence[bytes], int], None] = lambda *_: None
        """Keeps what comes later of these keys from going to an API, until `relax`."""
        self.relax: Callable[[Iterable[str], Sequence[bytes]], Awaitable[None]] = _nothing
        """Reads the lanes of these keys anew."""
        self.moved: Callable[[int, Moved], None] = lambda *_: None
        """Told of each delivery that was ended or made, with its message."""

    def use(self, channels: Iterable[Channel]) -> None:
        """Know the flows of these files; what is under way of others goes on by the flows it began with."""
        for channel in channels:
            self._routes |= {(channel.name, route.name) for route in channel.routes if route.of_flow}

    async def start(self) -> None:
        """Learn what is under way, and go on with it meanwhile. Raises JournalUnavailable."""
        self._routes |= await self._journal.read(routes_of_flows)
        self._tasks.spawn("open-flows", self._go_on_with_all())

    async def _go_on_with_all(self) -> None:
        after = 0
        while True:
            try:
                found = await self._journal.read(open_flows, after, PAGE_MESSAGES)
            except JournalUnavailable as error:
                log.error("journal-unavailable", reason=str(error))
                await self._world.pause(JOURNAL_WAIT_S)
                continue
            if not found:
                return
            after = found[-1]
            for message_id in found:
                self.look(message_id)
            while self._looking:
                await self._world.pause(SWEEP_WAIT_S)

    def gate(self, entry: Entry, wake: Wake) -> str | None:
        """The gate before which a delivery waits, or None; ``wake`` is called when it may go."""
        if (entry.channel, entry.route) not in self._routes or entry.delivery_id in self._clear:
            return None
        self._waiting.setdefault(entry.message_id, {})[entry.delivery_id] = wake
        self.look(entry.message_id)
        return gate_of(entry.delivery_id)

    def settled(self, channel: str, route: str, message_id: int) -> None:
        """A delivery rests: what follows it may go, or not."""
        if (channel, route) in self._routes:
            self.look(message_id)

    def look(self, message_id: int) -> None:
        """See what is to be done about the flow of a message, if it has one."""
        self._wanted[message_id] = None
        if not self._looking:
            self._looking = True
            self._tasks.spawn("flows", self._look())

    def look_again(self) -> None:
        """See to what has waited for a while; of very many not to all at once."""
        waiting = list(self._waiting)
        self._turn += LOOKED_AT_MAX_MESSAGES
        if self._turn >= len(waiting):
            self._turn = 0
        for message_id in waiting[self._turn :][:LOOKED_AT_MAX_MESSAGES]:
            self.look(message_id)

    @property
    def waiting(self) -> int:
        """How many deliveries wait for what they follow."""
        return sum(map(len, self._waiting.values()))

    async def _look(self) -> None:
        try:
            while self._wanted:
                message_id = next(iter(self._wanted))
                del self._wanted[message_id]
                try:
                    await self._go_on(message_id)
                except JournalUnavailable as error:
                    log.error("journal-unavailable", reason=str(error))
                    self._wanted[message_id] = None
                    await self._world.pause(JOURNAL_WAIT_S)
        finally:
            self._looking = False

    async def _go_on(self, message_id: int) -> None:
        flow = await self._journal.read(flow_of, message_id)
        decision = flow.decision
        while decision.changes:
            if not await self._advance(message_id, flow, decision):
                return
            if decision.over:
                break
            flow = await self._journal.read(flow_of, message_id)
            decision = flow.decision
        waiting = self._waiting.get(message_id, {})
        still = {step.delivery_id for step in flow.steps if step.waits} - decision.clear
        # One that has ended is found to be so when its turn comes.
        for number in [each for each in waiting if each not in still]:
            self._clear[number] = None
            while len(self._clear) > KNOWN_MAX_DELIVERIES:
                del self._clear[next(iter(self._clear))]
            self._let_go(message_id, number)

    def _let_go(self, message_id: int, delivery_id: int) -> None:
        waiting = self._waiting.get(message_id, {})
        wake = waiting.pop(delivery_id, None)
        if not waiting:
            self._waiting.pop(message_id, None)
        if wake is not None:
            wake(delivery_id)

    async def _advance(self, message_id: int, flow: Flow, decision: Decision) -> bool:
        keys = await self._journal.read(keys_of_message, message_id)
        coming = {flow.apis[number] for number in (*decision.undo, *decision.again)}
        changed = coming | {flow.apis[number] for number in (*decision.end, *decision.aside)}
        # What undoes a step stands where the step stood: nothing later of its keys may go before it.
        for api in coming:
            self.bar(api, keys, message_id)
        try:
            moved = await self._journal.submit(ADVANCE, Advance(message_id, self._world.now_us()))
        except ItemRefused as error:
            log.error("flow-not-advanced", message=message_id, reason=str(error))
            return False
        finally:
            if changed:
                await self.relax(sorted(changed), keys)
        for each in moved:
            log.warning(
                "flow",
                channel=each.channel,
                route=each.route,
                message=message_id,
                state=str(each.state),
                reason=each.reason.partition(":")[0],
            )
            self._let_go(message_id, each.delivery_id)
            if each.state is not DeliveryState.READY:
                self.moved(message_id, each)
        return True


def gate_of(delivery_id: int) -> str:
    """The gate of one delivery."""
    return f"flow {delivery_id}"


async def _nothing(_apis: Iterable[str], _keys: Sequence[bytes]) -> None:
    """There are no lanes."""
