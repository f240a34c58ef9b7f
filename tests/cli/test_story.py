"""A message's story, as a table for a person."""

from __future__ import annotations

import pytest

from bridge.cli.quarantine_list import key_of
from bridge.cli.story import issue_rows, print_content
from bridge.mapping.codes import CODES


def issue(code: str, mapping: str = "move", field: str = "", source: str = "") -> dict[str, str]:
    record = "encounter" if field else ""
    return {"mapping": mapping, "code": code, "record": record, "field": field, "source": source}


def test_each_issue_is_told_in_words_and_what_only_follows_from_another_is_not() -> None:
    rows = issue_rows([issue("R030", field="service", source="PV1-10"), issue("R001")])
    assert rows == [("move", "R030", "encounter.service", "PV1-10", CODES["R030"])]


def test_that_there_is_no_record_is_told_where_nothing_else_of_its_mapping_says_why() -> None:
    rows = issue_rows([issue("R030", mapping="bill", field="service"), issue("R005"), issue("R001")])
    assert [(row[0], row[1]) for row in rows] == [("bill", "R030"), ("move", "R005"), ("move", "R001")]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_message_is_shown_a_segment_in_a_line_whatever_ends_its_lines(
    end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_content({"body": f"MSH|1{end}PID|2{end}", "requests": {}, "answers": {}})
    assert capsys.readouterr().out == "the message, a segment in a line:\n  MSH|1\n  PID|2\n"


def test_a_message_without_a_key_keeps_none_waiting() -> None:
    rows = [{"reason": "no-key", "aside": False}, {"reason": "mapping-failed", "aside": False}]
    rows.append({"reason": "mapping-failed", "aside": True})
    assert [key_of(row) for row in rows] == ["it has none", "waits", "goes on"]
