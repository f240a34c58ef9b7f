"""The clock of a node: it follows the system's, but never back."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from twisted.internet.task import Clock

from bridge.cli.checks import of_node
from bridge.runtime.clock import BelievedTime, SteadyClock
from bridge.runtime.service import real_surroundings
from bridge.runtime.surroundings import Surroundings


class System:
    """The clocks of a system, in seconds. The second one nobody sets."""

    def __init__(self) -> None:
        self.wall_s, self.monotonic_s = 1_000.0, 50.0

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: int(self.wall_s * 1e9), lambda: int(self.monotonic_s * 1e9))

    def believed(self, last_s: float | None = None) -> BelievedTime:
        believed = BelievedTime(self.clock(), lambda: self.monotonic_s)
        believed.begin(None if last_s is None else int(last_s * 1e6))
        return believed


def test_time_of_day_is_the_systems() -> None:
    system = System()
    clock = system.clock()
    system.pass_s(7.5)
    assert clock() == 1_007_500_000


def test_a_clock_that_is_set_forward_is_followed_at_once() -> None:
    system = System()
    clock = system.clock()
    system.wall_s += 3600
    assert clock() == 4_600_000_000


def test_where_the_clock_was_set_back_time_goes_on_at_half_speed_until_it_has_caught_up() -> None:
    system = System()
    clock = system.clock()
    system.wall_s -= 60
    times = []
    for _ in range(11):
        times.append(clock())
        system.pass_s(10)
    assert times == [1_000_000_000 + 5_000_000 * step for step in range(11)]
    assert system.wall_s == 1_050
    system.pass_s(1)
    assert clock() == 1_051_000_000


def test_a_wait_that_the_clock_was_set_back_under_takes_at_most_twice_as_long() -> None:
    system = System()
    clock = system.clock()
    due_us = clock() + 30_000_000
    system.wall_s -= 7200
    waited_s = 0
    while clock() < due_us:
        system.pass_s(1)
        waited_s += 1
    assert waited_s == 60


def test_it_says_once_that_the_clock_was_set_back_and_by_how_much() -> None:
    system = System()
    clock = system.clock()
    with capture_logs() as said:
        system.wall_s -= 0.2
        clock()
        system.wall_s -= 3600
        for _ in range(3):
            clock()
            system.pass_s(1)
    assert [(each["event"], each["by_s"]) for each in said] == [("clock-set-back", 3600.2)]


HOUR_S, DAY_S = 3600, 86_400


def test_for_deleting_a_clock_that_is_set_forward_counts_once_it_has_stood_for_a_day() -> None:
    system = System()
    believed = system.believed()
    system.pass_s(DAY_S)
    assert believed() == (1_000 + DAY_S) * 1_000_000
    system.wall_s += 3650 * DAY_S
    with capture_logs() as said:
        for hour in range(24):
            assert believed() == (1_000 + DAY_S + hour * HOUR_S) * 1_000_000
            system.pass_s(HOUR_S)
    assert {(each["event"], each["ahead_s"]) for each in said} == {("clock-doubtful", 3650 * DAY_S)}
    assert [said[0]["believed_in_s"], said[-1]["believed_in_s"]] == [DAY_S, HOUR_S]
    assert believed() == (1_000 + 3652 * DAY_S) * 1_000_000
    system.pass_s(HOUR_S)
    assert believed() == int(system.wall_s * 1e6)


def test_for_deleting_a_clock_that_was_ahead_for_seconds_is_never_believed() -> None:
    system = System()
    believed = system.believed()
    system.wall_s += 3650 * DAY_S
    believed()
    system.pass_s(5)
    system.wall_s -= 3650 * DAY_S
    for _ in range(100):
        assert believed() <= system.wall_s * 1e6
        system.pass_s(HOUR_S)


def test_for_deleting_small_steps_of_a_clock_are_followed_at_once() -> None:
    system = System()
    believed = system.believed()
    for _ in range(100):
        system.pass_s(HOUR_S)
        system.wall_s += 600
        assert believed() == int(system.wall_s * 1e6)


def test_for_deleting_a_start_long_after_the_last_writing_waits_a_day() -> None:
    for away_days, believed_at_once in ((29, True), (60, False)):
        system = System()
        last_s = system.wall_s
        system.wall_s += away_days * DAY_S
        believed = system.believed(last_s)
        system.pass_s(HOUR_S)
        assert (believed() == int(system.wall_s * 1e6)) is believed_at_once
        system.pass_s(DAY_S)
        assert believed() == int(system.wall_s * 1e6), "a site that was off for months goes on after a day"


def test_for_deleting_a_doubt_is_told_once_an_hour() -> None:
    system = System()
    believed = system.believed()
    system.wall_s += DAY_S
    with capture_logs() as said:
        for _ in range(121):
            believed()
            system.pass_s(60)
    assert len(said) == 3


@pytest.mark.parametrize(
    ("set_by_s", "begins"),
    [
        (0, []),
        (30, []),
        (
            10 * DAY_S,
            ["the clock was set forward by 10 days: nothing is deleted by it until it has stood so"],
        ),
        (-HOUR_S, ["the node's time is 60 minutes ahead: the machine's clock was set back under it"]),
    ],
)
def test_a_clock_that_was_set_is_a_worry_that_says_what_follows(
    monkeypatch: pytest.MonkeyPatch, set_by_s: float, begins: list[str]
) -> None:
    system = System()
    now_us = system.clock()
    world = Surroundings(
        Clock(),
        now_us,
        lambda: 0.5,
        bytes,
        believed=BelievedTime(now_us, lambda: system.monotonic_s),
    )
    system.wall_s += set_by_s
    monkeypatch.setattr("bridge.cli.checks.time.time", lambda: system.wall_s)
    told = of_node(
        {"journal_failing": False, "stopped": [], "channels": {}, "apis": {}, "clock": world.clock()}
    )
    assert len(told) == len(begins)
    assert all(each.startswith(words) for each, words in zip(told, begins, strict=True))


def test_a_start_far_behind_the_journal_is_a_worry_until_the_clock_is_set_right() -> None:
    system = System()
    now_us = system.clock()
    world = Surroundings(
        Clock(), now_us, lambda: 0.5, bytes, believed=BelievedTime(now_us, lambda: system.monotonic_s)
    )
    assert world.believed is not None

    def told() -> list[str]:
        node = {"journal_failing": False, "stopped": [], "channels": {}, "apis": {}, "clock": world.clock()}
        return [each for each in of_node(node) if "behind what the journal knows" in each]

    with capture_logs() as said:
        world.believed.begin(now_us() + int(400 * DAY_S * 1e6))
    assert [each["event"] for each in said] == ["clock-behind"]
    assert [each[:25] for each in told()] == ["the clock is 400 days beh"]
    system.wall_s += 400 * DAY_S
    assert told() == []
    world.believed.begin(now_us() + int(60 * 1e6))
    assert told() == [], "a minute is not worth a word"


def test_for_deleting_what_has_passed_is_told_by_a_clock_that_nobody_sets() -> None:
    # That of a reactor is the time of day.
    reactor = Clock()
    world = real_surroundings(reactor)
    reactor.advance(3650 * DAY_S)
    with capture_logs() as said:
        assert abs(world.believed_us() - world.now_us()) < HOUR_S * 1_000_000
    assert said == []
