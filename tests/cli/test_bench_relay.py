"""What `bridge bench relay` says of what it has measured."""

from __future__ import annotations

import json

import pytest

from bridge.cli.bench_relay import tell

FIGURES = {"relayed_p99_ms": 31.0, "added_p99_ms": 30.0, "fdatasync_p99_ms": 9.0, "allowed_p99_ms": 32.0}


@pytest.mark.parametrize(("added_ms", "said"), [(30.0, "in 2 of 2"), (32.5, "in 1 of 2")])
def test_what_is_added_is_held_against_the_disk_of_the_same_round(
    capsys: pytest.CaptureFixture[str], added_ms: float, said: str
) -> None:
    tell([FIGURES, {**FIGURES, "added_p99_ms": added_ms}], "table")
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"added_p99_ms is at most 3 fdatasync p99 and 5 ms: {said} rounds"


def test_a_program_reads_the_figures_alone(capsys: pytest.CaptureFixture[str]) -> None:
    tell([FIGURES], "json")
    assert json.loads(capsys.readouterr().out) == [FIGURES]
