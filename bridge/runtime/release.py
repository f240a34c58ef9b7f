"""Release: what of a mapped message leaves, to where, and as which request. Pure.

The final request is made here and journaled; every attempt sends these bytes and maps nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.canonical.newness import newness_of
from bridge.component import SEND_ORIGINAL
from bridge.config.topology import Api, Route
from bridge.contracts.findings import Finding
from bridge.delivery.state import DeliveryState
from bridge.destinations.base import Describes, Origin, Prepares, RequestRefused
from bridge.formats.hl7v2 import Hl7Message
from bridge.governance.base import Case, Policies, Stop
from bridge.governance.contract import INVALID
from bridge.governance.order import stopped
from bridge.journal.messages import NewDelivery
from bridge.journal.newness import Newness
from bridge.message import Content, Issue, Mapped, Microseconds, Record
from bridge.runtime.bodies import about, with_body
from bridge.runtime.flow_step import as_step
from bridge.runtime.patients import patients_in, patients_of

MADE: Final = "v"
"""The letter of the last policy of every request: that it could be made, whole."""
PLACES_SHOWN: Final = 3
REASON_MAX_CHARACTERS: Final = 300
CONTRACT: Final = "x"
"""The letter of one more, where the API's file names its contract: that it describes the request."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """An API as release sees it: what makes its requests, and what they pass before."""

    api: Api
    requests: Prepares
    policies: Policies

    @property
    def enforces(self) -> bool:
        """Whether a request that the API's contract does not describe needs a person."""
        return any(getattr(each.options, "check", "") == "enforce" for each in self.api.policies)


def requests_of(api: Api) -> Prepares:
    """What makes an API's requests, and has no way to send them."""
    prepares = api.destination.component.prepares
    assert prepares is not None, f"{api.destination.component.name} makes no requests"
    made: Prepares = prepares(api.destination.options, api.operations)
    return made


def against_contract(way: WayOut, operation: str, request: bytes) -> list[Finding]:
    """Where a request is not as its API's contract says."""
    contract, requests = way.api.contract, way.requests
    checked = None if contract is None else contract.operations.get(operation)
    sent = requests.sent(request) if checked is not None and isinstance(requests, Describes) else None
    return [] if checked is None or sent is None else checked.request(sent)


def why_not(found: list[Finding]) -> str:
    """Why a request is in quarantine: the first places by pointer and rule, all words of the contract."""
    shown = ", ".join(str(each) for each in found[:PLACES_SHOWN])
    more = f" and {len(found) - PLACES_SHOWN} more" if len(found) > PLACES_SHOWN else ""
    return f"{INVALID}: {shown}{more}"[:REASON_MAX_CHARACTERS]


def notice(noticed: dict[str, Mapped], name: str, operation: str, found: list[Finding]) -> None:
    """Keep with the message what is not as a contract says, where nothing is stopped by it."""
    before = noticed[name].issues if name in noticed else ()
    issues = tuple(Issue(INVALID, operation, each.pointer, each.rule) for each in found)
    noticed[name] = Mapped((), (*before, *issues))


def _newness(api: Api, operation: str, record: Record, origin: Origin) -> Newness | None:
    """How new the state is that a record tells, where the operation asks and the record says."""
    by = api.newer_wins.get(operation)
    found = None if by is None else newness_of(record.fields, by)
    if found is None:
        return None
    about = f"{api.name}\0{record.record}\0{record.key}".encode()
    return Newness(origin.alias("newest", about), *found)


class NoTarget(Exception):
    """A route sends a message to one of several APIs, and none of them is for this one."""


