"""What an issue names: the entry whose sums do not fit, the places that gave nothing, what is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from mapping_texts import patient_plan, plan_of

from bridge.mapping.messages import read_message
from bridge.mapping.plan import Plan
from bridge.message import Issue

FOLDER = Path(__file__).parents[2] / "mappings"
REMITTANCE = plan_of((FOLDER / "examples/remittance-835.yaml").read_text("utf-8"))
CLAIMS = plan_of((FOLDER / "feeds/claims-837.yaml").read_text("utf-8"))
STATUS = plan_of((FOLDER / "feeds/claim-status-277.yaml").read_text("utf-8"))
POSTINGS = plan_of((FOLDER / "feeds/gl-postings.yaml").read_text("utf-8"))
INVOICES = plan_of((FOLDER / "feeds/invoices-edifact.yaml").read_text("utf-8"))


def sent_to(plan: Plan, number: int = 0) -> str:
    """The input of a mapping's own test."""
    return plan.tests[number].input.text


def first_issue(plan: Plan, sent: str) -> Issue:
    return plan.run(read_message(plan.format, sent.encode())).issues[0]


@pytest.mark.parametrize(
    ("old", "new", "field", "source", "why"),
    [
        ("CAS*CO*45*19.5~", "CAS*CO*45*19.4~", "claims(1).lines(1)", "SVC-02, SVC-03, CAS-03, CAS-06",
         "charged less adjustments is not paid"),
        ("CAS*CO*96*75~", "CAS*CO*96*74~", "claims(2)", "CLP-03, CLP-04, CAS-03, CAS-06",
         "charged less adjustments is not paid"),
        ("BPR*I*140.5*", "BPR*I*140.6*", "", "BPR-02, CLP-04, PLB-04, PLB-06",
         "claims less adjustments are not the payment"),
        ("CLP*PCN2*4*75*0*", "CLP*PCN2*4*75*" + "9" * 16 + "*", "claims(2).paid", "CLP-04",
         "string_pattern_mismatch"),
    ],
)  # fmt: skip
def test_a_remittance_that_does_not_balance_names_the_entry_the_sums_and_no_amount(
    old: str, new: str, field: str, source: str, why: str
) -> None:
    sent = sent_to(REMITTANCE)
    assert sent.count(old) == 1
    issue = first_issue(REMITTANCE, sent.replace(old, new))
    assert (issue.code, issue.record, issue.field, issue.source) == ("R090", "remittance", field, source)
    assert issue.text.endswith(f"({field}: {why})" if field else f"({why})")
    assert not {"140.6", "19.4", "PCN2", "DOE"} & {*issue.text.split()}


def test_a_claim_whose_lines_are_not_its_total_names_both() -> None:
    issue = first_issue(CLAIMS, sent_to(CLAIMS, len(CLAIMS.tests) - 1))
    assert (issue.code, issue.field, issue.source) == ("R090", "", "CLM-02, SV1-02, SV2-03, SV3-02")


def test_a_required_value_that_is_missing_names_the_parts_that_are_missing_and_no_others() -> None:
    sent = sent_to(STATUS).replace("NM1*PR*2*FENWICK MUTUAL*****PI*PAY77~", "NM1*PR*2*FENWICK MUTUAL~")
    issue = first_issue(STATUS, sent)
    assert (issue.code, issue.field, issue.source) == ("R010", "key", "NM1(1=PR)-09, NM1(1=AY)-09")
    sent = sent_to(STATUS).replace("TRN*2*ASK-1~", "TRN*2~").replace("REF*EJ*PCN-1~", "")
    issue = first_issue(STATUS, sent)
    assert (issue.code, issue.field, issue.source) == ("R010", "key", "REF(1=EJ)-02, TRN-02")


def test_of_alternatives_that_are_all_missing_each_is_named_in_whichever_program() -> None:
    plan = patient_plan("      family: {from: [PID-5.1, 'PID-9.1 | upper'], required: true}\n")
    sent = sent_to_patient()
    for lineage in (False, True):
        (issue, *_) = plan.run(read_message("hl7v2", sent), lineage=lineage).issues
        assert (issue.code, issue.field, issue.source) == ("R010", "family", "PID-5.1, PID-9.1")


def sent_to_patient() -> bytes:
    return (
        rb"MSH|^~\&|HIS|NORTH|BRIDGE|HUB|20240102031500||ADT^A01|Q1|P|2.5.1" + b"\r"
        b"PID|1||100234^^^NORTH^MR||^MAREN\r"
    )


@pytest.mark.parametrize("version", ["005010X221", "005010X221A1"])
def test_a_guide_and_its_errata_are_taken_alike(version: str) -> None:
    sent = sent_to(REMITTANCE).replace("005010X221A1", version)
    assert not REMITTANCE.run(read_message("x12", sent.encode())).failed


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        (f"005010X{guide}{errata}", kind)
        for guide, kind, known in (
            ("222", "professional", ("", "A1", "A2")),
            ("223", "institutional", ("", "A1", "A2", "A3")),
            ("224", "dental", ("", "A1", "A2", "A3")),
        )
        for errata in known
    ],
)
def test_a_claim_is_of_the_kind_of_its_guide_whatever_the_errata(version: str, kind: str) -> None:
    mapped = CLAIMS.run(read_message("x12", sent_to(CLAIMS).replace("005010X222A1", version).encode()))
    assert ({record.fields["type"] for record in mapped.records}, mapped.issues) == ({kind}, ())


@pytest.mark.parametrize(
    ("plan", "old", "new", "code", "source", "says"),
    [
        (REMITTANCE, "005010X221A1", "004010X091A1", "R003", "ST-03, GS-08",
         "004010X091A1, which the mapping does not declare. It takes 005010X221, 005010X221A1."),
        (CLAIMS, "005010X222A1", "SMITH", "R003", "ST-03, GS-08",
         "implementation is not one that the mapping declares. It takes 005010X222, 005010X222A1,"),
        (CLAIMS, "ST*837*", "ST*270*", "R002", "ST-01", "does not accept this message type. It takes 837."),
        (INVOICES, "INVOIC:D", "DESADV:D", "R002", "UNH-02.1", "It takes INVOIC."),
    ],
)  # fmt: skip
def test_a_type_or_version_that_is_not_taken_is_told_in_the_words_of_its_format(
    plan: Plan, old: str, new: str, code: str, source: str, says: str
) -> None:
    sent = sent_to(plan)
    assert old in sent
    mapped = plan.run(read_message(plan.format, sent.replace(old, new).encode()))
    assert mapped.failed
    assert (mapped.issues[0].code, mapped.issues[0].source) == (code, source)
    assert says in mapped.issues[0].text
    assert "HL7" not in mapped.issues[0].text
    assert "SMITH" not in repr(mapped.issues)
