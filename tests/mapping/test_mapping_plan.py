"""What a plan makes of messages: policies, references, failures, lineage."""

from __future__ import annotations

import pytest
from mapping_texts import HEAD, MESSAGE, issues_of, message_with, patient_plan, plan_of

from bridge.formats.hl7v2 import Hl7Message

TABLE = "tables: {sex: {F: female, M: male}}\n"

TWO = (
    HEAD
    + """\
emit:
  - record: patient
    key: join(':', PID-3(5=MR).4.1, PID-3(5=MR).1)
    POLICY
    set:
      identifiers: {list: [{value: PID-3(5=MR).1}]}
  - record: encounter
    key: [PV1-19.1, PV1-50.1]
    operation: cancel
    set:
      patient: {ref: patient}
      ward: PV1-3.1
"""
)


def test_records_carry_key_operation_and_the_fields_that_were_sent() -> None:
    mapped = plan_of(TWO.replace("    POLICY\n", "")).run(message_with())
    patient, encounter = mapped.records
    assert (patient.record, patient.key, patient.operation) == ("patient", "NORTH:100234", "upsert")
    assert patient.fields == {"identifiers": [{"value": "100234"}]}
    assert (encounter.record, encounter.key, encounter.operation) == ("encounter", "V-77", "cancel")
    assert encounter.fields == {"patient": "NORTH:100234", "ward": "3W"}
    assert (mapped.issues, mapped.failed) == ((), False)


@pytest.mark.parametrize(
    ("policy", "issues", "failed"),
    [
        ("on_reject: skip", ["R010 key", "R900 patient", "R001 "], True),
        ("on_reject: fail_message", ["R010 key", "R900 patient", "R001 "], True),
        ("when: PID-8 = 'M'", ["R900 patient", "R001 "], True),
    ],
)
def test_a_record_without_its_key_or_reference_is_not_made(
    policy: str, issues: list[str], *, failed: bool
) -> None:
    mapped = plan_of(TWO.replace("POLICY", policy)).run(message_with(PID_3="100234^^^^MR"))
    assert (mapped.records, issues_of(mapped), mapped.failed) == ((), issues, failed)


@pytest.mark.parametrize(("policy", "failed"), [("skip", False), ("fail_message", True)])
def test_a_rejected_record_takes_the_message_with_it_only_where_the_file_says_so(
    policy: str, *, failed: bool
) -> None:
    text = TWO.replace("    POLICY\n", "").replace("operation: cancel", f"on_reject: {policy}")
    mapped = plan_of(text).run(message_with(PV1_19=""))
    assert (mapped.failed, len(mapped.records), issues_of(mapped)) == (
        failed,
        0 if failed else 1,
        ["R010 key"],
    )


@pytest.mark.parametrize(
    ("fields", "code", "failed"),
    [
        ({"MSH_9": "ADT^A02"}, "R002 ", True),
        ({"MSH_12": "2.2"}, "R003 ", True),
        ({"MSH_12": ""}, "R003 ", False),
    ],
)
def test_what_the_mapping_does_not_declare_is_refused(
    fields: dict[str, str], code: str, *, failed: bool
) -> None:
    plan = patient_plan("", head=HEAD.replace("accept:", 'versions: ["2.5.1"], accept:'))
    mapped = plan.run(message_with(**fields))
    assert (issues_of(mapped), mapped.failed, bool(mapped.records)) == ([code], failed, not failed)


def test_a_message_that_cannot_be_read_fails() -> None:
    mapped = patient_plan("").run(Hl7Message.read(b"\x00\x01"))
    assert (issues_of(mapped), mapped.failed) == (["R004 "], True)


