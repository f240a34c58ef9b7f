"""Promises 1 to 3 where the journal itself goes away: a real PostgreSQL, stopped and started under load."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from databases import on_postgresql
from drill import DRAIN_MAX_S, SENDERS, Drill, entries
from postgres_server import PostgresServer


@pytest.mark.live
def test_a_postgresql_that_stops_and_starts_under_load_loses_and_reorders_nothing(
    tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in good order, once as by a crash. Senders hear AE meanwhile, and send again."""
    monkeypatch.setenv("BRIDGE_STATE", str(tmp_path))
    with on_postgresql(postgres_server), Drill(tmp_path) as drill:
        drill.send()
        for mode in ("fast", "immediate"):
            _wait_for_more(drill, "acknowledged", each=20)
            postgres_server.stop(mode)
            try:
                # Not of all: what was being committed is answered when that is known.
                _wait_for_more(drill, "refused", senders=1)
            finally:
                postgres_server.start()
        _wait_for_more(drill, "acknowledged")
        drill.end_sending_whatever_was_said()
        counts = drill.drained()
        drill.stop()
        refused = [answer for feed in drill.feeds for answer in feed.refused]
        count = sum(map(len, drill.acknowledged.values()))
        print(f"{count} acknowledged, {len(refused)} AE; in the end: {entries(counts)}")
        assert {answer.split()[0] for answer in refused} == {"AE"}
        for api in drill.apis:
            assert api.applied() == drill.acknowledged, f"{api.log.stem}: lost, reordered, or applied twice"
        assert counts.balanced
        assert set(entries(counts)) <= {"delivered", "duplicate"}
        assert entries(counts)["delivered"] == count
        assert drill.checked(patients="header", encounters="header").violations == ()


def _wait_for_more(drill: Drill, what: str, *, each: int = 1, senders: int = SENDERS) -> None:
    """Wait until so many senders have heard so many more answers of a kind, each of them."""
    before = [len(getattr(feed, what)) for feed in drill.feeds]
    give_up_s = time.monotonic() + DRAIN_MAX_S
    while (
        sum(len(getattr(feed, what)) >= n + each for feed, n in zip(drill.feeds, before, strict=True))
        < senders
    ):
        assert time.monotonic() < give_up_s, f"no more senders were {what} after {DRAIN_MAX_S} s"
        time.sleep(0.02)
