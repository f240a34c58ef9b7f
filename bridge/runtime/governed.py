"""What every call to one API passes: its policies anew, the gate of its operation, and what is kept of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from bridge.component import OperationOptions
from bridge.config.topology import Api
from bridge.delivery.breaker import Breaker
from bridge.delivery.gate import Gate
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.delivery.rate import Rate
from bridge.governance.base import Policies
from bridge.governance.order import NEWER_WINS, STOPPED, stopped
from bridge.journal.deliveries import Call
from bridge.message import Microseconds
from bridge.runtime.endings import Endings

INTENT: Final = "a"
"""The letter of what a delivery passes that is IN_FLIGHT on disk before its first byte leaves."""

OVERTAKEN: Final = "newer-was-told"

_SAID: Final[Mapping[str, Verdict]] = {
    "quarantine": Verdict.REFUSED,
    "hold": Verdict.HOLD,
    "withhold": Verdict.WITHHELD,
    "suppress": Verdict.SUPPRESSED,
}
"""What a policy's no makes of an attempt."""


class Governed:
    """The policies of one API, as its calls pass them. ``gates`` are those of its operations, by name."""

    def __init__(self, api: Api, policies: Policies, endings: Endings) -> None:
        self.policies, self._api, self._endings = policies, api, endings
        self.gates = {name: self._gate(options) for name, options in api.operations.items()}

    def gate(self, operation: str) -> Gate:
        """The gate of an operation; of one that no file has any more, a new one without limits."""
        if (found := self.gates.get(operation)) is None:
            found = self.gates[operation] = self._gate()
        return found

    def _gate(self, options: OperationOptions | None = None) -> Gate:
        breaker = Breaker(self._api.breaker)
        limits = None if options is None else options.limits
        if limits is None:
            return Gate(breaker, shut=self._shut)
        rate = None if limits.rate is None else Rate(limits.rate, limits.burst)
        return Gate(breaker, rate, limits.in_flight, self._shut)

    def _shut(self, now_us: Microseconds) -> str:
        """Why no call may begin now, for as long as the API's file is as it is."""
        said = self.policies.of_api(now_us)
        return said.reason if said is not None and said.what == "hold" else ""

    async def attempt(
        self,
        call: Call,
        operation: str,
        gate: Gate,
        at_us: Microseconds,
        send: Callable[[], Awaitable[Outcome]],
    ) -> tuple[Outcome, str]:
        """What a call came to, and what every policy said from the making of its request to its end."""
        said, asked = self.policies.of_attempt(at_us, call.asks)
        if said is not None:
            return _not_sent(call, said.what, said.reason), call.verdicts + asked
        verdicts = call.verdicts + asked + gate.steps + INTENT
        if call.overtaken:
            return _not_sent(call, "suppress", OVERTAKEN), verdicts + stopped(NEWER_WINS, OVERTAKEN)
        outcome = await send()
        verdicts += (NEWER_WINS if self._api.newer_wins else "") + outcome.steps
        if STOPPED not in outcome.steps:
            verdicts += self._endings.look(operation, outcome)
        return outcome, verdicts

    def status(self, now_us: Microseconds, waiting: Callable[[str], int]) -> Mapping[str, dict[str, Any]]:
        """How each operation stands, in names and numbers; ``waiting`` counts what waits before its gate."""
        return {
            name: {
                "state": gate.breaker.state,
                "reason": gate.shut(now_us) or gate.breaker.reason,
                "until_us": gate.breaker.until_us(),
                "in_flight": gate.in_flight,
                "waiting": waiting(name),
            }
            for name, gate in self.gates.items()
        }


def _not_sent(call: Call, what: str, reason: str) -> Outcome:
    """What comes of a call that is not sent. Whether it was sent before, a person must find out."""
    verdict = _SAID[what]
    if verdict is Verdict.SUPPRESSED and call.may_have_happened:
        verdict = Verdict.REFUSED
    return Outcome(verdict, reason)
