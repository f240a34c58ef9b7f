"""A journal on PostgreSQL when the server fails, or the way to it: nothing lost, doubled, written by two."""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command_line import bridge
from databases import in_thread
from journals import NOW_US, arrival, translation
from postgres_proxy import Cut, CuttingProxy
from postgres_server import WITH_PASSWORD, PostgresServer
from reactor_tests import in_reactor, until
from structlog.testing import capture_logs
from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from bridge.cli.journal_writer import WriterProcess
from bridge.errors import ItemRefused, JournalRefused, JournalUnavailable, SecretUnavailable
from bridge.journal import open_deliveries, postgresql_session
from bridge.journal.audit import verify_chain
from bridge.journal.database import Database, named, told, upgrade
from bridge.journal.history import check
from bridge.journal.journal import Journal
from bridge.journal.messages import RECEIVE, TRANSLATE
from bridge.journal.postgresql import SessionOwnership
from bridge.journal.search import find_messages
from bridge.units import SecretRef


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    name = postgres_server.database()
    yield name
    postgres_server.drop(name)


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[CuttingProxy]:
    made = CuttingProxy(postgres_server.folder)
    yield made
    made.close()


@asynccontextmanager
async def journal_at(url: str, state: Path, **more: Any) -> AsyncIterator[Journal]:
    journal = Journal(
        url, reactor, random_bytes=random.Random(7).randbytes, at_us=NOW_US, state=state, **more
    )
    try:
        yield journal
    finally:
        await journal.close()


both_places = pytest.mark.parametrize("place", ["thread", "process"])
"""Where the journal is written."""


def apart(place: str) -> WriterProcess | None:
    return WriterProcess() if place == "process" else None


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


async def bodies(journal: Journal) -> list[int]:
    """The numbers in their channel of all messages, oldest first."""
    return [row["seq"] for row in reversed(await journal.read(find_messages))]


@pytest.mark.parametrize(
    ("cut", "place"),
    [("before", "thread"), ("after", "thread"), ("unnoticed", "thread"), ("after", "process")],
)
@in_reactor
async def test_a_connection_cut_at_commit_writes_all_of_it_once(
    tmp_path: Path,
    postgres_server: PostgresServer,
    database: str,
    proxy: CuttingProxy,
    cut: Cut,
    place: str,
) -> None:
    url = postgres_server.url(database, proxy.folder)
    async with journal_at(url, tmp_path, apart=apart(place)) as journal:
        await journal.submit(RECEIVE, arrival(journal, b"first", "C1"))
        proxy.cut = cut
        with capture_logs() as logs:
            receipts = await gatherResults(
                [journal.submit(RECEIVE, arrival(journal, b"m%d" % n)) for n in range(20)]
            )
        assert proxy.cuts == 1
        assert [entry["applied"] for entry in logs if entry["event"] == "commit-found-again"] == [
            cut != "before"
        ]
        assert [receipt.message_id for receipt in receipts] == list(range(2, 22))
        proxy.cut = cut
        assert await journal.submit(TRANSLATE, translation(1, b"k")) == (1,)
        assert [
            each.delivery_id for each in await journal.read(open_deliveries.of_api, "ehr", "adt", 0, 9)
        ] == [1]
        assert (await journal.submit(RECEIVE, arrival(journal, b"more"))).message_id == 22
        assert await bodies(journal) == list(range(1, 23))
        assert (await journal.read(check)).violations == ()
        assert not journal.writer.failing


