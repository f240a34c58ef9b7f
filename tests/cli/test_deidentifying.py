"""Test data of messages: nobody is who they were, and the rest is as it was."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from code_reading import ROOT
from fuzzing import changed
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.cli.deidentifying import deidentify, pseudonym, scrubbed
from bridge.cli.generated import TYPES, message
from bridge.cli.invented import GIVEN, Person, patient
from bridge.formats.hl7v2 import Hl7Message, Segment
from bridge.formats.hl7v2_leaves import leaves, text_of

KEY = b"a key for tests, and for nothing else"
SEED = 11
COUNT = 1_000
FIXTURES = [path.read_bytes() for path in sorted((ROOT / "legacy_fixtures").rglob("*.hl7"))]
PEOPLE = [patient(SEED, number) for number in range(400)]


def made(body: bytes, key: bytes = KEY) -> Hl7Message:
    found = deidentify(Hl7Message.read(body), key)
    assert found.refused is None
    return Hl7Message.read(found.body)


def personal(who: Person) -> set[str]:
    """All that tells who somebody is."""
    born = who.born.strftime("%Y%m%d")
    told = {who.mrn, f"P{who.mrn}", f"A-{who.mrn}", f"M{who.mrn}", who.ssn, who.family, who.given, who.middle}
    told |= {who.maiden, born, born[:6], born[:4], who.street, who.flat, who.city[0], who.city[2]}
    return (told | {who.phone, who.work, who.mail}) - {"", "Q"}


def said(read: Hl7Message) -> list[str]:
    return [str(text_of(read, leaf)) for leaf in leaves(read)]


def test_nothing_of_the_people_is_left_in_a_thousand_messages() -> None:
    kinds = list(TYPES)
    by_number = {who.mrn: who for who in PEOPLE}
    dates = 0
    for number in range(COUNT):
        body = message(kinds[number % len(kinds)], SEED, number)
        before, after = Hl7Message.read(body), made(body)
        values = set(said(after))
        words = {word for value in values for word in re.split(r"[^\w'-]+", value)}
        for segment in before.named("PID"):
            who = by_number[re.findall(r"\b100\d{3}\b", segment.serialise())[0]]
            assert not personal(who) & values, segment
            assert not {who.family, who.mrn, who.ssn} & words
        for leaf in leaves(before):
            text = str(text_of(before, leaf))
            if re.fullmatch(r"20\d{6}[\d.+-]*", text):
                dates += 1
                assert text not in values, leaf.place
            if leaf.segment in ("PV1", "OBR", "ORC", "FT1", "AIP", "STF") and text in GIVEN:
                assert text not in values, leaf.place
    assert dates > COUNT, "there was something to look at"


def test_the_same_patient_stays_the_same_patient() -> None:
    became: dict[str, set[str]] = defaultdict(set)
    for number in range(400):
        body = message("ADT", SEED, number)
        before, after = Hl7Message.read(body).named("PID")[0], made(body).named("PID")[0]
        for one, other in zip(before.each_repetition(3), after.each_repetition(3), strict=True):
            if one.value(1, 1, 5) in ("MR", "MRN"):
                became[str(one.value(1))].add(f"{other.value(1)} {after.value(5)} {after.value(5, 1, 2)}")
    assert len(became) > 100
    assert {len(each) for each in became.values()} == {1}
    assert len({next(iter(each)) for each in became.values()}) == len(became), "and no two become one"


def test_dates_of_one_patient_move_by_the_same_days() -> None:
    body = b"MSH|^~\\&|A|B|||20240301||ADT^A01|1|P|2.5\rPID|1||7^^^B^MR||X||19800229\rPV1|1|I" + b"|" * 42
    read = made(body + b"20240301101500-0600|20240302\r")
    start, end = str(read.value("PV1", 44)), str(read.value("PV1", 45))
    assert start.endswith("101500-0600")
    assert int(end) - int(start[:8]) in (1, 70, 71, 72, 73, 8870), "the next day"
    other = made(body.replace(b"7^^^B", b"8^^^B") + b"20240301101500-0600\r")
    assert other.value("PV1", 44) != start


@pytest.mark.parametrize("kind", TYPES)
def test_structure_and_lengths_stay(kind: str) -> None:
    for number in range(20):
        body = message(kind, SEED, number)
        before, after = Hl7Message.read(body), made(body)
        assert [_shape(one) for one in before.segments] == [_shape(other) for other in after.segments]
        assert after.message_type == before.message_type
        places = [[leaf.place for leaf in leaves(each)] for each in (before, after)]
        assert places[0] == places[1]
        assert after.problems == before.problems


def _shape(segment: Segment) -> str:
    return (
        re.sub(r"\\[A-Z.a-z0-9]+\\|[^|^~&]", "x", segment.serialise())
        if segment.name == "OBX"
        else segment.name
    )


def test_codes_and_numbers_stay_and_free_text_does_not() -> None:
    read = made(
        b"MSH|^~\\&|LAB|NORTH|||20240301||ORU^R01|1|P|2.5.1\rPID|1||7^^^N^MR||DOE^JO||1980|F\r"
        b"OBX|1|NM|2345-7^Glucose^LN||98.40|mg/dL|70-99|N|||F\rOBX|2|TX|X^Note||Jo Doe, 4 pm||||||F\r"
        b"NTE|1||call Mrs Doe \\T\\ son\rZPV|1|Doe\r"
    )
    assert (read.value("PID", 8), read.value("OBX", 5), read.value("OBX", 7)) == ("F", "98.40", "70-99")
    assert (read.value("OBX", 3), read.value("OBX", 3, 1, 2)) == ("2345-7", "Glucose")
    assert read.value("OBX", 5, occurrence=2) == "Xx Xxx, 9 xx"
    assert read.value("OBX", 3, 1, 2, occurrence=2) == "Xxxx", "it is of no code system"
    assert (read.value("NTE", 3), read.value("ZPV", 2)) == ("xxxx Xxx Xxx & xxx", "Xxx")
    assert read.value("MSH", 4) == "NORTH"


@pytest.mark.parametrize("version", ["2.3", "2.5.1"])
def test_a_word_of_the_fields_own_table_stays_and_no_other(version: str) -> None:
    def status(text: str, patient: str = "DOE^JO") -> object:
        head = f"MSH|^~\\&|A|B|||20240301||SIU^S12|1|P|{version}\rPID|1||7^^^N^MR||{patient}\r"
        return made((head + "SCH|1" + "|" * 24 + text + "\r").encode()).value("SCH", 25)

    assert (status("Booked"), status("Noshow")) == ("Booked", "Noshow")
    assert (status("Doering"), status("booked"), status("Booked by Doe")) == (
        "Xxxxxxx",
        "xxxxxx",
        "Xxxxxx xx Xxx",
    )
    assert status("Started", "Started^Jo") not in ("Started", None), "it is somebody's name in this message"


def test_another_key_makes_other_people() -> None:
    body = message("ADT", SEED, 1)
    assert made(body).value("PID", 5) != made(body, b"another key, of enough bytes").value("PID", 5)
    assert made(body).raw == made(body).raw


@pytest.mark.parametrize("text", ["Marlow", "O'Neil", "100234", "(512)555-0142", "Apt 3", "Núñez", "A"])
def test_a_pseudonym_has_the_shape_of_what_it_stands_for(text: str) -> None:
    found = pseudonym(text, KEY)
    assert found != text
    assert scrubbed(found) == scrubbed(text)


@settings(max_examples=150)
@given(changed(FIXTURES, (b"|", b"^", b"\\", b"\r", b"\xc3\xa9")))
def test_any_message_becomes_test_data_or_is_refused(body: bytes) -> None:
    read = Hl7Message.read(body)
    found = deidentify(read, KEY)
    if found.refused is not None:
        assert found.body == b""
        return
    after = Hl7Message.read(found.body)
    assert len(after.segments) == len(read.segments)


@given(st.text(max_size=40))
def test_a_pseudonym_is_made_of_any_text(text: str) -> None:
    assert len(pseudonym(text, KEY)) >= len(text.strip()) - 1
