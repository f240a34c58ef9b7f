"""Retention beside live traffic: `--large 1000000`, with `-rP` to see what arrivals waited.

Five pairs of runs, each with and without retention, of arrivals one after the other from eight senders.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from journals import arrival, journal_in
from reactor_tests import in_reactor, pause
from test_journal_finding import fill
from test_journal_large import BASE, multiply
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from bridge.journal.journal import Journal
from bridge.journal.ledger import ledger
from bridge.journal.messages import RECEIVE
from bridge.runtime.retention import Retention
from bridge.runtime.service import real_surroundings

SENDERS = 8
PAIRS = 5


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
@in_reactor
async def test_arrivals_go_on_while_what_is_over_is_deleted(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    count = int(pytestconfig.getoption("--large"))
    seconds = min(8.0, count / 3000)
    async with journal_in(tmp_path) as journal:
        base = min(count, BASE)
        fill(journal.database, base, random.Random(5))
        multiply(journal.database, base, count // base)
    world = real_surroundings(reactor)
    channels: Any = {
        name: SimpleNamespace(keep_messages_s=1.0, keep_bodies_s=None) for name in ("adt", "lab", "rare")
    }
    async with journal_in(tmp_path) as journal:
        before = await journal.read(ledger)
        full = _pages(journal)
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
        if count <= 3 * BASE:
            await Retention(journal, world).round(channels)
        after = await journal.read(ledger)
        assert after.balanced
        for name in channels:
            assert after.channels[name] == before.channels[name]
            assert after.received[name] == before.received[name]
        print(f"{full} pages before, {_pages(journal)} after")


def _pages(journal: Journal) -> int:
    with journal.database.reader.begin() as connection:
        if connection.dialect.name == "sqlite":
            return int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
