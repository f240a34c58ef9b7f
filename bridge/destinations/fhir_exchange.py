"""One exchange with a FHIR server: what is there is looked up where it must be, then all is done at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bridge.delivery.outcomes import TAKEN, Answered, Outcome, Verdict
from bridge.destinations.fhir_requests import merge_parameters
from bridge.destinations.fhir_responses import CHANGED, UNCHANGED, Asked, classify_fhir, of_entries
from bridge.destinations.http_calls import Call, Calls
from bridge.destinations.http_connection import Response
from bridge.fhir.amending import known, unchanged
from bridge.fhir.digits import read_json, write_json
from bridge.fhir.exchange import (
    Entry,
    Identity,
    NotToBeSent,
    found_in,
    in_order,
    references_in,
    request_of,
    transaction,
    with_references,
    without_nulls,
)
from bridge.message import Microseconds

FHIR_JSON: Final = "application/fhir+json"
ROUNDS_MAX: Final = 3
"""How often in one attempt what has changed meanwhile is read anew."""
LOOKED_UP_MAX: Final = 2
"""How many that fit are asked for: more than one is one too many."""
_DONE: Final = Outcome(Verdict.DELIVERED, "delivered")


class Exchange:
    """What is asked of one FHIR server. Nothing here raises: whatever happens is an outcome."""

    def __init__(
        self, calls: Calls, now_us: Callable[[], Microseconds], request_s: float, *, transactions: str
    ) -> None:
        """``transactions`` is `needed`, `always` or `never`; all calls of an exchange take ``request_s``."""
        self._calls, self._now_us, self._request_s = calls, now_us, request_s
        self._transactions = transactions

    async def do(self, entries: Sequence[Entry], headers: Mapping[str, str]) -> list[Outcome]:
        """What became of each entry: of all the same where they are done whole or not at all. What would
        change nothing is not sent, and what was done is not sent again."""
        started_s = _now_s()
        outcomes, left = [_DONE] * len(entries), list(range(len(entries)))
        for _ in range(ROUNDS_MAX):
            ready: dict[int, Entry] = {}
            for at in left:
                found: Entry | Outcome | None = entries[at]
                if entries[at].interaction == "amend":
                    found, outcomes[at] = await self._amended(entries[at], headers, started_s)
                if isinstance(found, Outcome):
                    for each in left:
                        outcomes[each] = found
                    return outcomes
                if found is None:
                    outcomes[at] = outcomes[at]._replace(reason=UNCHANGED)
                else:
                    ready[at] = found
            if not ready:
                return outcomes
            sent = await self._sent(list(ready.values()), headers, started_s)
            for at, outcome in zip(ready, sent, strict=True):
                outcomes[at] = outcome
            left = [at for at in ready if outcomes[at].reason == CHANGED]
        return outcomes

    async def merge(self, entries: Sequence[Entry], headers: Mapping[str, str]) -> Outcome:
        """The second of two patients ends in the first, by the operation that the server has for it."""
        stays, ends = entries
        body = write_json(merge_parameters(stays.identity, ends.identity))
        call = Call("POST", f"/{stays.identity.type}/$merge", body, FHIR_JSON)
        outcome, _ = await self._call(call, headers, Asked(refers=True, due="or-later"), _now_s())
        return outcome

    async def _amended(
        self, entry: Entry, headers: Mapping[str, str], started_s: float
    ) -> tuple[Entry | Outcome | None, Outcome]:
        """An entry as it is to be sent; None where that would change nothing, an outcome where it cannot."""
        found, outcome = await self._found(entry.identity, headers, started_s)
        if isinstance(found, Outcome):
            return found, outcome
        if not found:
            return entry, outcome
        try:
            if unchanged(entry, found[0]):
                return None, outcome
            return known(entry, found[0]), outcome
        except NotToBeSent:
            return outcome._replace(verdict=Verdict.HOLD, reason="answer-unreadable"), outcome

    async def _found(
        self, identity: Identity, headers: Mapping[str, str], started_s: float
    ) -> tuple[list[Mapping[str, Any]] | Outcome, Outcome]:
        """What the server has of an identity, which is one resource or none; or the outcome without it."""
        call = Call("GET", f"/{identity.url}&_count={LOOKED_UP_MAX}")
        outcome, body = await self._call(call, headers, Asked(due="results"), started_s)
        if outcome.verdict is not Verdict.DELIVERED:
            # A question has no effect, so it may be asked again whatever came of it.
            asked_again = outcome.verdict is Verdict.AMBIGUOUS
            return (outcome._replace(verdict=Verdict.RETRY) if asked_again else outcome), outcome
        try:
            found = found_in(read_json(body), identity)
        except ValueError:
            return outcome._replace(verdict=Verdict.HOLD, reason="answer-unreadable"), outcome
        if len(found) > 1:
            return outcome._replace(verdict=Verdict.POISON, reason="multiple-matches"), outcome
        return found, outcome

    async def _sent(
        self, entries: Sequence[Entry], headers: Mapping[str, str], started_s: float
    ) -> list[Outcome]:
        asked = Asked(
            amends=any(each.known_as for each in entries),
            deletes=all(each.interaction == "delete" for each in entries),
            refers=any(map(_refers, entries)),
            due="statuses",
        )
        alone = len(entries) == 1 and (not asked.refers or asked.deletes)
        if self._transactions == "never" or (self._transactions == "needed" and alone):
            return [await self._one_by_one(entries, headers, started_s)] * len(entries)
        call = Call("POST", "", write_json(transaction(entries)), FHIR_JSON)
        outcome, body = await self._call(call, headers, asked, started_s)
        if outcome.verdict is not Verdict.DELIVERED or outcome.reason != _DONE.reason:
            return [outcome] * len(entries)
        ends = of_entries(outcome, body, [_asked_of(each, refers=_refers(each)) for each in entries])
        return [each if each.verdict in TAKEN else _with_answer(each, body) for each in ends]

    async def _one_by_one(
        self, entries: Sequence[Entry], headers: Mapping[str, str], started_s: float
    ) -> Outcome:
        """Each by itself, behind what it refers to: for servers that have no transactions."""
        named: dict[Identity, str] = {}
        outcome = _DONE
        for entry in in_order(entries):
            method, url, more = request_of(entry)
            body: bytes | None = None
            if method != "DELETE":
                for identity in dict.fromkeys(references_in(entry.resource)):
                    if identity not in named:
                        found, outcome = await self._found(identity, headers, started_s)
                        if isinstance(found, Outcome):
                            return found
                        if not found or not isinstance(name := found[0].get("id"), str):
                            return outcome._replace(verdict=Verdict.NOT_FOUND, reason="reference-not-there")
                        named[identity] = f"{identity.type}/{name}"
                resource = with_references(without_nulls(entry.resource), named)
                body = write_json({**resource, "id": entry.known_as} if entry.known_as else resource)
            call = Call(method, f"/{url}", body, FHIR_JSON)
            asked = _asked_of(entry, refers=False)
            outcome, _ = await self._call(call, {**headers, **more}, asked, started_s)
            if outcome.verdict is not Verdict.DELIVERED:
                return outcome
        return outcome

    async def _call(
        self, call: Call, headers: Mapping[str, str], asked: Asked, started_s: float
    ) -> tuple[Outcome, bytes]:
        """What an answer means, and its body."""
        body = b""

        def judge(response: Response) -> Outcome:
            nonlocal body
            body = response.body
            outcome = classify_fhir(
                response.status, response.headers, response.body, now_us=self._now_us(), asked=asked
            )
            return outcome if outcome.verdict in TAKEN else _with_answer(outcome, body)

        spent_s = _now_s() - started_s
        if spent_s >= self._request_s:
            return Outcome(Verdict.RETRY, "request-timeout"), body
        headers = {"Accept": FHIR_JSON, "Prefer": "return=minimal", **headers}
        outcome = await self._calls.make(call, headers, judge, spent_s=spent_s)
        return outcome, body


def _with_answer(outcome: Outcome, body: bytes) -> Outcome:
    return outcome._replace(answer=Answered({}, body))


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _refers(entry: Entry) -> bool:
    return any(True for _ in references_in(entry.resource))


def _asked_of(entry: Entry, *, refers: bool) -> Asked:
    """What is asked for by an entry; one that is to be amended, and was not found, is to be made."""
    deletes = entry.interaction == "delete"
    return Asked(
        amends=bool(entry.known_as),
        deletes=deletes,
        refers=refers,
        makes=entry.interaction == "amend" and not entry.known_as,
        due="or-later" if deletes else "done",
    )
