"""A request against its contract: each place that is not as it says, by pointer and rule, never a value."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from contract_site import PATIENT, contract, document, operation, sent
from hypothesis import given
from hypothesis import strategies as st

from bridge.contracts.contract import Called, Sent, contract_of, kept, unkept
from bridge.contracts.documents import ContractRefused, Documents

GOOD = {"key": "A1", "family": "Rivera"}
CASES: list[tuple[str, Sent, list[str]]] = [
    ("all is well", sent(GOOD), []),
    ("what the other side writes need not be sent", sent(GOOD), []),
    ("a field is missing", sent({"key": "A1"}), ["/family required"]),
    ("a field is too long", sent({**GOOD, "key": "A" * 11}), ["/key maxLength 10"]),
    ("text where a number is wanted", sent({**GOOD, "weight": "80"}), ["/weight text, not number"]),
    ("a number where text is wanted", sent({**GOOD, "family": 7}), ["/family integer, not text"]),
    ("null where none may be", sent({**GOOD, "family": None}), ["/family null, not text"]),
    ("null where it may be", sent({**GOOD, "note": None}), []),
    ("another date", sent({**GOOD, "birth_date": "03/02/1961"}), ["/birth_date format date"]),
    ("a value that is not listed", sent({**GOOD, "sex": "diverse"}), ["/sex enum"]),
    ("below a bound", sent({**GOOD, "weight": -1}), ["/weight minimum 0"]),
    ("inside of an object", sent({**GOOD, "address": {"postal_code": ""}}), ["/address/postal_code pattern"]),
    ("a field too many", sent({**GOOD, "address": {"zip": ""}}), ["/address/zip not in the contract"]),
    ("inside of a list", sent({**GOOD, "contacts": [{"name": "A"}, {}]}), ["/contacts/*/name required"]),
    ("a list that is too long", sent({**GOOD, "contacts": [{"name": "A"}] * 3}), ["/contacts maxItems 2"]),
    ("no body", sent(None), ["body required"]),
    ("a list for a body", sent([]), ["list, not object"]),
    ("a part of the path", sent(GOOD, path="/patients/A%2F3456789"), ["/path/id maxLength 8"]),
    ("a parameter is missing", sent(GOOD, params=""), ["/query/site required"]),
    ("a parameter is no number", sent(GOOD, params="site=north"), ["/query/site text, not integer"]),
    ("a header", sent(GOOD, **{"x-unit": "c"}), ["/header/x-unit enum"]),
    (
        "several at once",
        sent({"key": 1, "weight": "x"}, params=""),
        ["/query/site required", "/family required", "/key integer, not text", "/weight text, not number"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_each_place_of_a_request_is_named_by_pointer_and_rule(request_: Sent, expected: list[str]) -> None:
    found = operation(document()).request(request_)
    assert sorted(map(str, found)) == sorted(expected)
    assert {each.kind for each in found} <= {"request"}


SCHEMAS_30: list[tuple[str, dict[str, Any], Any, bool]] = [
    ("nullable text", {"type": "string", "nullable": True}, None, True),
    ("nullable of a list of values", {"type": "string", "enum": ["a"], "nullable": True}, None, True),
    ("nullable beside alternatives", {"nullable": True, "allOf": [{"type": "object"}]}, None, True),
    ("a bound that excludes", {"type": "number", "minimum": 3, "exclusiveMinimum": True}, 3, False),
    ("a bound that does not", {"type": "number", "minimum": 3, "exclusiveMinimum": False}, 3, True),
    (
        "what stands beside a reference",
        {"$ref": "#/components/schemas/Contact", "nullable": True},
        None,
        False,
    ),
    ("an example is no rule", {"type": "string", "example": {"$ref": "https://x.example"}}, "a", True),
]


@pytest.mark.parametrize(
    ("schema", "value", "fits"), [row[1:] for row in SCHEMAS_30], ids=[row[0] for row in SCHEMAS_30]
)
def test_schemas_of_openapi_30_mean_what_their_version_says(
    schema: dict[str, Any], value: Any, fits: bool
) -> None:
    changed = {"Patient": {**PATIENT, "properties": {**PATIENT["properties"], "odd": schema}}}
    found = operation(document(changed)).request(sent({**GOOD, "odd": value}))
    assert (found == []) is fits


def test_schemas_of_openapi_31_are_json_schema() -> None:
    odd = {"type": ["string", "null"], "exclusiveMinimum": 3, "$comment": "as JSON Schema has it"}
    beside = {"$ref": "#/components/schemas/Contact", "required": ["phone"]}
    changed = {"Patient": {**PATIENT, "properties": {"odd": odd, "contact": beside}, "required": []}}
    checked = operation(document(changed, version="3.1.0"))
    assert checked.request(sent({"odd": None})) == []
    found = checked.request(sent({"contact": {"name": "A"}}))
    assert [str(each) for each in found] == ["/contact/phone required"]


def test_a_schema_may_lead_to_itself() -> None:
    tree = {
        "type": "object",
        "properties": {"below": {"$ref": "#/components/schemas/Patient"}, "n": {"type": "integer"}},
    }
    checked = operation(document({"Patient": tree}))
    value: Any = {"n": "x"}
    for _ in range(20):
        value = {"below": value}
    assert [str(each) for each in checked.request(sent(value))] == ["/below" * 20 + "/n text, not integer"]


CANARY = "Canary7"
"""A value that looks like a name."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.just(CANARY),
    lambda each: st.lists(each) | st.dictionaries(st.sampled_from(["name", "line1", "odd", CANARY]), each),
)