def release(  # noqa: PLR0913, PLR0917 - what one message and its surroundings are
    route: Route,
    message: Hl7Message,
    mapped: Mapped | None,
    takes: bool,
    ways: Mapping[str, WayOut],
    body: bytes,
    origin: Origin,
    now_us: Microseconds,
    noticed: dict[str, Mapped] | None = None,
    whom: Callable[[str], str] = lambda _: "",
) -> list[NewDelivery]:
    """The deliveries of one message on one route; one that sends nothing says why, so that all is counted.

    ``takes`` is what the route's `when` says of the message. ``mapped`` is None where the route does not take
    it, where its mapping does not take messages of this type, or where it has none and sends ``body``, the
    message as it came. What mappings of bodies noticed goes into ``noticed``; ``whom`` hashes the key of whom
    a delivery is about. Raises NoTarget where the route has no API for the message, and a person must say
    which.
    """
    plan = route.plan

    def delivery(
        api: str,
        state: DeliveryState,
        reason: str,
        operation: str = "",
        request: bytes | None = None,
        verdicts: str = "",
        asks: str | None = None,
        newness: Newness | None = None,
    ) -> NewDelivery:
        mapping = "" if plan is None else f"{plan.name}@{plan.version}"
        digest = "" if plan is None else plan.digest
        aside = state is DeliveryState.QUARANTINED and route.on_poison == "quarantine_and_continue"
        return NewDelivery(
            route.name,
            api,
            operation,
            state,
            reason,
            mapping,
            digest,
            request,
            aside,
            verdicts,
            asks=asks,
            newness=newness,
        )

    def prepared(api: str, operation: str, content: Record | bytes) -> NewDelivery:
        way = ways[api]
        record = content if isinstance(content, Record) else None
        pinned = (way.api.digest,) if plan is None else (way.api.digest, plan.digest)
        sends, tags = way.api.sends.get(operation, frozenset()), {} if plan is None else plan.tags
        said, verdicts = way.policies.of_request(Case(operation, record, pinned, sends, tags, now_us))
        if isinstance(said, Stop):
            return delivery(api, DeliveryState.QUARANTINED, said.reason, operation, verdicts=verdicts)
        try:
            leaving: Content = content if said.record is None else said.record
            if operation in way.api.bodies and plan is not None and mapped is not None and record is not None:
                told = about(message, plan, record, mapped.records, origin)
                leaving = with_body(way.api, operation, said.record or record, plan, mapped, told, noticed)
            request = way.requests.prepare(operation, leaving, origin)
        except RequestRefused as refused:
            verdicts += stopped(MADE, "request-refused")
            reason = f"request-refused: {refused.about}" if refused.about else "request-refused"
            return delivery(api, DeliveryState.QUARANTINED, reason, operation, verdicts=verdicts)
        verdicts, by = verdicts + MADE, way.api.contract
        new = None if record is None else _newness(way.api, operation, record, origin)
        if by is None:
            return delivery(api, DeliveryState.READY, "", operation, request, verdicts, said.asks, new)
        found = against_contract(way, operation, request)
        if found and way.enforces:
            verdicts += stopped(CONTRACT, INVALID)
            # The request is not kept: whoever tries it again makes it anew.
            why, state = why_not(found), DeliveryState.QUARANTINED
            made = delivery(api, state, why, operation, verdicts=verdicts)
            return made._replace(contract_digest=by.digest)
        if found and noticed is not None:
            notice(noticed, f"contract {by.name}", operation, found)
        verdicts += CONTRACT
        made = delivery(api, DeliveryState.READY, "", operation, request, verdicts, said.asks, new)
        return made._replace(contract_digest=by.digest)

    def of_record(record: Record, api: str) -> NewDelivery:
        operation = route.operations.get(record.operation)
        if operation is None:
            return delivery(api, DeliveryState.QUARANTINED, "operation-not-mapped")
        made = prepared(api, operation, record)
        return as_step(route, made, record, lambda: prepared(api, route.undo, record))

    some_api = route.apis[0]
    if mapped is None and plan is not None and not plan.accepts(message.message_type):
        return [delivery(some_api, DeliveryState.FILTERED, "type")]
    if not takes:
        return [delivery(some_api, DeliveryState.FILTERED, "when")]
    records = [] if mapped is None else [each for each in mapped.records if each.record == route.record]
    messages = [] if mapped is None or route.record else [each.body for each in mapped.messages]
    if not records and not messages and plan is not None:
        return [delivery(some_api, DeliveryState.FILTERED, "no-record" if route.record else "no-message")]
    api = route.api_for(message)
    if api is None:
        if route.otherwise == "ignore":
            return [delivery(some_api, DeliveryState.FILTERED, "select")]
        raise NoTarget
    if plan is None or messages:
        patient = _hashed(patients_in(message), whom)
        return [prepared(api, SEND_ORIGINAL, each)._replace(patient=patient) for each in messages or [body]]
    return [of_record(each, api)._replace(patient=_hashed(patients_of(each), whom)) for each in records]


def _hashed(patients: tuple[str, ...], whom: Callable[[str], str]) -> str:
    if len(patients) == 1:
        return whom(patients[0])
    return " ".join(map(whom, dict.fromkeys(patients)))
