"""Calling: one call by a destination, whose end is an outcome whatever happens in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import CancelledError

from bridge.config.topology import Api
from bridge.delivery.outcomes import FAULT_OF_OURS, Outcome, Verdict
from bridge.delivery.state import QUERIED
from bridge.destinations.base import Destination, TellsOrigin, fault_of_ours, tells_origin
from bridge.governance.order import STOPPED
from bridge.journal.deliveries import Call
from bridge.journal.journal import Journal
from bridge.journal.replays import First
from bridge.runtime.tasks import Tasks


class Calling:
    """The calls of one API that are under way; ``out`` is by what the next is made."""

    def __init__(self, out: Callable[[], tuple[Api, Destination]], journal: Journal, tasks: Tasks) -> None:
        self._out, self._journal, self._tasks = out, journal, tasks
        self._under_way: Counter[Destination] = Counter()
        self._asked: set[int] = set()

    def __len__(self) -> int:
        return self._under_way.total() + len(self._asked)

    def leave(self, destination: Destination) -> None:
        """Another has its place: it is closed once the last of its calls has ended."""
        if not self._under_way[destination]:
            self._tasks.spawn("close", destination.close())

    async def call(self, call: Call, *, traceparent: str) -> Outcome:
        """Send; or first ask, where the call before may have happened and the API can tell.

        A fault of ours in it is AMBIGUOUS once the destination was asked, and before that HOLD.
        """
        api, destination = self._out()
        self._under_way[destination] += 1
        try:
            if call.may_have_happened and api.repeat_safety == QUERIED:
                self._asked.add(call.delivery_id)
                found = await destination.look(call.request, traceparent=traceparent)
                if found is not None:
                    return found
            journal_id, request = self._journal.facts.journal_id, call.request
            if tells_origin(type(destination)):
                first = call.first or First("", call.received_at_us)
                replay_of = first.sent_as and f"{journal_id}-{first.sent_as}"
                request = cast(TellsOrigin, destination).completed(request, first.arrived_at_us, replay_of)
            key = f"{journal_id}-{call.sent_as}"
            self._asked.add(call.delivery_id)
            return await destination.send(request, idempotency_key=key, traceparent=traceparent)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours is an outcome too
            return self._fault(call, error)._replace(steps=f"{STOPPED}{FAULT_OF_OURS}")
        finally:
            self._under_way[destination] -= 1
            if not self._under_way[destination]:
                del self._under_way[destination]
                if destination is not self._out()[1]:
                    self._tasks.spawn("close", destination.close())

    def ended(self, call: Call) -> None:
        """Nothing more is asked about a call."""
        self._asked.discard(call.delivery_id)

    def fault(self, call: Call, error: Exception) -> tuple[Outcome, str]:
        """What a fault of ours before or after a call makes of it, and what is known of its policies."""
        return self._fault(call, error), f"{call.verdicts}{STOPPED}{FAULT_OF_OURS}"

    def _fault(self, call: Call, error: Exception) -> Outcome:
        asked = call.delivery_id in self._asked
        outcome = fault_of_ours(error, Verdict.AMBIGUOUS if asked else Verdict.HOLD)
        # The first may be one that all would meet; one that comes back with its delivery stops no other.
        return outcome._replace(shared=call.attempt > 1)
