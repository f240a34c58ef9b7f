"""The pattern of a flow: which one fits which flow, and where it is said that one does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from config_site import API, CHANNEL, MAPPING, write_site

from bridge.catalog import STANDARD
from bridge.config.load import load
from bridge.config.patterns import Flow, objections
from bridge.errors import ConfigurationRefused

QUICK, LATE = ("delivered", 10.0), ("journaled", 0.0)

FLOWS: dict[str, tuple[Flow, dict[str, list[str]]]] = {
    "waits for one API, which answers in time": (
        Flow(*QUICK, slowest_s=5, apis=1, records_only=True, repeats_harmless=True),
        {
            "synchronous": [],
            "event": ["latency"],
            "canonical": ["latency"],
            "orchestrated": ["latency", "dependency"],
        },
    ),
    "waits for one API, which may take too long": (
        Flow(*QUICK, slowest_s=30, apis=1, records_only=False, repeats_harmless=False),
        {
            "synchronous": ["latency", "resilience"],
            "event": ["latency"],
            "canonical": ["latency", "compliance"],
            "orchestrated": ["latency", "dependency", "resilience"],
        },
    ),
    "waits for several": (
        Flow(*QUICK, slowest_s=5, apis=3, records_only=True, repeats_harmless=True),
        {
            "synchronous": ["dependency"],
            "event": ["latency"],
            "canonical": ["latency"],
            "orchestrated": ["latency"],
        },
    ),
    "safe first, records to one API": (
        Flow(*LATE, slowest_s=30, apis=1, records_only=True, repeats_harmless=True),
        {"synchronous": ["latency"], "event": [], "canonical": [], "orchestrated": ["dependency"]},
    ),
    "safe first, whole messages to one that knows no repeat": (
        Flow(*LATE, slowest_s=30, apis=1, records_only=False, repeats_harmless=False),
        {
            "synchronous": ["latency", "resilience"],
            "event": [],
            "canonical": ["compliance"],
            "orchestrated": ["dependency", "resilience"],
        },
    ),
    "safe first, records to several": (
        Flow(*LATE, slowest_s=30, apis=3, records_only=True, repeats_harmless=True),
        {"synchronous": ["latency", "dependency"], "event": [], "canonical": [], "orchestrated": []},
    ),
}
TABLE = [
    pytest.param(flow, pattern, expected, id=f"{pattern}: {name}")
    for name, (flow, rows) in FLOWS.items()
    for pattern, expected in rows.items()
]


def test_the_table_has_each_pattern_with_each_flow() -> None:
    assert len(TABLE) == 24


@pytest.mark.parametrize(("flow", "pattern", "expected"), TABLE)
def test_a_pattern_fits_or_does_not(flow: Flow, pattern: str, expected: list[str]) -> None:
    found = list(objections(pattern, flow))
    assert [each.question for each in found] == expected
    assert all(each.text and each.instead for each in found)


def shown(folder: Path, channel: str, api: str = API) -> list[str]:
    files: dict[str, str | bytes] = {
        "channels/adt.yaml": channel,
        "channels/apis/ehr.patients.yaml": api,
        "mappings/adt-admit.yaml": MAPPING,
    }
    try:
        return list(map(str, load(write_site(folder, files), STANDARD).warnings))
    except ConfigurationRefused as refused:
        return list(map(str, refused.problems))


DELIVERED: Callable[[str], str] = lambda within: (  # noqa: E731 - a line of the file, by one number
    f"tcp:2575\n    acknowledge: delivered\n    answer: {{within: {within}}}"
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text + "pattern: canonical\n", []),
        (
            lambda text: text + "pattern: orchestrated\n",
            ["channels/adt.yaml:14:10: C189", "(dependency)", "pattern: canonical"],
        ),
        (
            lambda text: text.replace("tcp:2575", DELIVERED("20s")) + "pattern: synchronous\n",
            ["channels/adt.yaml:16:10: C189", "may take 30 s", "told after 20 s", "timeouts"],
        ),
        (lambda text: text.replace("tcp:2575", DELIVERED("45s")) + "pattern: synchronous\n", []),
        (
            lambda text: text + "pattern: synchronus\n",
            ["channels/adt.yaml:14:10: C122", "synchronous"],
        ),
    ],
)
def test_a_pattern_that_does_not_fit_is_said_at_its_place(
    tmp_path: Path, change: Callable[[str], str], expected: list[str]
) -> None:
    lines = shown(tmp_path, change(CHANNEL))
    assert len(lines) == bool(expected), lines
    for words in expected:
        assert words in lines[0], lines


def test_of_an_api_that_is_not_known_nothing_more_is_said(tmp_path: Path) -> None:
    lines = shown(tmp_path, CHANNEL.replace("ehr.patients", "ehr.patience") + "pattern: synchronous\n")
    assert not any("C189" in line for line in lines)
