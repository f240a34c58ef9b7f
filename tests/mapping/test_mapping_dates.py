"""HL7 dates and times become ISO 8601: precision kept, offset kept, changes of the clock flagged."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapping_texts import HEAD, issues_of, message_with, patient_plan, plan_of

from bridge.mapping.times import iso_date, iso_date_or_datetime, iso_datetime, plain_day, with_offset
from bridge.mapping.values import ValueRefused

CHICAGO = ZoneInfo("America/Chicago")

DATES = [
    ("1980", "1980"),
    ("198002", "1980-02"),
    ("19800229", "1980-02-29"),
    (" 19800229 ", "1980-02-29"),
    ("202401020315", "2024-01-02"),
    ("20240102031500.1234-0500", "2024-01-02"),
    ("2024-01-02", "2024-01-02"),
    ("19810229", None),
    ("00000000", None),
    ("0000", None),
    ("19800029", None),
    ("19801301", None),
    ("198013", None),
    ("19800100", None),
    ("198", None),
    ("1980022", None),
    ("02/29/1980", None),
    ("１９８０", None),
    ("20240102250000", None),
    ("20240102-9900", None),
    ("2024010203+1", None),
    ("99991231", "9999-12-31"),
]

TIMES = [
    ("202401020300", "2024-01-02T03:00:00-06:00", None),
    ("202407020300", "2024-07-02T03:00:00-05:00", None),
    ("20240102030015.25", "2024-01-02T03:00:15.25-06:00", None),
    ("202401020300-0500", "2024-01-02T03:00:00-05:00", None),
    ("202401020300+0530", "2024-01-02T03:00:00+05:30", None),
    ("202401020300Z", "2024-01-02T03:00:00+00:00", None),
    ("2024-01-02T03:00:00-05:00", "2024-01-02T03:00:00-05:00", None),
    # Clocks set back: 01:30 twice, the first is daylight time. Set forward: 02:30 is 03:30.
    ("202411030130", "2024-11-03T01:30:00-05:00", "R021"),
    ("202411030130-0600", "2024-11-03T01:30:00-06:00", None),
    ("202411030059", "2024-11-03T00:59:00-05:00", None),
    ("202411030200", "2024-11-03T02:00:00-06:00", None),
    ("202403100230", "2024-03-10T03:30:00-05:00", "R022"),
    ("202403100159", "2024-03-10T01:59:00-06:00", None),
    ("202403100300", "2024-03-10T03:00:00-05:00", None),
    ("20240102", None, None),
    ("2024010203", None, None),
    ("202401022400", None, None),
    ("202401020360", None, None),
    ("202413020300", None, None),
    ("000001010000", None, None),
    ("18000101000000", None, None),
    ("000101010000", None, None),
    ("999912312359", "9999-12-31T23:59:00-06:00", None),
    ("202401020300-2500", None, None),
]


@pytest.mark.parametrize(("text", "expected"), DATES)
def test_a_date_keeps_its_precision_and_an_impossible_one_is_refused(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(ValueRefused):
            iso_date(text)
    else:
        assert iso_date(text) == expected


@pytest.mark.parametrize(("text", "expected", "flag"), TIMES)
def test_a_time_keeps_its_offset_or_takes_that_of_the_zone(
    text: str, expected: str | None, flag: str | None
) -> None:
    if expected is None:
        with pytest.raises(ValueRefused):
            iso_datetime(text, CHICAGO)
    else:
        assert iso_datetime(text, CHICAGO) == (expected, flag)


def test_a_day_stays_a_day_where_both_are_taken() -> None:
    assert iso_date_or_datetime("20240102", CHICAGO) == ("2024-01-02", None)
    assert iso_date_or_datetime("202401020300", CHICAGO) == ("2024-01-02T03:00:00-06:00", None)


ENCOUNTER = plan_of(
    HEAD
    + """\
emit:
  - record: patient
    key: PID-3(5=MR).1
    set: {identifiers: {list: [{value: PID-3(5=MR).1}]}}
  - record: encounter
    key: PV1-19.1
    set: {patient: {ref: patient}, start: {from: PV1-44, on_error: null}}