@in_reactor
async def test_steps_and_their_row_of_the_chain_are_one_way_to_the_server(
    tmp_path: Path,
    postgres_server: PostgresServer,
    database: str,
    proxy: CuttingProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with journal_at(postgres_server.url(database, proxy.folder), tmp_path) as journal:

        async def ways() -> int:
            before = proxy.ways
            for number in range(10):
                await journal.submit(RECEIVE, arrival(journal, b"m%d" % number))
            return proxy.ways - before

        await ways()  # statements are prepared
        together = await ways()
        monkeypatch.setattr(SessionOwnership, "together", lambda *_: nullcontext())
        one_by_one = await ways()
        print(f"ways to the server of ten commits: {together}, and {one_by_one} one by one")
        assert together <= one_by_one - 8
        assert (await journal.read(verify_chain)).good


@in_reactor
async def test_a_commit_in_doubt_is_not_told_until_it_is_known_and_others_are_refused_meanwhile(
    tmp_path: Path, postgres_server: PostgresServer, database: str, proxy: CuttingProxy
) -> None:
    async with journal_at(postgres_server.url(database, proxy.folder), tmp_path) as journal:
        await journal.submit(RECEIVE, arrival(journal, b"first"))
        told: list[object] = []
        session = in_thread(journal)._ownership.connect()
        server = proxy._server
        proxy._server = tmp_path / "nowhere"
        proxy.cut = "after"
        in_doubt = journal.submit(RECEIVE, arrival(journal, b"in doubt"))
        in_doubt.addBoth(told.append)
        await until(lambda: journal.writer.failing, "the loss is noticed")
        with pytest.raises(JournalUnavailable, match="went away"):
            await journal.submit(RECEIVE, arrival(journal, b"meanwhile"))
        assert told == []
        proxy._server = server
        await until(lambda: bool(told), "the database is found again")
        assert [getattr(each, "message_id", each) for each in told] == [2]
        assert in_thread(journal)._ownership.connect() is not session
        assert (await journal.submit(RECEIVE, arrival(journal, b"after"))).message_id == 3
        assert not journal.writer.failing


@both_places
@in_reactor
async def test_a_node_that_stops_while_a_commit_is_in_doubt_says_so_and_ends(
    tmp_path: Path, postgres_server: PostgresServer, database: str, proxy: CuttingProxy, place: str
) -> None:
    url = postgres_server.url(database, proxy.folder)
    async with journal_at(url, tmp_path, apart=apart(place)) as journal:
        proxy._server, server = tmp_path / "nowhere", proxy._server
        proxy.cut = "after"
        in_doubt = journal.submit(RECEIVE, arrival(journal, b"in doubt"))
        await until(lambda: journal.writer.failing, "the loss is noticed")
    with pytest.raises(JournalUnavailable, match="not known whether"):
        await in_doubt
    proxy._server = server
    async with journal_at(postgres_server.url(database), tmp_path) as journal:
        assert await bodies(journal) == [1], "the next start knows"


@in_reactor
async def test_a_session_that_was_ended_between_two_commits_costs_nothing(
    tmp_path: Path, postgres_server: PostgresServer, database: str
) -> None:
    async with journal_at(postgres_server.url(database), tmp_path) as journal:
        for number in (1, 2):
            await journal.submit(RECEIVE, arrival(journal, b"m"))
            assert len(await bodies(journal)) == 2 * number - 1
            _end_sessions(postgres_server, database)
            assert (await journal.submit(RECEIVE, arrival(journal, b"m"))).message_id == 2 * number


def _end_sessions(server: PostgresServer, database: str) -> None:
    with server.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (database,)
        )


@both_places
@in_reactor
async def test_a_server_that_is_stopped_refuses_at_once_and_is_found_again_when_it_is_back(
    tmp_path: Path, postgres_server: PostgresServer, database: str, place: str
) -> None:
    async with journal_at(postgres_server.url(database), tmp_path, apart=apart(place)) as journal:
        await journal.submit(RECEIVE, arrival(journal, b"before"))
        with stopped(postgres_server):
            for _ in range(3):
                with pytest.raises(JournalUnavailable) as refused:
                    await journal.submit(RECEIVE, arrival(journal, b"meanwhile"))
                assert not isinstance(refused.value, ItemRefused)
            with pytest.raises(JournalUnavailable):
                await bodies(journal)
            assert journal.writer.failing
        await until(lambda: not journal.writer.failing, "it is found again by itself")
        assert (await journal.submit(RECEIVE, arrival(journal, b"after"))).message_id == 2
        assert await bodies(journal) == [1, 2]


@in_reactor
async def test_a_node_whose_journal_was_taken_writes_nothing_more(
    tmp_path: Path, postgres_server: PostgresServer, database: str, proxy: CuttingProxy
) -> None:
    """The first is cut off for a while, as by a network; a second takes over; the way is free again."""
    async with journal_at(postgres_server.url(database, proxy.folder), tmp_path / "a") as first:
        await first.submit(RECEIVE, arrival(first, b"first"))
        server, proxy._server = proxy._server, tmp_path / "nowhere"
        _end_sessions(postgres_server, database)
        async with journal_at(postgres_server.url(database), tmp_path / "b") as second:
            await second.submit(RECEIVE, arrival(second, b"second"))
            proxy._server = server
            for _ in range(3):
                with pytest.raises(JournalUnavailable, match=r"cannot be reached|taken|lost"):
                    await first.submit(RECEIVE, arrival(first, b"too late"))
            await until(lambda: "another node has taken" in first.writer._away, "it knows why")
            assert (await second.submit(RECEIVE, arrival(second, b"third"))).message_id == 3
            assert await bodies(second) == [1, 2, 3]
        with pytest.raises(JournalUnavailable, match="another node has taken"):
            await first.submit(RECEIVE, arrival(first, b"still too late"))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"99:0", "another node has taken"),
        (b"1:1", "has lost what it had committed"),
        (b"1:9", "somebody else"),
    ],
)
@in_reactor
async def test_every_transaction_looks_whether_the_journal_is_as_it_was_left(
    tmp_path: Path, postgres_server: PostgresServer, database: str, value: bytes, words: str
) -> None:
    """Also where the lock was kept: a replica that was behind, a backup, a second writer without the lock."""
    async with journal_at(postgres_server.url(database), tmp_path) as journal:
        for number in range(3):
            await journal.submit(RECEIVE, arrival(journal, b"m%d" % number))
        with postgres_server.connect(database) as other:
            other.execute("UPDATE facts SET value = %s WHERE name = 'writer'", (value,))
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match=words):
                await journal.submit(RECEIVE, arrival(journal, b"late"))
        assert await bodies(journal) == [1, 2, 3]


