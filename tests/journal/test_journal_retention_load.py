"""Retention beside live traffic: `--large 1000000`, with `-rP` to see what arrivals waited.

Five pairs of runs, each with and without retention, of arrivals one after the other from eight senders.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from journals import arrival, journal_in
from reactor_tests import in_reactor_for, pause
from sqlalchemy import Connection, and_, func, select
from test_journal_finding import BEGAN_US, fill
from test_journal_large import BASE, multiply
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from bridge.delivery.state import DELIVERY_OPEN, DeliveryState, MessageState
from bridge.journal.journal import Journal
from bridge.journal.ledger import ledger
from bridge.journal.legal_holds import HOLD, LegalHold
from bridge.journal.messages import RECEIVE
from bridge.journal.schema import deliveries, messages
from bridge.runtime.retention import Retention
from bridge.runtime.service import real_surroundings

SENDERS = 8
PAIRS = 5
LARGE_MAX_S = 3 * 3600.0
"""A million takes a while, on either database."""


async def sender(journal: Journal, number: int, ends_s: float, waited: list[float]) -> None:
    body = random.Random(number).randbytes(700)
    while time.monotonic() < ends_s:
        began_s = time.monotonic()
        control_id = f"L{number}-{len(waited)}-{began_s}"
        await journal.submit(RECEIVE, arrival(journal, body, control_id, channel="live"))
        waited.append(time.monotonic() - began_s)
        await pause(0.002)


async def for_a_while(journal: Journal, seconds: float) -> list[float]:
    waited: list[float] = []
    ends_s = time.monotonic() + seconds
    await gatherResults(
        [Deferred.fromCoroutine(sender(journal, number, ends_s, waited)) for number in range(SENDERS)]
    )
    return sorted(waited)


@pytest.mark.both_databases
@in_reactor_for(LARGE_MAX_S)
async def test_arrivals_go_on_while_what_is_over_is_deleted(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    count = int(pytestconfig.getoption("--large"))
    seconds = min(8.0, count / 3000)
    async with journal_in(tmp_path) as journal:
        base = min(count, BASE)
        fill(journal.database, base, random.Random(5))
        multiply(journal.database, base, count // base)
    # All of it is older than what is kept.
    end_us = BEGAN_US + (count + 3600) * 1_000_000
    world = replace(real_surroundings(reactor), now_us=lambda: end_us, believed=None)
    channels: Any = {
        name: SimpleNamespace(keep_messages_s=1.0, keep_bodies_s=None) for name in ("adt", "lab", "rare")
    }
    async with journal_in(tmp_path) as journal:
        await journal.submit(HOLD, LegalHold("channel", "rare", world.now_us(), "user:eve", "case 7", True))
        before = await journal.read(ledger)
        full, not_over = _pages(journal), await journal.read(_not_over)
        assert all(not_over)
        print(journal.database.name)
        for _ in range(PAIRS):
            alone = await for_a_while(journal, seconds)
            under_way = Deferred.fromCoroutine(Retention(journal, world).round(channels))
            beside = await for_a_while(journal, seconds)
            if not under_way.called:
                under_way.addErrback(lambda _: None)
                under_way.cancel()
            shown = [f"{1000 * run[int(len(run) * 0.99)]:.1f} ms of {len(run)}" for run in (alone, beside)]
            print(f"p99 of arrivals: alone {shown[0]}, beside retention {shown[1]}")
        began_s = time.monotonic()
        finished = Deferred.fromCoroutine(Retention(journal, world).round(channels))
        waited = await for_a_while(journal, seconds)
        done = await finished
        print(
            f"the rest, {done['messages']} messages, in {time.monotonic() - began_s:.0f} s; "
            f"p99 of arrivals at its beginning {1000 * waited[int(len(waited) * 0.99)]:.1f} ms"
        )
        after = await journal.read(ledger)
        assert await journal.read(_not_over) == not_over
        over = await journal.read(_left) - sum(not_over)
        assert 0 <= over <= len(channels), "of each channel the highest number stays"
        assert after.balanced
        for name in channels:
            assert after.channels[name] == before.channels[name]
            assert after.received[name] == before.received[name]
        print(f"{full} pages before, {_pages(journal)} after")


def _not_over(connection: Connection) -> tuple[int, int, int]:
    """Messages that nobody may delete: open ones, those with open deliveries, those under legal hold."""
    of_message = messages.c.state.in_([MessageState.RECEIVED, MessageState.QUARANTINED])
    waiting = [*DELIVERY_OPEN, DeliveryState.QUARANTINED]
    of_it = select(deliveries.c.message_id).where(deliveries.c.state.in_(waiting))
    held = messages.c.channel == "rare"
    conditions = (
        and_(of_message, ~held),
        and_(~of_message, messages.c.id.in_(of_it), ~held),
        held,
    )
    counts = [connection.execute(_COUNT.where(each)).scalar_one() for each in conditions]
    return counts[0], counts[1], counts[2]


def _left(connection: Connection) -> int:
    return connection.execute(_COUNT).scalar_one()


_COUNT = select(func.count()).select_from(messages).where(messages.c.channel != "live")


def _pages(journal: Journal) -> int:
    with journal.database.reader.begin() as connection:
        if connection.dialect.name == "sqlite":
            return int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
