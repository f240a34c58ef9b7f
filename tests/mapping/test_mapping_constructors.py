"""A constructor makes a whole part of a record, as the rules that it stands for would."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from mapping_texts import HEAD, plan_of, problems_of

from bridge.canonical.values import Address, Code, Contact, Identifier, Name, Person
from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping.accounting import account_by
from bridge.mapping.constructors import CONSTRUCTORS
from bridge.message import Mapped

PLACES = {
    Identifier: ("patient", "identifiers: {call}(PID-3(*))", "PID||||", 3),
    Name: ("patient", "names: {call}(PID-3(*))", "PID||||", 3),
    Address: ("patient", "addresses: {call}(PID-3(*))", "PID||||", 3),
    Contact: ("patient", "contacts: {call}(PID-3(*))", "PID||||", 3),
    Code: ("result", "value_code: {call}(OBX-5)", "OBX|||||", 5),
    Person: ("encounter", "participants: {call}(PV1-7(*))", "PV1|||||||", 7),
}
RESULT = (
    HEAD
    + """\
emit:
  - record: result
    for_each: OBX
    key: join(':', PID-3.1, OBX-3.1)
    set:
      patient: PID-3.1
      order: {const: O}
      code: OBX-3.1
      status: {const: final}
      value: observation_value(OBX-2, OBX-5, OBX-6)
"""
)


def run(text: str, *lines: str) -> Mapped:
    message = "\r".join((r"MSH|^~\&|L|N|||20240102||ADT^A01|1|P|2.5.1", "PID|1||7", *lines))
    mapped = plan_of(text).run(Hl7Message.read(message.encode()))
    assert not mapped.failed, mapped.issues
    return mapped


def patient(rule: str) -> str:
    rules = rule if rule.startswith("identifiers") else f"identifiers: identifier(PID-3)\n      {rule}"
    return HEAD + f"emit:\n  - record: patient\n    key: PID-3.1\n    set:\n      {rules}\n"


EXAMPLES = {
    "identifier": ("identifiers: identifier(PID-3(*))", "PID|1||{}"),
    "name": ("names: name(PID-5(*))", "PID|1||7||{}"),
    "address": ("addresses: address(PID-11(*))", "PID|1||7||||||||{}"),
    "contact": ("contacts: contact(PID-13(*))", "PID|1||7||||||||||{}"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_makes_what_its_example_says(name: str) -> None:
    rule, segment = EXAMPLES[name]
    field, made = CONSTRUCTORS[name].example
    text = r"MSH|^~\&|L|N|||20240102||ADT^A01|1|P|2.5.1" + "\r" + segment.format(field)
    mapped = plan_of(patient(rule)).run(Hl7Message.read(text.encode()))
    (record,) = mapped.records
    assert list(record.fields[rule.partition(":")[0]]) == [made]


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("(512)555-0100X1234", "5125550100"),
        ("Tel. 512-555-0100 ext. 12", "5125550100"),
        ("+44 20 7946 0958", "442079460958"),
        ("^PRN^PH^^1^512^5550100^77", "15125550100"),
    ],
)
def test_a_telephone_number_is_without_its_extension(sent: str, value: str) -> None:
    text = patient("contacts: contact(PID-13(*))")
    body = r"MSH|^~\&|L|N|||20240102||ADT^A01|1|P|2.5.1" + f"\rPID|1||7||||||||||{sent}"
    (record,) = plan_of(text).run(Hl7Message.read(body.encode())).records
    assert record.fields["contacts"][0]["value"] == value


PARTS = {
    "code": ("value_code: code(OBX-5)", "OBX|1|CWE|A||{}"),
    "attachment": ("value_attachment: attachment(OBX-5)", "OBX|1|ED|A||{}"),
}


@pytest.mark.parametrize("name", PARTS)
def test_each_part_is_what_its_example_says(name: str) -> None:
    rule, segment = PARTS[name]
    field, made = CONSTRUCTORS[name].example
    text = RESULT.replace("value: observation_value(OBX-2, OBX-5, OBX-6)", rule)
    (record,) = run(text, segment.format(field)).records
    assert record.fields[rule.partition(":")[0]] == made


def test_a_person_is_known_by_npi_or_by_another_number_and_has_a_role() -> None:
    text = (
        HEAD
        + """\
