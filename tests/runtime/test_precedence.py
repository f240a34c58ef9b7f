"""What is bulk gives way to what is live, keeps its share all the same, and rests for nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bridge.delivery.lane import Entry
from bridge.delivery.lanes import Lanes
from bridge.delivery.rate import Rate
from bridge.runtime.precedence import BULK_S, BULK_SHARE, LIVE_S, QUIET_MAX_S, QUIET_S, REST_MAX_S, Precedence
from bridge.runtime.service import real_surroundings
from bridge.runtime.turns import LIVE_SHARE, Turns


def precedence() -> tuple[Precedence, Clock]:
    clock = Clock()
    return Precedence(replace(real_surroundings(clock), reactor=clock)), clock


def test_where_nothing_live_happens_nothing_rests() -> None:
    before, clock = precedence()
    clock.advance(10)
    assert not before.is_bulk
    before.worked(1.0)
    assert (before.wait_s(), before.wait_s(1.0), before.is_live, before.is_bulk) == (0, 0, False, True)
    clock.advance(BULK_S)
    assert not before.is_bulk


@pytest.mark.parametrize(
    ("worked_s", "waits_s"), [(0.0, 0.0), (0.002, 0.006), (0.005, 0.015), (0.1, QUIET_S), (60.0, QUIET_S)]
)
def test_a_piece_is_rested_from_until_live_work_is_quiet(worked_s: float, waits_s: float) -> None:
    before, clock = precedence()
    clock.advance(10)
    before.live()
    before.worked(worked_s)
    assert before.wait_s() == pytest.approx(waits_s)
    assert before.wait_s(worked_s) == pytest.approx(waits_s)
    clock.advance(LIVE_S / 2)
    assert before.is_live
    assert before.wait_s() == 0


def test_bulk_keeps_its_share_of_a_time_that_is_all_live() -> None:
    before, clock = precedence()
    worked_s, until_s = 0.0, 20.0
    while clock.seconds() < until_s:
        before.live()
        if before.wait_s():
            clock.advance(0.001)
        else:
            clock.advance(0.004)
            worked_s += 0.004
            before.worked(0.004)
    assert worked_s / until_s == pytest.approx(BULK_SHARE, rel=0.1)
    before.live()
    before.worked(3600)
    clock.advance(REST_MAX_S)
    before.live()
    assert before.wait_s() == 0, "no piece is rested from for longer than this"


def test_where_commits_take_long_live_work_is_waited_for_longer() -> None:
    before, clock = precedence()
    clock.advance(10)
    for _ in range(50):
        before.committed(0.04)
    before.live()
    before.worked(1)
    assert before.wait_s() == pytest.approx(0.08, rel=0.01)
    for _ in range(50):
        before.committed(5)
    before.live()
    assert before.wait_s() == pytest.approx(QUIET_MAX_S)
    for _ in range(50):
        before.committed(0)
    before.live()
    before.worked(1)
    assert before.wait_s() == pytest.approx(QUIET_S)


def test_giving_way_ends_when_live_work_is_quiet() -> None:
    before, clock = precedence()
    clock.advance(10)
    before.live()
    before.worked(1)
    ended = Deferred.fromCoroutine(before.give_way())
    clock.advance(QUIET_S / 2)
    assert not ended.called
    clock.advance(QUIET_S)
    assert ended.called


def entry(number: int, channel: str) -> Entry:
    return Entry(number, number, (b"%d" % number,), 0, channel)


def test_live_channels_go_first_and_have_calls_of_their_own() -> None:
    before, clock = precedence()
    clock.advance(10)
    lanes, turns = Lanes(), Turns(before, lambda channel: channel == "file")

    def take() -> Entry | None:
        return turns.take(lanes, 0, lambda _: None, calls_max)

    calls_max = 8
    for number in range(1, 20):
        lanes.admit(entry(number, "file"), 0)
    taken = [take() for _ in range(8)]
    assert [each is not None and each.channel for each in taken] == ["file"] * 8, "nobody else wants them"
    lanes.admit(entry(100, "adt"), 0)
    live = take()
    assert live is not None
    assert live.channel == "adt"
    assert take() is None, "bulk waits while a live call begins"
    clock.advance(1)
    assert take() is None, "and leaves a call free for the next one"
    kept = calls_max // LIVE_SHARE
    for each in taken[: kept + 1]:
        assert each is not None
        turns.ended(each)
    following = take()
    assert following is not None
    assert following.channel == "file"
    assert take() is None
    lanes.admit(entry(101, "adt"), 0)
    assert (live := take()) is not None
    assert live.channel == "adt"
    assert turns.look_again_us(5) == 5 + int(QUIET_S * 1e6) or turns.look_again_us(5) is not None


def test_where_live_channels_have_more_than_an_api_takes_every_fourth_call_is_bulks() -> None:
    before, clock = precedence()
    clock.advance(10)
    lanes, turns = Lanes(), Turns(before, lambda channel: channel == "file")
    for number in range(1, 41):
        lanes.admit(entry(number, "adt" if number % 2 else "file"), 0)
    taken = []
    for _ in range(20):
        clock.advance(REST_MAX_S)
        found = turns.take(lanes, 0, lambda _: None, 8)
        assert found is not None
        turns.ended(found)
        taken.append(found.channel)
    assert taken == (["adt"] * (LIVE_SHARE - 1) + ["file"]) * (20 // LIVE_SHARE)


def test_bulk_leaves_live_channels_a_share_of_what_a_rate_lets_go() -> None:
    before, clock = precedence()
    clock.advance(10)
    lanes, turns, rate = Lanes(), Turns(before, lambda channel: channel == "file"), Rate(8.0, 8)

    def take(now_us: int) -> str:
        if rate.take(now_us):
            return "rate"
        clock.advance(REST_MAX_S)
        found = turns.take(lanes, now_us, lambda _: None, 64, rate)
        if found is None:
            rate.give_back()
            return ""
        return found.channel

    lanes.admit(entry(1, "adt"), 0)
    for number in range(2, 40):
        lanes.admit(entry(number, "file"), 0)
    assert [take(0) for _ in range(8)] == ["adt", *["file"] * 5, "", ""], "two of eight are kept"
    lanes.admit(entry(100, "adt"), 0)
    lanes.admit(entry(101, "adt"), 0)
    assert [take(0) for _ in range(3)] == ["adt", "adt", "rate"]
    # Of what comes back, the share that is kept comes first, and then bulk goes on.
    wait_us = rate.spare_us(LIVE_SHARE)
    assert take(wait_us - 1) == ""
    assert take(wait_us + 125_000) == "file"


def test_a_rate_of_one_at_a_time_keeps_nothing_back() -> None:
    rate = Rate(1.0, 1)
    assert rate.take(0) == 0
    assert rate.spare_us(LIVE_SHARE) == 0
