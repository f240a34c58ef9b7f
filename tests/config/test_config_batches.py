"""Days: where a channel's file says that they stand, and which records are late by them."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.catalog import STANDARD
from bridge.config.batches import Batches, BusinessDate, Late, Reruns
from bridge.config.channel import read_channel
from bridge.config.load import load
from bridge.config.not_built import Pruned
from bridge.config.yaml_tree import read_tree
from bridge.located import Mapping
from bridge.shipped import shipped

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
        ({"business_date": {"of": "PV1-44", "written": "%a %d.%m"}}, "expected a form of a whole date"),
        ({"business_date": {"of": "PV1-44", "written": "%m/%Y"}}, "expected a form of a whole date"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_rule_that_cannot_hold_says_why(said: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Batches.model_validate(said)


COLUMNS = "delimited: {columns: [key, svc_date], header: {first: H, columns: [type, business_date]}}"
LAYOUT = (
    "fixed: {detail: {fields: {key: 1-8, svc_date: 9-16}}, header: {says: H, fields: {business_date: 2-9}}}"
)
FIELDS = ("01 R.", "   05 KEY PIC X(8).", "   05 SVC-DATE PIC X(8).")
COPYBOOK = "fixed: {detail: {copybook: '" + "\n".join(f"       {line}" for line in FIELDS) + "'}}"
CHANNEL = """\
channel: rows
source: {{file_drop: {{directory: /in}}}}
format: {{{form}}}
order_by: {order_by}
batches: {{business_date: {{of: {of}}}, late: {{by: {by}}}}}
routes: [{{route: r, mapping: m, record: charge, to: {{api: a, operation: o}}}}]
"""


@pytest.mark.parametrize(
    ("form", "paths", "told"),
    [
        (COLUMNS, ("$.key", "$header.business_date", "$.svc_date"), []),
        (COLUMNS, ("$.kye", "$header.bussiness_date", "$.svc_dat"), ["key", "business_date", "svc_date"]),
        (LAYOUT, ("$.key", "$header.business_date", "$.svc_date"), []),
        (LAYOUT, ("$.key", "$header.busines_date", "$.scv_date"), ["business_date", "svc_date"]),
        (COPYBOOK, ("$.key", "$.svc_date", "$.svc_day"), ["svc_date"]),
        ("delimited: {}", ("$.key", "$.anything", "$.at_all"), []),
        ("delimited: {columns: [key], rows: 2}", ("$.key", "$.a", "$.b"), []),
    ],
)
def test_a_misspelt_column_is_found_with_the_nearest_right_one(
    form: str, paths: tuple[str, str, str], told: list[str]
) -> None:
    order_by, of, by = paths
    text = CHANNEL.format(form=form, order_by=order_by, of=of, by=by)
    tree, problems = read_tree(text, "channels/rows.yaml")
    assert problems == []
    assert isinstance(tree, Mapping)
    _, problems = read_channel(Pruned(tree, (), frozenset()), "", STANDARD)
    assert [(each.code, each.hint) for each in problems] == [
        ("E235", f"did you mean {each!r}?") for each in told
    ]


API = """\
api: erp.stock
base_url: http://127.0.0.1:1/v1
auth: none
repeat_safety: natural_key
operations:
  postUse: {method: PUT, path: "/use/{key}", send_only: [key]}
"""
STOCK = """\
channel: stock
source: {file_drop: {directory: /in}}
format: delimited
on_no_key: serial
batches: {late: {by: $.COLUMN}}
routes: [{route: r, mapping: inventory-consumption, record: inventory_consumption,
          to: {api: erp.stock, operation: postUse}}]
"""


@pytest.mark.parametrize(
    ("column", "hints"), [("consumed_at", []), ("consumd_at", ["did you mean 'consumed_at'?"])]
)
def test_a_day_of_a_column_that_no_mapping_declares_is_a_warning(
    tmp_path: Path, column: str, hints: list[str]
) -> None:
    for folder in ("channels/apis", "mappings"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(shipped("mappings", "feeds", "inventory-consumption.yaml"), tmp_path / "mappings")
    (tmp_path / "channels/apis/erp.stock.yaml").write_text(API)
    (tmp_path / "channels/stock.yaml").write_text(STOCK.replace("COLUMN", column))
    found = [each for each in load(tmp_path, STANDARD).warnings if each.code == "E235"]
    assert [each.hint for each in found] == hints