emit:
  - record: encounter
    key: PID-3.1
    set:
      patient: PID-3.1
      participants: ["person(PV1-7(*), 'attending')", person(PV1-8)]
"""
    )
    field, made = CONSTRUCTORS["person"].example
    (record,) = run(text, f"PV1|||||||{field}~77^ITO^KEN^^^^^^NORTH|9^DOE").records
    assert record.fields["participants"] == [
        {**made, "role": "attending"},
        {"id": "77", "id_system": "NORTH", "family": "ITO", "given": "KEN", "role": "attending"},
        {"id": "9", "family": "DOE"},
    ]


def test_the_examples_are_those_of_all_constructors() -> None:
    shown = {*EXAMPLES, *PARTS, "person", "observation_value"}
    assert shown == set(CONSTRUCTORS)


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        ("NM", "1.50|mg/dL", {"value_number": "1.50", "unit": "mg/dL", "ucum": "mg/dL"}),
        ("SI", "3", {"value_number": "3"}),
        ("NM", ">50.0", {"value_number": "50.0", "comparator": ">"}),
        ("NM", "=7", {"value_number": "7"}),
        ("NM", "1,234", {"value_text": "1,234"}),
        ("NM", "1~2", {"value_text": "1\n2"}),
        ("SN", "^2^+", {"value_text": "2+"}),
        ("SN", "?^2", {"value_text": "?2"}),
        ("SN", "^1^-^many", {"value_text": "1-many"}),
        ("SN", "^1^:", {"value_text": "1:"}),
        ("SN", "^1^^2", {"value_text": "1 2"}),
        ("SN", "^^-^5", {"value_range": {"high": "5"}}),
        ("NR", "low^5", {"value_text": "low-5"}),
        ("CQ", "some^ml", {"value_text": "some ml", "unit": "ml"}),
        ("CE", "A^One^L~B^Two^L", {"value_text": "A One L\nB Two L"}),
        ("XCN", "1^ITO~2^BIRCH", {"value_text": "1 ITO\n2 BIRCH"}),
        ("SN", ">^1~>^2", {"value_text": "> 1\n> 2"}),
        ("DT", "20240102~20240103", {"value_text": "20240102\n20240103"}),
        ("NM", '""', {"value_number": None, "absent_reason": "not-sent"}),
        ("CWE", "^Yellow", {"value_text": "Yellow"}),
        ("TS", "2024013", {"value_text": "2024013"}),
        ("TX", "Growth 10^5 CFU", {"value_text": "Growth 10^5 CFU"}),
        ("ST", "A & B", {"value_text": "A & B"}),
        ("TX", "^", {"absent_reason": "not-sent"}),
        ("SN", ">^500", {"value_number": "500", "comparator": ">"}),
        ("SN", "=^7", {"value_number": "7"}),
        ("SN", "^1^:^64", {"value_ratio": {"numerator": "1", "denominator": "64"}}),
        ("SN", "^1^-^5", {"value_range": {"low": "1", "high": "5"}}),
        ("NR", "1^5", {"value_range": {"low": "1", "high": "5"}}),
        ("CQ", "7^ml&millilitre", {"value_number": "7", "unit": "ml"}),
        ("MO", "7.50^EUR", {"value_number": "7.50", "unit": "EUR"}),
        ("CE", "1^One^LN", {"value_code": {"code": "1", "display": "One", "system": "LN"}}),
        ("CWE", "^^^L1^Local^99", {"value_code": {"code": "L1", "display": "Local", "system": "99"}}),
        ("IS", "Y", {"value_code": {"code": "Y"}}),
        ("ID", "Y", {"value_code": {"code": "Y"}}),
        ("TX", "one~two", {"value_text": "one\ntwo"}),
        ("", "free", {"value_text": "free"}),
        ("XPN", "DOE^JON", {"value_text": "DOE JON"}),
        ("TS", "2024", {"value_datetime": "2024"}),
        ("DTM", "202401020300", {"value_datetime": "2024-01-02T03:00:00-06:00"}),
        (
            "RP",
            "\\\\E\\\\E\\srv/x.pdf^APP^Application^PDF",
            {
                "value_attachment": {
                    "digest": hashlib.sha256(b"\\E\\srv/x.pdf").hexdigest(),
                    "media_type": "application/pdf",
                    "url": "\\E\\srv/x.pdf",
                }
            },
        ),
        ("QQ", "?", {"absent_reason": "unsupported"}),
        ("NM", "", {"absent_reason": "not-sent"}),
    ],
)
def test_an_observation_has_the_one_value_that_its_type_asks_for(
    kind: str, value: str, made: dict[str, Any]
) -> None:
    if kind == "RP":
        value = "\\E\\E\\E\\srv/x.pdf^APP^Application^PDF"
    (record,) = run(RESULT, f"OBX|1|{kind}|A||{value}").records
    given = {name: each for name, each in record.fields.items() if name not in _FIXED}
    assert given == made


_FIXED = ("patient", "order", "code", "status")


def test_a_document_larger_than_any_text_may_be_is_kept_by_its_digest() -> None:
    content = bytes(range(256)) * 12_000
    data = base64.b64encode(content).decode()
    (record,) = run(RESULT, f"OBX|1|ED|A||APP^Application^PDF^Base64^{data}").records
    assert record.fields["value_attachment"] == {
        "digest": hashlib.sha256(content).hexdigest(),
        "media_type": "application/pdf",
        "size_bytes": str(len(content)),
    }


@pytest.mark.parametrize("data", ["aGVsbG8", "aGVs!G8=", "===="])
def test_a_document_that_cannot_be_decoded_is_said_and_never_guessed(data: str) -> None:
    text = RESULT.replace("status: {const: final}", "status: {const: cancelled}")
    mapped = run(text, f"OBX|1|ED|A||^Application^PDF^Base64^{data}")
    assert {issue.code for issue in mapped.issues} >= {"R020"}
    assert "value_attachment" not in mapped.records[0].fields


def test_what_a_set_says_by_itself_goes_before() -> None:
    text = RESULT + "      unit: {const: own}\n"
    (record,) = run(text, "OBX|1|NM|A||1|mg/dL").records
    assert (record.fields["unit"], record.fields["value_number"]) == ("own", "1")


def test_every_value_that_a_constructor_reads_is_accounted_for() -> None:
    plan = plan_of(patient("names: name(PID-5(*))").replace("ADT^A01", "ADT^A01"))
    text = r"MSH|^~\&|L|N|||20240102||ADT^A01|1|P|2.5.1" + "\rPID|1||7||DOE^JON^X^^^^L~ROE"
    found = account_by(Hl7Message.read(text.encode()), plan)
    used = {value.leaf.place for value in found.values if value.status == "used"}
    assert {"PID-5(1).1", "PID-5(1).2", "PID-5(1).7", "PID-5(2)"} <= used
    (mapped,) = found.mapped
    (names,) = [line for line in mapped.lineage if line.field == "names"]
    assert {leaf.place for leaf in names.leaves} >= {"PID-5(1).1", "PID-5(2)"}


@pytest.mark.parametrize(
    ("rule", "code", "text"),
    [
        ("names: name(PID-5.1)", "E228", "must be a whole field"),
        ("names: name('x')", "E228", "must be a whole field"),
        ("names: name(PID-99)", "E106", "PID has no field 99"),
        ("names: name(PID-5, PID-6)", "E111", "takes field"),
        ("names: address(PID-11)", "E244", "as in name(...)"),
        ("names: namen(PID-5)", "E110", "did you mean 'name'?"),
        ("family: upper(name(PID-5))", "E110", "stands alone"),
        ("family: name(PID-5)", "E110", "stands alone"),
    ],
)
def test_a_wrong_call_is_said_where_it_stands(rule: str, code: str, text: str) -> None:
    shown = [str(each) for each in problems_of(patient(rule))]
    assert [each for each in shown if f": {code}: " in each and text in each], shown
    assert all(each.startswith("m.yaml:11:") for each in shown), shown
