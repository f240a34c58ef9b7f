"""What a sender's listener is owed: how often it is tried, when it is given up, and what waits behind it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from ack_listener import AckListener
from reactor_tests import in_reactor, pause, until
from sqlalchemy import select
from structlog.testing import capture_logs
from twisted.internet import reactor

from bridge.delivery.backoff import RetryPolicy
from bridge.delivery.state import MessageState
from bridge.destinations.in_loop import in_loop
from bridge.formats.hl7v2_ack import AckCode, MshPeek, acknowledge
from bridge.journal.journal import Journal
from bridge.journal.messages import RECEIVE
from bridge.journal.owed_answers import OWE_AGAIN, Again, Owed
from bridge.journal.repeats import Arrival
from bridge.journal.schema import owed_answers
from bridge.observe.metrics import Metrics
from bridge.runtime.application_acks import ApplicationAcks, Patience
from bridge.runtime.service import real_surroundings
from bridge.runtime.tasks import Tasks
from bridge.transports.mllp_client import ListenerOfSender

QUICK = Patience(attempts_max=3, retry=RetryPolicy(base_s=0.02, cap_s=0.05))


def arrival(journal: Journal, control_id: bytes, owed: Owed) -> Arrival:
    return Arrival(
        channel="adt",
        received_at_us=now_us(),
        peer="127.0.0.1",
        message_type="ADT^A01",
        control_id=control_id.decode(),
        body=control_id,
        fingerprint=journal.facts.hash(control_id),
        repeat_hash=None,
        repeats_since_us=0,
        state=MessageState.RECEIVED,
        reason="",
        flags="",
        trace_id=bytes(16),
        answer=b"",
        answer_code="CA",
        owed=owed,
    )


def now_us() -> int:
    return real_surroundings(reactor).now_us()


@dataclass
class Owing:
    """A journal, a listener, and the way between them."""

    journal: Journal
    listener: AckListener
    acks: ApplicationAcks
    port: int

    async def owe(self, *numbers: int) -> None:
        """Messages whose senders are owed AA."""
        for number in numbers:
            control_id, theirs = f"B{number}", b"M%d" % number
            data = acknowledge(
                MshPeek(control_id=theirs), AckCode.AA, control_id=control_id, at_us=0, asks=(b"AL", b"NE")
            )
            owed = Owed("AL", True, "AA", control_id, data, final=True)
            await self.journal.submit(RECEIVE, arrival(self.journal, theirs, owed))
        self.acks.wake()

    def states(self) -> list[tuple[str, int]]:
        with self.journal.database.reader.begin() as connection:
            rows = connection.execute(select(owed_answers).order_by(owed_answers.c.message_id))
            return [(row.state, row.attempts) for row in rows]


@asynccontextmanager
async def owing(
    tmp_path: Path, *does: str, patience: Patience = QUICK, answer_max_s: float = 0.3
) -> AsyncIterator[Owing]:
    listener, tasks = AckListener(does), Tasks()
    port = await in_loop(listener.start())
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}", reactor, random_bytes=os.urandom)
    try:
        way = ListenerOfSender(f"tcp:127.0.0.1:{port}", reactor, answer_max_s=answer_max_s)
        acks = ApplicationAcks("adt", journal, Metrics(), real_surroundings(reactor), patience)
        acks.use(str(way), way)
        tasks.spawn("acks", acks.run())
        try:
            yield Owing(journal, listener, acks, port)
        finally:
            await tasks.stop()
    finally:
        await journal.close()
        await in_loop(listener.stop())
        await pause(0)


@pytest.mark.parametrize("does", ["silent", "close", "wrong", "AE", "nonsense"])
@in_reactor
async def test_a_listener_that_never_confirms_one_gets_the_next_at_last(tmp_path: Path, does: str) -> None:
    with capture_logs() as logs:
        async with owing(tmp_path, does, does, does) as site:
            await site.owe(1, 2)
            await until(lambda: len(site.states()) == 2 and site.states()[1][0] == "SAID", "the next is told")
            assert site.states() == [("GIVEN_UP", 3), ("SAID", 1)]
            assert site.listener.heard == [("AA", "M1")] * 3 + [("AA", "M2")]
            assert len(set(site.listener.blocks)) == 2, "each attempt is the same, byte for byte"
    given_up = [each for each in logs if each["event"] == "application-ack-given-up"]
    assert [(each["message"], each["attempts"]) for each in given_up] == [(1, 3)]


@in_reactor
async def test_while_nobody_listens_no_attempt_is_used_up(tmp_path: Path) -> None:
    async with owing(tmp_path) as site:
        await in_loop(site.listener.stop())
        await site.owe(1, 2)
        await pause(0.5)
        assert site.states() == [("OWED", 0), ("OWED", 0)]
        await in_loop(site.listener.start(site.port))
        await until(lambda: site.states() == [("SAID", 1), ("SAID", 1)], "both are told")
        assert site.listener.heard == [("AA", "M1"), ("AA", "M2")]


@in_reactor
async def test_what_is_older_than_it_is_worth_is_given_up(tmp_path: Path) -> None:
    old = replace(QUICK, owed_max_s=0.0)
    async with owing(tmp_path, patience=old) as site:
        await in_loop(site.listener.stop())
        await site.owe(1)
        await until(lambda: site.states() == [("GIVEN_UP", 0)], "it is given up")


@in_reactor
async def test_more_than_a_page_goes_in_order_over_one_connection(tmp_path: Path) -> None:
    async with owing(tmp_path) as site:
        await site.owe(*range(1, 151))
        await until(lambda: len(site.listener.blocks) == 150, "all are told")
        assert site.listener.heard == [("AA", f"M{number}") for number in range(1, 151)]
        assert site.listener.connections == 1


@in_reactor
async def test_one_that_is_owed_again_while_it_is_under_way_is_told_again_only_once_it_was_told(
    tmp_path: Path,
) -> None:
    async with owing(tmp_path, "late", answer_max_s=10.0) as site:
        await site.owe(1)
        await until(lambda: len(site.listener.blocks) == 1, "it is under way")
        again = Again(1, to_listener=True, at_us=0)
        known = await site.journal.submit(OWE_AGAIN, again)
        assert known is not None
        assert known.final
        await until(lambda: site.states()[0][0] == "SAID", "it is told")
        assert len(site.listener.blocks) == 1, "the sender has asked before it was told, and is told once"
        await site.journal.submit(OWE_AGAIN, replace(again, at_us=now_us()))
        site.acks.wake()
        await until(lambda: len(site.listener.blocks) == 2, "it is told again")
