"""What every mapping promises of every message: nothing vanishes, and nothing hangs on what it should not.

PROMISES says which file holds which.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_texts import HEAD, message_with, patient_plan, plan_of

from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping.plan import Plan
from bridge.mapping.recorded import recorded
from bridge.message import Mapped

PROMISES: Final = {
    1: ("every value is used, ignored with its reason, or unmapped", "test_mapping_other_accounting"),
    2: ("every value that is made has an origin", "test_mapping_accounting"),
    3: ("no record, or one too few, is an issue", "here"),
    4: ("a changed value changes what reads it, and nothing else", "test_mapping_properties"),
    5: ("every segment is in one instance of a group", "test_mapping_groups"),
    6: ("why a value is what it is can be asked later", "here"),
    7: ("the same message gives the same, in whatever order and thread", "here"),
    8: ("no bytes raise", "here"),
    9: ("reading and writing lose nothing", "../formats/test_hl7v2_properties"),
    10: ("how a message is spelt makes no difference", "here"),
    11: ("sums balance, and no number is a float", "../canonical/test_canonical_invariants"),
    12: ("times keep what was sent", "test_mapping_dates"),
    13: ("absent, deleted and there are three things", "here"),
    14: ("each code is in a table, or is reported", "here"),
    15: ("each reference is to a record of the message", "here"),
    16: ("what is wrong with one record harms no other", "here"),
    17: ("no value stands in logs and errors", "here"),
    18: ("tests of a file go through its rules and branches", "test_mapping_mutants"),
    19: ("a changed mapping is tried before it is used", "../runtime/test_reload"),
    21: ("the order of rules, and of entries without references, makes no difference", "here"),
}

MAPPINGS = Path(__file__).parents[2] / "mappings"
HERE = Path(__file__)
LAB, ADMIT = (
    plan_of((MAPPINGS / f"{name}.yaml").read_text("utf-8")) for name in ("lab-results", "adt-admit")
)
INPUTS = [
    (plan, case.message.replace("\n", "\r").rstrip("\r").encode())
    for plan in (LAB, ADMIT)
    for case in plan.tests
]


def test_each_promise_is_held_where_the_table_says() -> None:
    own = HERE.read_text("utf-8")
    for number, (_, where) in PROMISES.items():
        if where == "here":
            assert re.search(rf"^# {number}$", own, re.MULTILINE), number
        else:
            assert (HERE.parent / f"{where}.py").exists(), where


def run(plan: Plan, body: bytes) -> Mapped:
    return plan.run(Hl7Message.read(body))


# 3


def test_an_accepted_message_without_a_record_fails_and_says_so() -> None:
    mapped = patient_plan("", head=HEAD).run(message_with(PID_3="4711^^^EAST^PI"))
    assert mapped.failed
    assert [issue.code for issue in mapped.issues] == ["R010", "R001"]


REPORT = (
    b"MSH|^~\\&|LAB|NORTH|B|X|20240102||ORU^R01|77|P|2.5.1\rPID|1||12^^^NORTH^MR\r"
    b"OBR|1||F1|1^A^L|||||||||||||||||||||F"
)
RESULTS = [b"OBX|%d|NM|%d^A^L||%d.5|mg|||||F" % (n, n, n) for n in range(1, 7)]


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"OBX|1|NM|9^A^L||many||||||F", b"OBX|1|NM|^^L||1||||||F"]), max_size=3))
def test_of_each_anchor_there_is_a_record_or_an_issue(bad: list[bytes]) -> None:
    mapped = run(LAB, b"\r".join([REPORT, *RESULTS, *bad]))
    made = [record for record in mapped.records if record.record == "result"]
    told = [issue for issue in mapped.issues if issue.record == "result" and issue.code in ("R010", "R090")]
    assert len(made) + len(told) == len(RESULTS) + len(bad)


# 6


def test_what_a_message_was_made_into_can_be_made_again_with_where_each_value_came_from() -> None:
    """From the message and the mapping alone, which is what a journal keeps: each field with its origin."""
    for plan, body in INPUTS:
        once, again = run(plan, body), plan.run(recorded(Hl7Message.read(body)), lineage=True)
        assert (again.records, again.issues, again.failed) == (once.records, once.issues, once.failed)
        told = {
            (each.record, each.key, each.field.partition("(")[0].partition(".")[0])
            for each in again.lineage
            if each.leaves or each.taken
        }
        for record in again.records:
            assert {(record.record, record.key, name) for name in record.fields if name != "sequence"} <= told


# 7


def test_messages_come_to_the_same_in_any_order_and_thread() -> None:
    once = [run(plan, body) for plan, body in INPUTS]
    again = [run(plan, body) for plan, body in reversed(INPUTS)]
    assert again[::-1] == once
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda each: run(*each), INPUTS * 4)) == once * 4


# 8


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(INPUTS), st.integers(0, 900), st.integers(0, 40))
def test_no_bytes_raise(junk: bytes, given_: tuple[Plan, bytes], at: int, length: int) -> None:
    """Alone, behind a header, and in the place of any part of a message: records, or why there are none."""
    plan, body = given_
    for each in (junk, body[:60] + junk, body[:at] + junk + body[at + length :]):
        mapped = run(plan, each)
        assert mapped.records or mapped.issues
        assert not (mapped.records and mapped.failed)


# 10

SPELLINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "LF": lambda body: body.replace(b"\r", b"\n"),
    "CRLF": lambda body: body.replace(b"\r", b"\r\n"),
    "blank lines": lambda body: body.replace(b"\r", b"\r\r") + b"\r",
    "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "a block": lambda body: b"\x0b" + body + b"\x1c\r",
    "a truncation character": lambda body: body.replace(rb"^~\&", rb"^~\&#", 1),
    "empty fields at the end": lambda body: b"\r".join(line + b"|||" for line in body.split(b"\r")),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_how_a_message_is_spelt_makes_no_difference(spelling: str) -> None:
    for plan, body in INPUTS:
        assert run(plan, SPELLINGS[spelling](body)) == run(plan, body)


def test_other_delimiters_make_no_difference() -> None:
    signs = bytes.maketrans(rb"|^~&", b"!:;*")
    compared = 0
    for plan, body in INPUTS:
        # Of what holds these signs as text, or escapes one of the others, the same would be another message.
        if b"\\" in body.replace(rb"^~\&", b"", 1) or re.search(rb"[!:;*]", body):
            continue
        compared += 1
        assert run(plan, body.translate(signs)) == run(plan, body)
    assert compared > 5


# 13


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("", {}),
        ('""', {"given": None}),
        ("MAREN", {"given": "MAREN"}),
        ('"', {"given": '"'}),
        ('""x', {"given": '""x'}),
    ],
)
@pytest.mark.parametrize(
    "rule", ["PID-5.2", "PID-5.2 | trim", "first_of(PID-5.2, PID-39)", "if(PID-3.1 != '', PID-5.2)"]
)
def test_absent_deleted_and_there_are_three_things(sent: str, made: dict[str, str | None], rule: str) -> None:
    plan = patient_plan(f'      given: "{rule}"')
    (record,) = plan.run(message_with(PID_5=f"X^{sent}")).records
    assert {name: value for name, value in record.fields.items() if name == "given"} == made


# 14


@pytest.mark.parametrize(
    ("policy", "made", "code"),
    [
        ("null", {}, "R030"),
        ("default, default: unknown", {"sex": "unknown"}, "R030"),
        ("reject", None, "R030"),
        ("hold", None, "R031"),
    ],
)
def test_a_code_that_no_table_has_is_handled_as_named_and_counted(
    policy: str, made: dict[str, str] | None, code: str
) -> None:
    tables = "tables: {sex: {F: female}}\n"
    plan = patient_plan(f"      sex: {{from: PID-8, translate: sex, unmapped: {policy}}}", more=tables)
    mapped = plan.run(message_with(PID_8="X"))
    assert [issue.code for issue in mapped.issues if issue.code != "R001"] == [code]
    assert mapped.failed is (made is None)
    if made is not None:
        assert {name: value for name, value in mapped.records[0].fields.items() if name == "sex"} == made


def test_what_waits_for_a_code_waits_whole() -> None:
    """Although its entry alone is refused, and another one could go."""
    tables = "tables: {sex: {F: female}}\n"
    other = "  - {record: provider, key: PV1-7.1, set: {identifiers: [identifier(PV1-7)], family: PV1-7.2}}\n"
    rules = "      sex: {from: PID-8, translate: sex, unmapped: hold}"
    plan = patient_plan(f"{rules}\n{other}", more=tables)
    assert not plan.run(message_with(PID_8="F", PV1_7="7^ITO")).failed
    mapped = plan.run(message_with(PID_8="X", PV1_7="7^ITO"))
    assert (mapped.failed, mapped.records) == (True, ())
    (issue,) = mapped.issues
    assert (issue.code, issue.table) == ("R031", "sex")


# 15

DAMAGE = st.lists(
    st.tuples(st.integers(60, 900), st.integers(0, 4), st.sampled_from([b"", b"|", b"^", b"\r", b'""'])),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(INPUTS), DAMAGE)
def test_each_reference_is_to_a_record_of_the_message(
    given_: tuple[Plan, bytes], damage: list[tuple[int, int, bytes]]
) -> None:
    plan, body = given_
    for at, length, new in damage:
        body = body[:at] + new + body[at + length :]
    mapped = run(plan, body)
    keys = {(record.record, record.key) for record in mapped.records}
    for record in mapped.records:
        for name, value in record.fields.items():
            if (record.record, name) in {("order", "patient"), ("result", "order"), ("result", "patient")}:
                assert (name, value) in keys
            if (record.record, name) == ("encounter", "patient"):
                assert ("patient", value) in keys


# 16


@settings(deadline=None)
@given(
    st.integers(0, 5),
    st.sampled_from([b"OBX|1|NM|9^A^L||many||||||F", b"OBX||||||", b"OBX|1|SN|7^B^L||x^y^z", b"ZZZ"]),
)
def test_what_is_wrong_with_one_record_harms_no_other(at: int, bad: bytes) -> None:
    whole = run(LAB, b"\r".join([REPORT, *RESULTS])).records
    damaged = run(LAB, b"\r".join([REPORT, *RESULTS[:at], bad, *RESULTS[at + 1 :]])).records

    def others(records: tuple[object, ...]) -> list[object]:
        kept = [each for each in records if f":{at + 1}:1" not in each.key]  # type: ignore[attr-defined]
        # Which one of the report it is may well change.
        return [(each.key, {**each.fields, "sequence": ""}) for each in kept]  # type: ignore[attr-defined]

    wanted = others(whole)
    assert [each for each in others(damaged) if each in wanted] == wanted


# 17

CANARIES = tuple(f"KANARI{number}" for number in range(40))


@settings(deadline=None)
@given(st.sampled_from(INPUTS), st.lists(st.integers(60, 900), min_size=1, max_size=40, unique=True))
def test_what_is_wrong_is_told_without_a_value(given_: tuple[Plan, bytes], places: list[int]) -> None:
    """Words are planted where numbers, codes and dates stand: issues name places, and none of the words."""
    plan, body = given_
    for canary, at in zip(CANARIES, sorted(places, reverse=True), strict=False):
        cut = body.find(b"|", at)
        body = body if cut < 0 else body[: cut + 1] + canary.encode() + body[cut + 1 :]
    assert "KANARI" not in str(run(plan, body).issues)


# 21

ENTRIES = [
    "  - {record: patient, key: PID-3.1, set: {identifiers: identifier(PID-3)}}\n",
    "  - {record: provider, key: PV1-7.1, set: {identifiers: [identifier(PV1-7)], family: PV1-7.2}}\n",
    "  - {record: organization, key: MSH-4.1, set: {identifiers: {list: [{value: MSH-4.1}]}}}\n",
]


@given(st.permutations(ENTRIES))
def test_the_order_of_entries_without_references_makes_no_difference(entries: list[str]) -> None:
    message = message_with(PV1_7="7^ITO")
    wanted = plan_of(HEAD + "emit:\n" + "".join(ENTRIES)).run(message)
    found = plan_of(HEAD + "emit:\n" + "".join(entries)).run(message)
    assert len(wanted.records) == len(ENTRIES)
    assert sorted(found.records, key=lambda each: each.record) == sorted(
        wanted.records, key=lambda each: each.record
    )
