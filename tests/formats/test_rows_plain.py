"""Rows taken many at once are what they are one by one: the same messages, places, batches and refusals."""

from __future__ import annotations

import random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats import rows
from bridge.formats.base import Unsplittable
from bridge.formats.delimited import Delimited, DelimitedOptions
from bridge.formats.fixed import Fixed, FixedOptions
from bridge.formats.rows import RowsFormat

TOTALS: list[dict[str, Any]] = [
    {"trailer": "n"},
    {"trailer": "total", "of": "sum", "column": "b"},
    {"trailer": "hash", "of": "hash", "column": "a", "digits": 4},
]
CENTS: list[dict[str, Any]] = [TOTALS[0], {**TOTALS[1], "decimals": 2}, TOTALS[2]]
TYPED: dict[str, Any] = {
    "header": {"first": "H", "columns": ["t", "day"]},
    "detail": {"first": "D", "columns": ["t", "a", "b"]},
    "trailer": {"first": "T", "columns": ["t", "n", "total", "hash"]},
}
DELIMITED: list[dict[str, Any]] = [
    {},
    {"columns": ["t", "a", "b"], "totals": CENTS, "trailer": TYPED["trailer"]},
    {"columns": ["t", "a", "a"], "skip": 2},
    {**TYPED, "totals": TOTALS},
    {**TYPED, "totals": CENTS, "rows": 3},
    {**TYPED, "detail": {"columns": ["t", "a", "b"]}, "ragged": True, "charset": "windows-1252"},
    {**TYPED, "separator": "tab", "quote": "'", "lines": 2},
    {**TYPED, "separator": "||", "charset": "shift-jis", "bad_row": "refuse"},
    {**TYPED, "separator": ";", "quote": "", "charset": "cp037"},
    {"columns": ["a"], "separator": "space", "charset": "latin-1", "lone_quotes": True},
]
FIELDS: dict[str, Any] = {"a": "2-5", "b": "6-9"}
FIXED_TYPES: dict[str, Any] = {
    "header": {"says": "H", "fields": {"day": "2-5"}},
    "detail": {"says": "D", "fields": FIELDS},
    "trailer": {"says": "T", "fields": {"n": "2-3", "total": "4-7", "hash": "8-9"}},
}
FIXED: list[dict[str, Any]] = [
    {"detail": {"fields": FIELDS}},
    {**FIXED_TYPES, "totals": TOTALS},
    {**FIXED_TYPES, "totals": CENTS, "rows": 3, "skip": 1},
    {**FIXED_TYPES, "short": False, "long": False, "charset": "windows-1252"},
    {**FIXED_TYPES, "trailer": {"at": "1-2", "says": "TT", "fields": {"n": "3"}}, "bad_row": "refuse"},
    {**FIXED_TYPES, "length": 10, "totals": CENTS},
    {**FIXED_TYPES, "length": 9, "charset": "cp037"},
]
MADE: list[tuple[RowsFormat, dict[str, Any]]] = [
    *((Delimited(DelimitedOptions.model_validate(each)), each) for each in DELIMITED),
    *((Fixed(FixedOptions.model_validate(each)), each) for each in FIXED),
]
VALUES = (
    "1",
    "25",
    "0007",
    "1.50",
    "-3",
    "12{",
    "",
    " ",
    "x",
    "a b",
    "\xfc",
    "\u30c6",
    '"q"',
    '"',
    "\\",
    "'y'",
    "H",
)
ENDS = ("\n", "\r\n", "\r")


def written(made: RowsFormat, options: dict[str, Any], chance: random.Random) -> bytes:
    """A file that is plain for long, and then is not."""
    is_fixed = isinstance(made, Fixed)
    separator: str = {"tab": "\t", "space": " "}.get(
        options.get("separator", ","), options.get("separator", ",")
    )
    end = "" if options.get("length") else chance.choice(ENDS)
    strange = chance.choice((0.0, 0.02, 0.2))

    def value() -> str:
        return chance.choice(VALUES) if chance.random() < strange else str(chance.randrange(10**4))

    def row() -> str:
        kind = "D" if chance.random() > strange else chance.choice("DHTX ")
        if is_fixed:
            size: int = (
                options.get("length", 9) - (chance.random() < strange) + (chance.random() < strange / 2)
            )
            text = "".join(value().rjust(4, chance.choice(("0", "0", " "))) for _ in range(2))
            return f"{kind}{text}".ljust(size)[:size]
        count = (
            len(options.get("columns", "abc")) - 1 + (chance.random() < strange) - (chance.random() < strange)
        )
        quote = options.get("quote", '"') if chance.random() < 0.3 else ""
        return separator.join([kind, *(f"{quote}{value()}{quote}" for _ in range(count))])

    lines = [row() + (end if chance.random() >= strange / 4 else "\n") for _ in range(chance.randint(1, 90))]
    if chance.random() < 0.5:
        lines.insert(0, separator.join(("H", "20260301"))[: 9 if is_fixed else None] + end)
    if chance.random() < 0.5:
        lines.append(separator.join(("T", str(len(lines)), "5", "1")) + end)
    text = "".join(lines)
    data = text.encode("utf-8" if chance.random() < strange else options.get("charset", "utf-8"), "replace")
    return data[: len(data) - chance.choice((0, 0, 1, 3))]


def outcome(made: RowsFormat, data: bytes, step: int, limit: int) -> list[object]:
    """All that comes out of a file."""
    splitter = made.splitter(limit)
    found: list[object] = []
    try:
        for at in range(0, len(data), step):
            found += splitter.feed(data[at : at + step])
        found += splitter.end()
    except Unsplittable as refused:
        return [*found, refused.reason, refused.offset_bytes, str(refused)]
    return [*found, *splitter.batches]


@given(
    st.integers(0, 2**32),
    st.sampled_from(MADE),
    st.sampled_from((1, 50, 400, 5000)),
    st.sampled_from((150, 5000)),
)
def test_at_once_is_the_same_as_one_by_one(
    seed: int, made: tuple[RowsFormat, dict[str, Any]], step: int, limit: int
) -> None:
    data = written(*made, random.Random(seed))
    kind = type(made[0].splitter(1))
    with patch.object(rows, "RUN_MIN_BYTES", 32), patch.object(rows, "RUN_MAX_BYTES", 512):
        at_once = outcome(made[0], data, step, limit)
        with patch.object(kind, "plain", lambda _self, _block: None):
            assert outcome(made[0], data, step, limit) == at_once


@pytest.mark.parametrize("made", MADE, ids=lambda each: f"{each[0].form}-{each[1]}"[:60])
def test_of_plain_files_most_is_taken_at_once(made: tuple[RowsFormat, dict[str, Any]]) -> None:
    """Or else the two ways were compared with nothing."""
    taken = 0
    kind = type(made[0].splitter(1))
    ours = kind.plain

    def counted(self: Any, block: bytes) -> Any:
        nonlocal taken
        found = ours(self, block)
        taken += found.count if found is not None else 0
        return found

    in_small_runs = patch.object(rows, "RUN_MIN_BYTES", 32), patch.object(rows, "RUN_MAX_BYTES", 512)
    with patch.object(kind, "plain", counted), in_small_runs[0], in_small_runs[1]:
        for seed in range(30):
            outcome(made[0], written(*made, random.Random(seed)), 5000, 5000)
    can_be = made[1].get("columns") != ["t", "a", "a"] and not (
        isinstance(made[0], Delimited) and made[1].get("charset") == "cp037"
    )
    assert (taken > 100) == can_be
