"""When a file is finished, in which order files are taken, and what is nobody's to take."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.transports.watching import Ready, Rules, Seen, Watch


def looks(rules: Rules, *steps: tuple[float, list[Seen]]) -> list[list[str]]:
    watch = Watch(rules)
    return [[ready.seen.name for ready in watch.look(files, at_s)[0]] for at_s, files in steps]


def test_what_keeps_a_temporary_name_and_is_not_written_to_is_left_over() -> None:
    watch = Watch(Rules(include=("*.hl7",)))
    names = ("a.hl7.part", "b.hl7~", ".c.hl7.part", ".profile", "d.txt.part", "s/e.hl7.tmp")
    found = [seen(name) for name in names if watch.matters(name)]
    assert watch.left(found, 0) == []
    grown = [replace(each, size_bytes=2) if each.name == "b.hl7~" else each for each in found]
    assert watch.left(grown, 1800) == []
    assert watch.left(grown, 3600) == ["a.hl7.part", "s/e.hl7.tmp"]
    assert watch.look(grown, 3600) == ([], 0)
    assert watch.left(grown[1:], 5400) == ["b.hl7~", "s/e.hl7.tmp"]


def test_of_temporary_names_no_more_are_looked_at_than_are_remembered() -> None:
    watch = Watch(Rules(include=("*.hl7",)))
    assert len([number for number in range(1000) if watch.matters(f"{number}.hl7.part")]) == 100
    watch.left([], 0)
    assert watch.matters("999.hl7.part")


def test_a_look_has_to_know_of_what_may_be_taken_or_left_over_and_of_markers_alone() -> None:
    names = ("a.hl7", "s/a.hl7", "a.txt", "a.OK", "a.hl7.part", ".a.hl7", "not.hl7", "a.ok.tmp")
    marked = Watch(Rules(include=("*.hl7",), exclude=("not*",), finished="marker"))
    assert [name for name in names if marked.matters(name)] == ["a.hl7", "s/a.hl7", "a.OK", "a.hl7.part"]
    stable = Watch(Rules(include=("*.hl7",), exclude=("not*",)))
    assert [name for name in names if stable.matters(name)] == ["a.hl7", "s/a.hl7", "a.hl7.part"]


def seen(name: str, size: int = 1, stamp: str = "1", order_s: float = 0.0, *, whole: bool = True) -> Seen:
    return Seen(name, size, stamp, order_s, whole)


STABLE = Rules(stable_s=5, hold_back_s=60)
A, B = seen("a"), seen("b")


CASES: list[tuple[str, Rules, list[tuple[float, list[Seen]]], list[list[str]]]] = [
    ("stable-after-its-time", STABLE, [(0, [A]), (3, [A]), (6, [A])], [[], [], ["a"]]),
    ("never-in-one-look", Rules(stable_s=0), [(0, [A]), (0, [A])], [[], ["a"]]),
    ("gone-and-back-is-another", STABLE, [(0, [A]), (4, []), (6, [A]), (12, [A])], [[], [], [], ["a"]]),
    ("renamed-at-once", Rules(finished="renamed"), [(0, [A])], [["a"]]),
    (
        "include",
        Rules(finished="renamed", include=("*.hl7",)),
        [(0, [seen("a.hl7"), seen("a.txt"), seen("s/b.hl7")])],
        [["a.hl7", "s/b.hl7"]],
    ),
    ("exclude", Rules(finished="renamed", exclude=("s/*",)), [(0, [seen("a"), seen("s/a")])], [["a"]]),
    (
        "marker-of-the-whole-name",
        Rules(finished="marker"),
        [(0, [seen("x.csv")]), (1, [seen("x.csv"), seen("x.csv.ok", 0)])],
        [[], ["x.csv"]],
    ),
    ("marker-alone", Rules(finished="marker"), [(0, [seen("x.csv.ok", 0)])], [[]]),
    ("second-name", Rules(finished="renamed"), [(0, [seen("a", whole=False)]), (1, [A])], [[], ["a"]]),
    ("by-name", Rules(finished="renamed"), [(0, [seen("b", order_s=1), seen("a", order_s=2)])], [["a", "b"]]),
    (
        "by-time",
        Rules(finished="renamed", order="time"),
        [(0, [seen("a", order_s=2), seen("b", order_s=1)])],
        [["b", "a"]],
    ),
    (
        "an-earlier-one-holds-back",
        Rules(finished="marker", hold_back_s=60),
        [(0, [A, B, seen("b.ok", 0)]), (61, [A, B, seen("b.ok", 0)])],
        [[], ["b"]],
    ),
    (
        "nothing-is-held-back",
        Rules(finished="marker", hold_back_s=0),
        [(0, [A, B, seen("b.ok", 0)])],
        [["b"]],
    ),
]


@pytest.mark.parametrize(
    ("rules", "steps", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_files_are_taken_when_they_are_finished(
    rules: Rules, steps: list[tuple[float, list[Seen]]], expected: list[list[str]]
) -> None:
    assert looks(rules, *steps) == expected


LOOKS = Path(__file__).parents[2] / "legacy_fixtures" / "quirks" / "looks"
TOLD = (
    "clock_of_the_server_is_ahead",
    "clock_of_the_server_is_behind",
    "empty_file",
    "marker_comes_first",
    "marker_in_capitals",
    "summer_time_begins",
    "times_in_whole_seconds",
    "upload_begins_anew",
    "upload_grows",
    "upload_reserves_its_size",
    "upload_under_another_name",
)


@pytest.mark.parametrize("name", TOLD)
def test_what_a_server_showed_is_taken_when_it_was_whole(name: str) -> None:
    told = json.loads((LOOKS / f"{name}.json").read_text())
    steps = [(at_s, [Seen(*file) for file in files]) for at_s, files in told["looks"]]
    assert looks(Rules(**told["rules"]), *steps) == told["taken"]


def test_every_story_of_looks_is_told() -> None:
    assert {path.stem for path in LOOKS.iterdir()} == set(TOLD)


def test_a_marker_that_stands_for_two_files_goes_with_the_last() -> None:
    files = [seen("x.csv"), seen("x.hl7"), seen("x.ok", 0)]
    ready, _ = Watch(Rules(finished="marker")).look(files, 0)
    assert ready == [Ready(files[0], None), Ready(files[1], "x.ok")]


def test_what_has_a_second_name_that_nobody_takes_away_is_told_once_it_holds_nothing_back() -> None:
    watch, linked = Watch(STABLE), seen("a", whole=False)
    told = []
    for at_s in (0.0, 59.0, 60.0):
        watch.look([linked, B], at_s)
        told.append(watch.stuck([linked, B], at_s))
    assert told == [[], [], ["a"]]
