"""Resources on their way to a FHIR server that conditions, versions, transactions and faults."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from fhir_calls import (
    all_of,
    begin,
    calls,
    delivered,
    encounter,
    made,
    named,
    patient,
    resource,
    send,
    served,
)
from reactor_tests import in_reactor

from bridge.cli.fake_fhir import FakeFhir, Fault
from bridge.delivery.outcomes import Verdict
from bridge.destinations.base import RequestRefused
from bridge.destinations.fhir_r4 import FhirOperation
from bridge.fhir.digits import write_json
from bridge.message import Record, Shaped


@in_reactor
async def test_what_is_created_twice_is_there_once_as_it_was_first() -> None:
    async with served() as (server, destination):
        await delivered(destination, "create", patient("1", gender="male"))
        await delivered(destination, "create", patient("1", gender="female"))
        (kept,) = server.store.all_of("Patient")
        assert (kept["gender"], kept["meta"]["versionId"]) == ("male", "1")
        assert server.attempts[0].headers["If-None-Exist"] == "identifier=urn%3Apatient%7C1"
        assert {name.lower(): each for name, each in server.attempts[0].headers.items()}[
            "x-request-id"
        ] == "k-1"


@in_reactor
async def test_what_is_updated_takes_the_place_of_what_was_there() -> None:
    async with served() as (server, destination):
        await delivered(destination, "update", patient("1", gender="male"))
        await delivered(destination, "update", patient("1", birthDate="1980"))
        (kept,) = server.store.all_of("Patient")
        assert ("gender" in kept, kept["birthDate"]) == (False, "1980")


@in_reactor
async def test_what_is_amended_keeps_what_is_not_told_and_a_repeat_writes_nothing() -> None:
    async with served() as (server, destination):
        server.store.put(
            "Patient",
            None,
            patient(
                "1",
                gender="male",
                identifier=[*patient("1")["identifier"], {"system": "urn:ehr", "value": "9"}],
            ),
        )
        for _ in range(2):
            await delivered(destination, "amend", patient("1", birthDate="1980", gender="unknown"))
        (kept,) = server.store.all_of("Patient")
        assert (kept["gender"], kept["birthDate"], len(kept["identifier"])) == ("male", "1980", 2)
        assert calls(server) == [("GET", "/Patient"), ("PUT", "/Patient/1"), ("GET", "/Patient")]
        assert server.attempts[1].headers["If-Match"] == 'W/"1"'


@in_reactor
async def test_what_somebody_else_changes_meanwhile_is_read_anew_and_neither_is_lost() -> None:
    async with served() as (server, destination):
        await delivered(destination, "update", patient("1", gender="male"))
        server.plant(Fault("other", text="urn:patient"))
        await delivered(destination, "amend", patient("1", birthDate="1980"))
        assert [each for each, _ in calls(server)] == ["PUT", "GET", "PUT", "GET", "PUT"]
        server.plant(Fault("other", text="urn:patient", times=3))
        outcome = await send(destination, "amend", patient("1", birthDate="1981"))
        assert (outcome.verdict, outcome.reason) == (Verdict.RETRY, "changed-meanwhile")


@pytest.mark.parametrize("transactions", ["needed", "always", "never"])
@in_reactor
async def test_references_are_to_what_they_name(transactions: str) -> None:
    async with served(FakeFhir(transactions=transactions != "never"), transactions=transactions) as (
        server,
        destination,
    ):
        outcome = await send(destination, "amend", encounter("9", "1"))
        assert (outcome.verdict, outcome.reason) == (Verdict.NOT_FOUND, "reference-not-there")
        assert server.store.kept == {}
        await delivered(destination, "create", patient("1"))
        doctor = resource("Practitioner", "7", name=[{"family": "ITO"}])
        stay = encounter("9", "1", participant=[{"individual": named("Practitioner", "7")}])
        for _ in range(2):
            await delivered(destination, "amend", stay, doctor)
        (kept,) = server.store.all_of("Encounter")
        (who,) = server.store.all_of("Practitioner")
        (whom,) = server.store.all_of("Patient")
        assert kept["subject"]["reference"] == f"Patient/{whom['id']}"
        assert kept["participant"][0]["individual"]["reference"] == f"Practitioner/{who['id']}"
        assert kept["meta"]["versionId"] == "1", "a repeat says nothing new"


@in_reactor
async def test_a_transaction_is_done_whole_or_not_at_all() -> None:
    async with served() as (server, destination):
        outcome = await send(destination, "amend", patient("1"), encounter("9", "of nobody"))
        assert (outcome.verdict, outcome.reason) == (Verdict.NOT_FOUND, "reference-not-there")
        assert server.store.kept == {}


@in_reactor
async def test_what_a_server_points_at_is_told_by_its_element_and_nothing_else_of_it() -> None:
    async with served() as (server, destination):
        server.plant(Fault("status", 422, "value", "Patient.name[0].where(family='KANARIE')"))
        outcome = await send(destination, "create", patient("1"))
        assert (outcome.verdict, outcome.reason) == (Verdict.POISON, "fhir-value: Patient.name")


@in_reactor
async def test_several_that_fit_need_a_person() -> None:
    async with served() as (server, destination):
        for _ in range(2):
            server.store.put("Patient", None, patient("1"))
        for operation in ("create", "update", "amend", "delete"):
            outcome = await send(destination, operation, patient("1"))
            assert (outcome.verdict, outcome.reason) == (Verdict.POISON, "multiple-matches"), operation


@in_reactor
async def test_what_is_deleted_is_gone_and_a_repeat_is_well() -> None:
    async with served() as (server, destination):
        await delivered(destination, "create", patient("1"))
        await delivered(destination, "create", encounter("9", "1"))
        outcome = await send(destination, "delete", patient("1"))
        assert (outcome.verdict, outcome.reason) == (Verdict.POISON, "referred-to")
        for _ in range(2):
            await delivered(destination, "delete", encounter("9", "1"))
        await delivered(destination, "delete", patient("1"))
        assert server.store.kept == {}


def linked(stays: str, ends: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        patient(stays, active=True, link=[{"other": named("Patient", ends), "type": "replaces"}]),
        patient(ends, active=False, link=[{"other": named("Patient", stays), "type": "replaced-by"}]),
    )


@pytest.mark.parametrize("operation", ["amend", "merge"])
@in_reactor
async def test_one_patient_ends_in_another_by_links_or_by_the_operation_for_it(operation: str) -> None:
    async with served() as (server, destination):
        for number in ("1", "2"):
            await delivered(destination, "create", patient(number, gender="male"))
        await delivered(destination, operation, *linked("1", "2"))
        one, two = server.store.all_of("Patient")
        assert (two["link"][0]["type"], two["link"][0]["other"]["reference"]) == (
            "replaced-by",
            f"Patient/{one['id']}",
        )
        assert (two["active"], two["gender"]) == (False, "male")


@in_reactor
async def test_a_server_without_the_operation_holds_merges() -> None:
    async with served(FakeFhir(merges=False)) as (_, destination):
        outcome = await send(destination, "merge", *linked("1", "2"))
        assert (outcome.verdict, outcome.reason) == (Verdict.HOLD, "fhir-not-supported")


WRONG: dict[str, tuple[str, tuple[dict[str, Any], ...], str]] = {
    "a code that is not bound": ("create", (patient("1", gender="KANARIE"),), "F206 Patient.gender"),
    "an element within a list": (
        "create",
        (patient("1", name=[{"use": "KANARIE"}]),),
        "F206 Patient.name.use",
    ),
    "no identifier": ("create", ({"resourceType": "Patient"},), "Patient.identifier"),
    "beside it": (
        "amend",
        (patient("1"), resource("Practitioner", "2", gender="KANARIE")),
        "F206 Practitioner.gender",
    ),
    "one resource twice": ("amend", (patient("1"), patient("1")), "identifier"),
    "a merge of one": ("merge", (patient("1"),), ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_resource_of_r4_is_not_sent_and_its_place_is_told(name: str) -> None:
    operation, documents, about = WRONG[name]
    first, *more = [write_json(each) for each in documents]
    content = Shaped(Record("patient", "K", "upsert", {}), first, tuple(more))
    with pytest.raises(RequestRefused) as refused:
        made({"fhir": "http://127.0.0.1:9/fhir"}).prepare(operation, content)
    assert refused.value.about == about
    assert "KANARIE" not in str(refused.value)


def test_a_record_without_a_mapping_is_no_resource() -> None:
    destination = made({"fhir": "http://127.0.0.1:9/fhir"})
    for content in (Record("patient", "K", "upsert", {"family": "KANARIE"}), b"MSH|KANARIE"):
        with pytest.raises(RequestRefused) as refused:
            destination.prepare("create", content)
        assert "KANARIE" not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {"interaction": "create"},
        {"interaction": "create", "body": "envelope"},
        {"interaction": "patch", "body": "x"},
        {"interaction": "create", "body": "x", "beside": {"Patien": "create"}},
    ],
)
def test_an_operation_that_could_not_be_done_is_refused_before_anything_runs(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"operation|interaction|body|resource"):
        FhirOperation.model_validate(options)


# Several deliveries in one transaction


@in_reactor
async def test_deliveries_of_one_moment_share_a_transaction() -> None:
    async with served(together={"max": 20, "wait": "200ms"}) as (server, destination):
        begun = [begin(destination, "create", patient(str(n)), number=n) for n in range(5)]
        assert {each.verdict for each in await all_of(*begun)} == {Verdict.DELIVERED}
        (bundle,) = server.attempts
        assert len(orjson.loads(bundle.body)["entry"]) == 5
        assert len(server.store.kept) == 5


@in_reactor
async def test_a_full_transaction_waits_for_nobody_and_one_resource_is_in_it_once() -> None:
    async with served(together={"max": 2, "wait": "1s"}) as (server, destination):
        begun = [begin(destination, "update", patient("1"), number=n) for n in range(2)]
        assert {each.verdict for each in await all_of(*begun)} == {Verdict.DELIVERED}
        assert len(server.attempts) == 2
        assert len(server.store.kept) == 1


@in_reactor
async def test_the_one_that_is_at_fault_hears_so_and_the_others_are_delivered() -> None:
    async with served(together={"max": 3, "wait": "1s"}) as (server, destination):
        server.plant(Fault("status", 422, "value", "Patient.gender", text='"value":"1"', times=2))
        begun = [begin(destination, "update", patient(str(n)), number=n) for n in range(3)]
        outcomes = await all_of(*begun)
        assert [each.verdict for each in outcomes] == [Verdict.DELIVERED, Verdict.POISON, Verdict.DELIVERED]
        assert outcomes[1].reason == "fhir-value: Patient.gender"
        assert len(server.store.kept) == 2


@in_reactor
async def test_an_answer_that_is_lost_is_unknown_for_all_and_a_repeat_makes_none_twice() -> None:
    async with served(together={"max": 2, "wait": "1s"}) as (server, destination):
        server.plant(Fault("lose"))
        begun = [begin(destination, "create", patient(str(n)), number=n) for n in range(2)]
        assert {each.verdict for each in await all_of(*begun)} == {Verdict.AMBIGUOUS}
        begun = [begin(destination, "create", patient(str(n)), number=n) for n in range(2)]
        assert {each.verdict for each in await all_of(*begun)} == {Verdict.DELIVERED}
        assert len(server.store.kept) == 2


@in_reactor
async def test_who_waits_for_others_as_it_closes_has_not_been_sent() -> None:
    async with served(together={"max": 9, "wait": "1s"}) as (server, destination):
        waiting = begin(destination, "create", patient("1"), number=1)
        await destination.close()
        assert (await waiting).reason == "closing"
        assert server.attempts == []
