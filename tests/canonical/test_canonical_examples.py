"""Every record has an example that fits, and refuses what does not, with the field that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.canonical.records import RECORDS

GONE = object()
"""Marks a field that is left out."""

Wrong = tuple[str, Any]
"""A field of the example with the value that it must not have."""

WRONG: dict[str, tuple[Wrong, ...]] = {
    "patient": (
        ("identifiers", []),
        ("identifiers", [{"system": "NORTH"}]),
        ("birth_date", "19800229"),
        ("sex", "F"),
        ("deceased", "Y"),
        ("birth_order", 1),
    ),
    "provider": (
        ("identifiers", GONE),
        ("npi", 1992000008),
        ("roles", ["boss"]),
        ("active", "true"),
        ("specialties", [{"system": "nucc"}]),
    ),
    "organization": (
        ("identifiers", "4012345000009"),
        ("type", "hospital"),
        ("contacts", [{"system": "phone"}]),
        ("gln", ""),
        ("active", 1),
    ),
    "location": (
        ("identifiers", []),
        ("status", "open"),
        ("address", {"street": "x"}),
        ("address", []),
        ("type", "shelf"),
    ),
    "coverage": (
        ("patient", GONE),
        ("payer", None),
        ("member_id", ""),
        ("relationship", "18"),
        ("copay", "20.00001"),
    ),
    "account": (
        ("number", GONE),
        ("patient", ""),
        ("status", "open"),
        ("balance", 120),
        ("currency", "usd"),
    ),
    "encounter": (
        ("patient", GONE),
        ("class", "I"),
        ("status", "open"),
        ("start", "2026-03-04T10:15:00"),
        ("diagnoses", [{"rank": "1"}]),
    ),
    "order": (
        ("patient", None),
        ("code", GONE),
        ("status", "CM"),
        ("intent", GONE),
        ("specimen", {"collected": {"at": "2026-03-04"}}),
    ),
    "result": (
        ("order", GONE),
        ("status", "F"),
        ("value_number", "13,5"),
        ("value_range", {"from": "1"}),
        ("abnormal", "H"),
    ),
    "document": (
        ("type", GONE),
        ("status", "AU"),
        ("content", {"media_type": "application/pdf"}),
        ("written_at", "2026-03-04"),
        ("text", ["a"]),
    ),
    "immunization": (
        ("given_at", GONE),
        ("status", "CP"),
        ("dose", {"unit": "mL"}),
        ("historical", "01"),
        ("expires", "2026-3-4"),
    ),
    "appointment": (
        ("start", GONE),
        ("start", "2026-05-01"),
        ("status", "Booked"),
        ("minutes", 30),
        ("participants", [{"who": "x"}]),
    ),
    "charge": (
        ("account", GONE),
        ("quantity", 1),
        ("kind", "CG"),
        ("amount", "180.00000"),
        ("modifiers", ["A", "B", "C", "D", "E"]),
    ),
    "claim": (
        ("type", "837P"),
        ("lines", []),
        ("lines", [{"number": "1"}]),
        ("total", 300.0),
        ("subscriber", GONE),
        ("diagnoses", [{"qualifier": "ABK"}]),
    ),
    "claim_status": (
        ("category", GONE),
        ("status_code", ""),
        ("effective_date", "20260309"),
        ("paid", "a lot"),
        ("services", [{"category": "F1"}]),
    ),
    "remittance": (
        ("trace_number", GONE),
        ("method", "CHK"),
        ("payment", 230.0),
        ("claims", [{"patient_control_number": "PCN-1"}]),
        ("provider_adjustments", [{"reason": "WO", "amount": "1e3"}]),
    ),
    "invoice": (
        ("supplier", GONE),
        ("currency", "dollar"),
        ("total", "107.00 USD"),
        ("lines", [{"number": "1", "amount": "1"}]),
        ("taxes", [{"rate": "7"}]),
    ),
    "supplier": (
        ("identifiers", []),
        ("status", "ok"),
        ("contacts", [{"value": ""}]),
        ("addresses", {"line1": "x"}),
        ("currency", "US"),
    ),
    "contract_price": (
        ("item", GONE),
        ("item", "00614141123452"),
        ("price", "-"),
        ("start", "01/01/2026"),
        ("minimum", "ten"),
    ),
    "purchase_order": (
        ("number", GONE),
        ("lines", GONE),
        ("lines", [{"number": "1"}]),
        ("order_date", "2026-02-01T00:00:00Z"),
        ("status", "open"),
    ),
    "goods_receipt": (
        ("received_at", "2026-02-05"),
        ("supplier", None),
        ("lines", []),
        ("lines", [{"number": "1", "quantity": "8", "condition": "wet"}]),
        ("shipment", 5),
    ),
    "inventory_consumption": (
        ("item", {"ean": "1"}),
        ("quantity", GONE),
        ("unit", ""),
        ("reason", "USED"),
        ("consumed_at", "2026-03-04 11:00:00"),
    ),
    "inventory_balance": (
        ("on_hand", GONE),
        ("on_hand", 14),
        ("counted_at", "yesterday"),
        ("unit_cost", "1.23456"),
        ("location", ""),
    ),
    "workforce": (
        ("identifiers", GONE),
        ("status", "A"),
        ("hired_on", "2020/01/01"),
        ("licences", [{"type": "RN"}]),
        ("employment_type", "FT"),
    ),
    "shift": (
        ("worker", GONE),
        ("start", "2026-03-04T07:00:00"),
        ("end", None),
        ("hours", 12),
        ("status", "done"),
    ),
    "gl_posting": (
        ("journal_id", GONE),
        ("period", "March"),
        ("lines", []),
        ("lines", [{"debit": "1"}]),
        ("status", "open"),
    ),
    "gl_account": (
        ("number", 1100),
        ("type", "A"),
        ("normal_balance", "left"),
        ("active", "yes"),
        ("name", GONE),
    ),
    "cost_center": (
        ("name", ""),
        ("number", GONE),
        ("active", 1),
        ("start", "2026-13-1"),
        ("parent", ""),
    ),
}


def test_every_record_has_five_wrong_ones() -> None:
    assert set(WRONG) == set(RECORDS)
    assert [name for name, wrong in WRONG.items() if len(wrong) < 5] == []


@pytest.mark.parametrize("record", RECORDS)
def test_the_example_of_a_record_fits(record: str) -> None:
    model = RECORDS[record]
    found = model.model_validate(dict(model.example))
    again = model.model_validate_json(found.model_dump_json(by_alias=True, exclude_unset=True))
    assert again == found


@pytest.mark.parametrize("record", RECORDS)
def test_what_does_not_fit_is_refused_with_the_field_named(record: str) -> None:
    model = RECORDS[record]
    for field, value in (*WRONG[record], ("no_such_field", "x"), ("key", "")):
        given = {**model.example, field: value}
        if value is GONE:
            del given[field]
        with pytest.raises(ValidationError) as refused:
            model.model_validate(given)
        assert {each["loc"][0] for each in refused.value.errors() if each["loc"]} == {field}, (field, value)


@pytest.mark.parametrize("record", RECORDS)
def test_an_example_invents_nobody_and_its_key_is_text(record: str) -> None:
    example = RECORDS[record].example
    assert isinstance(example["key"], str)
    assert example["key"]
