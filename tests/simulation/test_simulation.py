"""Simulations of the whole spine from seeds; and faults put into the bridge, which they must find."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import faulty_disk
import pytest
import seeds
import structlog
from conftest import SEEDS_OF_A_TEST
from plants import FOUND_EARLY, PLANTS
from scenario import Scenario, Send, Trouble, drawn
from sim_steps import sharing_engine

FOUND_WITHIN_SEEDS = 500
TWO = (Send(0, 0, 1), Send(0, 0, 2))
STORIES = {
    "a pause ends while the disk fails": (
        Trouble(0.1, "pause", "api ehr.patients", 0.2),
        Trouble(0.2, "disk", "error", 0.3),
    ),
    "the clock is set back while a call is under way": (
        Trouble(0.0, "api", "outage ehr.patients", 3.0),
        *(Trouble(0.1 * tenths, "clock", number=-5) for tenths in range(1, 30)),
    ),
    "the clock was two hours ahead when retries were planned, and a start finds it right": (
        Trouble(0.0, "clock", number=7200),
        Trouble(0.0, "api", "outage ehr.patients", 20.0),
        Trouble(18.0, "clock", number=-7200),
        Trouble(18.1, "crash", "process"),
    ),
}
"""What seeds have found, or what somebody thought of."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A drill looks for all plants; each run for those that a handful of seeds finds."""
    if "plant" in metafunc.fixturenames:
        drill = metafunc.config.getoption("--seeds") > SEEDS_OF_A_TEST
        metafunc.parametrize("plant", PLANTS if drill else FOUND_EARLY)


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulations run in this process, and leave it as it was."""
    before = structlog.get_config()
    monkeypatch.setattr("bridge.journal.sqlite.create_engine", sharing_engine)
    yield
    structlog.configure(**before)


def command(*options: str, hash_seed: str = "0") -> str:
    """What the runner of seeds prints, in a process of its own, whose reactor nobody else uses."""
    done = subprocess.run(
        [sys.executable, str(Path(seeds.__file__)), *options],
        capture_output=True,
        text=True,
        timeout=3 * 3600,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(faulty_disk.__file__).parent)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.live
def test_no_seed_finds_a_promise_broken(pytestconfig: pytest.Config) -> None:
    said = command(f"--count={pytestconfig.getoption('--seeds')}")
    print(said)
    assert "no seed failed" in said


@pytest.mark.live
def test_a_seed_is_the_same_story_each_time() -> None:
    first, second = (
        command("--count=2", "--processes=1", hash_seed=each).partition("histories ")[2]
        for each in ("1", "2")
    )
    assert first.partition(",")[0] == second.partition(",")[0]


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("story", STORIES)
def test_what_was_found_once_is_not_found_again(story: str) -> None:
    assert seeds.run(Scenario(0, "journaled", TWO, STORIES[story])).found == []


@pytest.mark.usefixtures("ready")
def test_a_planted_fault_is_found(plant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTS[plant](monkeypatch.setattr)
    found = next(seed for seed in range(FOUND_WITHIN_SEEDS) if seeds.run(drawn(seed)).found)
    print(f"{plant}: seed {found}")


@pytest.mark.usefixtures("ready")
def test_what_failed_is_shown_with_as_little_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTS["repeats_not_known"](monkeypatch.setattr)
    failed = next(scenario for scenario in map(drawn, range(100)) if seeds.run(scenario).found)
    smaller, ended = seeds.cut_down(failed)
    assert ended.found
    assert len(smaller.sends) + len(smaller.troubles) <= 3 < len(failed.sends)
    assert seeds.run(smaller).found == ended.found
