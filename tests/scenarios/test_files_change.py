"""Files that change while senders send: no connection is dropped, nothing is lost, no mistake gets in."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pytest
from drill import Drill, LedgerWatch, entries, seconds

CHANGE_EVERY_S = 1.0
REST_S = 0.02
CHANNEL_FILE = "channels/ehr-adt.yaml"
MAPPING_FILE = "mappings/adt-admit.yaml"
API_FILE = "channels/apis/ehr.patients.yaml"
LINE1 = "PID-11.1\n"
KINDS = {
    "a mapping": (
        MAPPING_FILE,
        f"line1:              {LINE1}",
        "line1:              join(' ', PID-11.1, PID-11.3)\n",
    ),
    "a mistake": (CHANNEL_FILE, "order_by:", "ordr_by:"),
    "an API": (API_FILE, "limits: {in_flight: 8}", "limits: {in_flight: 3}"),
    "a channel": (CHANNEL_FILE, 'interface=127.0.0.1"', 'interface=127.0.0.1", max_unanswered: 9'),
}
"""What changes, there and back."""


@pytest.mark.live
@pytest.mark.both_databases
def test_files_change_again_and_again_under_load(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    with Drill(tmp_path, rest_s=REST_S) as drill:
        watch = LedgerWatch(drill.url)
        watch.start()
        drill.send()
        reloads = refused = 0
        changing = cycle((name, there) for name in KINDS for there in (True, False))
        due_s = 0.0
        for passed_s in seconds(pytestconfig.getoption("--reload-s")):
            if passed_s < due_s:
                continue
            name, there = next(changing)
            path, old, new = KINDS[name]
            file = drill.site / path
            text = file.read_text()
            assert (old if there else new) in text
            file.write_text(text.replace(old, new) if there else text.replace(new, old))
            mistaken = name == "a mistake" and there
            if reloads % 2:
                said = drill.command("reload", status=1 if mistaken else 0)
                assert ("runs on by the files it had" in said) == mistaken
            else:
                drill.hang_up()
            reloads, refused, due_s = reloads + 1, refused + mistaken, passed_s + CHANGE_EVERY_S
        drill.end_sending()
        counts = drill.drained()
        watch.end()
        drill.stop()
        again = sum(feed.sent_again for feed in drill.feeds)
        print(
            f"{reloads} changes, {refused} of them mistakes, {again} connections dropped; {entries(counts)}"
        )
        assert again == 0, "a connection was dropped"
        assert watch.unbalanced == []
        assert entries(counts) == {"delivered": sum(map(len, drill.acknowledged.values()))}
        for api in drill.apis:
            assert api.applied() == drill.acknowledged, f"{api.log.stem}: lost, reordered, or applied twice"
        assert drill.checked(patients="header", encounters="header").violations == ()
        told = drill.log.read_text()
        assert '"event":"reloaded"' in told
        assert '"event":"not-reloaded"' in told or refused < 2
        drill.assert_log_tells_nothing()
