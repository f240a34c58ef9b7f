"""What holds for every message: no exception, no chance, no order, no values where they may not be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mapping_texts import HEAD, MESSAGE, message_with, patient_text, plan_of, problems_of

from bridge.canonical.records import RECORDS
from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping.codes import CODES
from bridge.mapping.plan import Plan

ADMIT = plan_of((Path(__file__).parents[2] / "mappings" / "adt-admit.yaml").read_text("utf-8"))
INPUTS = [case.message.replace("\n", "\r").encode() for case in ADMIT.tests]

EDITS = st.lists(
    st.tuples(
        st.integers(0, 600),
        st.integers(0, 12),
        st.sampled_from(
            [b"", b"|", b"^", b"~", b"&", b'""', b"\\", b"\r", b"\n", b"00000000", b"\xff", b"\\X00\\"]
        )
        | st.binary(max_size=6),
    ),
    max_size=8,
)


def mutated(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, new in edits:
        body = body[:at] + new + body[at + length :]
    return body


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(INPUTS), EDITS)
def test_no_message_raises_and_what_comes_out_fits_the_records(
    body: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    changed = mutated(body, edits)
    mapped = ADMIT.run(Hl7Message.read(changed), lineage=True)
    assert mapped.records or mapped.failed
    assert not (mapped.records and mapped.failed)
    for record in mapped.records:
        RECORDS[record.record].model_validate({"key": record.key, **record.fields})
        assert set(record.fields) <= ADMIT.records[record.record]
        json.dumps(record.fields)
    assert {issue.code for issue in mapped.issues} <= set(CODES)
    again = ADMIT.run(Hl7Message.read(changed))
    assert (again.records, again.issues, again.failed) == (mapped.records, mapped.issues, mapped.failed)


RELABEL = plan_of(
    HEAD
    + """\
emit:
  - message: hl7v2
    from: copy
    set:
      MSH-4.1: {const: M\u00fcller}
      PID-5.1: [PID-5.2, PID-3(2).1]
      PID-3(5=MR).4.2: PID-3(5=MR).1
      PID-3(3).2.2: PV1-3.1
    remove: ["Z*", EVN, PID-8, PID-3(5=PI), PV1-3.2, PID-11(2)]
    append: [{segment: ZBR, after: PID, set: {ZBR-2(2).1: PID-5.1}}]
    charset: ascii
    delimiters: ':^~!&'
    unwritable: escape
"""
)
SAME = plan_of(HEAD + "emit:\n  - {message: hl7v2, from: copy, remove: [PID-8], set: {PID-5.1: PID-5.2}}\n")


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(INPUTS), EDITS, st.sampled_from([RELABEL, SAME]))
@example(b"MSH|^~\\&\xc3\xa9|||||||ADT^A01|1|P|2.5\rPID|1|\xc3\xa9", [], RELABEL)
def test_no_message_raises_and_what_is_made_can_be_read(
    body: bytes, edits: list[tuple[int, int, bytes]], plan: Plan
) -> None:
    changed = mutated(body.replace(b"^A03", b"^A01").replace(b"^A08", b"^A01"), edits)
    mapped = plan.run(Hl7Message.read(changed), lineage=True)
    assert bool(mapped.messages) is not mapped.failed
    assert {issue.code for issue in mapped.issues} <= set(CODES)
    for made in mapped.messages:
        found = Hl7Message.read(made.body)
        assert found.refused is None
        if plan is RELABEL:
            made.body.decode("ascii")
            assert found.value("MSH", 18) == "ASCII"
            assert not [each for each in found.segments if each.name.startswith("Z") and each.name != "ZBR"]
    assert plan.run(Hl7Message.read(changed)).issues == mapped.issues


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(body: bytes) -> None:
    assert ADMIT.run(Hl7Message.read(body)).failed


RULES = [
    "      family: PID-5.1\n",
    "      given: [PID-5.2, PID-9.2]\n",
    "      birth_date: {from: PID-7, on_error: null}\n",
    "      sex: {from: PID-8, translate: sex, unmapped: null}\n",
    "      phone: PID-13.1 | digits\n",
    "      middle: shown\n",
]
MORE = "tables: {sex: {F: female}}\nlet: {shown: PID-5.2 | trim}\n"


@settings(max_examples=30, deadline=None)
@given(st.permutations(RULES), st.sampled_from(["F", "X"]), st.sampled_from(["1980", "19800230", '""']))
def test_the_order_of_rules_does_not_matter(rules: list[str], sex: str, born: str) -> None:
    def made(order: list[str]) -> object:
        mapped = plan_of(patient_text("".join(order), more=MORE)).run(message_with(PID_8=sex, PID_7=born))
        return [record.fields for record in mapped.records], sorted(issue.field for issue in mapped.issues)

    assert made(rules) == made(RULES)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_every_text_in_the_place_of_an_expression_is_compiled_or_refused(text: str) -> None:
    quoted = json.dumps(text)
    for problem in problems_of(patient_text(f"      family: {quoted}\n")):
        assert problem.place.line >= 11


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="PID-5.1()[]|,'=<>!*+ nortadif0", max_size=40))
def test_every_run_of_signs_is_compiled_or_refused(text: str) -> None:
    problems_of(patient_text(f"      family: {json.dumps(text)}\n"))


LEAVES = [
    # a leaf of the message, and the fields of the patient that may change with it
    ("PID_5", "CHANGED^MAREN", {"family"}),
    ("PID_8", "M", {"sex"}),
    ("PID_13", "1", {"phone"}),
    ("PID_11", "CHANGED", set[str]()),
    ("PV1_3", "CHANGED", set[str]()),
]


@pytest.mark.parametrize(("leaf", "value", "fields"), LEAVES)
def test_a_changed_leaf_changes_exactly_the_fields_that_read_it(
    leaf: str, value: str, fields: set[str]
) -> None:
    plan = plan_of(patient_text("".join(RULES), more=MORE.replace("female}", "female, M: male}")))
    before = dict(plan.run(message_with()).records[0].fields)
    after = dict(plan.run(message_with(**{leaf: value})).records[0].fields)
    assert {name for name in before | after if before.get(name) != after.get(name)} == fields


def test_no_issue_shows_a_value() -> None:
    canary = "CANARY7731"
    body = MESSAGE.replace("19800229", canary).replace("|F|", f"|{canary}|").replace("V-77", canary)
    mapped = ADMIT.run(Hl7Message.read(body.replace("|I|", f"|{canary}|").encode()))
    assert mapped.issues
    assert canary not in repr(mapped.issues)


def test_a_file_that_is_not_shaped_as_one_is_refused_without_an_exception() -> None:
    for text in ("{}", "{emit: {}}", "{emit: [1, [], {}]}", "{source: [], tests: {}, let: [], tables: []}"):
        assert problems_of(text)
    for key in ("mapping", "source", "emit", "tests", "tables", "let", "ignore", "version"):
        for value in ("[]", "{}", "''", "[[]]", "[{}]", "{a: {}}", "{a: []}", "x"):
            lines = [
                line for line in patient_text("").splitlines(keepends=True) if not line.startswith(f"{key}:")
            ]
            if key == "emit":
                lines = HEAD.splitlines(keepends=True)
            problems_of("".join(lines) + f"{key}: {value}\n")