def test_the_writer_waits_for_the_disk_whatever_the_database_says(
    postgres_server: PostgresServer, database: str
) -> None:
    with postgres_server.connect() as connection:
        connection.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
        connection.execute(f"ALTER DATABASE {database} SET idle_session_timeout = 1000")
        connection.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = serializable")
    opened = Database(postgres_server.url(database), create=True)
    with opened.writer.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        assert connection.exec_driver_sql("SHOW idle_session_timeout").scalar() == "0"
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
    opened.close()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
@in_reactor
async def test_a_server_that_can_lose_what_it_committed_is_told_of(
    tmp_path: Path, postgres_server: PostgresServer, database: str, setting: str
) -> None:
    def set_to(value: str) -> None:
        with postgres_server.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET {setting} = {value}")
            connection.execute("SELECT pg_reload_conf()")

    opened = Database(postgres_server.url(database), create=True)
    assert opened.at_risk() == []
    set_to("off")
    try:
        await until(lambda: bool(opened.at_risk()), "the server has read its settings")
        (words,) = opened.at_risk()
        assert f"{setting} is off" in words
        with capture_logs() as logs:
            async with journal_at(postgres_server.url(database), tmp_path):
                pass
        assert [entry["reason"] for entry in logs if entry["event"] == "journal-at-risk"] == [words]
    finally:
        set_to("on")
        await until(lambda: not opened.at_risk(), "the server has read its settings")
        opened.close()


@in_reactor
async def test_a_text_with_a_nul_byte_is_kept_with_another_character_in_its_place(
    tmp_path: Path, postgres_server: PostgresServer, database: str
) -> None:
    async with journal_at(postgres_server.url(database), tmp_path) as journal:
        await journal.submit(RECEIVE, arrival(journal, b"nul \0", "C\0" + "1", message_type="ADT\0"))
        (row,) = await journal.read(find_messages)
        assert (row["control_id"], row["message_type"]) == ("C\ufffd1", "ADT\ufffd")


def test_a_database_of_another_encoding_is_refused(postgres_server: PostgresServer) -> None:
    name = postgres_server.database("SQL_ASCII")
    opened = Database(postgres_server.url(name), create=True)
    with pytest.raises(JournalRefused, match="ENCODING 'UTF8'"):
        opened.own()
    opened.close()
    postgres_server.drop(name)


def _found(value: str, _reference: SecretRef) -> str:
    return value


def test_a_password_is_looked_up_and_shown_by_nobody(
    postgres_server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = "sesame-opens"
    with postgres_server.connect() as connection:
        connection.execute(f"CREATE ROLE {WITH_PASSWORD} LOGIN PASSWORD '{word}'")
    url = f"postgresql://{WITH_PASSWORD}@/{database}?host={postgres_server.folder}"
    for given in ("right", "wrong", "none", "libpq"):
        found = word if given == "right" else "sesame-closed"
        if given == "libpq":
            monkeypatch.setenv("PGPASSWORD", word)
        asked = "" if given in ("none", "libpq") else "&password=secret://env/WORD"
        opened = Database(url + asked, create=True, secret=partial(_found, found))
        assert "sesame" not in opened.name + repr(opened.writer.url)
        if given in ("right", "libpq"):
            opened.own().release()
        else:
            with pytest.raises(JournalUnavailable) as refused:
                opened.own()
            assert "sesame" not in str(refused.value)
        opened.close()


@in_reactor
async def test_a_password_that_cannot_be_read_for_a_while_is_a_database_that_is_away(
    tmp_path: Path, postgres_server: PostgresServer, database: str
) -> None:
    there = [True]

    def look_up(reference: SecretRef) -> str:
        if not there[0]:
            raise SecretUnavailable(f"{reference}: not there")
        return "word"

    url = postgres_server.url(database) + "&password=secret://file/word"
    async with journal_at(url, tmp_path, secret=look_up) as journal:
        await journal.submit(RECEIVE, arrival(journal, b"before"))
        there[0] = False
        _end_sessions(postgres_server, database)
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match="secret://file/word") as refused:
                await journal.submit(RECEIVE, arrival(journal, b"meanwhile"))
            assert not isinstance(refused.value, ItemRefused)
        there[0] = True
        await until(lambda: not journal.writer.failing, "it is found again")
        assert (await journal.submit(RECEIVE, arrival(journal, b"after"))).message_id == 2


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:sesame@host/db",
        "postgresql://user@host/db?password=sesame",
        "postgresql://user:sesame@host:port/db",
        "postgresql://user:sesame@[host/db",
        "mysql://user:sesame@host/db",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(JournalRefused) as refused:
        named(url)
    assert "sesame" not in str(refused.value)


