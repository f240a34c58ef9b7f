"""The checker of histories: good ones pass, and each rule that is broken is told as that rule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import NOW_US, arrival, journal_in, translation
from reactor_tests import in_reactor
from sqlalchemy import Connection, inspect, text

from bridge.delivery.history import Attempt, DeliveryRow, History, MessageRow, Step, Violation
from bridge.delivery.state import DeliveryState as D
from bridge.delivery.state import MessageState as M
from bridge.journal import triggers
from bridge.journal.controls import PAUSE, Control
from bridge.journal.deliveries import RECOVER, SETTLE, START, Recovery, Settlement, Start
from bridge.journal.history import check
from bridge.journal.journal import Journal
from bridge.journal.messages import ANSWERED, RECEIVE, TRANSLATE, Answered
from bridge.journal.metadata import METADATA
from bridge.journal.resolutions import RESOLVE, Resolution

pytestmark = pytest.mark.both_databases


def settlement(delivery_id: int, message_id: int, *states: D, attempt: int = 1, at: int = 0) -> Settlement:
    return Settlement(
        delivery_id,
        message_id,
        attempt,
        NOW_US + at,
        NOW_US + at,
        "delivered",
        200,
        "because",
        b"",
        states,
        NOW_US,
        0,
    )


async def sent(journal: Journal, message_id: int, *keys: bytes, end: D = D.DELIVERED) -> int:
    """One message with one delivery, called once."""
    ((delivery_id,),) = [await journal.submit(TRANSLATE, translation(message_id, *keys))]
    await journal.submit(START, Start(delivery_id, NOW_US))
    await journal.submit(SETTLE, settlement(delivery_id, message_id, end))
    return delivery_id


async def good(journal: Journal) -> None:
    """A short history in which everything went as it should."""
    for number in range(1, 7):
        await journal.submit(RECEIVE, arrival(journal, b"m%d" % number, f"C{number}"))
    await journal.submit(ANSWERED, Answered(1, reached_socket=True))
    await sent(journal, 1, b"a")
    await sent(journal, 2, b"a", end=D.QUARANTINED)
    aside = Resolution(2, None, "skip", "user:anna", "later", NOW_US + 5)
    await journal.submit(RESOLVE, aside)
    await sent(journal, 3, b"a", b"b")
    failed = translation(4, b"c")._replace(state=M.QUARANTINED, reason="no-route", deliveries=())
    await journal.submit(TRANSLATE, failed)
    ((fourth,),) = [await journal.submit(TRANSLATE, translation(5, b"d"))]
    await journal.submit(START, Start(fourth, NOW_US))
    await journal.submit(RECOVER, Recovery({"ehr": "header"}, NOW_US + 1))
    await journal.submit(START, Start(fourth, NOW_US + 2))
    await journal.submit(SETTLE, settlement(fourth, 5, D.DELIVERED, attempt=2, at=3))


@in_reactor
async def test_a_good_history_has_no_violation(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await good(journal)
        found = await journal.read(check, repeat_safety={"ehr": "header"}, acknowledged=[("adt", "C1")])
        assert found.violations == ()
        assert (found.messages, found.deliveries) == (6, 4)


ROWS = "INSERT INTO transitions SELECT max(id) + 1, {}, 1900000000000000, 'bridge', 'x', '' FROM transitions"
"""A step that nobody took: message, delivery, from, to."""
BROKEN: list[tuple[str, str, Sequence[str]]] = [
    (
        "a message that was acknowledged is gone",
        "I1",
        ["DELETE FROM messages WHERE id = 6", "INSERT INTO answers VALUES (6, 1)"],
    ),
    ("a number of a channel is missing", "I2", ["UPDATE messages SET seq = 9 WHERE id = 6"]),
    (
        "a step that the machine has not",
        "I3",
        ["UPDATE transitions SET to_state = 'HELD' WHERE delivery_id = 1 AND to_state = 'IN_FLIGHT'"],
    ),
    ("a step from nowhere", "I3", [ROWS.format("1, 1, 'READY', 'IN_FLIGHT'")]),
    (
        "a quarantine that was never set aside, and its key went on",
        "I4",
        ["DELETE FROM transitions WHERE reason LIKE 'set-aside%'"],
    ),
    (
        "a message in quarantine, and its key went on",
        "I4",
        ["UPDATE messages SET key_hash = x'64' WHERE id = 4"],
    ),
    ("an attempt that nobody counted", "I6", ["UPDATE attempts SET number = 7 WHERE delivery_id = 1"]),
    ("a call that never ended", "I7", ["DELETE FROM attempts WHERE delivery_id = 1"]),
    ("a state that no step led to", "I8", ["UPDATE deliveries SET state = 'FILTERED' WHERE id = 1"]),
    ("a row without a history", "I8", ["DELETE FROM transitions WHERE delivery_id = 1"]),
    (
        "a quarantine without a reason",
        "I9",
        ["UPDATE transitions SET reason = '' WHERE delivery_id = 2 AND to_state = 'QUARANTINED'"],
    ),
    ("a person without an action", "I9", ["DELETE FROM actions"]),
    ("attempts that overlap", "I10", ["UPDATE attempts SET ended_at_us = 1 WHERE delivery_id = 1"]),
    ("a body that is gone", "I11", ["UPDATE bodies SET body = NULL WHERE message_id = 1"]),
    ("a request that is gone", "I11", ["DELETE FROM requests WHERE delivery_id = 1"]),
    ("a delivery that is gone", "I11", ["DELETE FROM deliveries WHERE id = 2"]),
    (
        "a quarantine of which nobody knows since when",
        "I12",
        ["DELETE FROM transitions WHERE message_id = 4"],
    ),
]


@in_reactor
async def test_each_broken_rule_is_told_as_that_rule(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await good(journal)
    async with journal_in(tmp_path) as journal:
        for broken, invariant, statements in BROKEN:
            with journal.database.writer.connect() as connection, connection.begin() as breaking:
                _without_rules(connection)
                for statement in statements:
                    connection.execute(text(said_to(connection, statement)))
                found = check(connection, repeat_safety={"ehr": "header"})
                assert invariant in {each.invariant for each in found.violations}, broken
                assert all(each.where and each.what for each in found.violations), broken
                breaking.rollback()
        assert (await journal.read(check, repeat_safety={"ehr": "header"})).violations == ()


def _without_rules(connection: Connection) -> None:
    triggers.remove(connection)
    if connection.dialect.name == "sqlite":
        return
    for table in METADATA.sorted_tables:
        for key in inspect(connection).get_foreign_keys(table.name):
            connection.execute(text(f"ALTER TABLE {table.name} DROP CONSTRAINT {key['name']}"))


def said_to(connection: Connection, statement: str) -> str:
    """Only the bytes of a key are written in another way."""
    return statement if connection.dialect.name == "sqlite" else statement.replace("x'64'", r"'\x64'")


@in_reactor
async def test_what_senders_and_apis_saw_is_held_against_it(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await good(journal)
        name = journal.facts.journal_id

        async def rules(**evidence: Any) -> set[str]:
            return {each.invariant for each in (await journal.read(check, **evidence)).violations}

        assert await rules(calls=[(f"{name}-1-1", "d"), (f"{name}-1-1", "d")]) == set()
        assert await rules(acknowledged=[("adt", "C99")]) == {"I1"}
        assert await rules(calls=[(f"{name}-99-1", "d")]) == {"I6"}
        assert await rules(calls=[(f"{name}-1-1", "d"), (f"{name}-1-1", "other")]) == {"I6"}


@in_reactor
async def test_a_call_that_was_not_committed_before_it_left_is_seen(tmp_path: Path) -> None:
    """Negative control: IN_FLIGHT not on disk. The API saw a call of a delivery that never began."""
    async with journal_in(tmp_path) as journal:
        await journal.submit(RECEIVE, arrival(journal, b"m", "C1"))
        await journal.submit(TRANSLATE, translation(1, b"a"))
        calls = [(f"{journal.facts.journal_id}-1-1", "digest")]
        assert [each.invariant for each in (await journal.read(check, calls=calls)).violations] == ["I6"]


@in_reactor
async def test_a_blind_repeat_is_seen_and_a_person_s_is_none(tmp_path: Path) -> None:
    """Negative control: what may have happened is sent again to an API that cannot tell."""
    async with journal_in(tmp_path) as journal:
        for number in (1, 2):
            await journal.submit(RECEIVE, arrival(journal, b"m%d" % number, f"C{number}"))
        ((first,),) = [await journal.submit(TRANSLATE, translation(1, b"a"))]
        await journal.submit(START, Start(first, NOW_US))
        await journal.submit(SETTLE, settlement(first, 1, D.AMBIGUOUS, D.READY))
        ((second,),) = [await journal.submit(TRANSLATE, translation(2, b"b"))]
        await journal.submit(START, Start(second, NOW_US))
        await journal.submit(SETTLE, settlement(second, 2, D.AMBIGUOUS, D.QUARANTINED))
        await journal.submit(RESOLVE, Resolution(second, None, "retry", "user:anna", "it had not", NOW_US))
        await journal.submit(START, Start(second, NOW_US))
        found = (await journal.read(check, repeat_safety={"ehr": "none"})).violations
        assert [(each.invariant, each.where) for each in found] == [("I6", f"delivery {first}")]
        assert (await journal.read(check, repeat_safety={"ehr": "header"})).violations == ()


KEYS = [(b"a",), (b"b",), (b"a", b"b")]
ENDS = ["done", "poison", "aside"]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(KEYS), st.sampled_from(["done", "poison", "aside"])), max_size=12
    ),
    overtake=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_whatever_happens_in_order_is_a_good_history_and_one_that_overtakes_is_not(
    steps: list[tuple[tuple[bytes, ...], str]], overtake: bool
) -> None:
    """Deliveries of random keys go in order as long as nothing stands before them; then one may jump."""
    history = _Made()
    blocked: set[bytes] = set()
    waiting: list[int] = []
    for keys, end in steps:
        number = history.add(keys)
        if blocked & set(keys):
            waiting.append(number)
            blocked |= set(keys)
            continue
        history.call(number, "DELIVERED" if end == "done" else "QUARANTINED")
        if end == "poison":
            blocked |= set(keys)
        elif end == "aside":
            history.step(number, "QUARANTINED", "QUARANTINED", "set-aside")
    assert history.violations() == []
    if overtake and waiting:
        history.call(waiting[-1], "DELIVERED")
        assert {each.invariant for each in history.violations()} == {"I4"}


class _Made:
    """A history that is made by hand: each message has one delivery of the same number."""

    def __init__(self) -> None:
        self.keys: dict[int, tuple[bytes, ...]] = {}
        self.states: dict[int, str] = {}
        self.steps: list[Step] = []
        self.attempts: list[Attempt] = []

    def add(self, keys: tuple[bytes, ...]) -> int:
        number = len(self.keys) + 1
        self.keys[number] = keys
        for before, after in ((None, "RECEIVED"), ("RECEIVED", "MAPPED")):
            self.steps.append(Step(number, None, before, after, 0, "bridge", ""))
        self.step(number, None, "READY")
        return number

    def step(self, number: int, before: str | None, after: str, reason: str = "because") -> None:
        self.steps.append(Step(number, number, before, after, 0, "bridge", reason))
        self.states[number] = after

    def call(self, number: int, end: str) -> None:
        self.step(number, "READY", "IN_FLIGHT")
        self.step(number, "IN_FLIGHT", end)
        self.attempts.append(Attempt(number, 1, 0, 1))

    def violations(self) -> list[Violation]:
        started = {attempt.delivery_id for attempt in self.attempts}
        made = History(
            {n: MessageRow(n, "adt", n, "MAPPED", keys, whole=True) for n, keys in self.keys.items()},
            {n: DeliveryRow(n, n, "ehr", self.states[n], int(n in started), whole=True) for n in self.keys},
        )
        return list(made.violations(self.steps, self.attempts))


def test_two_calls_of_one_key_at_a_time_are_seen() -> None:
    history = _Made()
    first, second = history.add((b"a",)), history.add((b"a",))
    history.step(first, "READY", "IN_FLIGHT")
    history.step(second, "READY", "IN_FLIGHT")
    assert {"I4", "I5"} <= {each.invariant for each in history.violations()}


@in_reactor
async def test_an_action_that_changes_no_state_is_no_violation(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await good(journal)
        stop = Control("api", "ehr", intake=False, until_us=None, at_us=NOW_US, actor="user:anna", reason="x")
        await journal.submit(PAUSE, stop)
        assert (await journal.read(check)).violations == ()
