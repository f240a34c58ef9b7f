"""Searches in a journal of many messages: `--large 1000000`, with `-rP` to see what each took.

An ordinary run looks at a small one, and so holds only that all of it works.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, case, func, insert, select, type_coerce
from test_journal_finding import BEGAN_US, fill, reads

from bridge.journal import triggers
from bridge.journal.database import Database, upgrade
from bridge.journal.finding import Wanted, find, find_text
from bridge.journal.schema import bodies, deliveries, messages, requests, search_keys
from bridge.journal.sealed import Sealed
from bridge.journal.sealing import Key
from bridge.units import SecretRef

BASE, TEXT_MAX = 10_000, 100_000
KEY = Key.made("test", bytes(range(32)))


def multiply(database: Database, base: int, times: int) -> None:
    """Write a journal of ``base`` messages again and again after itself, within the database."""
    with database.writer.begin() as connection:
        triggers.remove(connection)
        of_channel: dict[str, int] = dict(
            connection.execute(select(messages.c.channel, func.count()).group_by(messages.c.channel)).all()
        )
        for number in range(1, times):
            moved = {
                "id": base * number,
                "message_id": base * number,
                "delivery_id": base * number,
                "received_at_us": base * number * 1_000_000,
            }
            for table in (messages, bodies, deliveries, requests, search_keys):
                name = "message_id" if "message_id" in table.c else "delivery_id"
                key = table.c.id if "id" in table.c else table.c[name]
                columns = []
                for each in table.columns:
                    # As it stands on disk, sealed or not.
                    plain = type_coerce(each, LargeBinary) if isinstance(each.type, Sealed) else each
                    if each.name in moved:
                        columns.append(each + moved[each.name])
                    elif each.name == "seq":
                        more = case(of_channel, value=messages.c.channel)
                        columns.append(each + more * number)
                    elif each.name == "control_id":
                        columns.append(each + f"-{number}")
                    else:
                        columns.append(plain)
                names = [each.name for each in table.columns]
                connection.execute(insert(table).from_select(names, select(*columns).where(key <= base)))
        triggers.install(connection)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, int]]:
    count = int(request.config.getoption("--large"))
    folder: Path = tmp_path_factory.mktemp("large")
    url = f"sqlite:///{folder / 'journal.db'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.database())
    made = Database(
        url,
        create=True,
        state=folder,
        keys=SecretRef("env", "KEYS"),
        secret=lambda _: KEY.line,
        random_bytes=random.Random(2).randbytes,
    )
    upgrade(made, random_bytes=random.Random(1).randbytes)
    began = time.monotonic()
    base = min(count, BASE)
    fill(made, base, random.Random(5))
    multiply(made, base, count // base)
    if request.param == "postgresql":
        with made.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    count -= count % base
    print(f"{request.param}: {count} messages made in {time.monotonic() - began:.0f} s, encrypted")
    yield made, count
    made.close()
    for file in folder.glob("journal.db*"):
        file.unlink()


def test_the_first_page_of_each_indexed_search_comes_at_once(large: tuple[Database, int]) -> None:
    database, count = large
    with database.reader.begin() as connection:
        some = connection.execute(
            select(messages.c.control_id).where(messages.c.id == count // 3)
        ).scalar_one()
    middle = BEGAN_US + count * 500_000
    questions = {
        "newest": Wanted(),
        "control ID": Wanted(control_id=some),
        "key": Wanted(key="17"),
        "channel": Wanted(channel="adt"),
        "channel with few": Wanted(channel="rare"),
        "type": Wanted(message_type="ADT^A08"),
        "rare type": Wanted(message_type="ORM^O01"),
        "no such type": Wanted(message_type="ZZZ^Z99"),
        "RECEIVED": Wanted(state="RECEIVED"),
        "QUARANTINED": Wanted(state="QUARANTINED"),
        "REFUSED": Wanted(state="REFUSED"),
        "HELD": Wanted(state="HELD"),
        "MAPPED": Wanted(state="MAPPED"),
        "problem": Wanted(problem="no-key"),
        "problem of a delivery": Wanted(problem="outcome-unknown"),
        "an hour long ago": Wanted(since_us=middle, until_us=middle + 3_600_000_000),
        "an hour of a channel": Wanted(since_us=middle, until_us=middle + 3_600_000_000, channel="lab"),
        "channel and type": Wanted(channel="lab", message_type="ORU^R01"),
        "page after half": Wanted(channel="adt", before=count // 2),
    }
    for name, wanted in questions.items():
        took = []
        for _ in range(5):
            began = time.monotonic()
            rows = find(reads(database), wanted, limit=50)
            took.append((time.monotonic() - began) * 1000)
        print(f"{name:24} {len(rows):3} rows  first {took[0]:7.1f} ms  median {sorted(took)[2]:7.1f} ms")
        assert rows or name.startswith(("no such", "an hour"))


def test_a_text_search_says_how_far_it_is_and_keeps_its_memory(large: tuple[Database, int]) -> None:
    database, count = large
    looked: list[int] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    since = Wanted(before=min(count, TEXT_MAX) + 1)
    rows = find_text(reads(database), since, "no such text", limit=50, progress=looked.append)
    took = time.monotonic() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert rows == []
    assert sum(looked) == min(count, TEXT_MAX)
    print(f"{sum(looked)} bodies in {took:.1f} s, {len(looked)} times told, {grown / 1024:.1f} MiB more")
