"""Workers: what they make is what the node would make, and one that dies costs nothing but time."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from drill import Drill, LedgerWatch, entries, until

from bridge.cli.processes import BridgeProcess

WORKERS = 2


@pytest.mark.live
@pytest.mark.both_in_drills
def test_a_worker_that_is_killed_under_load_loses_nothing_and_reorders_nothing(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills = pytestconfig.getoption("--worker-kills")
    with Drill(tmp_path, options=(f"--workers={WORKERS}",)) as drill:
        node = drill.node
        watch = LedgerWatch(drill.url)
        drill.send()
        watch.start()
        killed: set[int] = set()
        while len(killed) < kills:
            until(lambda: said(node, "bridge_workers") == WORKERS, "the workers are at work", at_most_s=60)
            time.sleep(0.2)
            worker = at_work(node, killed)[len(killed) % WORKERS]
            os.kill(worker, signal.SIGKILL)
            killed.add(worker)
            until(lambda: said(node, "bridge_workers") < WORKERS, "the node has seen it", at_most_s=60)
        until(lambda: said(node, "bridge_workers") == WORKERS, "the last one was replaced", at_most_s=60)
        drill.end_sending()
        made_by_workers = said(node, 'bridge_made_total{channel="ehr-adt",where="worker"}')
        assert made_by_workers > 0, "the workers have done nothing: the drill shows nothing"
        watch.end()
        counts = drill.drained()
        drill.stop()
        print(
            f"{kills} workers killed, {made_by_workers:.0f} batches by workers; in the end: {entries(counts)}"
        )
        assert watch.unbalanced == []
        for api in drill.apis:
            assert api.applied() == drill.acknowledged, f"{api.log.stem}: lost, reordered, or applied twice"
        assert set(entries(counts)) == {"delivered"}
        found = drill.checked(patients="header", encounters="header")
        print(f"history: {found.steps} steps, {len(found.violations)} violations")
        assert found.violations == ()
        assert drill.log.read_text().count("workers-ended") >= 1
        drill.assert_log_tells_nothing()


def said(node: BridgeProcess, series: str) -> float:
    """What the node's metrics say of a series; 0 where there is none."""
    with urlopen(f"http://127.0.0.1:{node.ports['admin']}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} ")), 0.0)


def at_work(node: BridgeProcess, killed: set[int]) -> list[int]:
    """The workers of a node that live."""
    return sorted(set(node.pids("bridge.cli.worker")) - killed)
