"""A field that is made of fields is set with `part`, and a record that breaks its promise is refused."""

from __future__ import annotations

from typing import Any

import pytest
from mapping_texts import HEAD, issues_of, message_with, plan_of, problems_of

RESULT = """\
emit:
  - record: result
    key: join(':', PID-3(5=MR).1, EVN-1)
    set:
      patient: PID-3(5=MR).1
      order: EVN-1
      code: PV1-2
      status: {const: final}
"""
DOSE = """\
emit:
  - record: order
    key: PID-3(5=MR).1
    set:
      patient: PID-3(5=MR).1
      code: PV1-2
      status: {const: active}
      intent: {const: order}
      dose:
        part:
          value: PV1-22
          unit: PV1-23
          comparator: {const: "<"}
      specimen:
        part:
          id: PV1-24
          type: {part: {code: PV1-25, system: {const: local}}}
"""
POSTING = """\
emit:
  - record: remittance
    key: PID-3(5=MR).1
    set:
      trace_number: PID-3(5=MR).1
      payer: PV1-2
      payee: PV1-2
      payment: {const: "1.00"}
      payment_date: {const: "2026-01-01"}
      method: {const: ach}
      claims:
        list:
          - patient_control_number: PV1-19.1
            status: {const: primary}
            charged: PV1-22
            paid: {const: "1.00"}
            lines:
              list: [{procedure: PV1-2, charged: PV1-22, paid: {const: "1.00"}}]
"""


def order(**fields: str) -> dict[str, Any]:
    """The order of a message."""
    (record,) = plan_of(HEAD + DOSE).run(message_with(**fields)).records
    return dict(record.fields)


def test_a_part_is_set_field_by_field() -> None:
    made = order(PV1_22="2.5", PV1_23="mL", PV1_24="S-1", PV1_25="BLD")
    assert made["dose"] == {"value": "2.5", "unit": "mL", "comparator": "<"}
    assert made["specimen"] == {"id": "S-1", "type": {"code": "BLD", "system": "local"}}


def test_a_part_without_what_it_requires_is_left_out() -> None:
    assert "dose" not in order(PV1_23="mL")
    assert order(PV1_24="S-1")["specimen"] == {"id": "S-1"}
    assert "specimen" not in order()


def test_lists_in_lists_are_set_too_and_have_to_balance() -> None:
    plan = plan_of(HEAD + POSTING)
    (record,) = plan.run(message_with(PV1_22="1.00")).records
    assert record.fields["claims"][0]["lines"] == [{"procedure": "I", "charged": "1.00", "paid": "1.00"}]
    refused = plan.run(message_with(PV1_22="1.01"))
    assert refused.records == ()
    (told,) = [issue for issue in refused.issues if issue.code == "R090"]
    assert told.field == "claims(1).lines(1)"
    assert "charged less adjustments is not paid" in told.text


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        ("      value_number: PV1-22\n", True),
        ("      value_text: PV1-22\n", True),
        ("      value_code: {part: {code: PV1-22}}\n", True),
        ("      value_number: PV1-22\n      value_text: PV1-22\n", False),
        ("      absent_reason: PV1-22\n", True),
        ("", False),
    ],
)
def test_a_result_has_exactly_one_value(rules: str, taken: bool) -> None:
    made = plan_of(HEAD + RESULT + rules).run(message_with(PV1_22="5"))
    assert bool(made.records) == taken
    assert (issues_of(made) == []) == taken


WRONG = [
    ("      specimen: PV1-24\n", "E244", "part: {...}"),
    ("      code: {part: {a: PV1-2}}\n", "E244", "not made of fields"),
    ("      specimen: {list: [{id: PV1-24}]}\n", "E244", "no list"),
    ("      specimen: {part: {idd: PV1-24}}\n", "E220", "did you mean 'id'?"),
    ("      dose: {part: {unit: PV1-24}}\n", "E223", "'value' is not mapped"),
    ("      specimen: {part: PV1-24}\n", "E204", "must be a mapping"),
    ("      specimen: {part: {id: PV1-24}, from: PV1-2}\n", "E224", "exactly one of"),
]


@pytest.mark.parametrize(("rules", "code", "words"), WRONG)
def test_a_mistake_in_a_part_is_told(rules: str, code: str, words: str) -> None:
    head = DOSE[: DOSE.index("      dose:")]
    head = head.replace("      code: PV1-2\n", "") if rules.startswith("      code") else head
    found = problems_of(HEAD + head + rules)
    assert [each for each in found if each.code == code and words in f"{each.text} {each.hint}"], found
