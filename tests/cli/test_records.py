"""`bridge records`: what mappings can make, for people and for programs."""

from __future__ import annotations

import json

import pytest
from command_line import bridge

from bridge.canonical.base import fields
from bridge.canonical.page import readme
from bridge.canonical.records import RECORDS
from bridge.canonical.schemas import record_schema, whole_schema


def test_all_records_are_listed_with_tag_and_standards() -> None:
    ended = bridge("records")
    assert ended.status == 0
    assert [name for name in RECORDS if f" {name} " not in ended.out] == []
    assert "X12 835" in ended.out
    assert [each["record"] for each in json.loads(bridge("records", "--format", "json").out)] == [*RECORDS]


@pytest.mark.parametrize("record", ["patient", "result", "remittance", "gl_posting"])
def test_a_record_is_shown_with_every_field(record: str) -> None:
    ended = bridge("records", record)
    assert ended.status == 0
    assert [name for name in fields(RECORDS[record]) if name not in ended.out] == []
    assert RECORDS[record].identity in ended.out
    found = json.loads(bridge("records", record, "--format", "json").out)
    assert found["example"] == dict(RECORDS[record].example)
    needed = {each["path"] for each in found["fields"] if each["needed"] and "." not in each["path"]}
    assert needed == {name for name, field in fields(RECORDS[record]).items() if field.required}


def test_what_is_in_a_list_follows_it() -> None:
    assert "**claims[].lines[].charged**" in bridge("records", "remittance").out


def test_schemas_and_the_page_can_be_written() -> None:
    assert json.loads(bridge("records", "--schema").out) == whole_schema()
    assert json.loads(bridge("records", "shift", "--schema").out) == record_schema("shift")
    assert bridge("records", "--page").out == readme()


def test_a_record_that_there_is_not_is_answered_with_the_nearest() -> None:
    ended = bridge("records", "encouter")
    assert (ended.status, ended.out) == (1, "")
    assert "did you mean 'encounter'?" in ended.err
