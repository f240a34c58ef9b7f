"""A transaction that does not end: a disk or a server that hangs refuses nothing by itself."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bridge.errors import JournalUnavailable
from bridge.journal.committing import COMMITTED, Batch
from bridge.journal.messages import RECEIVE
from bridge.journal.writer import STUCK_AFTER_S, Writer


class Hanging:
    """The other half of a writer: it takes what it is given, and has not written it before it is told to."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def put(self, batch: Batch) -> None:
        self.batches.append(batch)

    def hurry(self) -> None: ...

    def end(self) -> None: ...


def started() -> tuple[Writer, Hanging, Clock]:
    clock, place = Clock(), Hanging()
    writer = Writer(clock, lambda _hear: place)
    return writer, place, clock


def submitted(writer: Writer) -> list[Any]:
    """What an item comes to: empty as long as nobody knows."""
    found: list[Any] = []
    item: Any = None
    done: Deferred[Any] = writer.submit(RECEIVE, item)
    done.addBoth(lambda result: found.append(getattr(result, "value", result)))
    return found


def test_what_waits_behind_a_transaction_that_hangs_is_refused_and_what_comes_then_at_once() -> None:
    writer, place, clock = started()
    first = submitted(writer)
    clock.advance(0)
    second = submitted(writer)
    with capture_logs() as logs:
        clock.advance(STUCK_AFTER_S)
    assert writer.trouble == f"the journal cannot write: {logs[0]['reason']}"
    assert [each["event"] for each in logs] == ["journal-away"]
    third = submitted(writer)
    for refused in (second, third):
        assert isinstance(refused[0], JournalUnavailable)
    assert first == [], "whether it is written is not known"
    with capture_logs() as logs:
        writer.hear(COMMITTED, ["written"], STUCK_AFTER_S, False)
    assert (first, writer.failing, writer.trouble) == (["written"], False, "")
    assert [each["event"] for each in logs] == ["journal-back"]
    submitted(writer)
    clock.advance(0)
    assert len(place.batches) == 2


@pytest.mark.parametrize("commit_s", [0.0, STUCK_AFTER_S - 1])
def test_transactions_that_end_in_time_are_not_taken_for_one_that_hangs(commit_s: float) -> None:
    writer, _, clock = started()
    for _ in range(3):
        done = submitted(writer)
        clock.advance(0)
        clock.advance(commit_s)
        writer.hear(COMMITTED, ["written"], commit_s, False)
        assert done == ["written"]
        clock.advance(1.0)
    clock.advance(10 * STUCK_AFTER_S)
    assert not writer.failing
    assert not clock.getDelayedCalls()
