"""Answers of 2xx that do not say that all was done, and transactions that a server cannot bear."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from fhir_calls import all_of, begin, calls, encounter, patient, send, served
from reactor_tests import in_reactor

from bridge.cli.fake_fhir import FakeFhir, Fault, outcome_of
from bridge.delivery.breaker import Breaker, BreakerPolicy
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.fhir_r4 import FhirServer
from bridge.fhir.digits import write_json

INFORMATION = write_json(outcome_of("informational", severity="information"))
ERROR = write_json(outcome_of("business-rule"))
EMPTY = write_json({"resourceType": "Bundle", "type": "transaction-response", "entry": []})
PAGE = b"<html>KANARIE, please sign in</html>"
V = Verdict

NOT_DONE: dict[str, tuple[Fault, Verdict, str]] = {
    "an error": (Fault("says", 200, body=ERROR), V.POISON, "fhir-business-rule"),
    "a page": (Fault("says", 200, body=PAGE, content_type="text/html"), V.AMBIGUOUS, "answer-not-fhir"),
    "taken for later": (Fault("says", 202), V.AMBIGUOUS, "taken-for-later"),
}
NO_STATUSES: dict[str, tuple[Fault, Verdict, str]] = {
    "nothing": (Fault("says", 200), V.AMBIGUOUS, "entries-not-told"),
    "no entries": (Fault("says", 200, body=EMPTY), V.AMBIGUOUS, "entries-not-told"),
    "an entry that was refused": (Fault("entries", 422, "invalid", text="urn:"), V.POISON, "fhir-invalid"),
    "an entry that failed": (Fault("entries", 500, text="urn:"), V.RETRY, "server-error"),
}


@pytest.mark.parametrize("transactions", ["needed", "always", "never"])
@pytest.mark.parametrize("operation", ["create", "update", "amend"])
@pytest.mark.parametrize("name", NOT_DONE)
@in_reactor
async def test_an_answer_that_says_no_is_no_delivery_whatever_its_status(
    name: str, operation: str, transactions: str
) -> None:
    fault, verdict, reason = NOT_DONE[name]
    async with served(transactions=transactions) as (server, destination):
        if operation == "amend":
            server.store.put("Patient", None, patient("1", gender="male"))
            fault = replace(fault, text="birthDate")
        server.plant(fault)
        outcome = await send(destination, operation, patient("1", birthDate="1980"))
        assert (outcome.verdict, outcome.reason, outcome.status) == (verdict, reason, fault.status)
        assert outcome.answer is not None
        assert outcome.answer.body == fault.body
        again = await send(destination, operation, patient("1", birthDate="1980"))
        assert again.verdict is V.DELIVERED
        (kept,) = server.store.all_of("Patient")
        assert kept["birthDate"] == "1980"


@pytest.mark.parametrize("name", NO_STATUSES)
@in_reactor
async def test_a_transaction_is_done_where_its_answer_says_so_of_each_entry(name: str) -> None:
    fault, verdict, reason = NO_STATUSES[name]
    async with served(transactions="always") as (server, destination):
        server.plant(fault)
        outcome = await send(destination, "update", patient("1"))
        assert (outcome.verdict, outcome.reason) == (verdict, reason)
        assert (await send(destination, "update", patient("1"))).verdict is V.DELIVERED


@pytest.mark.parametrize("body", [b"", INFORMATION])
@pytest.mark.parametrize("status", [200, 201, 204])
@in_reactor
async def test_little_or_nothing_beside_a_2xx_is_enough_for_what_goes_by_itself(
    status: int, body: bytes
) -> None:
    async with served() as (server, destination):
        server.plant(Fault("says", status, body=body))
        assert (await send(destination, "update", patient("1"))).verdict is V.DELIVERED


@in_reactor
async def test_of_a_delivery_whose_resources_were_done_in_part_the_refusal_counts() -> None:
    async with served() as (server, destination):
        server.plant(Fault("entries", 422, "value", "Encounter.status", text="urn:encounter"))
        outcome = await send(destination, "update", patient("1"), encounter("9", "1"))
        assert (outcome.verdict, outcome.reason) == (V.POISON, "fhir-value: Encounter.status")
        assert len(server.store.kept) == 1


# Several deliveries in one transaction


async def sent_together(destination: FhirServer, numbers: list[int]) -> list[Outcome]:
    begun = [begin(destination, "update", patient(str(each)), number=each) for each in numbers]
    return await all_of(*begun)


def sizes(server: FakeFhir) -> list[int]:
    """How many entries each call had, none that is no transaction."""
    return [len(orjson.loads(each.body).get("entry", [])) for each in server.attempts]


@in_reactor
async def test_of_a_transaction_that_was_done_in_part_each_delivery_has_its_own_outcome() -> None:
    async with served(together={"max": 4, "wait": "1s"}) as (server, destination):
        server.plant(Fault("entries", 422, "value", "Patient.gender", text='"value":"2"'))
        outcomes = await sent_together(destination, [1, 2, 3, 4])
        assert [each.verdict for each in outcomes] == [V.DELIVERED, V.POISON, V.DELIVERED, V.DELIVERED]
        assert outcomes[1].reason == "fhir-value: Patient.gender"
        assert [each.answer is None for each in outcomes] == [True, False, True, True]
        assert (len(server.attempts), len(server.store.kept)) == (1, 3)


@pytest.mark.parametrize("fault", [NOT_DONE["an error"][0], Fault("status", 409, "conflict")])
@in_reactor
async def test_one_that_is_refused_or_in_conflict_keeps_none_of_the_others(fault: Fault) -> None:
    async with served(together={"max": 3, "wait": "1s"}) as (server, destination):
        server.plant(replace(fault, text='"value":"2"', times=9))
        outcomes = await sent_together(destination, [1, 2, 3])
        assert [each.verdict is V.DELIVERED for each in outcomes] == [True, False, True]
        assert len(server.store.kept) == 2


@pytest.mark.parametrize("fault", [Fault("status", 500, "exception"), Fault("cut"), NOT_DONE["a page"][0]])
@in_reactor
async def test_one_that_a_server_cannot_bear_fails_alone_the_next_time(fault: Fault) -> None:
    async with served(together={"max": 4, "wait": "50ms"}) as (server, destination):
        server.plant(replace(fault, text='"value":"2"', times=9))
        outcomes = await sent_together(destination, [1, 2, 3, 4])
        assert {each.verdict for each in outcomes} <= {V.RETRY, V.AMBIGUOUS}
        assert sizes(server) == [4], "what may have happened is not sent again here"
        outcomes = await sent_together(destination, [1, 2, 3, 4, 5, 6])
        assert [each.verdict is V.DELIVERED for each in outcomes] == [True, False, True, True, True, True]
        assert sorted(sizes(server)[1:]) == [0, 0, 0, 0, 2]
        await sent_together(destination, [1, 3, 4, 5])
        assert sizes(server)[-1] == 4, "what was delivered shares again"


@in_reactor
async def test_a_call_that_fails_for_many_counts_once_for_their_operation() -> None:
    async with served(together={"max": 20, "wait": "50ms"}) as (server, destination):
        server.plant(Fault("status", 500, "exception"))
        breaker = Breaker(BreakerPolicy())
        begun = [breaker.begin(0) for _ in range(8)]
        for call, outcome in zip(begun, await sent_together(destination, list(range(8))), strict=True):
            breaker.end(outcome, 0, call=call)
        assert breaker.state == "closed"
        assert sizes(server) == [8]


@in_reactor
async def test_deliveries_of_two_operations_in_one_call_count_for_both() -> None:
    async with served(together={"max": 4, "wait": "1s"}) as (server, destination):
        server.plant(Fault("status", 500, "exception"))
        begun = [
            begin(destination, operation, patient(str(number)), number=number)
            for number, operation in enumerate(["create", "update", "create", "update"])
        ]
        assert [each.shared for each in await all_of(*begun)] == [False, False, True, True]
        assert calls(server) == [("POST", "/")]
