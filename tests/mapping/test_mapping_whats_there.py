"""Of a number that was not found its issue says what is there instead, and where the mapping looks for it."""

from __future__ import annotations

import pytest
from mapping_texts import message_with, patient_plan

from bridge.mapping.recorded import recorded

WANTED = "A required value is missing, or the sender asks to delete it"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("4711", ": PID-3 has a number without a type (PID-3.5), and the mapping reads PID-3(5=MR)"),
        ("4711~9^^^N^PI", ": PID-3 has a number without a type (PID-3.5), and the mapping reads PID-3(5=MR)"),
        ("4711^^^N^PI", ": PID-3 has no number of this type (PID-3.5), and the mapping reads PID-3(5=MR)"),
        ("", ""),
        ("^^^N^MR", ""),
        # What is missing here is who gave it.
        ("4711^^^^MR", ""),
    ],
)
def test_a_missing_number_says_what_is_there(sent: str, told: str) -> None:
    (issue, *_) = patient_plan("      family: PID-5.1\n").run(message_with(PID_3=sent)).issues
    assert (issue.code, issue.text.partition(" (rule at")[0]) == ("R010", WANTED + told)
    assert "4711" not in issue.text


def test_what_is_only_looked_at_does_not_count_as_read() -> None:
    message = recorded(message_with(PID_3="4711^^^N^PI"))
    patient_plan("").run(message, lineage=True)
    assert {
        each.place for each in message.read_leaves if each.segment == "PID" and each.component == 1
    } == set()
