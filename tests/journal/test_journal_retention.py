"""Retention: what may go goes, nothing else does, and the ledger balances as before."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from journals import NOW_US, arrival, journal_in, translation
from reactor_tests import in_reactor
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from twisted.internet import reactor

from bridge.delivery.state import DeliveryState, MessageState
from bridge.journal import retention
from bridge.journal.capture_schema import refusals
from bridge.journal.captures import PIN, Captured, Pin, captured_of
from bridge.journal.consents import KEEP_CONSENT, KeptConsent, consents_of
from bridge.journal.controls import RESUME, Control
from bridge.journal.deliveries import SETTLE, START, Settlement, Start
from bridge.journal.history import check
from bridge.journal.journal import Journal
from bridge.journal.ledger import ledger
from bridge.journal.legal_holds import HOLD, LegalHold, covered, holds
from bridge.journal.messages import RECEIVE, TRANSLATE
from bridge.journal.metadata import METADATA
from bridge.journal.refusals import refusals_of
from bridge.journal.resolutions import RESOLVE, Resolution
from bridge.journal.restored import PAUSED
from bridge.journal.retention import RETIRE, Retire, What, _fitting, last_step_us, page
from bridge.journal.schema import facts, gone, messages, transitions
from bridge.journal.search import find_messages, story
from bridge.journal.space import GIVE_BACK, compact, vacuum
from bridge.runtime import retention as runtime_retention
from bridge.runtime.clock import BelievedTime
from bridge.runtime.consents_over import forget_what_is_over
from bridge.runtime.retention import Retention
from bridge.runtime.service import real_surroundings

pytestmark = pytest.mark.both_databases

DAY_US = 86_400_000_000
LATER_US = NOW_US + 100 * DAY_US


async def one(
    journal: Journal, control_id: str, *, key: str = "", api: str = "ehr", done: bool = True
) -> int:
    """A message with one delivery, which is done where ``done``."""
    body = random.Random(control_id).randbytes(2000)
    receipt = await journal.submit(RECEIVE, arrival(journal, body, control_id))
    made = translation(receipt.message_id, control_id.encode())
    if key:
        made = made._replace(search=(("key", journal.facts.search_hash(key)),))
    (delivery,) = await journal.submit(TRANSLATE, made)
    if done:
        await deliver(journal, receipt.message_id, delivery)
    return receipt.message_id


async def deliver(journal: Journal, message_id: int, delivery_id: int, at_us: int = NOW_US) -> None:
    assert await journal.submit(START, Start(delivery_id, at_us)) is not None
    states = (DeliveryState.DELIVERED,)
    ended = Settlement(
        delivery_id, message_id, 1, at_us, at_us, "delivered", 200, "", b"s" * 8, states, at_us, 0
    )
    await journal.submit(SETTLE, ended)


async def retain(journal: Journal, before_us: int = LATER_US, what: str = "messages") -> int:
    count, after = 0, 0
    while True:
        found = await journal.read(page, "adt", after, before_us, 200)
        if not found.any_old:
            return count
        after = found.after
        count += await journal.submit(
            RETIRE,
            Retire(what, "adt", found.ids, before_us, LATER_US),  # type: ignore[arg-type]
        )


async def left(journal: Journal) -> list[int]:
    return sorted(row["id"] for row in await journal.read(find_messages, limit=1000))


@in_reactor
async def test_what_is_over_goes_with_all_of_it_and_the_ledger_stays(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        for number in range(30):
            await one(journal, f"C{number}", key=str(number))
        await journal.submit(RECEIVE, arrival(journal, b"x", "R", state=MessageState.REFUSED, reason="type"))
        repeat = await journal.submit(RECEIVE, arrival(journal, random.Random("C1").randbytes(2000), "C1"))
        assert repeat.state == MessageState.DUPLICATE
        before = await journal.read(ledger)
        assert await retain(journal) == 30
        # The highest number and the highest delivery stay: ids go on from them.
        assert await left(journal) == [30, 32]
        after = await journal.read(ledger)
        assert after == before
        assert after.balanced
        assert (await journal.read(check)).violations == ()
        with journal.database.reader.begin() as connection:
            of = {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in METADATA.sorted_tables
                if "message_id" in table.columns or "delivery_id" in table.columns
            }
            assert sum(row.number for row in connection.execute(select(gone))) == 30 + 29
        assert of["deliveries"] == of["requests"] == of["attempts"] == of["search_keys"] == 1
        assert await one(journal, "next") == 33
        assert (await journal.read(ledger)).balanced
    async with journal_in(tmp_path) as journal:
        assert await one(journal, "after a restart") == 34
        assert (await journal.read(check)).violations == ()


@in_reactor
async def test_nothing_that_is_open_young_or_held_goes(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        held = await one(journal, "held", key="4711")
        open_ = await one(journal, "open", done=False)
        received = (await journal.submit(RECEIVE, arrival(journal, b"r", "received"))).message_id
        stuck = (
            await journal.submit(
                RECEIVE, arrival(journal, b"q", "q", state=MessageState.QUARANTINED, reason="no-key")
            )
        ).message_id
        late = (await journal.submit(RECEIVE, arrival(journal, b"l", "late"))).message_id
        (delivery,) = await journal.submit(TRANSLATE, translation(late, b"late"))
        await deliver(journal, late, delivery, LATER_US + 1)
        first = (
            await journal.submit(RECEIVE, arrival(journal, b"f", "first", state=MessageState.IGNORED))
        ).message_id
        again = arrival(journal, b"f", "first", received_at_us=LATER_US + 1, repeats_since_us=0)
        repeat = (await journal.submit(RECEIVE, again)).message_id
        refused = arrival(journal, b"n", "n", state=MessageState.REFUSED, reason="type")
        nobody = (await journal.submit(RECEIVE, refused)).message_id
        over = await one(journal, "over")
        last = await one(journal, "last")
        await hold(journal, "key", "4711")
        assert await retain(journal) == 1
        kept = [held, open_, received, stuck, late, first, repeat, nobody, last]
        assert await left(journal) == kept
        assert over not in kept
        await hold(journal, "channel", "adt")
        await hold(journal, "key", "4711", begins=False)
        assert await retain(journal) == 0
        await hold(journal, "channel", "adt", begins=False)
        assert await journal.read(holds) == []
        assert await retain(journal) == 2
        assert await left(journal) == [open_, received, stuck, late, first, repeat, last]
        assert (await journal.read(ledger)).balanced


@in_reactor
async def test_what_ended_without_being_translated_stays_as_long_as_any_key_is_held(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:

        async def ended(control_id: str, state: MessageState, **changed: object) -> int:
            came = arrival(journal, control_id.encode(), control_id, state=state, reason="no-key", **changed)
            return (await journal.submit(RECEIVE, came)).message_id

        discarded = await ended("quarantined", MessageState.QUARANTINED)
        resolved = await journal.submit(
            RESOLVE, Resolution(None, discarded, "discard", "user:eve", "nobody's", NOW_US)
        )
        assert resolved.done, resolved.why_not
        relayed = await ended("query", MessageState.RELAYED)
        refused = await ended("refused", MessageState.REFUSED)
        repeat = await ended("query", MessageState.RELAYED)
        with journal.database.reader.begin() as connection:
            assert connection.execute(select(messages.c.state).where(messages.c.id == repeat)).scalar() == (
                MessageState.DUPLICATE
            )
        other = await one(journal, "translated", key="4712")
        last = await one(journal, "last", key="4712")
        await hold(journal, "key", "4711")
        assert await retain(journal, what="bodies") == 2
        assert await retain(journal) == 1
        assert await left(journal) == [discarded, relayed, refused, repeat, last]
        await hold(journal, "key", "4711", begins=False)
        assert await retain(journal) == 4
        assert await left(journal) == [last]
        assert other not in await left(journal)
        assert (await journal.read(ledger)).balanced


@in_reactor
async def test_a_hold_says_how_many_messages_it_covers(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        for number in range(3):
            await one(journal, f"C{number}", key="a4711" if number else "4712")
        for scope, name in (("key", "a4711"), ("key", "A4711"), ("channel", "adt"), ("channel", "lab")):
            await hold(journal, scope, name)
        rows = await journal.read(holds)
        assert sorted(row["messages"] for row in rows) == [0, 0, 2, 3]
        assert await journal.read(covered, journal.facts, "key", "a4711") == 2


async def hold(journal: Journal, scope: str, name: str, *, begins: bool = True) -> None:
    made = LegalHold(scope, name, NOW_US, "user:eve", "case", begins)  # type: ignore[arg-type]
    assert await journal.submit(HOLD, made)


@in_reactor
async def test_content_goes_and_what_became_of_it_still_shows(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        number = await one(journal, "C1")
        young = await one(journal, "C2", done=False)
        assert await retain(journal, what="bodies") == 1
        assert await retain(journal, what="bodies") == 0
        found = await journal.read(story, number)
        assert found is not None
        assert (found.message["body"], found.deliveries[0]["request"]) == (None, None)
        assert found.deliveries[0]["state"] == "DELIVERED"
        other = await journal.read(story, young)
        assert other is not None
        assert other.message["body"] is not None
        assert (await journal.read(check)).violations == ()


@pytest.mark.parametrize("what", ["bodies", "messages"])
@in_reactor
async def test_what_an_api_answered_goes_with_the_request_and_the_last_answer_alone_is_kept(
    tmp_path: Path, what: str
) -> None:
    async with journal_in(tmp_path) as journal:
        number = await one(journal, "C1", done=False)
        ((delivery,),) = [[row["id"] for row in (await journal.read(story, number)).deliveries]]  # type: ignore[union-attr]
        for attempt, answer in enumerate((b"first", b"second", b""), 1):
            await journal.submit(START, Start(delivery, NOW_US))
            states = (DeliveryState.RETRY_WAIT if answer else DeliveryState.DELIVERED,)
            ended = Settlement(
                delivery, number, attempt, NOW_US, NOW_US, "as said", 503, "", b"s" * 8, states, NOW_US, 0
            )
            await journal.submit(SETTLE, ended._replace(refusal=answer))
        assert await journal.read(refusals_of, number) == {delivery: (2, b"second")}
        await one(journal, "C2")
        assert await retain(journal, what=what) >= 1
        assert await journal.read(refusals_of, number) == {}
        with journal.database.reader.begin() as connection:
            assert connection.execute(select(func.count()).select_from(refusals)).scalar() == 0


@in_reactor
async def test_only_retention_may_delete_a_step(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await one(journal, "C1")
        with pytest.raises(DBAPIError, match="append-only"), journal.database.writer.begin() as connection:
            connection.execute(delete(transitions))
        with journal.database.reader.begin() as connection:
            assert connection.execute(select(facts.c.name).where(facts.c.name == "retaining")).all() == []


@pytest.mark.only_sqlite
@in_reactor
@pytest.mark.parametrize("what", get_args(What))
async def test_a_batch_looks_at_its_messages_and_not_at_their_channel(tmp_path: Path, what: What) -> None:
    def plan(connection: Connection) -> list[str]:
        asked = _fitting("sqlite", what).compile(dialect=connection.dialect)
        values = {**asked.params, "ids": "[1, 2]", "channel": "adt", "before_us": LATER_US}
        rows = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {asked}", tuple(values[name] for name in asked.positiontup or ())
        )
        return [row.detail for row in rows]

    async with journal_in(tmp_path) as journal:
        steps = await journal.read(plan)
    assert any(step.startswith("SEARCH messages USING INTEGER PRIMARY KEY") for step in steps)
    # Which message is the last of its channel is read from the index alone, at one place of it.
    assert not [
        step for step in steps if "USING INDEX messages_of_channel" in step or step == "SCAN messages"
    ]


@pytest.mark.only_sqlite
@in_reactor
async def test_disk_space_is_given_back(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        for number in range(300):
            await one(journal, f"C{number}")
        full = _size(journal)
        assert await retain(journal) == 299
        while await journal.submit(GIVE_BACK, None):
            pass
        assert _size(journal) < full / 2
        assert len(await left(journal)) == 1


def _size(journal: Journal) -> int:
    with journal.database.reader.begin() as connection:
        return int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)


@in_reactor
async def test_a_journal_can_be_written_anew(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await one(journal, "C1")
        vacuum(journal.database)
        database = journal.database
    ownership = database.own()
    compact(database, ownership)
    ownership.release()
    async with journal_in(tmp_path) as journal:
        assert await left(journal) == [1]


async def answered(journal: Journal, control_id: str, at_us: int, *, captures: bool) -> tuple[int, int]:
    """A call about one record, which its API answers with what it calls that record."""
    receipt = await journal.submit(RECEIVE, arrival(journal, control_id.encode() * 100, control_id))
    (delivery,) = await journal.submit(TRANSLATE, translation(receipt.message_id, b"one record"))
    assert await journal.submit(START, Start(delivery, at_us)) is not None
    states, said = (DeliveryState.DELIVERED,), Captured("order 1", {"id": "77"}) if captures else None
    ended = Settlement(
        delivery, receipt.message_id, 1, at_us, at_us, "delivered", 200, "", b"s" * 8, states, at_us, 0
    )
    await journal.submit(SETTLE, ended._replace(captured=said))
    return receipt.message_id, delivery


async def called(journal: Journal) -> dict[str, str]:
    return await journal.read(captured_of, journal.facts.hashes, "ehr", "order 1")


@in_reactor
async def test_what_an_api_calls_a_record_stays_while_anything_waits_that_may_need_it(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        first, _ = await answered(journal, "C1", NOW_US, captures=True)
        receipt = await journal.submit(RECEIVE, arrival(journal, b"2" * 100, "C2"))
        (waiting,) = await journal.submit(TRANSLATE, translation(receipt.message_id, b"one record"))
        await one(journal, "the last")
        assert await retain(journal) == 0
        assert await called(journal) == {"id": "77"}
        # It is used by the second, and goes with that.
        pin = Pin(waiting, 1, b"{}", give_up=False, at_us=NOW_US, about="order 1")
        assert await journal.submit(PIN, pin)
        await deliver(journal, receipt.message_id, waiting, LATER_US)
        assert await retain(journal) == 1
        assert first not in await left(journal)
        assert await called(journal) == {"id": "77"}
        await one(journal, "the very last")
        assert await retain(journal, LATER_US + 1) >= 1
        assert await called(journal) == {}


CONSENT = '{"resourceType": "Consent", "id": "c", "status": "%s", "patient": {"reference": "Patient/1"}, %s}'
PERIOD = '"provision": {"type": "deny", "period": {"end": "2001-01-01"}}'
OPEN = '"provision": {"type": "deny"}'


@pytest.mark.parametrize(
    ("status", "provision", "goes"),
    [("active", PERIOD, True), ("inactive", OPEN, True), ("active", OPEN, False)],
)
@in_reactor
async def test_a_consent_goes_once_it_says_nothing_any_more(
    tmp_path: Path, status: str, provision: str, goes: bool
) -> None:
    async with journal_in(tmp_path) as journal:
        content = (CONSENT % (status, provision)).encode()
        await journal.submit(KEEP_CONSENT, KeptConsent("adt", "c", ("1",), content, NOW_US))

        async def known() -> list[bytes]:
            return await journal.read(consents_of, "adt", journal.facts.hashes, ("1",))

        world = replace(real_surroundings(reactor), now_us=lambda: LATER_US)
        hold = LegalHold("channel", "adt", NOW_US, "ines", "a case", begins=True)
        assert await journal.submit(HOLD, hold)
        assert await forget_what_is_over(journal, world, 0.0) == 0
        assert await journal.submit(HOLD, replace(hold, begins=False))
        in_doubt = Control("channel", "adt", True, None, NOW_US, "bridge", "an older copy was put back")
        await journal.submit(PAUSED, [in_doubt])
        assert await forget_what_is_over(journal, world, 0.0) == 0
        assert await journal.submit(RESUME, in_doubt)
        assert await forget_what_is_over(journal, world, 0.0) == goes
        assert await known() == ([] if goes else [content])


class Clocks:
    """A time of day that can be set, and a clock that nobody sets."""

    def __init__(self) -> None:
        self.now_us, self.passed_s = LATER_US, 0.0

    async def retention(self, journal: Journal) -> Retention:
        believed = BelievedTime(lambda: self.now_us, lambda: self.passed_s)
        believed.begin(await journal.read(last_step_us))
        world = replace(real_surroundings(reactor), now_us=lambda: self.now_us, believed=believed)
        return Retention(journal, world)


def kept_for(days: float) -> Any:
    return {"adt": SimpleNamespace(keep_messages_s=days * 86_400.0, keep_bodies_s=None)}


@in_reactor
async def test_what_came_behind_messages_of_a_clock_that_was_ahead_goes_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOKED_BEYOND_MESSAGES", 50)
    monkeypatch.setattr(runtime_retention, "BEYOND_STEPS_MAX", 2)
    async with journal_in(tmp_path) as journal:

        async def came(count: int, at_us: int) -> list[int]:
            made = [
                arrival(journal, b"x", state=MessageState.IGNORED, received_at_us=at_us) for _ in range(count)
            ]
            return [(await journal.submit(RECEIVE, each)).message_id for each in made]

        await came(10, NOW_US)
        ahead = await came(170, LATER_US + 30 * DAY_US)
        await came(10, NOW_US)
        (last,) = await came(1, LATER_US)
        of_journal = await Clocks().retention(journal)
        done = [(await of_journal.round(kept_for(50)))["messages"] for _ in range(3)]
        assert done == [10, 10, 0], "a round looks only so far, and the next goes on from there"
        assert await left(journal) == [*ahead, last]
        assert (await journal.read(ledger)).balanced


@in_reactor
async def test_nothing_goes_by_a_clock_that_has_just_been_set_forward(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        for number in range(5):
            await one(journal, f"C{number}")
        clocks = Clocks()
        clocks.now_us = NOW_US + DAY_US
        of_journal = await clocks.retention(journal)
        clocks.now_us += 3650 * DAY_US
        with capture_logs() as said:
            assert (await of_journal.round(kept_for(50)))["messages"] == 0
        assert [each["event"] for each in said] == ["clock-doubtful"]
        clocks.passed_s += 86_400.0
        clocks.now_us += DAY_US
        assert (await of_journal.round(kept_for(50)))["messages"] == 4
        # A start that finds the time far from what the journal was last written at waits as well.
        await one(journal, "C6")
        again = await clocks.retention(journal)
        assert (await again.round(kept_for(50)))["messages"] == 0
