"""A three-way match: what came for an API, what was sent, and what its report says that it has."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest

from bridge.cli.report_match import Columns, Matched, NoField, NoReport, match, report_rows
from bridge.journal.sent import Sent

COLUMNS = Columns("key", "id", "amount", "posted")


def sent(number: int, key: str | None, amount: str = "10.00", entry: str = "delivered") -> Sent:
    body = {"amount": amount} | ({} if key is None else {"key": key})
    return Sent(number, number + 100, entry, 0, json.dumps({"body": body}).encode(), 1, number)


def matched(ours: list[Sent], report: str, elsewhere: list[Sent] | None = None) -> Matched:
    return match(ours, report_rows(io.StringIO(report)), COLUMNS, elsewhere or [])


HEAD = "id,posted\n"


@pytest.mark.parametrize(
    ("ours", "report", "misfits"),
    [
        ([sent(1, "A"), sent(2, "B")], "A,10.00\nB,10\n", []),
        ([sent(1, "A"), sent(2, "B")], "A,10.00\n", [("missing", 2, None)]),
        ([sent(1, "A")], "A,10.00\nC,3\n", [("extra", None, 3)]),
        ([sent(1, "A", "10.01")], "A,10.00\n", [("amount", 1, 2)]),
        ([sent(1, "A")], "A,\n", [("amount", 1, 2)]),
        ([sent(1, "A")], "A,10.00\nA,10.00\n", [("duplicate", None, 3)]),
        ([sent(1, "A", entry="open")], "A,10.00\n", [("posted", 1, 2)]),
        ([sent(1, "A", entry="quarantined")], "", []),
        ([sent(1, None), sent(2, "B")], "B,10\n", [("unmatched_key", 1, None)]),
        ([], ",5\n", [("unmatched_key", None, 2)]),
        ([], "Z,5\n", [("late", 9, 2)]),
    ],
)
def test_what_does_not_fit_has_its_type_and_place(
    ours: list[Sent], report: str, misfits: list[tuple[str, int | None, int | None]]
) -> None:
    found = matched(ours, HEAD + report, [sent(9, "Z")])
    assert [(each.type, each.delivery_id, each.line) for each in found.misfits] == misfits


def test_all_three_are_counted_to_the_cent() -> None:
    ours = [sent(1, "A", "0.10"), sent(2, "B", "0.20"), sent(3, "C", "7", entry="quarantined")]
    found = matched(ours, HEAD + '"A","1,000.10"\nB,0.20\n')
    sides = [(each.count, each.amount) for each in (found.received, found.sent, found.posted)]
    assert sides == [(3, Decimal("7.30")), (2, Decimal("0.30")), (2, Decimal("1000.30"))]


@pytest.mark.parametrize(
    "report", ["id;posted\nA;10.00\n", "\ufeffid\tposted\nA\t10.00\n", '{"id": "A", "posted": 10.00}\n\n']
)
def test_a_report_is_csv_or_lines_of_json(report: str) -> None:
    assert not matched([sent(1, "A")], report).misfits


@pytest.mark.parametrize(
    ("report", "why"),
    [
        ("", "its first line is empty"),
        ("name\nA\n", "it has no column 'id'; it has name"),
        ('{"id": 1, "posted": 2}\n[]\n', "line 2 is no JSON object"),
        ('{"id"\n', "line 1 is no JSON"),
        ('id,posted\n"A,1\n', "expected CSV"),
    ],
)
def test_what_is_no_report_says_why(report: str, why: str) -> None:
    with pytest.raises(NoReport, match=why.replace("[", r"\[")):
        matched([], report)


def test_a_field_that_nothing_sent_has_is_told_with_those_that_there_are() -> None:
    ours = [sent(1, None), sent(2, None, entry="open")]
    with pytest.raises(NoField, match="nothing that was sent has a value in 'key'; its fields are amount"):
        matched(ours, HEAD + "A,10.00\n")
