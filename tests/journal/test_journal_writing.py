"""What the journal promises those who write: all or nothing, in order, with its row of history."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from databases import in_thread
from journals import NOW_US, WINDOW_US, arrival, journal_in, translation
from reactor_tests import in_reactor
from sqlalchemy import Executable, func, select, update
from sqlalchemy.exc import IntegrityError
from twisted.internet.defer import Deferred, gatherResults

from bridge.delivery.state import DeliveryState, MessageState
from bridge.errors import ItemRefused, JournalUnavailable
from bridge.journal import open_deliveries
from bridge.journal.barriers import barriers
from bridge.journal.deliveries import (
    RECOVER,
    SETTLE,
    START,
    AsMade,
    Call,
    Fresh,
    Recovery,
    Settlement,
    Start,
)
from bridge.journal.journal import Journal
from bridge.journal.ledger import ledger
from bridge.journal.messages import ANSWERED, RECEIVE, TRANSLATE, Answered, Receipt, to_translate
from bridge.journal.schema import attempts, bodies, deliveries, messages, requests, transitions
from bridge.journal.search import find_messages, story
from bridge.journal.sqlite import sqlite_module
from bridge.journal.writer import LAZY_S

D, M = DeliveryState, MessageState
pytestmark = pytest.mark.both_databases


async def received(journal: Journal, count: int) -> list[int]:
    receipts = await gatherResults(
        [journal.submit(RECEIVE, arrival(journal, b"body %d" % number)) for number in range(count)]
    )
    return [receipt.message_id for receipt in receipts]


def settlement(delivery_id: int, message_id: int, *states: DeliveryState, attempt: int = 1) -> Settlement:
    return Settlement(
        delivery_id,
        message_id,
        attempt,
        NOW_US,
        NOW_US + 5,
        "verdict",
        200,
        "reason",
        b"s",
        states,
        NOW_US,
        0,
    )


@in_reactor
async def test_what_arrives_together_is_one_commit_in_the_order_of_arrival(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        before = journal.writer.commits
        ids = await received(journal, 500)
        assert ids == list(range(1, 501))
        assert journal.writer.commits == before + 1
        rows = await journal.read(to_translate, "adt", 0, 1000)
        assert [row.body for row in rows] == [b"body %d" % number for number in range(500)]


@pytest.mark.parametrize("apart", [True, False])
@in_reactor
async def test_beside_files_what_a_sender_waits_for_goes_before_what_came_with_it(
    tmp_path: Path, apart: bool
) -> None:
    async with journal_in(tmp_path) as journal:
        ids = await received(journal, 20)
        ended: list[str] = []

        def noted(_result: object, name: str) -> None:
            ended.append(name)

        before = journal.writer.commits
        journal.writer.apart = lambda: apart
        submitted: list[Deferred[Any]] = [
            *(journal.submit(TRANSLATE, translation(each, b"k%d" % each)) for each in ids),
            *(journal.submit(RECEIVE, arrival(journal, b"live %d" % number)) for number in range(3)),
        ]
        for number, each in enumerate(submitted):
            each.addCallback(noted, "bulk" if number < 20 else "live")
        await gatherResults(submitted)
        assert (ended, journal.writer.commits - before) == (
            (["live"] * 3 + ["bulk"] * 20, 2) if apart else (["bulk"] * 20 + ["live"] * 3, 1)
        )


@in_reactor
async def test_beside_files_what_waited_for_one_commit_goes_with_the_next_however_busy_senders_are(
    tmp_path: Path,
) -> None:
    async with journal_in(tmp_path) as journal:
        (first,) = await received(journal, 1)
        journal.writer.apart = lambda: True
        translated = journal.submit(TRANSLATE, translation(first, b"k"))
        going = journal.submit(RECEIVE, arrival(journal, b"live 1"))
        journal.writer._hand_over()
        comes = journal.submit(RECEIVE, arrival(journal, b"live 2"))
        await going
        assert not translated.called
        await comes
        assert translated.called


@in_reactor
async def test_what_nobody_waits_for_goes_with_what_somebody_does(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        first, second = await received(journal, 2)
        before, long_s = journal.writer.commits, 3600.0
        unhurried = journal.submit(ANSWERED, Answered(first, True), within_s=long_s)
        await received(journal, 1)
        assert unhurried.called
        assert journal.writer.commits == before + 1
        # What comes while the disk is busy makes no commit of its own either.
        under_way = journal.submit(RECEIVE, arrival(journal, b"under way"))
        journal.writer._hand_over()
        noted = journal.submit(ANSWERED, Answered(second, True), within_s=long_s)
        await under_way
        assert [unhurried.called, noted.called] == [True, False]
        await received(journal, 1)
        assert [unhurried.called, noted.called] == [True, True]
        assert journal.writer.commits == before + 3


@in_reactor
async def test_what_nobody_waits_for_is_written_in_time_and_before_the_end(tmp_path: Path) -> None:
    ended: list[None] = []
    async with journal_in(tmp_path) as journal:
        first, second = await received(journal, 2)
        await journal.submit(ANSWERED, Answered(first, True), within_s=0.01)
        noted = journal.submit(ANSWERED, Answered(second, True), within_s=3600.0)
        noted.addCallback(ended.append)
    assert ended == [None]


@in_reactor
async def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await received(journal, 3)
        first_id, starts = journal.facts.journal_id, journal.facts.starts
    async with journal_in(tmp_path) as journal:
        assert await received(journal, 2) == [4, 5]
        assert journal.facts.journal_id == first_id
        assert journal.facts.starts == starts + 1
        rows = await journal.read(find_messages, channel="adt")
        assert [row["seq"] for row in rows] == [5, 4, 3, 2, 1]


@in_reactor
async def test_a_repeat_gets_the_first_ones_answer_and_is_not_processed(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        again = arrival(journal, b"same", "C1", answer=b"another answer")
        first, second = await gatherResults(
            [journal.submit(RECEIVE, arrival(journal, b"same", "C1")), journal.submit(RECEIVE, again)]
        )
        third = await journal.submit(RECEIVE, again)
        assert (first.state, second.state, third.state) == (M.RECEIVED, M.DUPLICATE, M.DUPLICATE)
        assert second.answer == third.answer == b"answer to same"
        assert [row.message_id for row in await journal.read(to_translate, "adt", 0, 10)] == [1]
        assert [row["duplicate_of"] for row in await journal.read(find_messages)] == [1, 1, None]


REPEATS = [
    ("another body", b"other", "C1", NOW_US, M.RECEIVED, "control-id-reused"),
    ("another control ID", b"same", "C2", NOW_US, M.RECEIVED, ""),
    ("within the window", b"same", "C1", NOW_US + WINDOW_US, M.DUPLICATE, ""),
    ("after the window", b"same", "C1", NOW_US + WINDOW_US + 1, M.RECEIVED, "control-id-reused"),
]


@pytest.mark.parametrize(("case", "body", "control_id", "at_us", "state", "flags"), REPEATS)
@in_reactor
async def test_only_the_same_again_within_the_window_is_a_repeat(
    tmp_path: Path, case: str, body: bytes, control_id: str, at_us: int, state: MessageState, flags: str
) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.submit(RECEIVE, arrival(journal, b"same", "C1"))
        later = arrival(journal, body, control_id, received_at_us=at_us, repeats_since_us=at_us - WINDOW_US)
        assert (await journal.submit(RECEIVE, later)).state is state
        assert (await journal.read(find_messages))[0]["flags"] == flags


@in_reactor
async def test_what_is_known_of_a_request_counts_only_while_its_delivery_is_untouched(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        ids = await received(journal, 3)
        made = [(await journal.submit(TRANSLATE, translation(each, b"k%d" % each)))[0] for each in ids]
        known = Fresh(1, "ehr-adt", "patient", b"as it is known here", b"t" * 16, NOW_US, "")
        await journal.submit(START, Start(made[1], NOW_US))
        await journal.submit(SETTLE, settlement(made[1], ids[1], D.RETRY_WAIT))
        await journal.submit(START, Start(made[2], NOW_US))
        starts = [Start(each, NOW_US, known.message_id) for each in made]
        first, second, third = await journal.submit_all(START, starts)
        assert isinstance(first, AsMade)
        call = known.call(made[0], first)
        assert (call.request, call.attempt) == (b"as it is known here", 1)
        assert call.sent_as == journal.facts.sent_as(made[0], 1)
        assert isinstance(second, Call)
        assert (second.request, second.attempt) == (b"request 2", 2)
        assert third is None  # it is under way


@in_reactor
async def test_items_of_a_burst_end_together_and_each_for_itself(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        before = journal.writer.commits
        good = [arrival(journal, b"body %d" % number) for number in range(3)]
        bad = good[1]._replace(state="NOT A STATE")  # type: ignore[arg-type]
        ends = await journal.submit_all(RECEIVE, [good[0], bad, good[2]])
        assert [type(each) for each in ends] == [Receipt, ItemRefused, Receipt]
        assert journal.writer.commits == before + 1
        assert await journal.submit_all(RECEIVE, []) == []


@in_reactor
async def test_every_change_of_state_has_its_row_of_history(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        (message_id,) = await received(journal, 1)
        ((delivery_id,),) = [await journal.submit(TRANSLATE, translation(message_id, b"k"))]
        call = await journal.submit(START, Start(delivery_id, NOW_US))
        assert isinstance(call, Call)
        assert (call.request, call.attempt) == (b"request 1", 1)
        await journal.submit(SETTLE, settlement(delivery_id, message_id, D.RETRY_WAIT))
        again = await journal.submit(START, Start(delivery_id, NOW_US))
        assert isinstance(again, Call)
        assert again.attempt == 2
        await journal.submit(SETTLE, settlement(delivery_id, message_id, D.AMBIGUOUS, D.READY, attempt=2))
        await journal.submit(START, Start(delivery_id, NOW_US))
        await journal.submit(SETTLE, settlement(delivery_id, message_id, D.DELIVERED, attempt=3))
        await journal.submit(ANSWERED, Answered(message_id, True), within_s=LAZY_S)
        found = await journal.read(story, message_id)
        assert found is not None
        steps = [(row["delivery_id"], row["from_state"], row["to_state"]) for row in found.transitions]
        assert steps == [
            (None, None, "RECEIVED"),
            (None, "RECEIVED", "MAPPED"),
            (1, None, "READY"),
            (1, "READY", "IN_FLIGHT"),
            (1, "IN_FLIGHT", "RETRY_WAIT"),
            (1, "RETRY_WAIT", "READY"),
            (1, "READY", "IN_FLIGHT"),
            (1, "IN_FLIGHT", "AMBIGUOUS"),
            (1, "AMBIGUOUS", "READY"),
            (1, "READY", "IN_FLIGHT"),
            (1, "IN_FLIGHT", "DELIVERED"),
        ]
        assert [row["number"] for row in found.attempts] == [1, 2, 3]
        assert found.message["answer_reached"] == 1
        assert found.deliveries[0]["state"] == "DELIVERED"


FORBIDDEN = [
    ("a step that the machine has not", update(deliveries).values(state="DELIVERED")),
    ("a message step that the machine has not", update(messages).values(state="RELAYED")),
    ("another body", update(bodies).values(body=b"altered")),
    ("another arrival", update(messages).values(received_at_us=1)),
    ("another request", update(requests).values(request=b"altered")),
    ("another history", update(transitions).values(to_state="LOST")),
    ("no history", transitions.delete()),
]


@pytest.mark.parametrize(("what", "statement"), FORBIDDEN)
@in_reactor
async def test_the_database_itself_refuses(tmp_path: Path, what: str, statement: Executable) -> None:
    async with journal_in(tmp_path) as journal:
        (message_id,) = await received(journal, 1)
        await journal.submit(TRANSLATE, translation(message_id, b"k"))
    async with journal_in(tmp_path) as journal:
        with (
            pytest.raises(IntegrityError, match=r"state-machine|as-received|as-released|append-only"),
            journal.database.writer.begin() as connection,
        ):
            connection.execute(statement)


@in_reactor
async def test_an_item_that_the_rules_refuse_takes_no_other_with_it(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        first, second = await received(journal, 2)
        await journal.submit(TRANSLATE, translation(first, b"k"))
        wrong = journal.submit(TRANSLATE, translation(first, b"k"))
        right = journal.submit(TRANSLATE, translation(second, b"k"))
        arrived = journal.submit(RECEIVE, arrival(journal, b"more"))
        with pytest.raises(ItemRefused):
            await wrong
        assert await right == (2,)
        assert (await arrived).message_id == 3
        counts = await journal.read(
            lambda connection: connection.execute(select(func.count(deliveries.c.id))).scalar()
        )
        assert counts == 2


@pytest.mark.only_sqlite
@in_reactor
async def test_a_full_disk_fails_all_and_writes_nothing_until_there_is_room(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await received(journal, 1)
        connection = in_thread(journal)._ownership.connect()
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.rollback()
        large = arrival(journal, random.Random(1).randbytes(200_000))
        with pytest.raises(JournalUnavailable, match="full"):
            await journal.submit(RECEIVE, large)
        assert journal.writer.failing
        assert len(await journal.read(find_messages)) == 1
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        connection.rollback()
        assert (await journal.submit(RECEIVE, large)).message_id == 2
        assert not journal.writer.failing


@pytest.mark.only_sqlite
@in_reactor
async def test_a_journal_that_somebody_locks_fails_all_and_recovers_with_the_lock_gone(
    tmp_path: Path,
) -> None:
    async with journal_in(tmp_path) as journal:
        await received(journal, 1)
        connection = in_thread(journal)._ownership.connect()
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
        connection.rollback()
        other = sqlite_module().connect(journal.database.file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match="locked") as refused:
                await journal.submit(RECEIVE, arrival(journal, b"meanwhile"))
            assert not isinstance(refused.value, ItemRefused)
            assert journal.writer.failing
        other.execute("ROLLBACK")
        other.close()
        assert (await journal.submit(RECEIVE, arrival(journal, b"after"))).message_id == 2
        assert not journal.writer.failing


@in_reactor
async def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        pass
    with pytest.raises(JournalUnavailable):
        await journal.submit(RECEIVE, arrival(journal, b"late"))


@in_reactor
async def test_what_was_in_flight_when_the_process_ended_is_ambiguous(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        first, second, third = await received(journal, 3)
        await journal.submit(TRANSLATE, translation(first, b"k", api="safe"))
        await journal.submit(TRANSLATE, translation(second, b"k", api="unsafe"))
        await journal.submit(TRANSLATE, translation(third, b"k", api="safe"))
        await journal.submit(START, Start(1, NOW_US))
        await journal.submit(START, Start(2, NOW_US))
    async with journal_in(tmp_path) as journal:
        recovery = Recovery({"safe": "header", "unsafe": "none"}, NOW_US)
        assert await journal.submit(RECOVER, recovery) == 2
        assert await journal.submit(RECOVER, recovery) == 0
        safe = await journal.read(open_deliveries.of_api, "safe", "adt", 0, 10)
        assert [each.delivery_id for each in safe] == [1, 3]
        assert await journal.read(open_deliveries.of_api, "unsafe", "adt", 0, 10) == []
        assert (await journal.read(barriers, "unsafe")).keys == {b"k": 2}
        assert (await journal.read(barriers, "safe")).keys == {}
        tried = await journal.read(lambda c: [tuple(row) for row in c.execute(select(attempts.c.verdict))])
        assert tried == [("ambiguous",), ("ambiguous",)]


@in_reactor
async def test_the_ledger_counts_every_message_once(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.submit(RECEIVE, arrival(journal, b"refused", state=M.REFUSED, reason="not-hl7"))
        await journal.submit(RECEIVE, arrival(journal, b"ignored", state=M.IGNORED))
        await journal.submit(RECEIVE, arrival(journal, b"same", "C1"))
        await journal.submit(RECEIVE, arrival(journal, b"same", "C1"))
        for message_id in await received(journal, 4):
            await journal.submit(TRANSLATE, translation(message_id, b"k", records=2))
        for delivery_id in (1, 2, 3, 5):
            message_id = (delivery_id + 1) // 2 + 4
            await journal.submit(START, Start(delivery_id, NOW_US))
            end = D.QUARANTINED if delivery_id == 5 else D.DELIVERED
            await journal.submit(SETTLE, settlement(delivery_id, message_id, end))
        counts = await journal.read(ledger)
        entries = {name: count for name, count in counts.channels["adt"].items() if count}
        assert entries == {"refused": 1, "ignored": 1, "duplicate": 1, "delivered": 1, "open": 4}
        assert counts.received == {"adt": 8}
        assert counts.balanced
        assert {k: v for k, v in counts.routes["adt", "patient"].items() if v} == {
            "open": 4,
            "delivered": 3,
            "quarantined": 1,
        }


@in_reactor
@pytest.mark.parametrize("at_once", [1, 3])
async def test_the_ledger_says_the_same_however_few_rows_are_counted_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    async with journal_in(tmp_path) as journal:
        empty = await journal.read(ledger)
        await journal.submit(RECEIVE, arrival(journal, b"ignored", state=M.IGNORED))
        for message_id in await received(journal, 5):
            if message_id != 4:
                await journal.submit(TRANSLATE, translation(message_id, b"k", records=message_id % 3))
        await journal.submit(START, Start(1, NOW_US))
        await journal.submit(SETTLE, settlement(1, 2, D.DELIVERED))
        whole = await journal.read(ledger)
        monkeypatch.setattr("bridge.journal.ledger.COUNTED_AT_ONCE", at_once)
        assert await journal.read(ledger) == whole
    assert (empty.received, empty.channels, empty.routes) == ({}, {}, {})
    assert whole.received == {"adt": 6}
    # Two messages came to no delivery, which is not accounted for.
    assert not whole.balanced
    assert sum(whole.channels["adt"].values()) == 4


@in_reactor
async def test_a_message_in_quarantine_bars_its_key(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        first, second = await received(journal, 2)
        for message_id in (first, second):
            failed = translation(message_id, b"key")._replace(state=M.QUARANTINED, deliveries=())
            await journal.submit(TRANSLATE, failed)
        assert (await journal.read(barriers, "ehr")).keys == {b"key": first}


@in_reactor
async def test_a_commit_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        dialect: Any = journal.database.writer.dialect
        commit, failures = (
            dialect.do_commit,
            iter([dialect.loaded_dbapi.OperationalError("busy"), MemoryError()]),
        )

        def fail_twice(connection: Any) -> None:
            if (failure := next(failures, None)) is not None:
                raise failure
            commit(connection)

        dialect.do_commit = fail_twice
        for refused in (JournalUnavailable, ItemRefused):
            with pytest.raises(refused):
                await journal.submit(RECEIVE, arrival(journal, b"one"))
        assert (await journal.submit(RECEIVE, arrival(journal, b"one"))).message_id == 1
