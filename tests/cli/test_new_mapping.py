"""A first mapping from samples: it passes the check and its own tests, for every type, and shows nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import bridge

from bridge.catalog import STANDARD
from bridge.cli.deidentifying import deidentify
from bridge.cli.first_mapping import first_mapping
from bridge.cli.generated import TYPES, messages
from bridge.cli.survey import date_form, survey
from bridge.cli.trial import trial
from bridge.config.load import check
from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping.plan import Plan
from bridge.mapping.selftest import run_tests

KEY = b"a key for tests, of 16 bytes or more"
COUNT = 12


def _samples(kind: str) -> list[Hl7Message]:
    return [Hl7Message.read(each) for each in messages(kind, 7, COUNT)]


def _begun(samples: list[Hl7Message]) -> tuple[str, Plan]:
    made = [Hl7Message.read(deidentify(each, KEY).body) for each in samples]
    text, plan = first_mapping("begun", "somebody", survey(samples), trial, samples, made)
    assert plan is not None, text
    return text, plan


PERSON = b"PID|1||7^^^B^MR||X^Y\r"
RECORDS = {
    "ADT": {"patient", "encounter"},
    "ORM": {"patient", "order"},
    "ORU": {"patient", "order", "result"},
    "SIU": {"patient", "appointment"},
    "DFT": {"patient", "charge"},
    "MDM": {"patient", "document"},
    "VXU": {"patient", "immunization"},
    "RDE": {"patient"},
    "MFN": {"provider"},
}


@pytest.mark.parametrize("kind", TYPES)
def test_a_first_mapping_passes_the_check_and_its_own_tests(kind: str) -> None:
    samples = _samples(kind)
    text, plan = _begun(samples)
    assert [str(each) for each in trial(text)[1] if each.severity == "error"] == []
    results = run_tests(plan)
    assert len(results) == len({each.message_type for each in samples})
    assert [str(each) for result in results for each in result.differences] == []
    made = {record.record for each in samples for record in plan.run(each).records}
    assert RECORDS[kind] - made == set()


@pytest.mark.parametrize("kind", ["ADT", "ORU", "DFT"])
def test_nobody_of_the_samples_is_in_it(kind: str) -> None:
    samples = _samples(kind)
    text, _ = _begun(samples)
    known = [
        str(each.value("PID", field, component=component))
        for each in samples
        for field, component in ((3, 1), (5, 1), (7, 1), (11, 1), (13, 1), (18, 1))
        if each.value("PID", field, component=component)
    ]
    assert len(known) > COUNT
    assert [each for each in known if len(each) > 5 and each in text] == []


def test_what_no_rule_reads_is_listed_and_codes_that_are_not_known_are_asked_about() -> None:
    sample = Hl7Message.read(
        b"MSH|^~\\&|A|B|C|D|20240102||ADT^A01|1|P|2.5\rPID|1||7^^^B^MR||X^Y||1980|Q||||||||||||||||||||||||T\r"
        b"ZPI|1|something\r"
    )
    text, _ = _begun([sample])
    assert "what do these codes of PID-8 mean? Q 1" in text
    assert "#   ZPI-2, in 1 of 1" in text
    assert "ZPI-2 " not in text.split("TODO: ")[0]
    assert "patient_number: PID-3(5=MR).1" in text


def test_a_field_that_only_a_comment_names_is_listed_as_read_by_no_rule() -> None:
    text, _ = _begun(
        [Hl7Message.read(b"MSH|^~\\&|A|B|C|D|20240102||ADT^A01|1|P|2.5\rEVN||20240102\r" + PERSON)]
    )
    assert "# Dates written as YYYYMMDD: EVN-2 1, MSH-7 1." in text
    assert "#   EVN-2 Recorded Date/Time, in 1 of 1" in text


def test_what_is_noted_is_counted_over_the_messages_and_not_over_what_stands_for_them() -> None:
    coded = (
        b"MSH|^~\\&|A|B|C|D|20240102||ADT^A01|1|P|2.5\r" + PERSON + b"PV1||inpatient|||||||||||||||||V-1\r"
    )
    local, _ = _begun([Hl7Message.read(coded)])
    assert "R030 encounter.class, in 1 of 1" in local
    known, _ = _begun([Hl7Message.read(coded.replace(b"||inpatient|", b"||I|"))])
    assert "R030" not in known
    samples = [Hl7Message.read(deidentify(Hl7Message.read(coded), KEY).body)]
    real = [Hl7Message.read(coded.replace(b"||inpatient|", b"||I|"))]
    text, _ = first_mapping("begun", "somebody", survey(real), trial, real, samples)
    assert "R030" not in text.partition("tests:")[0]


@pytest.mark.parametrize(
    ("attending", "rule"),
    [
        ("4410^Brandt", "# TODO: attending_npi? PV1-7.1 has other numbers than NPIs"),
        ("1234567890^Brandt", "# TODO: attending_npi? PV1-7.1 has other numbers than NPIs"),
        ("1234567893^Brandt", "attending_npi: PV1-7.1"),
        ("4410^Brandt~1234567893^Brandt^^^^^^^NPI", "attending_npi: PV1-7(9=NPI).1"),
        ("7^Brandt~1234567893^Brandt^^^^^^^CMS&1.2&ISO^^^^NPI", "attending_npi: PV1-7(13=NPI).1"),
    ],
)
def test_a_number_is_taken_for_an_npi_only_where_it_is_said_or_looks_so(attending: str, rule: str) -> None:
    visit = f"PV1||I|||||{attending}||||||||||||V-1\r".encode()
    sample = Hl7Message.read(b"MSH|^~\\&|A|B|C|D|20240102||ADT^A01|1|P|2.5\r" + PERSON + visit)
    text, plan = _begun([sample])
    assert rule in " ".join(text.split()), text
    (made,) = [each.fields for each in plan.run(sample).records if each.record == "encounter"]
    assert made.get("attending_npi") == ("1234567893" if "1234567893" in attending else None)


def test_lines_that_have_no_name_are_nobody_in_it_and_break_nothing() -> None:
    line = b"JANE DOE 1980 \x1b[31m SSN 123-45-6789|a~b|20260101\r"
    text, plan = _begun([Hl7Message.read(each.raw + line + line) for each in _samples("ADT")])
    assert not [word for word in ("JANE", "SSN", "\x1b") if word in text]
    assert plan.name == "begun"


def test_what_the_samples_make_the_mapping_note_is_asked_about() -> None:
    text, _ = _begun([Hl7Message.read(body) for body in (_twice("A", "A"), _twice("A", "B"))])
    assert "R007 result.key, in 1 of 2: Two records of one kind have the same key" in text
    assert "# TODO: what this mapping notes" in text
    assert "notes of the samples" not in _begun([Hl7Message.read(_twice("A", "B"))])[0]


def _twice(first: str, second: str) -> bytes:
    return (
        b"MSH|^~\\&|LIS|EAST|||20260210101500-0600||ORU^R01|77|P|2.5.1\rPID|1||77^^^EAST^MR||Ferrow^Ines\r"
        b"OBR|1|O-1|R-1|C^Culture^L|||202602100900\r"
        + "".join(f"OBX|{at}|TX|{code}^Text^L||x||||||F\r" for at, code in ((1, first), (2, second))).encode()
    )


def test_messages_of_which_no_record_is_known_become_a_document() -> None:
    text, plan = _begun([Hl7Message.read(b"MSH|^~\\&|A|B|C|D|20240102||ACK|1|P|2.5\rMSA|AA|77\r")])
    assert "msa_1_1: MSA-1.1" in text
    assert [each.passed for each in run_tests(plan)] == [True]


def test_a_rule_that_the_language_refuses_becomes_a_question() -> None:
    """A field that no version has is no reason for a file that does not load."""
    text, plan = _begun([Hl7Message.read(b"MSH|^~\\&|A|B|C|D|2024||ACK|1|P|2.5\rMSA|AA|77||||||||||||||x\r")])
    assert "# TODO MSA has no field 16" in text.replace("'", "") or "# TODO" in text
    assert run_tests(plan)


@pytest.mark.parametrize(
    ("value", "form"),
    [("1980", "YYYY"), ("198002", "YYYYMM"), ("2024010203", "YYYYMMDDHH"), ("20240102031500.12+0100",
     "YYYYMMDDHHMMSS.S+ZZZZ"), ("29.02.1980", "99.99.9999"), ("soon", "xxxx"), ("0", "9")],
)  # fmt: skip
def test_the_form_of_a_date_says_nothing_of_the_day(value: str, form: str) -> None:
    assert date_form(value) == form


def test_the_command_writes_a_file_that_the_check_takes_and_leaves_one_that_is_there(tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    assert bridge("generate", "all", "--count", 27, "--to", feed).status == 0
    folder = tmp_path / "site" / "mappings"
    (tmp_path / "site" / "channels").mkdir(parents=True)
    ended = bridge("map", "new", "first", "--from", feed, "--to", folder)
    assert (ended.status, "marked TODO" in ended.said) == (0, True), ended.said
    checked = check(tmp_path / "site", STANDARD)
    assert [str(each) for each in checked.problems if each.severity == "error"] == []
    again = bridge("map", "new", "first", "--from", feed, "--to", folder)
    assert (again.status, "there already" in again.said) == (2, True)


def test_the_command_says_what_to_do_next_with_all_files_and_blames_no_option_that_was_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bridge("generate", "ADT", "--count", 2, "--to", "feed").status == 0
    one, two = sorted(Path("feed").iterdir())
    assert (
        f"coverage mappings/first.yaml {one} {two}" in bridge("map", "new", "first", "--from", one, two).err
    )
    Path("taken").write_text("no folder")
    (tmp_path / "mappings" / "first.yaml").unlink()
    (tmp_path / "mappings").rmdir()
    (tmp_path / "mappings").symlink_to("taken")
    ended = bridge("map", "new", "first", "--from", one)
    assert (ended.status, "--to names another folder" in ended.err, "for --to" in ended.err) == (
        2,
        True,
        False,
    )


WRONG = {
    "no name": (("Labs!", "--from", "x"), "small letters"),
    "no files": (("labs",), "name files"),
    "no messages": (("labs", "--from", __file__), "no HL7 v2 message"),
    "an owner that YAML would cut apart": (("labs", "--from", "x", "--owner", "a: b"), "as in clinical"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_told(name: str, tmp_path: Path) -> None:
    arguments, word = WRONG[name]
    ended = bridge("map", "new", *arguments, "--to", tmp_path)
    assert (ended.status, word in ended.said) == (2, True), ended.said
    assert list(tmp_path.iterdir()) == []
