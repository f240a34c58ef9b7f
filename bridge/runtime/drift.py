"""What APIs do otherwise than their contracts say: seen as answers come, kept, and held where files say so.

What is held is on disk before the delivery that met it is settled, so that a process which ends loses no
hold. Of an answer nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import structlog

from bridge.config.contracts import calls_in, contract_kept
from bridge.config.topology import Api
from bridge.contracts.contract import Checked, Contract
from bridge.contracts.findings import Finding
from bridge.contracts.options import AFFECTED_MAX_COUNT, ContractOptions
from bridge.contracts.rejections import places_refused
from bridge.contracts.watch import Watch
from bridge.delivery.outcomes import Answered, Outcome, Verdict
from bridge.destinations.base import Describes
from bridge.errors import JournalUnavailable
from bridge.governance.contract import DRIFTED
from bridge.journal.deliveries import Call
from bridge.journal.drifts import DECIDE, DRIFT, Decided, Drifted, DriftState, drifts
from bridge.journal.files import content_of
from bridge.journal.journal import Journal
from bridge.message import Microseconds
from bridge.observe.metrics import Metrics
from bridge.runtime.release import requests_of
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.drift")

HELD_AGAINST: Final = "d"
"""The letter of this policy."""
OLD_CONTRACTS_MAX_COUNT: Final = 8
REFUSED_BEFORE_US: Final = 3_600_000_000
"""How long before it was known to have changed an API may have refused the first messages for that."""
_REFUSED: Final = frozenset({400, 422})
_GONE: Final = frozenset({404, 405, 410, 501})
ANOTHER_CONTRACT: Final = "another contract"
AS_IT_WAS: Final = "answered as it should again"


class Drift:
    """The operations of one API against its contract, and those before it that deliveries were made by."""

    def __init__(
        self, api: Api, journal: Journal, metrics: Metrics, world: Surroundings, tasks: Tasks
    ) -> None:
        self._journal, self._metrics, self._world, self._tasks = journal, metrics, world, tasks
        self._watches: dict[str, Watch] = {}
        self._old: dict[str, Contract | None] = {}
        self._api, self._options, self._requests = api, _options(api), requests_of(api)

    @property
    def _digest(self) -> str:
        return "" if self._api.contract is None else self._api.contract.digest

    def use(self, api: Api) -> None:
        """Go by another file. With another contract nothing is held any more: somebody has looked."""
        before, digest = self._api.contract, self._digest
        self._api, self._options, self._requests = api, _options(api), requests_of(api)
        if before is not None:
            self._old[before.digest] = before
            while len(self._old) > OLD_CONTRACTS_MAX_COUNT:
                del self._old[next(iter(self._old))]
        if digest == self._digest:
            for watch in self._watches.values():
                watch.enforced = self._enforces
            return
        held = [name for name, watch in self._watches.items() if watch.held]
        self._watches.clear()
        for name in held:
            self._tasks.spawn("drift over", self._over(name))

    @property
    def _enforces(self) -> bool:
        return self._options is not None and self._options.of_answers == "enforce"

    @property
    def in_flight_max(self) -> int | None:
        """How many calls of one operation may be under way because of what a change may cost."""
        return None if self._options is None else self._options.in_flight_max

    async def restore(self) -> None:
        """Hold what was held; of another contract than today's nothing."""
        for each in await self._journal.read(drifts, api=self._api.name):
            if each.state in ("held", "accepted") and each.contract_digest != self._digest:
                if each.state == "held":
                    await self._over(each.operation)
            elif each.state in ("held", "accepted"):
                watch = self._watch(each.operation)
                finding = Finding(each.kind, each.pointer, each.rule)  # type: ignore[arg-type]
                watch.restore(finding, each.times, each.first_seen_at_us, held=each.state == "held")

    def _watch(self, operation: str) -> Watch:
        if (found := self._watches.get(operation)) is None:
            affected_max = AFFECTED_MAX_COUNT if self._options is None else self._options.affected_max
            found = Watch(enforced=self._enforces, affected_max=affected_max)
            self._watches[operation] = found
        return found

    def shut(self, operation: str) -> str:
        """Why no call of an operation may begin, or nothing."""
        watch = self._watches.get(operation)
        return DRIFTED if watch is not None and watch.shut else ""

    def changed(self, operation: str) -> list[str]:
        """What of an operation is held, in words."""
        watch = self._watches.get(operation)
        return [] if watch is None else [each.in_words() for each in watch.held]

    def refused_since(self, operation: str) -> Microseconds | None:
        """Since when messages of an operation are refused because the API has changed; None where not so.

        Those before that made it known count too, as far as they are remembered.
        """
        watch = self._watches.get(operation)
        times = (
            []
            if watch is None
            else [watch.seen[each].first_us for each in watch.held if each.kind == "rejected"]
        )
        return min(times) - REFUSED_BEFORE_US if times else None

    async def look(self, call: Call, operation: str, outcome: Outcome) -> tuple[Outcome, str]:
        """Hold an answer against the contract that its request was made by; the letter of this policy.

        A refusal that is the API's change is not the message's fault: such a message waits as its operation.
        """
        if self._options is not None and self._options.of_answers != "off":
            checked = await self._checked(call.contract_digest, operation)
            if checked is not None:
                outcome = await self._look(call, operation, outcome, checked)
        return outcome, HELD_AGAINST

    async def _look(self, call: Call, operation: str, outcome: Outcome, checked: Checked) -> Outcome:
        watch, status = self._watch(operation), outcome.status or 0
        answer = outcome.answer or Answered({}, b"")
        match outcome.verdict:
            case Verdict.DELIVERED:
                found = []
                if outcome.answer is not None:  # there is none where the API was only asked whether it has it
                    sent, media = self._body(call), answer.headers.get("content-type", "")
                    found = checked.answer(status, media, answer.headers, answer.body, sent)
                for over in watch.answered(call.delivery_id):
                    self._keep_soon(operation, over, watch, "over", reason=AS_IT_WAS)
                await self._keep(operation, watch, found)
            case Verdict.POISON if status in _REFUSED:
                sent, media = self._body(call), answer.headers.get("content-type", "")
                places = places_refused(media, answer.body, checked.names, sent)
                await self._keep(operation, watch, watch.refused(call.delivery_id, places, status))
                if any(each.kind == "rejected" for each in watch.held):
                    return outcome._replace(verdict=Verdict.HOLD, reason=DRIFTED)
            case Verdict.HOLD if status in _GONE:
                gone = watch.stopped(call.delivery_id, Finding("gone", "", str(status)))
                await self._keep(operation, watch, gone)
            case Verdict.HOLD if status in (401, 403):
                lacking = "insufficient_scope" in answer.headers.get("www-authenticate", "")
                if lacking or status == 403:
                    rule = f"{status} insufficient scope" if lacking else str(status)
                    wants = watch.stopped(call.delivery_id, Finding("scope", "", rule))
                    await self._keep(operation, watch, wants)
            case Verdict.NOT_FOUND:
                await self._keep(operation, watch, watch.not_found(call.delivery_id, status))
        return outcome

    def _body(self, call: Call) -> bytes | None:
        sent = self._requests.sent(call.request) if isinstance(self._requests, Describes) else None
        return None if sent is None else sent.body

    async def _checked(self, digest: str, operation: str) -> Checked | None:
        """An operation by the contract with a digest, which may be one of before."""
        contract = self._api.contract
        if contract is None or contract.digest != digest:
            if digest not in self._old:
                self._old[digest] = await self._kept(digest)
            contract = self._old[digest]
        return None if contract is None else contract.operations.get(operation)

    async def _kept(self, digest: str) -> Contract | None:
        try:
            content = await self._journal.read(content_of, digest)
        except JournalUnavailable:
            return None
        if content is None or self._options is None:
            return None
        return contract_kept(content, calls_in(self._api), self._options)

    async def _keep(self, operation: str, watch: Watch, found: Iterable[Finding]) -> None:
        """Count what was found. What is to be held is on disk when this returns, as far as the journal takes
        it; here it is held in any case."""
        met = list(found)
        for each in met:
            self._metrics.drift.labels(self._api.name, operation, each.kind).inc()
        for each in watch.met(met, self._world.now_us()):
            held = each in watch.held
            log.warning(
                DRIFTED, api=self._api.name, operation=operation, kind=each.kind, place=str(each), held=held
            )
            if held:
                await self._write(self._row(operation, each, watch, "held"))
            else:
                state: DriftState = "accepted" if watch.seen[each].accepted else "noticed"
                self._keep_soon(operation, each, watch, state)

    def _keep_soon(
        self, operation: str, finding: Finding, watch: Watch, state: DriftState, reason: str = ""
    ) -> None:
        row = self._row(operation, finding, watch, state)
        self._tasks.spawn("drift", self._write(replace(row, reason=reason)))

    def _row(self, operation: str, finding: Finding, watch: Watch, state: DriftState) -> Drifted:
        seen = watch.seen[finding]
        where = self._api.name, operation, finding.kind, finding.pointer, finding.rule
        return Drifted(*where, self._digest, state, seen.times, seen.first_us, seen.last_us)

    async def _write(self, row: Drifted) -> None:
        try:
            await self._journal.submit(DRIFT, row)
        except JournalUnavailable as error:
            log.error("journal-unavailable", api=row.api, reason=str(error))

    async def _over(self, operation: str) -> None:
        decided = self._decided(operation, "over", "bridge", ANOTHER_CONTRACT)
        try:
            await self._journal.submit(DECIDE, decided)
        except JournalUnavailable as error:
            log.error("journal-unavailable", api=self._api.name, reason=str(error))

    async def accept(self, operation: str, actor: str, reason: str) -> list[Finding]:
        """A person has looked at what is held of an operation: on disk first. Raises JournalUnavailable."""
        watch = self._watches.get(operation)
        if watch is None or not watch.held:
            return []
        await self._journal.submit(DECIDE, self._decided(operation, "accepted", actor, reason))
        return watch.accept()

    def _decided(self, operation: str, state: DriftState, actor: str, reason: str) -> Decided:
        now_us: Microseconds = self._world.now_us()
        return Decided(self._api.name, operation, state, now_us, actor, reason)


def _options(api: Api) -> ContractOptions | None:
    return next((each.options for each in api.policies if isinstance(each.options, ContractOptions)), None)
