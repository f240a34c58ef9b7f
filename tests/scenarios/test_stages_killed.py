"""A route goes all the way while the bridge and the old engine are killed at random points.

`--stage-kills 10` kills so often; what is held is what the demonstration shows.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli.demo_migration import walk_to_canary, walk_to_complete
from bridge.cli.migration_story import Story

pytestmark = pytest.mark.live

KILL_AFTER_MESSAGES = (10, 110)
"""Of the traffic and not of time, so that a slow machine is not killed before it has done anything."""
KILL_AFTER_MAX_S = 0.3
LOOK_EVERY_S = 0.05


class Killer(threading.Thread):
    """Kills the bridge and the old engine in turn, as a power cut would, and starts them again."""

    def __init__(self, story: Story, kills: int, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._story, self._kills, self._chance = story, kills, chance
        self.ending = threading.Event()
        self.done = 0

    def run(self) -> None:
        while self.done < self._kills and self._comes_to_it():
            if self.done % 2:
                assert self._story.engine is not None
                self._story.engine.kill()
                self._story.start_engine()
            else:
                assert self._story.bridge is not None
                self._story.bridge.kill()
                self._story.start_bridge()
            self.done += 1

    def _comes_to_it(self) -> bool:
        """Wait for some more messages, and a moment; False where it is over before."""
        due = self._story.sent() + self._chance.randint(*KILL_AFTER_MESSAGES)
        while self._story.sent() < due:
            if self.ending.wait(LOOK_EVERY_S):
                return False
        return not self.ending.wait(self._chance.uniform(0, KILL_AFTER_MAX_S))


@pytest.fixture
def told(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Story]:
    kills = int(request.config.getoption("--stage-kills"))
    story = Story(tmp_path, messages=20 + 10 * kills, rest_s=0.05)
    story.start()
    try:
        yield story
    finally:
        story.stop()


def test_a_migration_under_kills_loses_nothing_doubles_nothing_and_keeps_order(
    told: Story, request: pytest.FixtureRequest
) -> None:
    kills = int(request.config.getoption("--stage-kills"))
    killer = Killer(told, kills, random.Random(23))
    told.stretch("relay")
    told.wait(lambda: told.sent() >= told.messages, "messages through the old engine")
    killer.start()
    try:
        named = walk_to_canary(told)
        walk_to_complete(told)
    finally:
        killer.ending.set()
        killer.join()
    assert any("room" in line for line in named), "the planted mistake is found all the same"
    found = told.judge()
    again = sum(each.sent_again for each in told.traffic)
    print(f"{killer.done} kills, starts {dict(told.starts)}, sent again {again}")
    print(found)
    for each in found:
        assert (each.lost, each.double, each.out_of_order) == (0, 0, 0), found
        assert each.by_engine
        assert each.by_bridge
    if kills:
        assert killer.done
