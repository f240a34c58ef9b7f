"""Tests in mapping files run through the plan itself and say what differs."""

from __future__ import annotations

import pytest
from mapping_texts import patient_text, plan_of

from bridge.mapping.selftest import run_tests

RULES = """\
      family: PID-5.1
      middle: PID-5.3
      phone: PID-13.1
      race: {mode: add, list: [PID-10.1]}
      deceased: {from: PID-30, on_error: null}
"""
TEST = r"""
tests:
  - name: one
    input: |
      MSH|^~\&|HIS|NORTH|BRIDGE|HUB|20240102||ADT^A01|Q1|P|2.5.1
      PID|1||100234^^^NORTH^MR||OKAFOR|||||||||||||||||||||||||N
    expect:
"""


def differences(expect: str) -> list[tuple[str, str, str]]:
    indented = "".join(f"      {line}\n" for line in expect.splitlines())
    (result,) = run_tests(plan_of(patient_text(RULES) + TEST + indented))
    assert result.passed is not bool(result.differences)
    return [(each.what, each.expected, each.got) for each in result.differences]


PASS = [
    "patient: {key: NORTH:100234, operation: upsert, family: OKAFOR, middle: '', deceased: false}",
    "patient: {phone: null}",
    "patient: [{identifiers: [{value: '100234'}], clear: []}]\nissues: []\nfailed: false",
    "patient: {race: '', adds: []}",
    "issues: []",
    "failed: false",
]
FAIL = [
    ("patient: {family: BIRCH}", [("patient.family", "BIRCH", "OKAFOR")]),
    ("patient: {middle: T}", [("patient.middle", "T", "nothing")]),
    ("patient: {family: ''}", [("patient.family", "nothing", "OKAFOR")]),
    ("patient: {deceased: true}", [("patient.deceased", "true", "false")]),
    ("patient: {key: NORTH:1}", [("patient.key", "NORTH:1", "NORTH:100234")]),
    ("patient: {operation: merge}", [("patient.operation", "merge", "upsert")]),
    ("patient: {clear: [phone]}", [("patient.clear", "phone", "nothing")]),
    ("patient: {adds: [race]}", [("patient.adds", "race", "nothing")]),
    ("patient: {identifiers: []}", [("patient.identifiers", "[]", "[{'value': '100234'}]")]),
    ("patient: []", [("patient", "0 records", "1 record")]),
    ("issues: [R020 birth_date]", [("issues", "[R020 birth_date]", "[]")]),
    ("failed: true", [("failed", "true", "false")]),
]


@pytest.mark.parametrize("expect", PASS)
def test_a_true_expectation_passes(expect: str) -> None:
    assert differences(expect) == []


@pytest.mark.parametrize(("expect", "found"), FAIL)
def test_a_wrong_expectation_fails_with_what_was_expected_and_what_came(
    expect: str, found: list[tuple[str, str, str]]
) -> None:
    assert differences(expect) == found


@pytest.mark.parametrize(
    ("expect", "passes"),
    [
        ("issues: [R020 deceased]", True),
        ("issues: [R020 patient.deceased]", True),
        ("issues: [R020 PID-30]", True),
        ("issues: [R020]", True),
        ("issues: [R020 deceased, R020 deceased]", False),
        ("issues: [R010 deceased]", False),
        ("issues: []", False),
    ],
)
def test_each_issue_is_expected_once(expect: str, *, passes: bool) -> None:
    text = patient_text(RULES) + TEST.replace("|N\n", "|?\n") + f"      {expect}\n"
    (result,) = run_tests(plan_of(text))
    assert result.passed is passes


def test_a_failed_message_says_why_where_a_record_was_expected() -> None:
    text = patient_text(RULES) + TEST.replace("^MR", "^PI") + "      patient: {family: OKAFOR}\n"
    (result,) = run_tests(plan_of(text))
    assert [(each.what, each.got) for each in result.differences] == [
        ("patient", "0 records"),
        ("issues", "R010 patient.key, R001"),
    ]
    assert str(result.differences[0]).startswith("m.yaml:")
