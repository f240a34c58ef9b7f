"""What another version of a mapping would make otherwise: exactly that, clustered."""

from __future__ import annotations

import pytest
from mapping_texts import HEAD, message_with, patient_plan, plan_of

from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping.impact import Impact, changes
from bridge.mapping.plan import Plan

BEFORE = "      family: PID-5.1\n      given: PID-5.2\n"
KEYS = "      identifiers: {list: [{value: PID-3(5=MR).1}]}\n"

CASES: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    "nothing": (BEFORE, []),
    "another order of rules": ("      given: PID-5.2\n      family: PID-5.1\n", []),
    "one rule": (
        BEFORE.replace("PID-5.1", "PID-5.1 | upper"),
        [("patient", "family", "changes")],
    ),
    "a rule is gone": (BEFORE.replace("      given: PID-5.2\n", ""), [("patient", "given", "is gone")]),
    "a rule more": (
        BEFORE + "      phone: PID-13.1\n",
        [("patient", "phone", "appears")],
    ),
    "a rule that is noted": (
        BEFORE + "      birth_date: {from: PID-5.1, on_error: null}\n",
        [("issue", "R020 patient.birth_date", "is noted now")],
    ),
    "a rule that fails": (
        BEFORE + "      language: {from: PID-15, required: true}\n",
        [("message", "R010, R001", "fails now")],
    ),
}


def found(before: Plan, after: Plan, message: Hl7Message) -> list[tuple[str, str, str]]:
    return [each.cluster for each in changes(before.run(message), after.run(message))]


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_told_where_it_is(case: str) -> None:
    rules, expected = CASES[case]
    before, after = patient_plan(BEFORE), patient_plan(rules)
    assert found(before, after, message_with()) == expected
    back = {"changes": "changes", "is gone": "appears", "appears": "is gone"}
    if expected and expected[0][2] in back:
        record, field, what = expected[0]
        assert found(after, before, message_with()) == [(record, field, back[what])]


def two_keys(key: str) -> Plan:
    return plan_of(HEAD + f"emit:\n  - record: patient\n    key: {key}\n    set:\n" + KEYS + BEFORE)


def test_another_key_is_another_key_and_not_another_record() -> None:
    before, after = two_keys("PID-3(5=MR).1"), two_keys("join(':', PID-3(5=MR).4.1, PID-3(5=MR).1)")
    assert found(before, after, message_with()) == [("patient", "key", "changes")]


def test_a_record_that_is_no_longer_made_is_told() -> None:
    text = (
        HEAD
        + "on_no_record: allow\nemit:\n  - record: patient\n    key: PID-3(5=MR).1\nWHEN    set:\n"
        + KEYS
    )
    before, after = (plan_of(text.replace("WHEN", each)) for each in ("", "    when: PID-8 = 'M'\n"))
    assert found(before, after, message_with()) == [
        ("patient", "", "would not be made"),
    ] or found(before, after, message_with())[0] == ("patient", "", "would not be made")


def test_changes_of_many_messages_are_clustered_and_counted() -> None:
    before = patient_plan(BEFORE)
    after = patient_plan(BEFORE.replace("PID-5.2", "PID-5.2 | upper"))
    impact = Impact(before, after)
    for number in range(50):
        given = "Maren" if number % 5 == 0 else "MAREN"
        impact.add(f"#{number}", message_with(PID_5=f"okafor^{given}"))
    impact.add("other type", message_with(MSH_9="ORU^R01"))
    assert (impact.messages, impact.changed, impact.fails_now) == (50, 10, 0)
    ((cluster, counted),) = impact.rows()
    assert cluster == ("patient", "given", "changes")
    assert (counted.count, counted.messages, len(counted.examples)) == (10, 10, 3)
    name, example = counted.examples[0]
    assert (name, example.before, example.after) == ("#0", "Maren", "MAREN")
