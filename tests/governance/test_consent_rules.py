"""What patients' consents mean for a disclosure: a table of cases, and how consents are read."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.canonical.base import Tag
from bridge.governance.consent import NO_PATIENT, asked_of, patients_of
from bridge.governance.consent_fhir import ConsentUnreadable, consent_of, consents_in, instant, row_consent
from bridge.governance.consent_rules import Consent, Question, decide
from bridge.message import Record

NOW = "2026-06-15T12:00:00Z"
NOW_US = instant(NOW, "now")[0]
US = "Organization/payer-north"


def provision(kind: str | None = None, **more: Any) -> dict[str, Any]:
    """A provision in few words: ``to``, ``why``, ``label``, ``of``, ``start``, ``end``, ``but``."""
    made: dict[str, Any] = {} if kind is None else {"type": kind}
    if "to" in more:
        made["actor"] = [{"role": {"coding": [{"code": "PRCP"}]}, "reference": {"reference": more["to"]}}]
    if "why" in more:
        made["purpose"] = [{"system": "v3", "code": code} for code in more["why"].split()]
    if "label" in more:
        made["securityLabel"] = [{"code": code} for code in more["label"].split()]
    if "of" in more:
        made["class"] = [{"code": code} for code in more["of"].split()]
    period = {name: more[name] for name in ("start", "end") if name in more}
    if period:
        made["period"] = period
    if "act" in more:
        made["action"] = [{"coding": [{"code": more["act"]}]}]
    if "data" in more:
        made["data"] = [{"meaning": "instance", "reference": {"reference": more["data"]}}]
    if "but" in more:
        made["provision"] = more["but"]
    return made


def given(rule: Any, status: str = "active", **more: Any) -> dict[str, Any]:
    """A Consent of the patient NORTH:1."""
    made: dict[str, Any] = {"resourceType": "Consent", "status": status}
    made["patient"] = {"identifier": {"system": "NORTH", "value": "1"}}
    return {**made, **({} if rule is None else {"provision": rule}), **more}


YES, NO = provision("permit"), provision("deny")
OPT_IN: Any = {"policyRule": {"coding": [{"code": "OPTIN"}]}}
OPT_OUT: Any = {"policyRule": {"coding": [{"code": "OPTOUT"}]}}

CASES: list[tuple[str, list[dict[str, Any]], dict[str, Any], str]] = [
    # nothing that holds
    ("nothing is known", [], {}, "unknown"),
    ("withdrawn", [given(YES, "inactive")], {}, "unknown"),
    ("only proposed", [given(YES, "proposed")], {}, "unknown"),
    ("entered in error", [given(NO, "entered-in-error")], {}, "unknown"),
    ("rejected", [given(YES, "rejected")], {}, "unknown"),
    # as a whole
    ("permitted", [given(YES)], {}, "permit"),
    ("denied", [given(NO)], {}, "deny"),
    ("opted in", [given(None, **OPT_IN)], {}, "permit"),
    ("opted out", [given(None, **OPT_OUT)], {}, "deny"),
    ("R5 permits", [given(None, decision="permit")], {}, "permit"),
    ("R5 denies", [given(None, decision="deny")], {}, "deny"),
    ("a provision says more than the policy", [given(YES, **OPT_OUT)], {}, "permit"),
    # to whom
    ("to us", [given(provision("permit", to=US))], {}, "permit"),
    ("to us by our name alone", [given(provision("permit", to="Organization/x/payer-north"))], {}, "permit"),
    ("to another", [given(provision("permit", to="Organization/other"))], {}, "unknown"),
    ("not to another", [given(provision("deny", to="Organization/other"))], {}, "unknown"),
    ("not to us", [given(provision("deny", to=US))], {}, "deny"),
    # what for
    ("for our purpose", [given(provision("permit", why="HPAYMT"))], {}, "permit"),
    ("for another purpose", [given(provision("permit", why="HRESCH"))], {}, "unknown"),
    ("for one of several", [given(provision("permit", why="TREAT HPAYMT"))], {}, "permit"),
    ("for a wider purpose", [given(provision("permit", why="TREAT"))], {"purpose": "ETREAT"}, "permit"),
    ("for a narrower purpose", [given(provision("permit", why="ETREAT"))], {"purpose": "TREAT"}, "unknown"),
    ("not for a wider purpose", [given(provision("deny", why="HRESCH"))], {"purpose": "CLINTRCH"}, "deny"),
    # of which label
    ("of that label", [given(provision("deny", label="PSY"))], {"labels": "R PSY"}, "deny"),
    ("of another label", [given(provision("deny", label="HIV"))], {"labels": "R PSY"}, "unknown"),
    ("normal alone", [given(provision("permit", label="N"))], {"labels": "R"}, "unknown"),
    ("normal alone, and it is", [given(provision("permit", label="N"))], {}, "permit"),
    # of what
    ("of encounters", [given(provision("permit", of="Encounter"))], {}, "permit"),
    ("of results alone", [given(provision("permit", of="Observation"))], {}, "unknown"),
    ("of encounters, not", [given(provision("deny", of="Encounter Claim"))], {}, "deny"),
    # when
    ("not yet", [given(provision("permit", start="2026-06-16"))], {}, "unknown"),
    ("from today", [given(provision("permit", start="2026-06-15"))], {}, "permit"),
    ("until today", [given(provision("permit", end="2026-06-15"))], {}, "permit"),
    ("until yesterday", [given(provision("permit", end="2026-06-14"))], {}, "unknown"),
    ("until this month", [given(provision("deny", end="2026-06"))], {}, "deny"),
    ("over a second ago", [given(provision("deny", end="2026-06-15T13:59:59+02:00"))], {}, "unknown"),
    ("R5 period is over", [given(None, decision="permit", period={"end": "2025"})], {}, "unknown"),
    # exceptions
    ("all but us", [given(provision("permit", but=[provision("deny", to=US)]))], {}, "deny"),
    ("none but us", [given(provision("deny", but=[provision("permit", to=US)]))], {}, "permit"),
    ("none but us, for another purpose",
     [given(provision("deny", but=[provision("permit", to=US, why="TREAT")]))], {}, "deny"),
    ("an exception to an exception",
     [given(provision("permit", but=[provision("deny", label="R", but=[provision("permit", to=US)])]))],
     {"labels": "R"}, "permit"),
    ("two exceptions that disagree",
     [given(provision("permit", but=[provision("permit", to=US), provision("deny", why="HPAYMT")]))],
     {}, "deny"),
    ("an exception inside what does not hold",
     [given(provision("permit", end="2025", but=[provision("permit", to=US)]))], {}, "unknown"),
    ("R5 exceptions", [given([provision("deny", to=US)], decision="permit")], {}, "deny"),
    # several
    ("a yes and a no", [given(YES), given(NO)], {}, "deny"),
    ("a yes and another's no", [given(YES), given(provision("deny", to="Organization/other"))], {}, "permit"),
    # what cannot be known here
    ("certain data alone", [given(provision("permit", data="Observation/7"))], {}, "unknown"),
    ("not certain data", [given(provision("deny", data="Observation/7"))], {}, "deny"),
    ("collected, and no more", [given(provision("permit", act="collect"))], {}, "unknown"),
    ("disclosed", [given(provision("permit", act="disclose"))], {}, "permit"),
]  # fmt: skip


NAMES = [case[0] for case in CASES]


def question(purpose: str = "HPAYMT", labels: str = "N", record: str = "encounter") -> Question:
    return Question(
        (("NORTH:1",),), record, frozenset(labels.split()), purpose, frozenset({US, "payer-north"})
    )


@pytest.mark.parametrize(
    ("consents", "asked", "word"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_what_a_patient_has_decided_decides(
    consents: list[dict[str, Any]], asked: dict[str, Any], word: str
) -> None:
    read = [consent_of(each) for each in consents]
    assert all("NORTH:1" in each.patients for each in read)
    assert decide(question(**asked), [read], NOW_US).word == word


def test_there_are_at_least_48_cases_and_each_word_stands_in_ten() -> None:
    words = [case[-1] for case in CASES]
    assert len(CASES) >= 48
    assert all(words.count(word) >= 10 for word in ("permit", "deny", "unknown"))


def test_of_two_patients_both_must_agree() -> None:
    yes, no = (Consent(name, frozenset(), active=True, rule=consent_of(given(rule)).rule)
               for name, rule in (("yes", YES), ("no", NO)))  # fmt: skip
    for known, word in (([[yes], [yes]], "permit"), ([[yes], []], "unknown"), ([[yes], [no]], "deny"),
                        ([[], [no]], "deny"), ([], "unknown")):  # fmt: skip
        assert decide(question(), known, NOW_US).word == word


BROKEN: list[tuple[Any, str]] = [
    ([], "Consent"),
    ({"resourceType": "Patient"}, "resourceType"),
    ({**given(YES), "status": None}, "status"),
    ({**given(YES), "patient": {}}, "patient"),
    (given(None), "provision"),
    (given(provision("allow")), "provision.type"),
    (given(provision("permit", start="next week")), "period.start"),
    (given(provision("permit", end="2026-02-30")), "period.end"),
    (given(provision("permit", end="2026-06-15T10:00:00")), "period.end"),
    (given({"type": "permit", "purpose": [{"display": "any"}]}), "purpose"),
    (given({"type": "permit", "actor": [{}]}), "provision.actor"),
    (given(None, decision="maybe"), "decision"),
]


@pytest.mark.parametrize(("resource", "where"), BROKEN)
def test_what_is_no_consent_is_refused_with_its_place_and_no_value(resource: Any, where: str) -> None:
    with pytest.raises(ConsentUnreadable) as refused:
        consent_of(resource)
    assert str(refused.value).startswith(where)
    assert "next week" not in str(refused.value)


def test_provisions_are_nested_only_so_deep() -> None:
    deep = YES
    for _ in range(50):
        deep = provision("permit", but=[deep])
    with pytest.raises(ConsentUnreadable, match="nested"):
        consent_of(given(deep))


def test_bundles_and_lists_hold_consents() -> None:
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"resource": given(YES)}, {"resource": {"resourceType": "X"}}],
    }
    assert len(list(consents_in([bundle, given(NO)]))) == 2


def test_a_row_is_a_consent() -> None:
    row = {"patient": "NORTH:1; S:9", "decision": "deny", "purpose": "HPAYMT", "until": "2026-12", "id": "c1"}
    read = row_consent(row, "file:2")
    assert (read.name, sorted(read.patients)) == ("c1", ["NORTH:1", "S:9"])
    assert decide(question(), [[read]], NOW_US).word == "deny"
    with pytest.raises(ConsentUnreadable, match="decision"):
        row_consent({"patient": "NORTH:1", "decision": "yes"}, "file:2")


def test_whose_a_record_is_follows_from_its_fields() -> None:
    merged = Record("patient", "NORTH:1", "merge",
                    {"replaces": "NORTH:2", "identifiers": [{"system": "SSA", "value": "9"}]})  # fmt: skip
    assert patients_of(merged) == [["NORTH:1", "SSA:9"], ["NORTH:2"]]
    assert patients_of(Record("supplier", "S1", "upsert", {})) == []
    assert asked_of(Record("supplier", "S1", "upsert", {}), {}) == "{}"
    assert asked_of(Record("encounter", "V1", "upsert", {}), {}) == NO_PATIENT
    psychiatric = Record("patient", "NORTH:1", "upsert", {"confidentiality": "PSY"})
    assert '"labels":["PSY","R"]' in str(asked_of(psychiatric, {}))
    raised = {("encounter", "reason"): Tag.SEC}
    assert '"labels":["N","R"]' in str(
        asked_of(Record("encounter", "V1", "upsert", {"patient": "P"}), raised)
    )
