"""What `bridge bench relay` says of what it has measured."""

from __future__ import annotations

import json

import pytest

from bridge.cli.bench_relay import tell

FIGURES = {"relayed_p99_ms": 31.0, "added_p99_ms": 30.0, "fdatasync_p99_ms": 9.0, "allowed_p99_ms": 32.0}


@pytest.mark.parametrize(("added_ms", "word"), [(30.0, "reached"), (32.5, "missed")])
def test_what_is_added_is_held_against_the_disk_of_the_same_run(
    capsys: pytest.CaptureFixture[str], added_ms: float, word: str
) -> None:
    tell({**FIGURES, "added_p99_ms": added_ms}, "table")
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "added_p99_ms" in line]
    assert row.rstrip().endswith(f"at most 3 fdatasync p99 and 5 ms: {word}")


def test_a_program_reads_the_figures_alone(capsys: pytest.CaptureFixture[str]) -> None:
    tell(FIGURES, "json")
    assert json.loads(capsys.readouterr().out) == FIGURES
