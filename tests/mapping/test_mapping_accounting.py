"""Every value of a message is used, ignored with its reason, or unmapped; every value made has an origin."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from fuzzing import changed
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_texts import HEAD, MESSAGE, message_with, patient_plan, plan_of

from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_leaves import RecordedMessage, leaves
from bridge.mapping.accounting import Accounting, account
from bridge.mapping.plan import Plan
from bridge.message import Lineage, Mapped

ROOT = Path(__file__).parents[2]
ADMIT = plan_of((ROOT / "mappings" / "adt-admit.yaml").read_text("utf-8"))
ADMISSIONS = [path.read_bytes() for path in sorted((ROOT / "legacy_fixtures" / "hl7v2").glob("adt_*.hl7"))]
INPUTS = changed(ADMISSIONS, (b"|", b"^", b"~", b"&", b"\r", b'""', b"MR", b"A08", b"ZZZ|1|2\r"))


def status(found: Accounting) -> dict[str, str]:
    return {value.leaf.place: value.status for value in found.values}


def test_what_a_rule_reads_is_used_what_an_entry_names_is_ignored_and_the_rest_is_unmapped() -> None:
    plan = patient_plan("      family: PID-5.1\n", more="ignore:\n  - {path: PID-1, because: set id}\n")
    found = account(message_with(), [plan])
    told = status(found)
    assert told["PID-5.1"] == "used"
    assert told["PID-1"] == "ignored"
    assert told["PID-5.2"] == "unmapped"
    assert [value.because for value in found.values if value.status == "ignored"] == ["set id"]


def test_the_condition_that_chooses_a_repetition_is_used_and_the_others_are_not() -> None:
    told = status(account(message_with(), [patient_plan("      family: PID-5.1\n")]))
    assert told["PID-3(1).5"] == told["PID-3(2).5"] == told["PID-3(2).1"] == "used"
    assert told["PID-3(1).1"] == told["PID-3(1).4"] == "unmapped"


WHY = {
    "no rule reads it": ("PV1-2", {}, "no rule reads it"),
    "a rule reads another part of the field": (
        "PID-5.2",
        {},
        "rules read other parts of this field",
    ),
    "the message failed before": ("PID-5.1", {"PID_3": "1^^^N^XX"}, "not reached: the message failed"),
}


@pytest.mark.parametrize("case", WHY)
def test_of_what_is_unmapped_it_is_said_what_may_be_wrong(case: str) -> None:
    place, fields, because = WHY[case]
    found = account(message_with(**fields), [patient_plan("      family: PID-5.1\n")])
    (value,) = [each for each in found.values if each.leaf.place == place]
    assert (value.status, value.because) == ("unmapped", because)


def test_an_alternative_that_was_not_needed_is_not_used() -> None:
    plan = patient_plan("      family: [PID-5.1, PID-5.2]\n")
    assert status(account(message_with(), [plan]))["PID-5.2"] == "unmapped"
    assert status(account(message_with(PID_5="^MAREN"), [plan]))["PID-5.2"] == "used"


def test_a_copied_message_is_used_as_a_whole() -> None:
    plan = plan_of((ROOT / "mappings" / "examples" / "adt-relabel.yaml").read_text("utf-8"))
    found = account(message_with(), [plan])
    assert set(status(found).values()) == {"used"}


def test_by_a_mapping_that_does_not_accept_it_nothing_of_a_message_is_used_but_what_reads_it() -> None:
    found = account(message_with(MSH_9="ADT^A99"), [ADMIT])
    assert found.mapped == ()
    assert {place for place, word in status(found).items() if word == "used"} == {"MSH-1", "MSH-2"}


def test_two_mappings_together_use_what_either_uses() -> None:
    one = patient_plan("      family: PID-5.1\n")
    other = patient_plan("      given: PID-5.2\n")
    told = status(account(message_with(), [one, other]))
    assert told["PID-5.1"] == told["PID-5.2"] == "used"


def test_a_value_that_several_records_use_by_one_let_is_the_origin_in_each() -> None:
    text = (
        HEAD
        + """\
let: {mrn: PID-3(5=MR).1}
emit:
  - record: patient
    key: mrn
    set:
      identifiers: {list: [{value: mrn}]}
      account_number: mrn
