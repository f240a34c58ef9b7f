"""What every call to one API passes: its policies anew, the gate of its operation, and what is kept of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from bridge.component import OperationOptions
from bridge.config.topology import Api
from bridge.delivery.breaker import CONTRACT_GONE, Breaker
from bridge.delivery.flow import NEWER_WAS_TOLD
from bridge.delivery.gate import Gate
from bridge.delivery.lanes import Lanes
from bridge.delivery.outcomes import NOT_CALLED, TAKEN, Outcome, Verdict
from bridge.delivery.rate import Rate
from bridge.governance.base import Policies
from bridge.governance.order import NEWER_WINS, STOPPED, stopped
from bridge.journal.deliveries import Call
from bridge.journal.journal import Journal
from bridge.message import Microseconds
from bridge.observe.metrics import Metrics
from bridge.runtime.drift import Drift
from bridge.runtime.endings import Endings
from bridge.runtime.outlet_words import operation_gate
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

INTENT: Final = "a"
"""The letter of what a delivery passes that is IN_FLIGHT on disk before its first byte leaves."""


_SAID: Final[Mapping[str, Verdict]] = {
    "quarantine": Verdict.REFUSED,
    "hold": Verdict.HOLD,
    "withhold": Verdict.WITHHELD,
    "suppress": Verdict.SUPPRESSED,
}
"""What a policy's no makes of an attempt."""


_SUCCEEDED: Final = frozenset({Verdict.DELIVERED, Verdict.ACCEPTED, Verdict.POISON})
"""What ends a time of failures: the API is there, and answers."""


class Failing(NamedTuple):
    """Since when nothing of an operation succeeded, and how the newest call of it ended."""

    since_us: Microseconds
    reason: str
    status: int | None