@pytest.mark.parametrize(
    ("more", "is_part"),
    [
        ("DSC|CONT-17|F", True),
        ("DSC|CONT-17", True),
        ("DSC|CONT-17|I", False),
        ("DSC|", False),
        ("ADD| the rest", True),
        ("NTE|1||DSC and ADD in a text", False),
    ],
)
def test_a_part_of_a_message_is_not_mapped_as_if_it_were_whole(more: str, *, is_part: bool) -> None:
    body = message_with().raw + b"\r" + more.encode()
    mapped = patient_plan("").run(Hl7Message.read(body))
    assert (mapped.failed, "R008 " in issues_of(mapped)) == (is_part, is_part)


@pytest.mark.parametrize(("policy", "failed"), [("fail", True), ("allow", False)])
def test_an_accepted_message_without_a_record_is_no_silence(policy: str, *, failed: bool) -> None:
    text = HEAD + f"on_no_record: {policy}\n" + TWO.removeprefix(HEAD).replace("POLICY", "when: PID-8 = 'M'")
    text = text.replace("    operation: cancel\n", "    when: PID-8 = 'M'\n")
    mapped = plan_of(text).run(message_with())
    assert (mapped.failed, issues_of(mapped)) == (failed, ["R001 "] if failed else [])


@pytest.mark.parametrize(
    ("more", "failed"), [("PID|2||9^^^N^MR", True), ("MSH|^~\\&|X", True), ("OBX|1|||3W\rOBX|2", False)]
)
def test_a_segment_that_is_read_once_and_comes_twice_is_never_passed_over(more: str, *, failed: bool) -> None:
    plan = patient_plan("      family: [PID-5.1, OBX-4]\n")
    mapped = plan.run(Hl7Message.read(f"{MESSAGE}\r{more}".encode()))
    assert ([issue.code for issue in mapped.issues], mapped.failed) == (["R005"], failed)


@pytest.mark.parametrize(
    ("policy", "expected", "issues"),
    [
        ("", "no record", ["R030 sex", "R001 "]),
        (", unmapped: reject", "no record", ["R030 sex", "R001 "]),
        (", unmapped: null", "absent", ["R030 sex"]),
        (", default: unknown", "unknown", ["R030 sex"]),
        (", default: unknown, unmapped: null", "unknown", ["R030 sex"]),
    ],
)
def test_a_code_that_is_not_in_the_table_meets_the_policy_of_its_rule(
    policy: str, expected: str, issues: list[str]
) -> None:
    plan = patient_plan(f"      sex: {{from: PID-8, translate: sex{policy}}}\n", more=TABLE)
    mapped = plan.run(message_with(PID_8="X"))
    found = mapped.records[0].fields.get("sex", "absent") if mapped.records else "no record"
    assert (found, issues_of(mapped)) == (expected, issues)


@pytest.mark.parametrize(
    ("sent", "expected"), [("F", "female"), ("", "unknown"), ('""', None)], ids=["sent", "absent", "deleted"]
)
def test_a_default_stands_for_what_is_absent_and_not_for_what_is_deleted(
    sent: str, expected: str | None
) -> None:
    plan = patient_plan("      sex: {from: PID-8, translate: sex, default: unknown}\n", more=TABLE)
    mapped = plan.run(message_with(PID_8=sent))
    assert (mapped.records[0].fields["sex"], mapped.issues) == (expected, ())


def test_a_mapping_that_keeps_raw_values_keeps_them_and_says_so() -> None:
    plan = patient_plan("      family: {from: PID-5.1 | decimal | text, on_error: keep_raw}\n")
    mapped = plan.run(message_with())
    assert issues_of(mapped) == ["R020 family"]
    assert "family" not in mapped.records[0].fields, "what could not even be computed has no raw text"


def test_a_table_gives_what_its_field_takes() -> None:
    plan = patient_plan(
        "      deceased: {from: PID-30, translate: dead}\n", more="tables: {dead: {D: true, A: false}}\n"
    )
    assert plan.run(message_with(PID_30="A")).records[0].fields["deceased"] is False


