"""Every step of the journal is broken in every way, on both databases; nothing acknowledged is lost by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SEEDS_OF_A_TEST
from faulty_disk import FaultyDisk, installed
from plants import PLANTS
from postgres_server import PostgresServer
from sim_faults import DISK, SQLITE, StepFault, postgresql
from sim_steps import sharing_engine
from step_loop import StepLoop, Stuck
from structlog.testing import capture_logs

STEPS_MIN = 25
"""A message has more steps than this, or they are not counted."""
NEGATIVE = [
    ("acknowledge_before_commit", "error"),
    ("no_sync_at_commit", "none"),
    ("outcome_not_awaited", "error"),
]
"""Plants, each with what the disk does that shows them."""


@pytest.fixture(autouse=True)
def ready(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Engines are counted; what is said of all the faults is nobody's business."""
    for name in ("sqlite", "postgresql"):
        monkeypatch.setattr(f"bridge.journal.{name}.create_engine", sharing_engine)
    with capture_logs():
        yield


@pytest.fixture
def every(pytestconfig: pytest.Config) -> int:
    """A drill breaks each step; an ordinary run every ninth, from another one for each fault."""
    return 1 if pytestconfig.getoption("--seeds") > SEEDS_OF_A_TEST else 9


def loop_over(loop: StepLoop, faults: tuple[StepFault, ...], every: int) -> None:
    """Break what can be broken, then judge."""
    try:
        loop.begin()
        for fault in faults:
            steps = loop.break_steps(fault, every=every)
            assert steps * every >= STEPS_MIN - every or fault.after_commit, f"{fault.name}: {steps} steps"
        for fault in faults:
            if not fault.after_commit:
                loop.start_broken(fault, every=every)
        tell(loop)
        assert loop.judge() == []
    finally:
        loop.close()


def tell(loop: StepLoop) -> None:
    """What was done, for who asks with -rP."""
    for name, count in loop.broken.items():
        print(f"{count:5} times {name}")
    print(f"{loop.lives} lives, {len(loop.senders)} messages")


def test_a_journal_in_a_file_broken_at_every_step(tmp_path: Path, every: int) -> None:
    with installed(FaultyDisk()):
        loop_over(StepLoop(tmp_path), SQLITE, every)


def test_a_journal_on_a_server_broken_at_every_step(
    tmp_path: Path, postgres_server: PostgresServer, every: int
) -> None:
    name = postgres_server.database()
    try:
        loop_over(StepLoop(tmp_path, postgres_server.url(name)), postgresql(postgres_server), every)
    finally:
        postgres_server.drop(name)


def test_a_disk_that_fails_or_loses_power_at_every_write(tmp_path: Path, every: int) -> None:
    with installed(FaultyDisk()):
        loop = StepLoop(tmp_path)
        try:
            loop.begin()
            for kind, name in DISK.items():
                operations = loop.break_disk(kind, name, every=every)
                assert operations * every >= STEPS_MIN - every, f"{name}: {operations} operations"
            tell(loop)
            assert loop.judge() == []
        finally:
            loop.close()


@pytest.mark.parametrize(("plant", "kind"), NEGATIVE)
def test_what_is_broken_by_a_planted_fault_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: str, kind: str
) -> None:
    PLANTS[plant](monkeypatch.setattr)
    with installed(FaultyDisk()):
        loop = StepLoop(tmp_path)
        try:
            loop.begin()
            try:
                loop.break_disk(kind, kind, every=3)
            except Stuck as stuck:
                found = [str(stuck)]
            else:
                found = loop.judge()
        finally:
            loop.close()
    print("\n".join(found[:3]))
    assert found != []


def test_two_bridges_on_one_journal_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.journal.sqlite.fcntl.flock", lambda *_: None)
    monkeypatch.setattr("sim_api.CALL_MAX_S", 10.0)
    with installed(FaultyDisk()):
        loop = StepLoop(tmp_path)
        try:
            loop.begin()
            found = loop.with_a_second()
        finally:
            loop.close()
    print("\n".join(found[:3]))
    assert found != []
