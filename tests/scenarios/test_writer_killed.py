"""The process that writes the journal is killed under load: its node begins anew, and nothing is lost."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from drill import Drill, LedgerWatch, entries, until

from bridge.cli.run import ANEW_AFTER_S

WRITER = "bridge.cli.journal_writer"
KILLS = 1


def killed(drill: Drill) -> int:
    """Kill the writer of a drill's node; which it was."""
    (writer,) = drill.node.pids(WRITER)
    os.kill(writer, signal.SIGKILL)
    return writer


@pytest.mark.live
@pytest.mark.both_in_drills
def test_a_writer_that_is_killed_under_load_costs_nothing_but_the_time_of_a_start(tmp_path: Path) -> None:
    with Drill(tmp_path, options=("--workers=1",)) as drill:
        marker, watch = drill.site / "ready", LedgerWatch(drill.url)
        drill.send()
        watch.start()
        for _ in range(KILLS):
            time.sleep(ANEW_AFTER_S + 1.0)
            before = killed(drill)
            until(lambda: not marker.exists(), "the node has seen it", at_most_s=60)
            until(marker.exists, "it takes messages again", at_most_s=60)
            assert drill.node.pids(WRITER) != [before]
        drill.end_sending_whatever_was_said()
        watch.end()
        counts = drill.drained()
        drill.stop()
        assert watch.unbalanced == []
        for api in drill.apis:
            assert api.applied() == drill.acknowledged, f"{api.log.stem}: lost, reordered, or applied twice"
        assert set(entries(counts)) <= {"delivered", "duplicate"}
        found = drill.checked(patients="header", encounters="header")
        assert (found.violations, drill.log.read_text().count("starting anew")) == ((), KILLS)
        drill.assert_log_tells_nothing()


@pytest.mark.live
def test_a_node_whose_writer_ends_again_at_once_says_so_and_ends(tmp_path: Path) -> None:
    with Drill(tmp_path) as drill:
        killed(drill)
        until(lambda: drill.node._process.poll() is not None, "the node has ended", at_most_s=60)
        said = drill.log.read_text()
        assert "it ended soon after the start, so look at what ends it" in said
        assert "Traceback" not in said
        assert drill.node._process.returncode not in {0, None}
