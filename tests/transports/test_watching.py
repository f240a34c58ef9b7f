"""When a file is finished, in which order files are taken, and what is nobody's to take."""

from __future__ import annotations

import pytest

from bridge.transports.watching import Ready, Rules, Seen, Watch


def looks(rules: Rules, *steps: tuple[float, list[Seen]]) -> list[list[str]]:
    watch = Watch(rules)
    return [[ready.seen.name for ready in watch.look(files, at_s)[0]] for at_s, files in steps]


def seen(name: str, size: int = 1, stamp: str = "1", order_s: float = 0.0, *, whole: bool = True) -> Seen:
    return Seen(name, size, stamp, order_s, whole)


STABLE = Rules(stable_s=5, hold_back_s=60)
A, B = seen("a"), seen("b")


CASES: list[tuple[str, Rules, list[tuple[float, list[Seen]]], list[list[str]]]] = [
    ("stable-after-its-time", STABLE, [(0, [A]), (3, [A]), (6, [A])], [[], [], ["a"]]),
    ("never-in-one-look", Rules(stable_s=0), [(0, [A]), (0, [A])], [[], ["a"]]),
    (
        "growing",
        STABLE,
        [(0, [A]), (6, [seen("a", 2)]), (9, [seen("a", 2)]), (11, [seen("a", 2)])],
        [[], [], [], ["a"]],
    ),
    ("touched", STABLE, [(0, [A]), (6, [seen("a", 1, "2")]), (12, [seen("a", 1, "2")])], [[], [], ["a"]]),
    (
        "a-clock-of-tomorrow-does-not-matter",
        STABLE,
        [(0, [seen("a", 1, "99999999999")]), (6, [seen("a", 1, "99999999999")])],
        [[], ["a"]],
    ),
    (
        "a-clock-of-last-year-does-not-matter",
        STABLE,
        [(0, [seen("a", 1, "-3600")]), (1, [seen("a", 1, "-3600")])],
        [[], []],
    ),
    ("gone-and-back-is-another", STABLE, [(0, [A]), (4, []), (6, [A]), (12, [A])], [[], [], [], ["a"]]),
    (
        "temporary-names",
        Rules(finished="renamed"),
        [(0, [seen(n) for n in ("x.tmp", ".x", "x.part", "x.filepart", "x~", "x.hl7")])],
        [["x.hl7"]],
    ),
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
    (
        "marker-of-the-stem-in-capitals",
        Rules(finished="marker"),
        [(0, [seen("X.csv"), seen("x.OK", 0)])],
        [["X.csv"]],
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


def test_a_marker_that_stands_for_two_files_goes_with_the_last() -> None:
    files = [seen("x.csv"), seen("x.hl7"), seen("x.ok", 0)]
    ready, _ = Watch(Rules(finished="marker")).look(files, 0)
    assert ready == [Ready(files[0], None), Ready(files[1], "x.ok")]
