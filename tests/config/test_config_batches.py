"""Days: where a channel's file says that they stand, and which records are late by them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.config.batches import Batches, BusinessDate, Late, Reruns

DAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("pattern", "written", "name", "day"),
    [
        (r"chg-(\d{8})", None, "chg-20261123-2.txt", DAY),
        (r"chg-(\d{8})", None, "other.txt", None),
        (r"chg-(\d{8})", None, "chg-20261323.txt", None),
        (r"_(\d+-\d+-\d+)", None, "a_2026-11-23", DAY),
        (r"(\d+[.]\d+[.]\d+)", "%d.%m.%Y", "23.11.2026", DAY),
        (r"(\d{6})", None, "261123", DAY),
    ],
)
def test_the_day_of_a_name(pattern: str, written: str | None, name: str, day: date | None) -> None:
    said = BusinessDate.model_validate({"name": pattern, "written": written})
    assert Reruns(said).in_name(name) == day


@pytest.mark.parametrize(
    ("said", "day"), [("20261123", DAY), ("20261123013000", DAY), ("261123", DAY), ("", None), (None, None)]
)
def test_the_day_of_what_a_file_says(said: str | None, day: date | None) -> None:
    assert Reruns(BusinessDate.model_validate({"batch": True})).in_text(said) == day


@pytest.mark.parametrize(
    ("day", "late"), [("20261121", False), ("20261120", True), ("20261124", False), ("", False), ("x", False)]
)
def test_a_record_is_late_so_many_whole_days_after_its_own(day: str, *, late: bool) -> None:
    reruns = Reruns(late=Late.model_validate({"by": "$.day", "after": "2d"}), by=lambda _: day)
    assert reruns.is_late(None, DAY) is late


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"rerun": "delta"}, "`rerun` needs `business_date`"),
        ({"business_date": {}}, "expected one of `name`, `of` and `batch: true`"),
        ({"business_date": {"name": "x", "of": "y"}}, "expected one pair of brackets"),
        ({"business_date": {"name": "(("}}, "no pattern that RE2 knows"),
        ({"business_date": {"of": "PV1-44", "batch": True}}, "expected one of"),
        ({"business_date": {"of": "PV1-44", "written": "%d"}}, "expected a form of a whole date"),
    ],
)
def test_a_rule_that_cannot_hold_says_why(said: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Batches.model_validate(said)