class Governed:
    """The policies of one API, as its calls pass them. ``gates`` are those of its operations, by name."""

    def __init__(
        self,
        api: Api,
        policies: Policies,
        journal: Journal,
        metrics: Metrics,
        world: Surroundings,
        tasks: Tasks,
    ) -> None:
        self._failing: dict[str, Failing] = {}
        self._endings = Endings(api, journal, world, tasks)
        self._drift = Drift(api, journal, metrics, world, tasks)
        self._take(api, policies)

    def _take(self, api: Api, policies: Policies) -> None:
        self.policies, self._api = policies, api
        self.gates = {name: self._gate(name, options) for name, options in api.operations.items()}

    async def restore(self) -> None:
        """Know again what was known of the API before a process ended."""
        await self._endings.restore()
        await self._drift.restore()

    def use(self, api: Api, policies: Policies) -> list[str]:
        """Go by another file; the names of all gates of before and after. Gates are new: what was left alone
        may be well under its new file, and is tried at once."""
        before = self.gates
        self._endings.use(api)
        self._drift.use(api)
        self._take(api, policies)
        return list({**before, **self.gates})

    @property
    def held(self) -> int:
        """How many operations wait for a person because the API is other than its contract says."""
        return sum(bool(self._drift.shut(name)) for name in self.gates)

    def refused_since(self, operation: str) -> Microseconds | None:
        """Since when messages are refused because the API has changed; None where that is not so."""
        return self._drift.refused_since(operation)

    async def accept(self, operation: str, actor: str, reason: str) -> list[str]:
        """A person has looked at what an operation does otherwise than its contract says: it is called as if
        nothing had been wrong. What it was, in words. Raises JournalUnavailable."""
        accepted = await self._drift.accept(operation, actor, reason)
        if accepted:
            self.gates[operation] = self._gate(operation, self._api.operations.get(operation))
        return [each.in_words() for each in accepted]

    def gate(self, operation: str) -> Gate:
        """The gate of an operation; of one that no file has any more, a new one without limits."""
        if (found := self.gates.get(operation)) is None:
            found = self.gates[operation] = self._gate(operation)
        return found

    def _gate(self, operation: str, options: OperationOptions | None = None) -> Gate:
        breaker, shut = Breaker(self._api.breaker), partial(self._shut, operation)
        limits = None if options is None else options.limits
        several = [None if limits is None else limits.in_flight, self._drift.in_flight_max]
        in_flight_max = min((each for each in several if each is not None), default=None)
        rate = None if limits is None or limits.rate is None else Rate(limits.rate, limits.burst)
        return Gate(breaker, rate, in_flight_max, shut)

    def end_wait(self, operation: str) -> None:
        """Let one call of an operation begin now, whatever it waited for."""
        self.gate(operation).end_wait()

    def reason(self, operation: str) -> str:
        """Why an operation is left alone, by the newest of its failures; empty where it is not."""
        opened, last = self.gate(operation).breaker.reason, self._failing.get(operation)
        return opened if not opened or opened == CONTRACT_GONE or last is None else last.reason

    def _note(self, operation: str, outcome: Outcome, at_us: Microseconds) -> None:
        """Keep since when nothing of an operation has succeeded. An answer about one record alone is none."""
        if outcome.verdict in _SUCCEEDED:
            if STOPPED not in outcome.steps:
                self._failing.pop(operation, None)
        elif outcome.verdict not in NOT_CALLED:
            since = self._failing.get(operation)
            since_us = at_us if since is None else since.since_us
            self._failing[operation] = Failing(since_us, outcome.reason, outcome.status)

    def _shut(self, operation: str, now_us: Microseconds) -> str:
        """Why no call of an operation may begin now, for as long as nobody does something about it."""
        said = self.policies.of_api(now_us)
        if said is not None and said.what == "hold":
            return said.reason
        return self._drift.shut(operation) or self._endings.shut(operation, now_us)

    async def attempt(
        self,
        call: Call,
        operation: str,
        gate: Gate,
        at_us: Microseconds,
        send: Callable[[], Awaitable[Outcome]],
    ) -> tuple[Outcome, str]:
        """What a call came to, and what every policy said from the making of its request to its end. What was
        answered is in it only where the request was not taken."""
        said, asked = self.policies.of_attempt(at_us, call.asks)
        if said is not None:
            return _not_sent(call, said.what, said.reason), call.verdicts + asked
        verdicts = call.verdicts + asked + gate.steps + INTENT
        if call.overtaken:
            return _not_sent(call, "suppress", NEWER_WAS_TOLD), verdicts + stopped(NEWER_WINS, NEWER_WAS_TOLD)
        outcome = await send()
        verdicts += (NEWER_WINS if self._api.newer_wins else "") + outcome.steps
        if STOPPED not in outcome.steps:
            if call.contract_digest:
                outcome, letter = await self._drift.look(call, operation, outcome)
                verdicts += letter
            verdicts += self._endings.look(operation, outcome)
        self._note(operation, outcome, at_us)
        if outcome.answer is not None and outcome.verdict in TAKEN:
            outcome = outcome._replace(answer=None)
        return outcome, verdicts

    def status(self, now_us: Microseconds, lanes: Lanes) -> Mapping[str, dict[str, Any]]:
        """How each operation stands, in names and numbers, and when it is called again, where that is known
        and not over; ``lanes`` are what waits for it. ``failing`` is told while something waits."""
        waiting = lanes.asleep()
        return {
            name: {
                "state": gate.breaker.state,
                "reason": gate.shut(now_us) or self.reason(name),
                "until_us": _again_us(gate, lanes, operation_gate(name), now_us),
                "in_flight": gate.in_flight,
                "waiting": waiting[name],
                "failing": self._failing_words(name, gate, waiting[name]),
                "changed": self._drift.changed(name),
            }
            for name, gate in self.gates.items()
        }

    def _failing_words(self, name: str, gate: Gate, waiting: int) -> dict[str, Any] | None:
        """What fails, unless it is over because nothing of it is left."""
        last = self._failing.get(name)
        return None if last is None or not (waiting or gate.in_flight) else last._asdict()


def _again_us(gate: Gate, lanes: Lanes, name: str, now_us: Microseconds) -> Microseconds | None:
    """When an operation that is left alone is called again. Where nothing stands before its gate, what was
    sent last waits for its own time, which may be later."""
    until_us = gate.breaker.until_us()
    if until_us is not None and gate.breaker.state != "closed" and not lanes.parked(name):
        until_us = max(until_us, min((each.due_at_us for each in lanes.waiting_for(name)), default=until_us))
    return until_us if until_us is not None and until_us > now_us else None


def _not_sent(call: Call, what: str, reason: str) -> Outcome:
    """What comes of a call that is not sent. Whether it was sent before, a person must find out."""
    verdict = _SAID[what]
    if verdict is Verdict.SUPPRESSED and call.may_have_happened:
        verdict = Verdict.REFUSED
    return Outcome(verdict, reason)