@given(VALUES)
def test_no_finding_has_anything_of_a_value(value: Any) -> None:
    body = {"key": value, "family": CANARY, "address": value, "contacts": value, "sex": value}
    found = operation(document()).request(sent(body, path=f"/patients/{CANARY}", params=f"site={CANARY}"))
    assert found != []
    assert CANARY not in repr(found)


PLACES = [
    ("/patients/{key}", "/api/v2", True),
    ("/api/v2/patients/{key}", "", True),
    ("/v2/patients/{key}", "/api", True),
    ("/patients/A1", "/api/v2", True),
    ("/patients/{key}", "/api/v3", True),
    ("/patients/{key}/merge", "/api/v2", False),
    ("/patients", "/api/v2", False),
]


@pytest.mark.parametrize(("path", "base", "found"), PLACES)
def test_an_operation_is_found_by_its_path_wherever_the_rest_of_it_stands(
    path: str, base: str, found: bool
) -> None:
    documents = Documents("ehr.yaml", {"ehr.yaml": document()})
    made, missing = contract_of(documents, [Called("putPatient", "PUT", path, base)])
    assert (missing == []) is found
    if found:
        filled = path.replace("{key}", "123456789")
        told = made.operations["putPatient"].request(sent(GOOD, path=filled))
        assert [str(each) for each in told] == (["/path/id maxLength 8"] if "{" in path else [])


def test_a_json_schema_alone_checks_the_body_by_its_own_draft() -> None:
    old = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "$id": "https://x.example/p.json",
        "definitions": {"Key": {"type": "integer", "minimum": 3, "exclusiveMinimum": True}},
        "properties": {"key": {"$ref": "https://x.example/p.json#/definitions/Key"}},
    }
    documents = Documents("p.json", {"p.json": old})
    made, _ = contract_of(documents, [Called("put", "PUT", "/p")], {"": "p.json"})
    assert [str(each) for each in made.operations["put"].request(sent({"key": 3}))] == [
        "/key exclusiveMinimum 3"
    ]


def test_what_is_kept_of_a_contract_is_the_contract() -> None:
    made = contract(document())
    again, _ = contract_of(unkept(made.content), [Called("putPatient", "PUT", "/patients/{key}")])
    assert (again.digest, again.name) == (made.digest, "ehr.yaml@1.0.0")
    assert kept(unkept(made.content)) == made.content
    with pytest.raises(ContractRefused):
        unkept(b"no contract")


def nested(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        made = {"type": "object", "properties": {"a": made}}
    return made


HOSTILE: list[tuple[str, dict[str, Any], str]] = [
    ("a schema elsewhere", {"Patient": {"$ref": "http://10.0.0.1/x.json"}}, "nothing is fetched"),
    ("a file of the system", {"Patient": {"$ref": "/etc/passwd"}}, "leads out of the folder"),
    ("a file above", {"Patient": {"$ref": "../../etc/x.yaml"}}, "leads out of the folder"),
    ("a file that is not there", {"Patient": {"$ref": "other.yaml"}}, "there is no file"),
    ("nothing", {"Patient": {"$ref": "#/components/schemas/None"}}, "leads to nothing"),
    ("too deep", {"Patient": nested(80)}, "nested more than"),
    ("no schema", {"Patient": {"properties": {"a": 3}}}, "expected a schema"),
    ("a dynamic reference", {"Patient": {"$dynamicRef": "#x"}}, "is not followed"),
    ("a type that is none", {"Patient": {"type": "text"}}, "no JSON Schema"),
]


@pytest.mark.parametrize(
    ("schemas", "expected"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE]
)
def test_a_contract_that_leads_elsewhere_or_nowhere_is_refused(
    schemas: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ContractRefused, match=expected):
        contract(document(schemas))


def test_references_that_lead_to_each_other_end() -> None:
    ring = {"$ref": "#/components/schemas/Other"}, {"$ref": "#/components/schemas/Patient"}
    value = document({"Patient": ring[0], "Other": ring[1]})
    value["paths"]["/patients/{id}"] = {"$ref": "#/paths/~1patients~1{id}"}
    with pytest.raises(ContractRefused, match="in a circle"):
        contract(value)


def test_a_pattern_that_takes_no_bounded_time_is_not_checked_and_told() -> None:
    changed = {"Patient": {"properties": {"key": {"pattern": "(a+)+$"}, "family": {"pattern": "^(?=a)a"}}}}
    checked = operation(document(changed))
    ((where, why),) = checked.unchecked
    assert where == "ehr.yaml#/components/schemas/Patient/properties/family/pattern"
    assert "look ahead" in why
    assert [str(each) for each in checked.request(sent({"key": "a" * 50_000 + "!", "family": "b"}))] == [
        "/key pattern"
    ]


def test_a_pattern_that_is_no_regular_expression_is_said_to_be_none() -> None:
    unclosed = {"Patient": {"properties": {"key": {"pattern": "((("}}}}
    ((_, why),) = operation(document(unclosed)).unchecked
    assert "no regular expression" in why


def test_what_is_compiled_is_used_many_times() -> None:
    checked = operation(document())
    body = orjson.dumps(GOOD)
    request = Sent("/patients/A1", "site=3", {}, body)
    assert all(checked.request(request) == [] for _ in range(1000))