"""
)


@pytest.mark.parametrize(
    ("told", "admitted", "expected"),
    [
        ("20240102031500", "202407020300", "2024-07-02T03:00:00-05:00"),
        # The offset of MSH-7 is the zone's own on that day: the zone knows what it is in summer.
        ("20240102031500-0600", "202407020300", "2024-07-02T03:00:00-05:00"),
        # It is not: the sender is somewhere else.
        ("20240102031500-0500", "202407020300", "2024-07-02T03:00:00-05:00"),
        ("20240102031500+0100", "202407020300", "2024-07-02T03:00:00+01:00"),
        ("2024+9900", "202407020300", "2024-07-02T03:00:00-05:00"),
    ],
)
def test_the_offset_of_the_message_goes_before_the_zone_of_the_mapping(
    told: str, admitted: str, expected: str
) -> None:
    mapped = ENCOUNTER.run(message_with(MSH_7=told, PV1_44=admitted))
    assert mapped.records[1].fields["start"] == expected


@pytest.mark.parametrize(
    ("admitted", "code"), [("202411030130", "R021"), ("202403100230", "R022"), ("2024", "R020")]
)
def test_what_is_odd_about_a_time_is_an_issue_and_the_record_goes_on(admitted: str, code: str) -> None:
    mapped = ENCOUNTER.run(message_with(PV1_44=admitted))
    assert issues_of(mapped) == [f"{code} start"]
    assert len(mapped.records) == 2


@pytest.mark.parametrize(
    ("policy", "expected", "issues"),
    [
        ("on_error: null", "absent", ["R020 birth_date"]),
        ("on_error: default, default: '1900'", "1900", ["R020 birth_date"]),
        ("on_error: reject", "no record", ["R020 birth_date", "R001 "]),
        ("required: true, on_error: null", "no record", ["R020 birth_date", "R010 birth_date", "R001 "]),
        ("default: '1900'", "1900", ["R020 birth_date"]),
    ],
)
def test_a_value_that_cannot_be_converted_meets_the_policy_of_its_rule(
    policy: str, expected: str, issues: list[str]
) -> None:
    mapped = patient_plan(f"      birth_date: {{from: PID-7, {policy}}}\n").run(
        message_with(PID_7="19800230")
    )
    found = mapped.records[0].fields.get("birth_date", "absent") if mapped.records else "no record"
    assert (found, issues_of(mapped)) == (expected, issues)


BY_SENDER = HEAD.replace(
    "timezone: America/Chicago",
    "timezone: {by: MSH-4.1, zones: {NORTH: America/Chicago, SOUTH: America/New_York}, otherwise: UTC}",
)


@pytest.mark.parametrize(
    ("facility", "told", "time"),
    [
        ("NORTH", "20240102031500", "2024-01-02T03:00:00-06:00"),
        ("SOUTH", "20240102031500", "2024-01-02T03:00:00-05:00"),
        ("WEST", "20240102031500", "2024-01-02T03:00:00+00:00"),
        ("", "20240102031500", "2024-01-02T03:00:00+00:00"),
        # What the message says itself goes first.
        ("NORTH", "20240102031500-0300", "2024-01-02T03:00:00-03:00"),
        # The sender's zone also knows what its offset is in another season.
        ("SOUTH", "20240702031500-0400", "2024-01-02T03:00:00-05:00"),
    ],
)
def test_a_time_without_an_offset_is_of_its_senders_zone(facility: str, told: str, time: str) -> None:
    message = message_with(PID_29="202401020300", MSH_4=facility, MSH_7=told)
    mapped = patient_plan("      deceased_at: PID-29", head=BY_SENDER).run(message)
    assert mapped.records[0].fields["deceased_at"] == time


def test_a_sender_without_a_zone_is_reported_and_its_time_never_guessed() -> None:
    message = message_with(PID_29="202401020300", MSH_4="WEST")
    head = BY_SENDER.replace(", otherwise: UTC", "")
    mapped = patient_plan("      deceased_at: {from: PID-29, on_error: null}", head=head).run(message)
    assert [issue.code for issue in mapped.issues] == ["R020"]
    assert "deceased_at" not in mapped.records[0].fields


def test_a_zone_that_was_assumed_is_told_where_lineage_is() -> None:
    for told, assumed in (("202401020300", True), ("202401020300-0600", False)):
        mapped = patient_plan("      deceased_at: PID-29").run(message_with(PID_29=told), lineage=True)
        (line,) = [each for each in mapped.lineage if each.field == "deceased_at"]
        assert any("time zone" in each for each in line.taken) is assumed


@given(
    st.text("0123456789", min_size=7, max_size=15) | st.text("0129.+-Z", max_size=20),
    st.sampled_from(["", "-0500", "+1401", "+0060"]),
)
def test_what_is_read_quickly_is_read_as_slowly(digits: str, offset: str) -> None:
    text = digits + offset
    if (told := with_offset(text)) is not None:
        assert iso_datetime(text, None) == (told, None)
    if (day := plain_day(text)) is not None:
        assert iso_date(text) == day


def test_what_is_read_quickly_is_what_most_send() -> None:
    assert with_offset("20240102030015.25-0500") == "2024-01-02T03:00:15.25-05:00"
    assert with_offset("202401020300+0000") == with_offset("202401020300-0000") == "2024-01-02T03:00:00+00:00"
    assert plain_day("19800229") == "1980-02-29"
