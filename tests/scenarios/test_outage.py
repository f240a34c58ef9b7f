"""Promise 4 and a person's pause: an API that is away costs nothing but time, whatever the way it is away."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from drill import CHANNEL, Drill, LedgerWatch, entries, seconds, until

AWAY = {
    "dead": "its process is gone: connections are refused",
    "hanging": "its process stands still: connections are made, and nothing is ever answered",
    "paused": "a person has paused it",
    "channel paused": "a person has paused the whole channel",
}

TIMEOUTS = "auth: none\ntimeouts: {connect: 1s, request: 1s}"
REST_S = 0.04
"""Between two messages of a sender, so that there is less than the bridge could take."""


def leave(drill: Drill, how: str) -> None:
    match how:
        case "dead":
            drill.patients.kill()
        case "hanging":
            drill.patients.signal(signal.SIGSTOP)
        case "paused":
            drill.command("pause", "ehr.patients", "--reason=maintenance of its database")
        case _:
            drill.command("pause", CHANNEL, "--reason=to see what it sends")


def come_back(drill: Drill, how: str) -> None:
    match how:
        case "dead":
            drill.patients.start()
        case "hanging":
            drill.patients.signal(signal.SIGCONT)
        case "paused":
            drill.command("resume", "ehr.patients", "--reason=over")
        case _:
            drill.command("resume", CHANNEL, "--reason=seen")


@pytest.mark.live
@pytest.mark.both_in_drills
@pytest.mark.parametrize("how", AWAY)
def test_an_api_that_is_away_under_load_costs_nothing_but_time(
    tmp_path: Path, pytestconfig: pytest.Config, how: str
) -> None:
    away_s: float = pytestconfig.getoption("--outage-s")
    with Drill(
        tmp_path,
        change_apis=lambda text: text.replace("auth: none", TIMEOUTS),
        rest_s=REST_S,
    ) as drill:
        watch = LedgerWatch(drill.url)
        watch.start()
        drill.send()
        until(lambda: len(drill.patients.calls()) > 20, "deliveries go")
        leave(drill, how)
        time.sleep(1.5)  # longer than what was under way may take
        stopped_at, others_at = len(drill.patients.calls()), len(drill.encounters.calls())
        taken_at = sum(map(len, drill.acknowledged.values()))
        for _ in seconds(away_s):
            pass
        assert len(drill.patients.calls()) == stopped_at, "it was not away: this shows nothing"
        others = len(drill.encounters.calls()) - others_at
        assert (others > 0) == (how != "channel paused"), "the other API goes on, unless all is paused"
        taken = sum(map(len, drill.acknowledged.values())) - taken_at
        assert taken > 0, "senders are answered all the while"
        come_back(drill, how)
        drill.end_sending()
        counts = drill.drained(60 + 3 * away_s)
        watch.end()
        drill.stop()
        print(f"{how} for {away_s} s: {taken} taken and {others} other calls meanwhile; {entries(counts)}")
        assert watch.unbalanced == []
        assert entries(counts) == {"delivered": sum(map(len, drill.acknowledged.values()))}
        for api in drill.apis:
            assert api.applied() == drill.acknowledged, f"{api.log.stem}: lost, reordered, or applied twice"
        assert drill.checked(patients="header", encounters="header").violations == ()
        drill.assert_log_tells_nothing()