"""
    )
    mapped = plan_of(text).run(RecordedMessage.of(message_with()), lineage=True)
    told = {line.field: [leaf.place for leaf in line.leaves] for line in mapped.lineage}
    assert told["key"] == told["identifiers"] == told["account_number"]
    assert "PID-3(2).1" in told["key"]


TAKEN = {
    "a constant": ("family: {const: DOE}", (), ("constant",)),
    "a default": ("family: {from: PID-6.1, default: DOE}", (), ("default",)),
    "a literal": ("family: \"if(present(PID-8), 'DOE')\"", ("PID-8",), ("literal",)),
    "a value": ("family: PID-5.1", ("PID-5.1",), ()),
    "a row": ("sex: {from: PID-8, translate: sex}", ("PID-8",), ("row of a table",)),
}


@pytest.mark.parametrize("case", TAKEN)
def test_lineage_tells_what_came_from_the_message_and_what_from_the_file(case: str) -> None:
    rule, places, taken = TAKEN[case]
    tables = "tables: {sex: {F: female}}\n" if "sex" in rule else ""
    plan = patient_plan(f"      {rule}\n", more=tables)
    (line,) = [
        each
        for each in plan.run(RecordedMessage.of(message_with()), lineage=True).lineage
        if each.field in ("family", "sex")
    ]
    assert tuple(leaf.place for leaf in line.leaves) == places
    assert line.taken == taken


def test_lineage_tells_the_bytes() -> None:
    plan = patient_plan("      family: PID-5.1\n")
    lineage = plan.run(RecordedMessage.of(message_with()), lineage=True).lineage
    (leaf,) = next(line.leaves for line in lineage if line.field == "family")
    assert leaf.start is not None
    assert MESSAGE[leaf.start : leaf.start + leaf.size] == "okafor"


# Properties


@settings(max_examples=150)
@given(INPUTS)
def test_used_ignored_and_unmapped_are_all(body: bytes) -> None:
    message = Hl7Message.read(body)
    found = account(message, [ADMIT])
    counts = Counter(value.status for value in found.values)
    assert counts.total() == len(list(leaves(message)))
    assert sum(found.count(status) for status in ("used", "ignored", "unmapped")) == counts.total()


@settings(max_examples=100)
@given(INPUTS)
def test_asking_for_lineage_changes_nothing_that_is_made(body: bytes) -> None:
    message = Hl7Message.read(body)
    plain, traced = ADMIT.run(message), ADMIT.run(RecordedMessage.of(message), lineage=True)
    assert (plain.records, plain.issues, plain.failed) == (traced.records, traced.issues, traced.failed)


@settings(max_examples=100)
@given(INPUTS, st.data())
def test_an_unmapped_value_can_be_any_other_and_nothing_is_made_otherwise(
    body: bytes, data: st.DataObject
) -> None:
    message = Hl7Message.read(body)
    found = account(message, [ADMIT])
    free = [v.leaf for v in found.values if v.status != "used" and v.leaf.field and v.leaf.start is not None]
    if not free or not found.mapped:
        return
    leaf = data.draw(st.sampled_from(free))
    other = _with(body, leaf.start or 0, leaf.size, b"Q" * data.draw(st.integers(1, 9)))
    again = Hl7Message.read(other)
    if (again.encoding, again.decided_by) != (message.encoding, message.decided_by):
        return
    after = ADMIT.run(again)
    assert (after.records, after.messages) == (found.mapped[0].records, found.mapped[0].messages)
    assert [issue.code for issue in after.issues] == [issue.code for issue in found.mapped[0].issues]


@pytest.mark.parametrize("body", ADMISSIONS, ids=range(len(ADMISSIONS)))
def test_without_the_values_that_it_came_from_a_field_is_another_or_comes_from_others(body: bytes) -> None:
    mapped = ADMIT.run(RecordedMessage.of(Hl7Message.read(body)), lineage=True)
    assert mapped.lineage
    for line in mapped.lineage:
        assert line.leaves or line.taken, line
        if line.field == "key" or not line.leaves:
            continue
        bare = body
        for leaf in sorted(line.leaves, key=lambda each: -(each.start or 0)):
            assert leaf.start is not None
            # Without its type no mapping takes the message.
            bare = bare if leaf.place.startswith("MSH-9") else _with(bare, leaf.start, leaf.size, b"")
        after = ADMIT.run(RecordedMessage.of(Hl7Message.read(bare)), lineage=True)
        same = [each for each in after.lineage if (each.record, each.field) == (line.record, line.field)]
        if same and _value(after, line) == _value(mapped, line):
            places = {leaf.place for leaf in same[0].leaves}
            assert line.taken or not places & {leaf.place for leaf in line.leaves}, line


def _value(mapped: Mapped, line: Lineage) -> object:
    found = [each for each in mapped.records if each.record == line.record]
    return found[0].fields.get(line.field) if found else None


def _with(body: bytes, start: int, size: int, text: bytes) -> bytes:
    return body[:start] + text + body[start + size :]


def test_a_plan_that_reads_nothing_leaves_all_unmapped() -> None:
    """A negative control: the accounting can say that something was missed."""
    plan: Plan = patient_plan("      family: {const: DOE}\n")
    told = Counter(status(account(message_with(), [plan])).values())
    assert told["unmapped"] > told["used"]
