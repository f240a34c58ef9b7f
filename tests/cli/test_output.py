"""Tables for people: what folds in them, and what never breaks."""

from __future__ import annotations

import pytest

from bridge.cli.layout import Room, rooms, shared
from bridge.cli.output import table
from bridge.cli.quarantine_list import _print_reasons

COLUMNS = ("id", "when", "name", "why")
NAME = "a-channel-of-a-long-name/with-a-route-of-a-longer-one"
WHEN = "2026-03-02 09:15:00.918Z"
WHY = "nobody has said yet what is to be done about it, and so it waits"


def printed(capsys: pytest.CaptureFixture[str], *rows: tuple[object, ...], **more: object) -> list[str]:
    table("", COLUMNS, rows, right=("id",), **more)  # type: ignore[arg-type]
    return capsys.readouterr().out.splitlines()


def test_what_goes_into_a_pipe_is_as_wide_as_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    long = NAME * 4
    lines = printed(capsys, (17, WHEN, long[:79], WHY), (18, WHEN, f"{NAME}/x", WHY))
    assert any(f"17   {WHEN}   {long[:79]}   nobody" in line for line in lines)
    lines = printed(capsys, (17, WHEN, long, WHY), folds=("why",))
    assert any(f"17   {WHEN}   {long}   nobody" in line for line in lines)


def test_only_prose_folds_and_at_blanks_alone() -> None:
    assert rooms(COLUMNS, [["17", WHEN, NAME, WHY]], keeps=("id",), folds=None) == [
        Room(2, 2),
        Room(len(WHEN), len(WHEN)),
        Room(len(NAME), len(NAME)),
        Room(len("nobody"), len(WHY)),
    ]


def test_a_name_with_a_blank_in_it_folds_only_where_who_prints_says_so() -> None:
    cells = [["17", WHEN, "a file of a name.txt", WHY]]
    assert rooms(COLUMNS, cells, keeps=(), folds=("why",))[2] == Room(20, 20)
    assert rooms(COLUMNS, cells, keeps=(), folds=("name", "why"))[2] == Room(8, 20)


def test_what_is_left_goes_to_those_that_want_little_more_first() -> None:
    assert shared([Room(5, 8), Room(5, 100), Room(3, 3)], 40) == [8, 29, 3]


def test_a_long_value_without_blanks_is_no_name_and_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, (17, WHEN, "x" * 5000, WHY))
    assert max(map(len, lines)) < 200


def test_reasons_of_many_channels_are_one_row_for_each_api_and_say_once_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {"reason": "no-key", "api": "", "count": 2, "aside": 1, "oldest_us": 1_700_000_000_000_000}
    rows = [{**row, "channel": f"ward-{number}"} for number in range(40)]
    _print_reasons([*rows, {**row, "channel": "ward-1", "api": "ehr.patients"}])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    (first,) = (line for line in lines if line[:4] == ["80", "40", "40", "channels"])
    assert first[4] == "no-key"
    (second,) = (line for line in lines if "ehr.patients" in line)
    assert second[:4] == ["2", "1", "ward-1", "ehr.patients"]
    assert " ".join(word for line in lines for word in line).count("quarantine edit") <= 1
