"""What every mapping promises of every message: nothing vanishes, and nothing hangs on what it should not.

PROMISES says which test holds which, as does the page about tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
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

HERE: Final = "mapping/test_mapping_promises"
Tests = Mapping[str, tuple[str, ...]]
PROMISES: Final[Mapping[int, tuple[str, Tests]]] = {
    1: (
        "every value is used, ignored with its reason, or unmapped",
        {
            "mapping/test_mapping_accounting": ("test_used_ignored_and_unmapped_are_all",),
            "mapping/test_mapping_other_accounting": (
                "test_of_any_json_the_three_add_up_and_accounting_changes_nothing",
                "test_of_any_x12_the_three_add_up_and_accounting_changes_nothing",
            ),
        },
    ),
    2: (
        "every value that is made has an origin",
        {
            "mapping/test_mapping_accounting": (
                "test_without_the_values_that_it_came_from_a_field_is_another_or_comes_from_others",
            )
        },
    ),
    3: (
        "no record, or one too few, is an issue",
        {
            HERE: (
                "test_an_accepted_message_without_a_record_fails_and_says_so",
                "test_of_each_anchor_there_is_a_record_or_an_issue",
            )
        },
    ),
    4: (
        "a changed value changes what reads it, and nothing else",
        {
            "mapping/test_mapping_properties": (
                "test_a_changed_leaf_changes_exactly_the_fields_that_read_it",
            ),
            "mapping/test_mapping_accounting": (
                "test_an_unmapped_value_can_be_any_other_and_nothing_is_made_otherwise",
            ),
        },
    ),
    5: (
        "every segment is in one instance of a group",
        {
            "mapping/test_mapping_groups": (
                "test_every_segment_is_in_exactly_one_instance_and_every_obx_with_the_obr_before_it",
                "test_orders_in_another_order_give_the_same_records_in_another_order",
            )
        },
    ),
    6: (
        "why a value is what it is can be asked later",
        {HERE: ("test_what_a_message_was_made_into_can_be_made_again_with_where_each_value_came_from",)},
    ),
    7: (
        "the same message gives the same, in whatever order and thread",
        {HERE: ("test_messages_come_to_the_same_in_any_order_and_thread",)},
    ),
    8: (
        "no bytes raise",
        {HERE: ("test_no_bytes_raise",), "formats/test_formats_fuzz": ("test_no_bytes_are_too_strange",)},
    ),
    9: (
        "reading and writing lose nothing",
        {
            "formats/test_hl7v2_properties": ("test_reading_never_fails_and_gives_the_bytes_back",),
            "formats/test_hl7v2_write": (
                "test_a_copy_of_which_nothing_is_changed_is_every_message_of_the_fixtures",
                "test_what_is_set_is_what_is_read",
            ),
            "formats/test_hl7v2_escape": (
                "test_escaping_can_be_undone_for_every_text",
                "test_a_sequence_becomes_its_characters_or_stays",
            ),
        },
    ),
    10: (
        "how a message is spelt makes no difference",
        {
            HERE: (
                "test_how_a_message_is_spelt_makes_no_difference",
                "test_other_delimiters_make_no_difference",
            )
        },
    ),
    11: (
        "sums balance, and no number is a float",
        {
            "canonical/test_canonical_invariants": (
                "test_a_posting_balances_to_the_cent_or_is_refused",
                "test_no_float_stands_in_the_records",
                "test_what_breaks_the_promise_is_refused_without_a_value_in_the_words",
            )
        },
    ),
    12: (
        "times keep what was sent",
        {
            "mapping/test_mapping_dates": (
                "test_a_date_keeps_its_precision_and_an_impossible_one_is_refused",
                "test_a_time_keeps_its_offset_or_takes_that_of_the_zone",
                "test_what_is_odd_about_a_time_is_an_issue_and_the_record_goes_on",
                "test_a_zone_that_was_assumed_is_told_where_lineage_is",
            )
        },
    ),
    13: (
        "absent, deleted and there are three things",
        {
            HERE: ("test_absent_deleted_and_there_are_three_things",),
            "mapping/test_expression_values": ("test_values_absent_and_null_stay_apart",),
        },
    ),
    14: (
        "each code is in a table, or is reported",
        {
            HERE: ("test_a_code_that_no_table_has_is_handled_as_named_and_counted",),
            "mapping/test_mapping_mistakes": (
                "test_a_value_of_a_table_must_be_allowed_in_the_field_it_is_used_for",
            ),
        },
    ),
    15: (
        "each reference is to a record of the message",
        {HERE: ("test_each_reference_is_to_a_record_of_the_message",)},
    ),
    16: (
        "what is wrong with one record harms no other",
        {HERE: ("test_what_is_wrong_with_one_record_harms_no_other",)},
    ),
    17: (
        "no value stands in logs and errors",
        {
            HERE: ("test_what_is_wrong_is_told_without_a_value",),
            "mapping/test_mapping_properties": ("test_no_issue_shows_a_value",),
        },
    ),
    18: (
        "tests of a file go through its rules and branches",
        {
            "mapping/test_mapping_mutants": (
                "test_the_tests_of_a_shipped_mapping_notice_most_of_what_could_be_wrong",
                "test_the_tests_of_a_shipped_mapping_go_through_every_rule",
            )
        },
    ),
    19: (
        "a changed mapping is tried before it is used",
        {
            "runtime/test_reload": (
                "test_before_another_mapping_is_used_it_is_tried_on_the_last_messages",
                "test_a_mapping_that_would_change_records_can_be_refused",
                "test_a_mapping_without_effect_on_records_is_not_refused",
                "test_bridge_reload_says_what_would_be_otherwise_and_shows_no_value",
            )
        },
    ),
    21: (
        "the order of rules, and of entries without references, makes no difference",
        {
            HERE: ("test_the_order_of_entries_without_references_makes_no_difference",),
            "mapping/test_mapping_properties": ("test_the_order_of_rules_does_not_matter",),
        },
    ),
}

MAPPINGS = Path(__file__).parents[2] / "mappings"
TESTS = Path(__file__).parents[1]
TEXTS = [(MAPPINGS / f"{name}.yaml").read_text("utf-8") for name in ("lab-results", "adt-admit")]
LAB, ADMIT = map(plan_of, TEXTS)
SKIPS = plan_of(TEXTS[0].replace("on_reject: fail_message", "on_reject: skip"))
"""As results, where what is wrong with one may be left out."""
INPUTS = [
    (plan, case.message.replace("\n", "\r").rstrip("\r").encode())
    for plan in (LAB, ADMIT)
    for case in plan.tests
]


def table() -> str:
    """The table of the page about tests."""
    rows = ["| | a mapping promises | held by |", "|---|---|---|"]
    for number, (promise, tests) in PROMISES.items():
        held = "<br>".join(f"`{file}.py` `{name}`" for file, names in tests.items() for name in names)
        rows.append(f"| {number} | {promise} | {held} |")
    return "\n".join(rows)


def test_each_promise_is_held_where_the_table_says() -> None:
    for _, tests in PROMISES.values():
        for file, names in tests.items():
            text = (TESTS / f"{file}.py").read_text("utf-8")
            assert [name for name in names if f"def {name}(" not in text] == [], file
    assert table() in (TESTS / "README.md").read_text("utf-8")


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
    mapped = run(SKIPS, b"\r".join([REPORT, *RESULTS, *bad]))
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
        if re.search(rb"\|(TX|ST|FT)\|[^|\r]*\|[^|\r]*\|[^|\r]*[\^&]|\|CE\|[^~\r]*\|[^|\r]*~|\|<10\^5", body):
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
    whole = run(SKIPS, b"\r".join([REPORT, *RESULTS])).records
    damaged = run(SKIPS, b"\r".join([REPORT, *RESULTS[:at], bad, *RESULTS[at + 1 :]])).records

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