def test_without_its_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(JournalRefused, match=r"pip install 'interface-bridge\[postgres\]'"):
        named("postgresql://user@host/db")


def test_two_databases_have_two_sockets_and_their_names_no_user() -> None:
    first, second, other = (
        named(f"postgresql://anna@{where}")
        for where in ("db.example/one", "db.example/two", "else.example/one")
    )
    assert len({first.beside, second.beside, other.beside}) == 3
    assert named("postgresql://otto@db.example/one").beside == first.beside
    assert first.name == "postgresql db.example/one"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/one?host=/run/pg&port=5432", "/one?host=/run/pg&port=5433"),
        ("?host=/run/pg&dbname=one&service=s", "?host=/run/pg&dbname=two&service=s"),
    ],
)
def test_what_a_url_says_in_its_options_is_of_the_journals_name(one: str, other: str) -> None:
    first, second = named(f"postgresql://anna@{one}"), named(f"postgresql://anna@{other}")
    assert first.beside != second.beside
    assert first.name != second.name


def test_what_libpqs_variables_say_is_of_the_journals_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = named("postgresql:///one")
    monkeypatch.setenv("PGPORT", "5444")
    assert named("postgresql:///one").beside != before.beside


def test_a_schema_that_is_made_later_lets_no_second_node_in(
    postgres_server: PostgresServer, database: str
) -> None:
    opened = Database(postgres_server.url(database), create=True)
    upgrade(opened, random_bytes=random.randbytes)
    owned = opened.own()
    with postgres_server.connect(database) as connection:
        connection.execute("CREATE SCHEMA AUTHORIZATION CURRENT_USER")
        (schema,) = connection.execute("SELECT current_schema()").fetchone() or ("",)
        assert schema != "public", "whose tables would be made there now"
    other = Database(postgres_server.url(database))
    with pytest.raises(JournalRefused, match="another process runs on the journal"):
        other.own()
    owned.release()
    other.close()
    opened.close()


def test_who_reads_waits_for_no_lock_for_long_and_says_what_to_do(
    postgres_server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql_session._SESSION, "lock_timeout", "300")
    with postgres_server.connect() as connection:
        connection.execute(f"ALTER DATABASE {database} SET statement_timeout = 500")
    opened = Database(postgres_server.url(database) + "&client_encoding=LATIN1", create=True)
    upgrade(opened, random_bytes=random.randbytes)
    with opened.reader.begin() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "0"
        assert connection.exec_driver_sql("SHOW client_encoding").scalar() == "UTF8"
    with postgres_server.connect(database) as locking, locking.transaction():
        locking.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        with (
            pytest.raises(JournalUnavailable, match="another session has locked its tables"),
            told(opened),
            opened.reader.begin() as connection,
        ):
            find_messages(connection)
    opened.close()


def test_why_no_node_could_run_on_a_database_is_told_before_one_is_started(
    postgres_server: PostgresServer, database: str
) -> None:
    opened = Database(postgres_server.url(database), create=True)
    assert opened.hindrances() == []
    with postgres_server.connect(database) as connection:
        connection.execute(f"ALTER DATABASE {database} SET search_path = nowhere")
    opened.close()
    assert "may make no tables" in opened.hindrances()[0]
    opened.close()
    other = postgres_server.database("SQL_ASCII")
    odd = Database(postgres_server.url(other), create=True)
    assert "ENCODING 'UTF8'" in odd.hindrances()[0]
    odd.close()
    postgres_server.drop(other)


@in_reactor
async def test_a_backup_whose_server_refuses_names_the_journal_and_leaves_nothing(
    tmp_path: Path, postgres_server: PostgresServer, database: str
) -> None:
    url, to = postgres_server.url(database), tmp_path / "to"
    to.mkdir()
    async with journal_at(url, tmp_path):
        pass
    with postgres_server.connect(database) as other:
        other.execute("ALTER TABLE answers RENAME TO taken_away")
    made = bridge("journal", "backup", to / "backup.db", "--journal", url)
    assert made.status == 3
    assert f"the journal {named(url).name} cannot be used: relation" in made.err, made.err
    assert list(to.iterdir()) == []
