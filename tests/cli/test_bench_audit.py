"""What `bridge bench audit` measures, and what it says of that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.cli import bench_audit
from bridge.cli.bench_audit import COMMITS_OF, measure, tell
from bridge.journal.chain import Head
from bridge.journal.transaction import Transaction


def test_both_journals_get_the_same_steps_and_one_of_them_a_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[tuple[type[Transaction], int, int]] = []

    class Whole(Transaction):
        def finish(self) -> Head:
            head = super().finish()
            finished.append((type(self), len(self.wrote.steps), head.seq))
            return head

    class Without(bench_audit._WithoutChain):
        def finish(self) -> Head:
            head = super().finish()
            finished.append((type(self), len(self.wrote.steps), head.seq))
            return head

    monkeypatch.setattr(bench_audit, "Transaction", Whole)
    monkeypatch.setattr(bench_audit, "_WithoutChain", Without)
    monkeypatch.setattr(bench_audit, "QUICK_DELIVERIES", 10)
    monkeypatch.setattr(bench_audit, "QUICK_ROWS", 64)
    monkeypatch.setattr(bench_audit, "COMMITS_OF", (2,))
    figures = measure(tmp_path, quick=True)
    whole = [steps for kind, steps, _ in finished if kind is Whole]
    without = [steps for kind, steps, _ in finished if kind is Without]
    assert sum(without) == 20 * 2 * 5
    assert whole[: len(without)] == without
    assert {seq for kind, _, seq in finished if kind is Without} == {0}
    assert max(seq for kind, _, seq in finished if kind is Whole) == 20 * 4
    assert figures["rows_verified"] == 64


@pytest.mark.parametrize(("us", "said"), [(24.0, "reached"), (26.0, "missed")])
def test_each_limit_is_held_against_the_median_of_all_rounds(
    capsys: pytest.CaptureFixture[str], us: float, said: str
) -> None:
    name = f"cpu_us_audit_{COMMITS_OF[-1]}"
    rounds = [
        {name: each, "cpu_us_row_by_row": 40.0, "verify_million_cpu_s": 4.0} for each in (20.0, us, 90.0)
    ]
    tell(rounds, "json")
    told = json.loads(capsys.readouterr().out)
    assert told["rounds"] == rounds
    assert [each["median"] for each in told["limits"]] == [us, us / 40, 4.0]
    tell(rounds, "table")
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f" {name}  ")][1:]
    assert line.split()[-1] == said
