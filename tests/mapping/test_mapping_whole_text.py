"""`OBX-5.*` is the whole text of a field that has no components, whatever signs stand in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mapping_texts import issues_of, message_with, patient_plan, patient_text, problems_of

from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_leaves import RecordedMessage, leaves
from bridge.mapping.lexer import tokens

CASES = [
    # what ZPI-1 holds, and what ZPI-1.* is of it
    ("Growth 10^5 CFU", "Growth 10^5 CFU"),
    ("A & B positive", "A & B positive"),
    (r"one \T\ two\.br\three", "one & two\nthree"),
    ("first~second", "first"),
    ("rising ^", "rising ^"),
    ("^&^", None),
    ("", None),
]


@pytest.mark.parametrize(("sent", "text"), CASES)
def test_whole_text_is_what_was_sent_unescaped(sent: str, text: str | None) -> None:
    plan = patient_plan("      family: ZPI-1.*\n")
    body = message_with().raw + b"\rZPI|" + sent.encode()
    for each in (plan, replace(plan, quick=False)):
        (record,) = each.run(Hl7Message.read(body)).records
        assert record.fields.get("family") == text


def test_the_null_of_a_whole_text_deletes() -> None:
    plan = patient_plan("      family: ZPI-1.*\n")
    (record,) = plan.run(Hl7Message.read(message_with().raw + b'\rZPI|""')).records
    assert record.fields["family"] is None


@pytest.mark.parametrize(
    ("rule", "made"),
    [
        ("ZPI-1(2).*", "b^2"),
        ("\"join('/', ZPI-1(*).*)\"", "a^1/b^2"),
        ("\"join('/', ZPI(*)-1(*).*)\"", "a^1/b^2/c & d"),
        ("\"join('/', ZPI(*)-1.*)\"", "a^1/c & d"),
        ("ZPI(2)-1.*", "c & d"),
        ("ZPI-1(2=2).*", "b^2"),
        ("ZPI(2=Y)-1.*", "c & d"),
        ('"first_of(ZPI-9.*, ZPI-2)"', "X"),
    ],
)
def test_it_is_read_of_repetitions_and_of_segments(rule: str, made: str) -> None:
    plan = patient_plan(f"      family: {rule}\n")
    body = message_with().raw + b"\rZPI|a^1~b^2|X\rZPI|c & d|Y"
    for each in (plan, replace(plan, quick=False)):
        mapped = each.run(Hl7Message.read(body))
        assert [record.fields["family"] for record in mapped.records] == [made], issues_of(mapped)


def test_it_is_read_of_the_repetition_that_is_gone_through() -> None:
    plan = patient_plan("      addresses: {list: {for_each: ZPI-1, set: {line1: ZPI-1.*}}}\n")
    (record,) = plan.run(Hl7Message.read(message_with().raw + b"\rZPI|a^1~b^2")).records
    assert record.fields["addresses"] == [{"line1": "a^1"}, {"line1": "b^2"}]


def test_all_of_a_whole_text_counts_as_read() -> None:
    message = RecordedMessage.of(Hl7Message.read(message_with().raw + b"\rZPI|a^1~b^2&3"))
    plan = patient_plan("      family: ZPI-1(2).*\n      given: \"join('', ZPI-1(*).*)\"\n")
    plan.run(message, lineage=True)
    assert {each for each in leaves(message) if each.segment == "ZPI"} <= set(message.read_leaves)


def test_of_one_repetition_only_that_counts_as_read() -> None:
    message = RecordedMessage.of(Hl7Message.read(message_with().raw + b"\rZPI|a^1~b^2"))
    patient_plan("      family: ZPI-1(2).*\n").run(message, lineage=True)
    assert {each.place for each in message.read_leaves if each.segment == "ZPI"} == {
        "ZPI-1(2).1",
        "ZPI-1(2).2",
    }


@pytest.mark.parametrize("path", ["PID-5.*", "PID-3(5=MR).*"])
def test_a_field_that_is_made_of_components_has_no_whole_text(path: str) -> None:
    assert [each.code for each in problems_of(patient_text(f"      family: {path}\n"))] == ["E107"]


def test_other_formats_have_no_whole_text() -> None:
    text = (
        patient_text("      family: NM1-03.*\n")
        .replace(
            "source: {format: hl7v2, accept: [ADT^A01], timezone: America/Chicago}",
            "source: {format: x12, accept: [835]}",
        )
        .replace("join(':', PID-3(5=MR).4.1, PID-3(5=MR).1)", "NM1-09")
    )
    assert "E109" in [each.code for each in problems_of(text)]


@pytest.mark.parametrize("path", ["ZPI-1.*.1", "ZPI-1.2.*"])
def test_nothing_stands_below_a_whole_text(path: str) -> None:
    assert [each.code for each in problems_of(patient_text(f"      family: {path}\n"))] == ["E105"]


def test_a_path_says_that_it_is_whole() -> None:
    (token, _) = tokens("OBX(*)-5(*).*")
    assert token.path is not None
    assert (token.path.whole, token.path.component, token.path.which) == (True, None, None)
