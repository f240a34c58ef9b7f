"""Records of one message with one key: the same is noted, what would be overwritten goes to a person."""

from __future__ import annotations

import pytest
from mapping_texts import HEAD, issues_of, plan_of

from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping.met_again import met_again
from bridge.message import Operation, Record


def record(operation: Operation = "upsert", adds: tuple[str, ...] = (), **fields: object) -> Record:
    return Record("patient", "N:1", operation, fields, adds=adds)


@pytest.mark.parametrize(
    ("first", "second", "equal", "other"),
    [
        (record(family="A"), record(family="A"), 1, 0),
        (record(family="A"), record(family="B"), 0, 1),
        (record(family="A"), record(), 0, 1),
        (record("replace", family="A"), record("replace", family="B"), 0, 1),
        (record(family="A", sequence="1"), record(family="A", sequence="2"), 1, 0),
        # A merge of two numbers into one, and an order that ends and is given anew, are two events each.
        (record("merge", replaces="N:2"), record("merge", replaces="N:3"), 1, 0),
        (record("cancel", family="A"), record(family="B"), 1, 0),
        # What is added to a list overwrites nothing of it.
        (record(adds=("aliases",), aliases=["A"]), record(adds=("aliases",), aliases=["B"]), 1, 0),
    ],
)
def test_two_states_that_differ_are_told_from_what_is_said_twice(
    first: Record, second: Record, equal: int, other: int
) -> None:
    again = met_again([first, Record("patient", "N:9", "upsert", {}), second])
    assert (again.equal, again.other) == (("patient",) * equal, ("patient",) * other)


TEXT = (
    HEAD
    + """\
let: {site: MSH-4.1}
emit:
  - record: patient
    for_each: ZPI
    key: join(':', site, ZPI-1)
    set:
      identifiers: {list: [{value: ZPI-1}]}
      family: ZPI-2
"""
)


@pytest.mark.parametrize(
    ("lines", "issues", "failed"),
    [
        (["ZPI|1|A", "ZPI|2|B"], [], False),
        (["ZPI|1|A", "ZPI|1|A"], ["R007 key"], False),
        (["ZPI|1|A", "ZPI|1|B"], ["R009 key"], True),
    ],
)
def test_a_message_with_two_states_of_one_record_does_not_go_on(
    lines: list[str], issues: list[str], failed: bool
) -> None:
    body = "\r".join([r"MSH|^~\&|L|N|||20240102||ADT^A01|1|P|2.5.1", *lines]).encode()
    mapped = plan_of(TEXT).run(Hl7Message.read(body))
    assert (issues_of(mapped), mapped.failed) == (issues, failed)


def test_the_issue_names_what_the_key_is_made_of() -> None:
    body = b"MSH|^~\\&|L|N|||20240102||ADT^A01|1|P|2.5.1\rZPI|1|A\rZPI|1|B"
    (issue,) = plan_of(TEXT).run(Hl7Message.read(body)).issues
    assert (issue.code, issue.record, issue.source) == ("R009", "patient", "ZPI-1, MSH-4.1")
