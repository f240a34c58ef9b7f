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
from sqlalchemy import Connection, select
from step_loop import StepLoop, Stuck
from structlog.testing import capture_logs

from bridge.journal.flow_schema import flow_steps
from bridge.journal.schema import deliveries

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


def test_a_flow_broken_at_every_step_is_done_or_undone_once(tmp_path: Path, every: int) -> None:
    with installed(FaultyDisk()):
        loop = StepLoop(tmp_path, where="flow")
        try:
            loop.begin()
            for kind in ("process", "none"):
                loop.break_disk(kind, f"flow: {DISK[kind]}", every=1 if every == 1 else 5 * every)
            loop.come_to_rest()
            tell(loop)
            assert loop.judge() == []
            assert loop.read(flows_not_as_they_must_be) == []
            undone = sum(number % 3 == 0 for number in range(1, len(loop.senders) + 1))
            assert len(loop.apis["ehr.patients"].undone) == undone > 0
        finally:
            loop.close()


def flows_not_as_they_must_be(connection: Connection) -> list[str]:
    """Flows that are not over, or neither done nor undone."""
    still_open = connection.execute(select(flow_steps.c.delivery_id).where(flow_steps.c.is_open == 1))
    found = [f"delivery {number}: its flow is not over" for number in still_open.scalars()]
    became: dict[int, list[str]] = {}
    rows = connection.execute(select(deliveries.c.message_id, deliveries.c.state).order_by(deliveries.c.id))
    for message_id, state in rows:
        became.setdefault(message_id, []).append(state)
    right = (["DELIVERED", "DELIVERED"], ["DELIVERED", "DISCARDED", "DELIVERED"])
    found += [f"message {number}: {states}" for number, states in became.items() if states not in right]
    return found


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
