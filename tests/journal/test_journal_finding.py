"""Finding messages: every filter against a plain look at all rows, page by page, on both databases."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bridge.delivery.state import DeliveryState, MessageState
from bridge.journal import finding, triggers
from bridge.journal.database import Database, Facts, upgrade
from bridge.journal.finding import Wanted, find, find_text, newer, spellings
from bridge.journal.names import api_names, channel_names
from bridge.journal.schema import bodies, deliveries, messages, requests, search_keys
from bridge.journal.statements import insert_rows

COUNT = 500
HOUR_US = 3_600_000_000
BEGAN_US = 1_800_000_000_000_000
CHANNELS, TYPES = ("adt", "lab", "rare"), ("ADT^A01", "ADT^A08", "ORU^R01")
WORDS = ("marlow", "MÜLLER", "okafor", "<null>")


def fill(database: Database, count: int, chance: random.Random, at_once: int = 1000) -> None:
    """A journal of so many messages, with what such a number of them would hold."""
    with database.writer.begin() as connection:
        triggers.remove(connection)
        facts = Facts(connection)
        seq = dict.fromkeys(CHANNELS, 0)
        tables: dict[Any, list[dict[str, Any]]] = {
            table: [] for table in (messages, bodies, deliveries, requests, search_keys)
        }
        into = {table: insert_rows(table) for table in tables}
        for number in range(1, count + 1):
            for table, row in _rows(number, seq, chance, facts):
                tables[table].append(row)
            if number % at_once == 0 or number == count:
                for table, rows in tables.items():
                    into[table].many(connection, rows)
                    rows.clear()
        triggers.install(connection)


def _rows(
    number: int, seq: dict[str, int], chance: random.Random, facts: Facts
) -> Iterator[tuple[Any, dict[str, Any]]]:
    channel = "rare" if number % 97 == 0 else chance.choice(CHANNELS[:2])
    seq[channel] += 1
    state = chance.choices(
        [MessageState.MAPPED, MessageState.REFUSED, MessageState.QUARANTINED, MessageState.RECEIVED],
        [95, 3, 1, 1],
    )[0]
    row: dict[str, Any] = {column.name: "" for column in messages.columns}
    row |= {
        "id": number,
        "channel": channel,
        "seq": seq[channel],
        # The clock goes back by an hour in the middle, as clocks do.
        "received_at_us": BEGAN_US + number * 1_000_000 - (HOUR_US if number > COUNT // 2 else 0),
        "message_type": "ORM^O01" if number % 211 == 0 else chance.choice(TYPES),
        "control_id": f"M{chance.randrange(10 * COUNT)}",
        "body_size_bytes": 100,
        "fingerprint": chance.randbytes(16),
        "state": state,
        "reason": {"REFUSED": "type-not-accepted", "QUARANTINED": "no-key"}.get(state, ""),
        "trace_id": bytes(16),
        "aside": 0,
        "body_revision": 0,
        **dict.fromkeys(("repeat_hash", "duplicate_of", "key_hash", "replay_of")),
    }
    yield messages, row
    body = f"MSH|^~\\&|A\rPID|1||{number}||{chance.choice(WORDS)}\r".encode(
        chance.choice(("utf-8", "cp1252"))
    )
    yield bodies, {"message_id": number, "body": body, "answer": b"MSA|AA"}
    yield search_keys, {"hash": facts.search_hash(str(number % 40)), "message_id": number, "name": "key"}
    if state != MessageState.MAPPED:
        return
    sent = chance.choices(
        [DeliveryState.DELIVERED, DeliveryState.HELD, DeliveryState.QUARANTINED, DeliveryState.FILTERED],
        [94, 2, 2, 2],
    )[0]
    delivery: dict[str, Any] = {column.name: "" for column in deliveries.columns}
    delivery |= {
        "id": number,
        "message_id": number,
        "channel": channel,
        "route": "r",
        "api": "ehr",
        "key_hash": chance.randbytes(16),
        "state": sent,
        "reason": {"HELD": "not-found", "QUARANTINED": "outcome-unknown"}.get(sent, ""),
        "held_since_us": None,
        "patient": None,
        "sent_as": None,
        **dict.fromkeys(("attempts", "poison_attempts", "revision", "due_at_us", "aside", "late"), 0),
    }
    yield deliveries, delivery
    yield requests, {"delivery_id": number, "request": b"{}", "asks": None}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("finding")
    url = f"sqlite:///{folder / 'journal.db'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.database())
    made = Database(url, create=True, state=folder)
    upgrade(made, random_bytes=random.Random(1).randbytes)
    fill(made, COUNT, random.Random(5))
    yield made
    made.close()


def reads(database: Database) -> Any:
    def run(query: Callable[..., Any], *args: Any, **named: Any) -> Any:
        with database.reader.begin() as connection:
            return query(connection, *args, **named)

    return run


def plainly(database: Database, wanted: Wanted) -> list[int]:
    """The ids that fit, by a look at every row."""
    with database.reader.begin() as connection:
        key = Facts(connection).search_hash(wanted.key or "")
        with_key = {
            row.message_id for row in connection.execute(select(search_keys).where(search_keys.c.hash == key))
        }
        sent: dict[int, list[Any]] = {}
        for row in connection.execute(select(deliveries)):
            sent.setdefault(row.message_id, []).append(row)
        rows = connection.execute(select(messages)).all()
    return sorted(
        (
            row.id
            for row in rows
            if wanted.channel in (None, row.channel)
            and wanted.control_id in (None, row.control_id)
            and wanted.message_type in (None, row.message_type)
            and (wanted.key is None or row.id in with_key)
            and wanted.key_name in (None, "key")
            and wanted.state in (None, row.state, *(each.state for each in sent.get(row.id, ())))
            and wanted.problem in (None, row.reason, *(each.reason for each in sent.get(row.id, ())))
            and (wanted.since_us is None or row.received_at_us >= wanted.since_us)
            and (wanted.until_us is None or row.received_at_us < wanted.until_us)
            and (wanted.before is None or row.id < wanted.before)
        ),
        reverse=True,
    )


QUESTIONS = {
    "all": Wanted(),
    "channel": Wanted(channel="adt"),
    "a channel with few": Wanted(channel="rare"),
    "no such channel": Wanted(channel="nobody"),
    "type": Wanted(message_type="ORM^O01"),
    "type of a channel": Wanted(channel="adt", message_type="ADT^A08"),
    "received": Wanted(state="RECEIVED"),
    "quarantined": Wanted(state="QUARANTINED"),
    "quarantined in a channel": Wanted(state="QUARANTINED", channel="lab"),
    "refused": Wanted(state="REFUSED"),
    "refused in a channel": Wanted(state="REFUSED", channel="adt"),
    "mapped": Wanted(state="MAPPED"),
    "held": Wanted(state="HELD"),
    "filtered": Wanted(state="FILTERED"),
    "delivered": Wanted(state="DELIVERED", message_type="ORU^R01"),
    "problem of a message": Wanted(problem="no-key"),
    "problem of a delivery": Wanted(problem="outcome-unknown"),
    "problem and state": Wanted(problem="not-found", state="HELD", channel="adt"),
    "no such problem": Wanted(problem="nothing-of-the-kind"),
    "key": Wanted(key="17"),
    "key with an authority": Wanted(key="17^^^NORTH", key_name="key"),
    "key under another name": Wanted(key="17", key_name="account"),
    "key and state": Wanted(key="17", state="QUARANTINED"),
    "since": Wanted(since_us=BEGAN_US + 250_000_000),
    "until": Wanted(until_us=BEGAN_US + 100_000_000),
    "a minute": Wanted(since_us=BEGAN_US + 200_000_000, until_us=BEGAN_US + 260_000_000, channel="adt"),
    "a minute after the clock": Wanted(
        since_us=BEGAN_US - HOUR_US + 400_000_000, until_us=BEGAN_US - HOUR_US + 460_000_000
    ),
    "in the future": Wanted(since_us=BEGAN_US + 10 * HOUR_US),
    "before": Wanted(before=100, channel="adt"),
    "before the first": Wanted(before=1),
}


@pytest.mark.parametrize("step_rows", [7, 100_000], ids=["in small steps", "in one"])
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_what_is_found_is_what_fits(
    question: Wanted, step_rows: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "STEP_ROWS", step_rows)
    expected = plainly(database, question)
    assert [row["id"] for row in find(reads(database), question, limit=COUNT + 1)] == expected
    paged: list[int] = []
    while rows := find(
        reads(database), replace(question, before=paged[-1] if paged else question.before), limit=9
    ):
        paged += [row["id"] for row in rows]
    assert paged == expected


def test_a_control_id_finds_its_messages(database: Database) -> None:
    with database.reader.begin() as connection:
        wanted = [row.control_id for row in connection.execute(select(messages.c.control_id).limit(20))]
    for control_id in wanted:
        question = Wanted(control_id=control_id)
        assert [row["id"] for row in find(reads(database), question, limit=50)] == plainly(database, question)


@pytest.mark.parametrize("text", ["MARLOW", "Müller", "müller", "<NULL>", "|477||", "nowhere"])
def test_a_text_is_found_in_whatever_case_and_charset(text: str, database: Database) -> None:
    looked: list[int] = []
    found = find_text(reads(database), Wanted(), text, limit=COUNT, progress=looked.append)
    with database.reader.begin() as connection:
        expected = [
            row.message_id
            for row in connection.execute(select(bodies).order_by(bodies.c.message_id.desc()))
            if text.casefold() in row.body.decode("utf-8", "ignore").casefold()
            or text.casefold() in row.body.decode("cp1252").casefold()
        ]
    assert [row["id"] for row in found] == expected
    assert sum(looked) == COUNT
    assert (text != "nowhere") == bool(found)


def test_a_text_search_ends_where_enough_was_found(database: Database) -> None:
    looked: list[int] = []
    assert len(find_text(reads(database), Wanted(), "marlow", limit=3, progress=looked.append)) == 3
    assert sum(looked) < COUNT


def test_spellings_hold_each_way_to_write_a_letter() -> None:
    assert "ü".encode() in spellings("Ü")
    assert "ü".encode("cp1252") in spellings("Ü")


def test_what_came_after_is_told_in_order(database: Database) -> None:
    assert [row["id"] for row in reads(database)(newer, COUNT - 3, 2)] == [COUNT - 2, COUNT - 1]
    assert reads(database)(newer, COUNT, 5) == []


def test_the_names_that_a_journal_knows_are_those_of_its_rows(database: Database) -> None:
    with database.reader.begin() as connection:
        assert channel_names(connection) == set(CHANNELS)
        assert api_names(connection) == {"ehr"}
