"""Every canonical field says what it is, how sensitive it is and what it means."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.canonical.base import FieldType, Tag, fields
from bridge.canonical.classification import places, tag_of, tag_of_fields
from bridge.canonical.encounter import Encounter
from bridge.canonical.patient import Patient
from bridge.canonical.records import RECORDS

ALL = [(record, name, field) for record, model in RECORDS.items() for name, field in fields(model).items()]
PATIENT: dict[str, Any] = {"key": "NORTH:1", "identifiers": [{"value": "1"}]}
ENCOUNTER: dict[str, Any] = {"key": "NORTH:V-1", "patient": "NORTH:1"}


@pytest.mark.parametrize(("record", "name", "field"), ALL, ids=[f"{each[0]}.{each[1]}" for each in ALL])
def test_a_field_has_a_kind_a_tag_and_a_sentence(record: str, name: str, field: FieldType) -> None:
    assert field.description.endswith(".")
    assert isinstance(field.tag, Tag)
    assert (field.kind == "enum") == bool(field.values)
    assert (field.kind in ("records", "part")) == bool(field.item)


NAMES = """
    patient provider organization location coverage account encounter order result document immunization
    appointment charge claim claim_status remittance invoice supplier contract_price purchase_order
    goods_receipt inventory_consumption inventory_balance workforce shift gl_posting gl_account cost_center
"""


def test_records_are_named_as_files_name_them() -> None:
    assert [*RECORDS] == NAMES.split()
    assert "class" in fields(Encounter)
    assert "key" not in fields(Patient)


def test_what_a_patient_is_and_has_is_protected() -> None:
    found = {name: field.tag for name, field in places(fields(Patient)) if name != "event_time"}
    assert set(found.values()) == {Tag.PHI}
    assert found["identifiers[].system"] is Tag.PHI, "what is inside has the tag of what holds it"


HIGHEST = {
    "patient": "PHI",
    "provider": "SEC",
    "location": "PUB",
    "charge": "PHI",
    "remittance": "PHI",
    "invoice": "PCI",
    "purchase_order": "FIN",
    "workforce": "PII",
    "gl_posting": "FIN",
}


@pytest.mark.parametrize("record", HIGHEST)
def test_the_highest_tag_of_a_record_is_computed(record: str) -> None:
    assert tag_of(RECORDS[record]).name == HIGHEST[record]


def test_the_tag_of_what_is_there_is_that_of_its_fields() -> None:
    model = RECORDS["inventory_consumption"]
    assert tag_of_fields(model, ["item", "quantity", "consumed_at"]).name == "FIN"
    assert tag_of_fields(model, ["item", "quantity", "patient"]).name == "PHI"
    assert tag_of_fields(model, ["unit"]).name == "PUB"
    assert tag_of_fields(RECORDS["patient"], ["identifiers"]).name == "PHI"


STANDARD = re.compile(
    r"\b[A-Z][A-Z0-9]{1,2}[-.]\d|\b(FHIR|X12|UBL|GS1|UB-04|CMS-1500|XBRL GL|HR Open|EN 16931|US Core"
    r"|HL7 table|ISO 4217|NUCC|LOINC|UDI|XTN|XPN|XAD|XCN|CWE|DTM|PID|NK1|DG1|SPM|SN|AIS|OBX|CER|ROL)\b"
)


def test_a_field_says_which_standard_it_follows() -> None:
    silent = [
        f"{record}.{path}"
        for record, model in RECORDS.items()
        for path, field in places(fields(model))
        if not STANDARD.search(field.description)
    ]
    assert silent == []
    assert all(model.after and model.identity for model in RECORDS.values())


def test_only_what_a_record_cannot_be_understood_without_is_required() -> None:
    required = {n: {f for f, e in fields(RECORDS[n]).items() if e.required} for n in ("patient", "encounter")}
    assert required == {"patient": {"identifiers"}, "encounter": {"patient"}}


def test_tags_rank_from_public_to_specially_protected() -> None:
    assert [tag.name for tag in sorted(Tag, key=lambda tag: tag.rank)] == [
        "PUB",
        "FIN",
        "PII",
        "PCI",
        "PHI",
        "SEC",
    ]


GOOD: list[tuple[type[Patient] | type[Encounter], dict[str, Any]]] = [
    (Patient, {}),
    (Patient, {"birth_date": "1980"}),
    (Patient, {"birth_date": "1980-02-29", "sex": "female", "deceased": True, "race": ["A"]}),
    (Patient, {"deceased_at": "2024"}),
    (Patient, {"deceased_at": "2024-01-02T03:00:00-05:00", "family": None}),
    (Encounter, {"class": "inpatient", "start": "2024-01-02T03:00:00.25+00:00"}),
]
BAD: list[tuple[type[Patient] | type[Encounter], dict[str, Any]]] = [
    (Patient, {"identifiers": []}),
    (Patient, {"identifiers": None}),
    (Patient, {"identifiers": [{"system": "NORTH"}]}),
    (Patient, {"identifiers": [{"value": ""}]}),
    (Patient, {"key": ""}),
    (Patient, {"family": ""}),
    (Patient, {"famly": "A"}),
    (Patient, {"birth_date": "19800229"}),
    (Patient, {"sex": "F"}),
    (Encounter, {"class_": "inpatient"}),
    (Encounter, {"start": "2024-01-02T03:00:00"}),
    (Encounter, {"start": "2024-01-02"}),
    (Encounter, {"patient": None}),
]


@pytest.mark.parametrize(("model", "values"), GOOD)
def test_a_record_takes_what_its_fields_allow(
    model: type[Patient] | type[Encounter], values: dict[str, Any]
) -> None:
    base = PATIENT if model is Patient else ENCOUNTER
    assert model.model_validate({**base, **values}).key == base["key"]


@pytest.mark.parametrize(("model", "values"), BAD)
def test_a_record_refuses_everything_else(
    model: type[Patient] | type[Encounter], values: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({**(PATIENT if model is Patient else ENCOUNTER), **values})
