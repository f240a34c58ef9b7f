"""How resources are known, named by each other and amended, and what a server's answer means."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.fhir_responses import Asked, classify_fhir, of_all, of_entries
from bridge.fhir.amending import amended, known, same, says_nothing, unchanged
from bridge.fhir.capability import Need, merges, missing
from bridge.fhir.digits import read_json, write_json
from bridge.fhir.exchange import (
    Entry,
    Identity,
    NotToBeSent,
    identity_of,
    in_order,
    request_of,
    transaction,
    without_nulls,
)
from bridge.fhir.operation_outcome import element_of, told_by

ME = Identity("Patient", "urn:a", "1")


def patient(number: str, **told: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:a", "value": number}], **told}


def naming(kind: str, number: str) -> dict[str, Any]:
    return {"type": kind, "identifier": {"system": "urn:a", "value": number}}


def test_a_resource_is_known_by_its_first_identifier_that_has_a_system() -> None:
    resource = {"resourceType": "Patient", "identifier": [{"value": "x"}, {"system": "s", "value": "y"}]}
    assert identity_of(resource) == Identity("Patient", "s", "y")


@pytest.mark.parametrize("identifier", [None, [], "x", [{"value": "KANARIE"}], [{"system": "s"}], [7]])
def test_what_is_known_by_nothing_is_not_sent(identifier: Any) -> None:
    with pytest.raises(NotToBeSent) as refused:
        identity_of({"resourceType": "Patient", "identifier": identifier})
    assert "KANARIE" not in str(refused.value)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_a_search_finds_what_it_is_for_whatever_stands_in_it(system: str, value: str) -> None:
    if any("\ud800" <= each <= "\udfff" for each in system + value):
        return
    wanted = parse_qs(Identity("Patient", system, value).search, keep_blank_values=True)["identifier"][0]
    parts: list[str] = [""]
    escaped = False
    for each in wanted:
        if escaped or each not in "\\|":
            parts[-1] += each
            escaped = False
        elif each == "\\":
            escaped = True
        else:
            parts.append("")
    assert parts == [system, value]


@pytest.mark.parametrize(
    ("entry", "asked"),
    [
        (Entry("create", {}, ME), ("POST", "Patient", {"If-None-Exist": ME.search})),
        (Entry("amend", {}, ME), ("POST", "Patient", {"If-None-Exist": ME.search})),
        (Entry("update", {}, ME), ("PUT", ME.url, {})),
        (Entry("amend", {}, ME, "7", "3"), ("PUT", "Patient/7", {"If-Match": 'W/"3"'})),
        (Entry("amend", {}, ME, "7"), ("PUT", "Patient/7", {})),
        (Entry("delete", {}, ME), ("DELETE", ME.url, {})),
    ],
)
def test_each_interaction_has_its_call(entry: Entry, asked: tuple[str, str, dict[str, str]]) -> None:
    assert request_of(entry) == asked


def test_a_reference_is_to_the_entry_that_makes_it_or_to_what_was_found_or_by_search() -> None:
    told = {"resourceType": "Encounter", "subject": naming("Patient", "1"), "partOf": {"display": "x"}}
    refers = {**told, "participant": [{"individual": naming("Practitioner", "2")}]}
    entries = [
        Entry("create", refers, Identity("Encounter", "urn:a", "9")),
        Entry("create", patient("1"), ME),
    ]
    made = transaction(entries)["entry"][0]["resource"]
    assert made["subject"]["reference"] == ME.urn
    assert made["participant"][0]["individual"]["reference"] == "Practitioner?identifier=urn%3Aa%7C2"
    assert made["partOf"] == {"display": "x"}
    entries[1] = Entry("amend", patient("1"), ME, "7", "1")
    assert transaction(entries)["entry"][0]["resource"]["subject"]["reference"] == "Patient/7"


def test_the_same_identity_has_the_same_urn_and_another_has_another() -> None:
    assert ME.urn == Identity("Patient", "urn:a", "1").urn
    assert len({ME.urn, Identity("Patient", "urn:a", "2").urn, Identity("Group", "urn:a", "1").urn}) == 3


def test_what_is_referred_to_goes_first_and_a_circle_goes_as_it_came() -> None:
    stay = Entry("create", {"subject": naming("Patient", "1")}, Identity("Encounter", "urn:a", "9"))
    whom = Entry("create", patient("1"), ME)
    assert in_order([stay, whom]) == [whom, stay]
    back = Entry("create", patient("1", link=[{"other": naming("Encounter", "9")}]), ME)
    assert in_order([stay, back]) == [stay, back]


AMENDED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "what is not told stays": (
        {"gender": "male"},
        {"birthDate": "1980"},
        {"gender": "male", "birthDate": "1980"},
    ),
    "what is told takes its place": ({"gender": "male"}, {"gender": "female"}, {"gender": "female"}),
    "what is null is taken away": ({"gender": "male"}, {"gender": None}, {}),
    "what is null within is taken away": (
        {"name": [{"family": "A"}]},
        {"name": [{"family": "B", "given": [None]}]},
        {"name": [{"family": "B"}]},
    ),
    "unknown replaces nothing that is known": ({"gender": "male"}, {"gender": "unknown"}, {"gender": "male"}),
    "unknown is told where nothing is": ({}, {"gender": "unknown"}, {"gender": "unknown"}),
    "identifiers of others stay": (
        {"identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "2"}]},
        {"identifier": [{"system": "a", "value": "3"}]},
        {"identifier": [{"system": "a", "value": "3"}, {"system": "b", "value": "2"}]},
    ),
    "extensions of others stay": (
        {"extension": [{"url": "a", "valueCode": "x"}]},
        {"extension": [{"url": "b", "valueCode": "y"}]},
        {"extension": [{"url": "b", "valueCode": "y"}, {"url": "a", "valueCode": "x"}]},
    ),
    "a choice takes the place of the other": (
        {"deceasedBoolean": False},
        {"deceasedDateTime": "2024"},
        {"deceasedDateTime": "2024"},
    ),
    "profiles are joined": (
        {"meta": {"versionId": "3", "profile": ["a"]}},
        {"meta": {"profile": ["b"]}},
        {"meta": {"versionId": "3", "profile": ["a", "b"]}},
    ),
}


@pytest.mark.parametrize("name", AMENDED)
def test_a_resource_is_amended_by_what_is_told(name: str) -> None:
    there, told, wanted = AMENDED[name]
    kind = {"resourceType": "Patient"}
    assert amended({**kind, **there}, {**kind, **told}) == {**kind, **wanted}


def test_of_a_period_each_end_is_amended_by_itself() -> None:
    there = {"resourceType": "Encounter", "period": {"start": "2024-01-02"}}
    told = {"resourceType": "Encounter", "period": {"end": "2024-01-05"}}
    assert amended(there, told)["period"] == {"start": "2024-01-02", "end": "2024-01-05"}


def test_what_changes_nothing_is_known_whatever_the_server_adds() -> None:
    told = patient("1", managingOrganization=naming("Organization", "2"))
    there = patient("1", id="7", meta={"versionId": "3", "lastUpdated": "2024"})
    there["managingOrganization"] = {**naming("Organization", "2"), "reference": "Organization/9"}
    assert unchanged(Entry("amend", told, ME), there)
    assert not unchanged(Entry("amend", {**told, "gender": "male"}, ME), there)
    assert same(there, {**there, "id": "8"})


@pytest.mark.parametrize("there", [{}, {"id": 7}, {"id": "a/b"}, {"id": "x" * 65}, {"id": ""}])
def test_an_answer_without_a_usable_id_is_refused(there: dict[str, Any]) -> None:
    with pytest.raises(NotToBeSent):
        known(Entry("amend", patient("1"), ME), there)


def test_a_version_that_could_break_a_header_is_not_used() -> None:
    entry = known(Entry("amend", patient("1"), ME), {"id": "7", "meta": {"versionId": '3"\r\nX: y'}})
    assert entry.version == ""


@pytest.mark.parametrize(
    ("value", "nothing"),
    [
        ("unknown", True),
        ("male", False),
        ({"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "masked"}, True),
        ({"coding": [{"system": "x", "code": "unknown"}]}, True),
        ({"coding": [{"system": "x", "code": "E"}]}, False),
        ([{"coding": [{"system": "x", "code": "unknown"}]}], True),
        ({"coding": []}, False),
        ([], False),
    ],
)
def test_what_says_only_that_nothing_is_known_is_told(value: Any, nothing: bool) -> None:
    assert says_nothing(value) is nothing


def test_a_number_keeps_its_digits() -> None:
    text = b'{"value":98.40,"other":0.000001}'
    assert read_json(text)["value"] == Decimal("98.40")
    assert write_json(read_json(text)) == text


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[" * 100_000, b'{"a":NaN}', b'{"a":' + b"1." + b"1" * 99 + b"}"]
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_json(text)


def test_nulls_go_with_all_that_holds_nothing_else() -> None:
    assert without_nulls({"a": None, "b": {"c": None}, "d": [None, {"e": []}], "f": 0}) == {"f": 0}


def said(code: str, expression: str = "", severity: str = "error") -> bytes:
    issue = {"severity": severity, "code": code, "diagnostics": "KANARIE", "expression": [expression]}
    return write_json({"resourceType": "OperationOutcome", "issue": [issue]})


def merged(code: str) -> bytes:
    found = {"name": "outcome", "resource": read_json(said(code))}
    return write_json({"resourceType": "Parameters", "parameter": [{"name": "input"}, found]})


V = Verdict
LATER = Asked(due="or-later")
RESULTS = Asked(due="results")
PAGE = b"<!DOCTYPE html><title>KANARIE</title>"
ANSWERS: list[tuple[int, bytes, Asked, Verdict, str]] = [
    (200, b"", Asked(), V.DELIVERED, "delivered"),
    (201, b"", Asked(), V.DELIVERED, "delivered"),
    (201, b"", Asked(makes=True), V.DELIVERED, "delivered"),
    (200, b"", Asked(makes=True), V.RETRY, "changed-meanwhile"),
    (204, b"", Asked(), V.DELIVERED, "delivered"),
    (200, said("informational", severity="information"), Asked(), V.DELIVERED, "delivered"),
    (201, said("value", severity="warning"), Asked(), V.DELIVERED, "delivered"),
    (200, b"no JSON, and no page", Asked(), V.DELIVERED, "delivered"),
    (200, said("processing"), Asked(), V.POISON, "fhir-processing"),
    (200, said("KANARIE"), Asked(), V.POISON, "says-not-done"),
    (201, said("value", "Patient.gender"), Asked(), V.POISON, "fhir-value: Patient.gender"),
    (200, said("lock-error"), Asked(), V.RETRY, "fhir-lock-error"),
    (200, said("exception"), Asked(), V.AMBIGUOUS, "fhir-exception"),
    (200, said("forbidden"), Asked(), V.HOLD, "fhir-forbidden"),
    (200, said("not-found"), Asked(refers=True), V.NOT_FOUND, "reference-not-there"),
    (200, said("not-found"), Asked(deletes=True), V.DELIVERED, "not-there-any-more"),
    (200, said("invalid"), RESULTS, V.POISON, "fhir-invalid"),
    (200, merged("invalid"), LATER, V.POISON, "fhir-invalid"),
    (200, PAGE, Asked(), V.AMBIGUOUS, "answer-not-fhir"),
    (201, b"\n <html>", Asked(due="statuses"), V.AMBIGUOUS, "answer-not-fhir"),
    (202, b"", Asked(), V.AMBIGUOUS, "taken-for-later"),
    (202, said("informational", severity="information"), Asked(), V.AMBIGUOUS, "taken-for-later"),
    (202, b"", LATER, V.DELIVERED, "delivered"),
    (422, PAGE, Asked(), V.POISON, "unprocessable"),
    (400, b"", Asked(), V.POISON, "bad-request"),
    (400, said("invalid", "Patient.birthDate"), Asked(), V.POISON, "fhir-invalid: Patient.birthDate"),
    (400, said("not-found"), Asked(refers=True), V.NOT_FOUND, "reference-not-there"),
    (400, said("not-supported"), Asked(), V.HOLD, "fhir-not-supported"),
    (401, said("login"), Asked(), V.HOLD, "unauthorised"),
    (403, said("value"), Asked(), V.HOLD, "forbidden"),
    (404, b"", Asked(), V.HOLD, "contract-gone"),
    (404, said("not-supported"), Asked(refers=True), V.HOLD, "fhir-not-supported"),
    (404, said("not-found"), Asked(refers=True), V.NOT_FOUND, "reference-not-there"),
    (404, said("processing"), Asked(refers=True), V.NOT_FOUND, "reference-not-there"),
    (404, b"", Asked(amends=True), V.RETRY, "changed-meanwhile"),
    (404, b"", Asked(deletes=True), V.DELIVERED, "not-there-any-more"),
    (409, b"", Asked(), V.RETRY, "conflict"),
    (409, said("conflict"), Asked(), V.RETRY, "conflict"),
    (409, said("conflict"), Asked(deletes=True), V.POISON, "referred-to"),
    (409, said("duplicate"), Asked(), V.POISON, "multiple-matches"),
    (
        409,
        said("business-rule", "Encounter.status"),
        Asked(),
        V.POISON,
        "fhir-business-rule: Encounter.status",
    ),
    (412, b"", Asked(), V.POISON, "multiple-matches"),
    (412, said("conflict"), Asked(amends=True), V.RETRY, "changed-meanwhile"),
    (412, said("duplicate"), Asked(amends=True), V.POISON, "multiple-matches"),
    (
        422,
        said("value", "Bundle.entry[0].resource.ofType(Patient).gender"),
        Asked(),
        V.POISON,
        "fhir-value: Patient.gender",
    ),
    (422, said("required", "KANARIE"), Asked(), V.POISON, "fhir-required"),
    (422, said("lock-error"), Asked(), V.RETRY, "fhir-lock-error"),
    (422, said("forbidden"), Asked(), V.HOLD, "fhir-forbidden"),
    (422, said("KANARIE"), Asked(), V.POISON, "unprocessable"),
    (422, said("value", severity="warning"), Asked(), V.POISON, "unprocessable"),
    (429, said("throttled"), Asked(), V.RETRY, "too-many-requests"),
    (500, said("value"), Asked(), V.RETRY, "server-error"),
    (501, b"", Asked(), V.HOLD, "not-implemented"),
    (503, b"", Asked(), V.RETRY, "unavailable"),
    (302, b"", Asked(), V.HOLD, "unexpected-redirect"),
]


@pytest.mark.parametrize(("status", "body", "asked", "verdict", "reason"), ANSWERS)
def test_an_answer_means(status: int, body: bytes, asked: Asked, verdict: Verdict, reason: str) -> None:
    outcome = classify_fhir(status, {}, body, now_us=0, asked=asked)
    assert (outcome.verdict, outcome.reason, outcome.status) == (verdict, reason, status)


def test_a_page_is_known_by_its_type_whatever_it_begins_with() -> None:
    said_so = {"content-type": "Text/HTML; charset=utf-8"}
    outcome = classify_fhir(200, said_so, b"Please sign in", now_us=0, asked=Asked())
    assert (outcome.verdict, outcome.reason) == (Verdict.AMBIGUOUS, "answer-not-fhir")
    assert classify_fhir(200, said_so, b"", now_us=0, asked=Asked()).verdict is Verdict.DELIVERED


DONE = Outcome(V.DELIVERED, "delivered", 200, steps="tiuso")


def answered(*entries: Any) -> bytes:
    return write_json({"resourceType": "Bundle", "type": "transaction-response", "entry": list(entries)})


def entry(status: Any, **more: Any) -> dict[str, Any]:
    return {"response": {"status": status, **more}}


@pytest.mark.parametrize(
    ("told", "asked", "verdict", "reason", "status"),
    [
        (entry("200"), Asked(), V.DELIVERED, "delivered", 200),
        (entry("201 Created"), Asked(makes=True), V.DELIVERED, "delivered", 201),
        (entry("200 OK"), Asked(makes=True), V.RETRY, "changed-meanwhile", 200),
        (entry("204"), Asked(deletes=True), V.DELIVERED, "delivered", 204),
        (entry("404 KANARIE"), Asked(deletes=True), V.DELIVERED, "not-there-any-more", 404),
        (entry("422 KANARIE"), Asked(), V.POISON, "unprocessable", 422),
        (entry("422", outcome=read_json(said("value", "Patient.gender"))), Asked(), V.POISON,
         "fhir-value: Patient.gender", 422),
        (entry("200", outcome=read_json(said("conflict"))), Asked(), V.RETRY, "fhir-conflict", 200),
        (entry("412"), Asked(amends=True), V.RETRY, "changed-meanwhile", 412),
        (entry("404", outcome=read_json(said("not-found"))), Asked(refers=True), V.NOT_FOUND,
         "reference-not-there", 404),
        (entry("403"), Asked(), V.HOLD, "forbidden", 403),
        (entry("500"), Asked(), V.RETRY, "server-error", 500),
    ],
)  # fmt: skip
def test_an_entry_means_what_its_status_would_alone_and_the_others_keep_theirs(
    told: Any, asked: Asked, verdict: Verdict, reason: str, status: int
) -> None:
    first, it, last = of_entries(DONE, answered(entry("200"), told, entry("201")), [Asked(), asked, Asked()])
    assert (it.verdict, it.reason, it.status, it.steps) == (verdict, reason, status, "tiuso")
    assert (first.verdict, last.verdict) == (V.DELIVERED, V.DELIVERED)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        answered(),
        answered(entry("200"), entry("200")),
        answered(entry(200)),
        answered(entry("")),
        answered(entry("2000")),
        answered({}),
        answered("KANARIE"),
        write_json({"resourceType": "Patient", "id": "1"}),
    ],
)
def test_an_answer_without_a_status_for_each_entry_leaves_it_unknown(body: bytes) -> None:
    (outcome,) = of_entries(DONE, body, [Asked()])
    assert (outcome.verdict, outcome.reason, outcome.status) == (V.AMBIGUOUS, "entries-not-told", 200)
    (later,) = of_entries(DONE._replace(status=202), body, [Asked()])
    assert (later.verdict, later.reason) == (V.AMBIGUOUS, "taken-for-later")


def test_an_outcome_without_an_error_says_that_all_was_done_but_not_what_was_made() -> None:
    body = said("informational", severity="information")
    one, other = of_entries(DONE, body, [Asked(), Asked(makes=True)])
    assert one.verdict is V.DELIVERED
    assert (other.verdict, other.reason) == (V.RETRY, "changed-meanwhile"), "it is read anew"


def test_of_several_outcomes_of_one_delivery_the_one_that_must_be_seen_to_first_counts() -> None:
    told = [Outcome(verdict, verdict) for verdict in (V.DELIVERED, V.RETRY, V.AMBIGUOUS, V.POISON, V.HOLD)]
    assert [of_all(told[:count]).verdict for count in range(1, 6)] == [each.verdict for each in told]
    assert of_all([Outcome(V.DELIVERED, "unchanged"), DONE]).reason == "delivered"
    assert of_all([Outcome(V.DELIVERED, "unchanged")]).reason == "unchanged"


def test_a_wait_that_is_asked_for_is_kept() -> None:
    outcome = classify_fhir(429, {"retry-after": "7"}, said("throttled"), now_us=0, asked=Asked())
    assert outcome.retry_after_s == 7


@given(st.integers(200, 599), st.binary(max_size=40) | st.text(max_size=40).map(said), st.text(max_size=30))
def test_whatever_a_server_says_is_an_outcome_in_words_of_ours(status: int, body: bytes, text: str) -> None:
    outcome = classify_fhir(status, {}, body, now_us=0, asked=Asked(refers=True))
    assert outcome.reason.isascii()
    assert "KANARIE" not in outcome.reason
    place = element_of(text)
    assert place == "" or place.partition(".")[0] in text


def test_of_several_issues_the_one_that_must_be_seen_to_first_counts() -> None:
    issues = [
        {"severity": "error", "code": code} for code in ("transient", "processing", "value", "informational")
    ]
    told = told_by(write_json({"resourceType": "OperationOutcome", "issue": issues}))
    assert (told.kind, told.code) == ("refused", "value")


ABLE: dict[str, Any] = {
    "type": "Patient",
    "conditionalCreate": True,
    "conditionalUpdate": True,
    "conditionalDelete": "single",
    "versioning": "versioned",
    "interaction": [{"code": each} for each in ("create", "update", "search-type")],
    "operation": [{"name": "patient-merge"}],
}


def statement(resource: dict[str, Any], *interactions: str, version: str = "4.0.1") -> dict[str, Any]:
    rest = {
        "mode": "server",
        "resource": [resource],
        "interaction": [{"code": each} for each in interactions],
    }
    return {"resourceType": "CapabilityStatement", "fhirVersion": version, "rest": [rest]}


@pytest.mark.parametrize(
    ("changed", "interaction", "words"),
    [
        ({}, "amend", []),
        ({}, "merge", []),
        ({}, "delete", []),
        ({"conditionalCreate": False}, "create", ["conditional create of Patient"]),
        ({"conditionalUpdate": False}, "update", ["conditional update of Patient"]),
        ({"conditionalDelete": "not-supported"}, "delete", ["conditional delete of Patient"]),
        ({"versioning": "no-version"}, "amend", ["versions of Patient"]),
        ({"interaction": []}, "amend", ["create of Patient", "update of Patient", "search of Patient"]),
        ({"operation": []}, "merge", ["the operation $merge of Patient"]),
        ({"type": "Group"}, "create", ["the resource Patient"]),
    ],
)
def test_what_a_server_does_not_say_that_it_can_is_told(
    changed: dict[str, Any], interaction: str, words: list[str]
) -> None:
    told = statement({**ABLE, **changed}, "transaction")
    assert missing(told, [Need("Patient", interaction)], transactions=True) == words


def test_a_server_of_another_version_or_without_transactions_is_told() -> None:
    told = missing(statement(ABLE, version="5.0.0"), [], transactions=True)
    assert told == ["FHIR 4.0 (R4), it says 5.0.0", "transactions (else write `transactions: never`)"]
    assert missing({}, [Need("Patient", "create")], transactions=False)
    assert merges(statement(ABLE))