@pytest.mark.parametrize(
    ("sent", "expected"), [("Y", True), ("N", False), ("", "absent"), ("maybe", "absent")]
)
def test_yes_and_no_become_true_and_false(sent: str, *, expected: object) -> None:
    plan = patient_plan("      deceased: {from: PID-30, on_error: null}\n")
    assert plan.run(message_with(PID_30=sent)).records[0].fields.get("deceased", "absent") == expected


def test_lists_take_repetitions_and_drop_what_is_empty() -> None:
    plan = patient_plan("      race: PID-10(*).1\n")
    assert plan.run(message_with(PID_10="A^x~~B")).records[0].fields["race"] == ["A", "B"]
    written = patient_plan("      race: {list: [PID-10.1, PID-22.1]}\n")
    assert written.run(message_with(PID_10="A")).records[0].fields["race"] == ["A"]


def test_lineage_names_the_rule_and_the_paths_that_gave_the_value() -> None:
    rules = """\
      family: [PID-9.1, PID-5.1]
      sex: {const: unknown}
      given: join(' ', first_name, 'x')
"""
    plan = patient_plan(rules, more="let:\n  first_name: PID-5.2 | trim\n")
    mapped = plan.run(message_with(), lineage=True)
    found = {each.field: (each.rule, each.sources) for each in mapped.lineage}
    assert found == {
        "key": ("m.yaml:10:10", ("PID-3(5=MR).4.1", "PID-3(5=MR).1")),
        "identifiers": ("m.yaml:12:7", ("PID-3(5=MR).1",)),
        "family": ("m.yaml:13:7", ("PID-5.1",)),
        "sex": ("m.yaml:14:7", ()),
        "given": ("m.yaml:15:7", ("PID-5.2",)),
    }
    assert mapped.records == plan.run(message_with()).records
    assert plan.run(message_with()).lineage == ()


def test_a_reference_has_the_lineage_of_the_key_it_names() -> None:
    mapped = plan_of(TWO.replace("    POLICY\n", "")).run(message_with(), lineage=True)
    (reference,) = [each for each in mapped.lineage if each.field == "patient"]
    assert reference.sources == ("PID-3(5=MR).4.1", "PID-3(5=MR).1")


def test_half_a_key_is_no_key_even_behind_a_name() -> None:
    text = TWO.replace("    POLICY\n", "").replace("[PV1-19.1, PV1-50.1]", "stay")
    text = text.replace("emit:", "let: {stay: \"join(':', PV1-3.4.1, PV1-19.1)\"}\nemit:")
    assert issues_of(plan_of(text).run(message_with())) == ["R010 key"]


def test_issues_name_the_rule_and_the_path_and_never_the_value() -> None:
    plan = patient_plan("      birth_date: {from: PID-7, on_error: null}\n")
    (issue,) = plan.run(message_with(PID_7="CANARY")).issues
    assert (issue.record, issue.field, issue.source) == ("patient", "birth_date", "PID-7")
    assert "m.yaml:11:7" in issue.text
    assert "CANARY" not in repr(issue)


def test_a_record_that_does_not_fit_the_model_is_an_issue_without_its_values() -> None:
    text = TWO.replace("    POLICY\n", "").replace("[PV1-19.1, PV1-50.1]", "PV1-19.1")
    mapped = plan_of(text).run(message_with(PV1_19="V" * 2000))
    assert [issue.code for issue in mapped.issues] == ["R090"]
    assert "VVV" not in repr(mapped.issues)


def test_a_plan_says_what_it_can_set_and_how_it_is_classified() -> None:
    plan = patient_plan("      family: {from: PID-5.1, tag: SEC}\n")
    assert plan.records == {"patient": frozenset({"key", "identifiers", "family"})}
    assert plan.tags["patient", "family"].name == "SEC"
    assert (plan.name, plan.version, plan.accept, plan.digest) == (
        "trial",
        "1.0.0",
        frozenset({"ADT^A01"}),
        "sha256:0",
    )
