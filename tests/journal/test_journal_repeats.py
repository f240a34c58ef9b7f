"""How repeats are looked for: the same two look-ups for each, whatever the journal holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from databases import in_thread
from journals import arrival, journal_in
from reactor_tests import in_reactor
from sqlalchemy import Connection
from twisted.internet.defer import gatherResults

from bridge.delivery.state import MessageState
from bridge.journal.driven import rows_of
from bridge.journal.journal import Journal
from bridge.journal.messages import RECEIVE
from bridge.journal.repeats import _asking

pytestmark = pytest.mark.both_databases

ASKED: dict[str, Any] = {f"control_id{n}": f"C{n}" for n in range(8)}
ASKED |= {f"{name}{n}": bytes([n]) * 16 for name in ("hash", "fingerprint") for n in range(8)}


def plan_of(connection: Connection) -> str:
    """How the database goes about a look for eight."""
    asking = _asking(8)
    sql, _, _ = asking.compiled(connection)
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    return "\n".join(
        str(row[-1]) for row in rows_of(connection, f"{explain} {sql}", asking.given(connection, ASKED))
    )


async def take(journal: Journal, *arrivals: tuple[bytes, str]) -> None:
    await gatherResults([journal.submit(RECEIVE, arrival(journal, *each)) for each in arrivals])


@in_reactor
async def test_a_look_for_repeats_goes_by_its_own_index_and_reads_no_more_than_it_asks_for(
    tmp_path: Path,
) -> None:
    """Also while a server does not know yet how large the table has become, and where it knows that half of
    all messages have the same control ID."""
    async with journal_in(tmp_path) as journal:
        for turn in range(5):
            await take(journal, *((b"m%d" % n, f"C{n}") for n in range(200)))
            await take(journal, *((b"m%d %d" % (turn, n), "1") for n in range(200)))
        connection = in_thread(journal)._ownership.connect()
        for known in (False, True):
            if known:
                connection.exec_driver_sql("ANALYZE messages")
            plan = plan_of(connection)
            assert plan.count("messages_repeated") >= 2
            words = ("Seq Scan", "hashed", "messages_of_control_id", "SCAN messages")
            assert [word for word in words if word in plan] == [], plan
        connection.rollback()


LONG = "C" * 40


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (f"{LONG}1", f"{LONG}2"),
        (f"{LONG}1", LONG),
        (f"{LONG}1", "C" * 31 + "\N{GREEK SMALL LETTER OMEGA}" + "C" * 9),
        (f"{LONG}1", f"c{LONG}"),
        ("C\0001", "C\0002"),
        ("C\0001", "C"),
    ],
)
@in_reactor
async def test_control_ids_that_begin_alike_are_told_apart_and_each_is_known_again(
    tmp_path: Path, first: str, other: str
) -> None:
    async with journal_in(tmp_path) as journal:
        for control_id in (first, other):
            taken = await journal.submit(RECEIVE, arrival(journal, b"the same", control_id))
            assert taken.state is MessageState.RECEIVED
        for control_id in (first, other):
            again = await journal.submit(RECEIVE, arrival(journal, b"the same", control_id))
            assert again.state is MessageState.DUPLICATE
