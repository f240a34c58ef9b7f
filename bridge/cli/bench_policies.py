"""What the policies cost: processor time of each, alone, with the options of a usual API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from bridge.canonical.base import Tag
from bridge.catalog import STANDARD
from bridge.cli.bench_contracts import contracts_cost
from bridge.component import Component, Options
from bridge.delivery.breaker import Breaker, BreakerPolicy
from bridge.delivery.gate import Gate
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.delivery.rate import Rate
from bridge.destinations.http_limits import advertised
from bridge.destinations.http_notices import ending
from bridge.governance import consent
from bridge.governance.base import Case, Policies, policies
from bridge.governance.consent_fhir import consent_of
from bridge.governance.consent_rules import decide
from bridge.message import Record
from bridge.units import SecretRef

CALLS = 5000
REPEATS = 3
FIELDS = {
    "identifiers": [{"value": "100234", "system": "NORTH", "type": "MR"}],
    "family": "Rivera",
    "given": "Ana",
    "birth_date": "1961-02-03",
    "sex": "female",
    "line1": "1 Elm St",
    "city": "Springfield",
    "state": "IL",
    "postal_code": "60614",
}
RECORD = Record("patient", "100234^NORTH", "upsert", FIELDS)
OPTIONS = {
    "lifecycle": {"sunset": "2099-12-31"},
    "classify": {"phi": True, "confidentiality": "R"},
    "minimum_necessary": {"fields": {"birth_date": "year", "line1": "mask"}},
}
HEADERS = {"content-type": "application/json", "date": "x", "server": "x", "connection": "keep-alive"}
NOW_US = 1_800_000_000_000_000


def _no_secret(reference: SecretRef) -> str:
    raise LookupError(reference.name)


def _configured() -> Iterator[tuple[Component, Options]]:
    for component in STANDARD.components:
        if component.kind == "policy" and not component.when_declared:
            yield component, component.options.model_validate(OPTIONS.get(component.name, {}))


def _case() -> Case:
    tags = {("patient", name): Tag.PHI for name in FIELDS}
    return Case("putPatient", RECORD, ("digest", "digest"), frozenset({"key", *FIELDS}), tags, NOW_US)


def _cpu_us(run: Callable[[], object]) -> float:
    """Processor microseconds of one run; the best of a few rounds, since neighbours only ever add to it."""
    run()
    found = []
    for _ in range(REPEATS):
        began_s = time.process_time()
        for _ in range(CALLS):
            run()
        found.append((time.process_time() - began_s) / CALLS * 1e6)
    return min(found)


def _gate(governed: Policies) -> Callable[[], object]:
    def shut(now_us: int) -> str:
        said = governed.of_api(now_us)
        return "" if said is None else said.reason

    gate = Gate(Breaker(BreakerPolicy()), Rate(1e9), 8, shut)
    delivered = Outcome(Verdict.DELIVERED, "delivered", 200)

    def run() -> None:
        call = gate.begin(NOW_US)
        gate.end(call, delivered, NOW_US, key=b"key")

    return run


def _consent(case: Case) -> Callable[[], object]:
    """What consent adds to one delivery: as its request is made, and twice as its turn comes."""
    given = {"resourceType": "Consent", "status": "active", "patient": {"reference": f"Patient/{RECORD.key}"}}
    known = consent_of({**given, "provision": {"type": "permit", "purpose": [{"code": "TREAT"}]}})
    options = consent.ConsentOptions.model_validate({"purpose": "TREAT", "file": "consents.ndjson"})
    policy = consent.ConsentPolicy(options)
    policy.use(lambda question, now_us: decide(question, [[known]], now_us))

    def run() -> None:
        asked = policy.of_request(case)
        assert isinstance(asked, Case), "it can be told whose data it is"
        for _ in ("before its turn", "at its attempt"):
            assert policy.of_delivery(asked.asks, NOW_US) is None, "it is permitted"

    return run


def policies_cost(_: object = None) -> dict[str, float]:
    """Figures by name: each policy, and all that one delivery with one attempt passes."""
    configured, case = list(_configured()), _case()
    whole = policies(configured, _no_secret)
    figures: dict[str, float] = {}
    for component, options in configured:
        if component.build is not None:
            one = policies([(component, options)], _no_secret)
            figures[f"cpu_us_policy_{component.name}"] = _cpu_us(lambda one=one: one.of_request(case))  # type: ignore[misc]
    outcome = Outcome(Verdict.DELIVERED, "delivered", 200)
    figures["cpu_us_policy_consent"] = _cpu_us(_consent(case))
    figures |= contracts_cost(_cpu_us, FIELDS)
    figures["cpu_us_policy_slot_breaker_rate"] = _cpu_us(_gate(whole))
    figures["cpu_us_policy_letters"] = _cpu_us(lambda: outcome._replace(steps="ti" + "uso"))
    figures["cpu_us_policy_response_headers"] = _cpu_us(lambda: (ending(HEADERS), advertised(HEADERS)))
    figures["cpu_us_policies"] = (
        _cpu_us(lambda: whole.of_request(_case()))
        + _cpu_us(lambda: whole.of_attempt(NOW_US))
        + sum(
            figures[f"cpu_us_policy_{name}"]
            for name in ("consent", "slot_breaker_rate", "letters", "response_headers")
        )
    )
    return figures
