"""Who must agree to a bundle, and why what somebody said of it does not count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from signed_bundles import HOUR_US, NOW_US, bundle, emergency, people, person, proposed, said

from bridge.approvals.bundle import Bundle
from bridge.approvals.judge import Verdict, judge, needs_of
from bridge.approvals.lifecycle import ARROWS, STATES
from bridge.approvals.people import People, is_key_of
from bridge.approvals.statements import Statement

BASE = bundle(encounter="one", claim="one", inventory="one")
CLINICAL = bundle(BASE, encounter="two", claim="one", inventory="one")
MONEY = bundle(BASE, encounter="one", claim="two", inventory="one")
PEOPLE = people()
FOUR = people(*PEOPLE.persons.values(), person("frank", "finance"))


def verdict(of: Bundle, *statements: Statement, who: People = PEOPLE, now_us: int = NOW_US) -> Verdict:
    return judge(of, BASE, who, statements, now_us)


MAY_RUN: dict[str, Callable[[], Verdict]] = {
    "one of the group": lambda: verdict(CLINICAL, proposed(CLINICAL), said(CLINICAL, "bob")),
    "two where money moves": lambda: verdict(
        MONEY, proposed(MONEY), said(MONEY, "bob"), said(MONEY, "carol")
    ),
    "two of one group": lambda: verdict(
        MONEY, proposed(MONEY), said(MONEY, "frank"), said(MONEY, "carol"), who=FOUR
    ),
    "in an emergency": lambda: verdict(MONEY, proposed(MONEY), emergency(MONEY, "dave", 4)),
    "reviewed after it": lambda: verdict(
        MONEY,
        proposed(MONEY),
        emergency(MONEY, "dave", 4),
        said(MONEY, "bob"),
        said(MONEY, "carol"),
        now_us=NOW_US + 90 * HOUR_US,
    ),
    "what does not count beside what does": lambda: verdict(
        CLINICAL, proposed(CLINICAL), said(CLINICAL, "carol"), said(CLINICAL, "bob")
    ),
}


@pytest.mark.parametrize("case", MAY_RUN)
def test_a_bundle_may_run_with_what_it_needs(case: str) -> None:
    found = MAY_RUN[case]()
    assert found.may_run, found.reasons


def altered() -> Statement:
    return replace(said(CLINICAL, "bob"), reason="another reason")


REFUSED: dict[str, tuple[Callable[[], Verdict], str, str]] = {
    "the author": (
        lambda: verdict(CLINICAL, proposed(CLINICAL), said(CLINICAL, "alice")),
        "author",
        "alice wrote it, and an author cannot approve",
    ),
    "the author, in an emergency": (
        lambda: verdict(
            CLINICAL,
            proposed(CLINICAL, "dave"),
            emergency(CLINICAL, "dave", 1, author="dave"),
        ),
        "author",
        "dave wrote it, and an author cannot approve",
    ),
    "the author under another's name": (
        lambda: verdict(CLINICAL, proposed(CLINICAL), said(CLINICAL, "alice", author="bob")),
        "other-author",
        "alice signed it as written by bob, not alice",
    ),
    "nobody whom the file names": (
        lambda: verdict(CLINICAL, proposed(CLINICAL), said(CLINICAL, "mallory")),
        "unknown-person",
        "mallory is nobody whom the approvers file names",
    ),
    "somebody with bob's name": (
        lambda: verdict(CLINICAL, proposed(CLINICAL), said(CLINICAL, "bob", key="mallory")),
        "replaced-key",
        "bob signed with a key that is not bob's in the approvers file",
    ),
    "bob with a key that was replaced": (
        lambda: verdict(
            CLINICAL,
            proposed(CLINICAL),
            said(CLINICAL, "bob"),
            who=people(
                *(each for each in PEOPLE.persons.values() if each.name != "bob"),
                person("bob", "clinical", key="bob's new"),
            ),
        ),
        "replaced-key",
        "bob signed with a key that is not bob's in the approvers file",
    ),
    "wrong group": (
        lambda: verdict(CLINICAL, proposed(CLINICAL), said(CLINICAL, "carol")),
        "wrong-group",
        "carol is of finance, and this is for clinical",
    ),
    "no group": (
        lambda: verdict(MONEY, proposed(MONEY), said(MONEY, "carol"), said(MONEY, "erin")),
        "wrong-group",
        "erin is of no group, and this is for finance",
    ),
    "one of two": (
        lambda: verdict(MONEY, proposed(MONEY), said(MONEY, "carol")),
        "",
        "1 of 2 persons agreed, as claim needs",
    ),
    "one of two, twice": (
        lambda: verdict(MONEY, proposed(MONEY), said(MONEY, "carol"), said(MONEY, "carol", at_us=NOW_US + 1)),
        "",
        "1 of 2 persons agreed, as claim needs",
    ),
    "two, and none of the group": (
        lambda: verdict(MONEY, proposed(MONEY), said(MONEY, "bob"), said(MONEY, "dave")),
        "",
        "somebody of finance must agree",
    ),
    "an expired emergency": (
        lambda: verdict(MONEY, proposed(MONEY), emergency(MONEY, "dave", 4), now_us=NOW_US + 4 * HOUR_US),
        "expired",
        "the emergency approval of dave has expired, and nobody has reviewed it",
    ),
    "an emergency of more than a day": (
        lambda: verdict(MONEY, proposed(MONEY), emergency(MONEY, "dave", 99), now_us=NOW_US + 24 * HOUR_US),
        "expired",
        "the emergency approval of dave has expired, and nobody has reviewed it",
    ),
    "an emergency that begins tomorrow": (
        lambda: verdict(MONEY, proposed(MONEY), emergency(MONEY, "dave", 2, at_us=NOW_US + 24 * HOUR_US)),
        "expired",
        "the emergency approval of dave has expired, and nobody has reviewed it",
    ),
    "an emergency by somebody who may not": (
        lambda: verdict(MONEY, proposed(MONEY), emergency(MONEY, "bob", 4)),
        "wrong-group",
        "bob may not approve in an emergency: that is for oncall",
    ),
    "an emergency that who allowed it reviews": (
        lambda: verdict(
            bundle(BASE, encounter="one", claim="one", inventory="two"),
            *(
                make(bundle(BASE, encounter="one", claim="one", inventory="two"))
                for make in (proposed, lambda it: emergency(it, "dave", 4), lambda it: said(it, "dave"))
            ),
            now_us=NOW_US + 5 * HOUR_US,
        ),
        "expired",
        "somebody other than dave must review the emergency",
    ),
    "an approval of other files": (
        lambda: verdict(CLINICAL, proposed(CLINICAL), said(MONEY, "bob")),
        "other-bundle",
        f"bob signed another bundle, {MONEY.digest[:12]}",
    ),
    "an approval that was altered": (
        lambda: verdict(CLINICAL, proposed(CLINICAL), altered()),
        "altered",
        "what bob signed was altered afterwards: the signature does not fit",
    ),
    "nobody has proposed it": (
        lambda: verdict(CLINICAL, said(CLINICAL, "bob")),
        "not-proposed",
        "its author has not proposed it, or not with a key that counts",
    ),
    "somebody else has proposed it in alice's name": (
        lambda: verdict(CLINICAL, proposed(CLINICAL, key="mallory"), said(CLINICAL, "bob")),
        "replaced-key",
        "its author has not proposed it, or not with a key that counts",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_refusal_names_its_reason(case: str) -> None:
    make, code, text = REFUSED[case]
    found = make()
    assert not found.may_run
    assert text in found.reasons
    assert not code or code in {each.code for each in found.refused}


def test_who_loses_a_file_and_who_gets_it_must_both_agree() -> None:
    moved = replace(
        bundle(BASE, encounter="one", claim="one", inventory="two"),
        areas={**BASE.areas, "channels/inventory.yaml": ("encounter",)},
    )
    assert needs_of(moved, BASE, PEOPLE).groups == ("clinical", "integration")


def test_a_file_that_is_gone_needs_those_whose_it_was() -> None:
    assert needs_of(bundle(BASE, encounter="one", inventory="one"), BASE, PEOPLE).groups == ("finance",)


def test_without_a_base_everybody_must_agree() -> None:
    needs = needs_of(replace(BASE, base=None), None, PEOPLE)
    assert (needs.groups, needs.persons) == (("clinical", "finance", "integration"), 2)


def test_other_persons_need_two() -> None:
    whom = Bundle.of_people(PEOPLE, None)
    assert needs_of(whom, None, PEOPLE).persons == 2


def test_a_changed_byte_is_another_bundle_and_its_text_gives_it_back() -> None:
    assert bundle(claim="1").digest != bundle(claim="2").digest
    for each in (CLINICAL, Bundle.of_people(PEOPLE, None)):
        assert Bundle.of_text(each.text).digest == each.digest


@pytest.mark.parametrize("text", ["[]", "{}", '{"bundle": 2}', "nonsense", '{"bundle":1,"kind":"files"}'])
def test_a_text_that_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"manifest|Expecting"):
        Bundle.of_text(text)


@pytest.mark.parametrize("value", [None, [], {}, {"bundle": "x"}, {**said(BASE, "bob").as_json(), "x": 1}])
def test_a_value_that_is_no_statement_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no statement"):
        Statement.of_json(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("reason", "x"), ("at_us", 1), ("person", "carol"), ("does", "emergency"), ("bundle", "0" * 64)],
)
def test_no_part_of_a_statement_can_be_altered(name: str, value: Any) -> None:
    statement = said(CLINICAL, "bob")
    assert statement.genuine
    assert not replace(statement, **{name: value}).genuine


def test_a_key_is_somebodys() -> None:
    line = person("bob").key
    assert is_key_of(line, "bob")
    assert not any(is_key_of(wrong, "bob") for wrong in (line[:-4], "x", person("carol").key))


def test_the_steps_of_a_bundle_are_these_and_no_others() -> None:
    allowed = {
        "draft": "review",
        "review": "approved retired",
        "approved": "active retired",
        "active": "deprecated",
        "deprecated": "active retired",
        "retired": "",
    }
    wanted = {(old, new) for old in STATES for new in STATES if new in allowed[old].split()}
    assert wanted == ARROWS
