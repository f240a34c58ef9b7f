"""A journal copied to another database: all of it, once, and a node can start on one of the two only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import bridge
from databases import journal_url, on_postgresql
from journals import NOW_US, arrival, journal_in, translation
from postgres_server import PostgresServer
from reactor_tests import in_reactor

from bridge.delivery.state import MessageState
from bridge.errors import JournalRefused
from bridge.journal import copying
from bridge.journal.audit import verify_chain
from bridge.journal.audit_completeness import completeness
from bridge.journal.audit_presence import Presence, presence
from bridge.journal.copying import Copied, copy
from bridge.journal.database import Database, Facts
from bridge.journal.deliveries import START, Start
from bridge.journal.history import check
from bridge.journal.messages import RECEIVE, TRANSLATE
from bridge.journal.search import find_messages


def quiet(_table: str, _rows: int) -> None:
    """Nobody watches."""


@pytest.fixture(params=["sqlite to postgresql", "postgresql to sqlite"])
def places(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer
) -> Iterator[tuple[Path, Path]]:
    """Two folders, each with a journal of its own kind."""
    first, second = tmp_path / "first", tmp_path / "second"
    file = first if request.param.startswith("sqlite") else second
    with on_postgresql(postgres_server, but=file):
        yield first, second


def copied(source: Path, target: Path, **changed: Any) -> Copied:
    one, other = Database(journal_url(source)), Database(journal_url(target), create=True)
    try:
        return copy(one, other, **{"random_bytes": os.urandom, "progress": quiet, **changed})
    finally:
        one.close()
        other.close()


async def fill(folder: Path) -> str:
    """A journal with something of everything; its id."""
    async with journal_in(folder) as journal:
        for number in range(1, 41):
            body = bytes(range(256)) * 40 if number == 7 else b"m%d" % number
            odd = "\0" if number == 8 else "\u00e9"
            await journal.submit(RECEIVE, arrival(journal, body, f"C{odd}{number % 30}"))
        for number in range(1, 6):
            await journal.submit(TRANSLATE, translation(number, b"a", b"b%d" % number))
        failed = translation(6, b"c")._replace(
            state=MessageState.QUARANTINED, reason="no-route", deliveries=()
        )
        await journal.submit(TRANSLATE, failed)
        await journal.submit(START, Start(1, NOW_US))
        journal_id: str = journal.facts.journal_id
    return journal_id


@in_reactor
async def test_a_node_goes_on_at_the_target_and_none_starts_at_the_source(places: tuple[Path, Path]) -> None:
    source, target = places
    journal_id = await fill(source)
    done = copied(source, target)
    assert (done.rows["messages"], done.rows["deliveries"], done.finished) == (40, 5, False)
    with pytest.raises(JournalRefused, match=r"was copied to .* and goes on there"):
        async with journal_in(source):
            pass
    async with journal_in(target) as journal:
        assert journal.facts.journal_id == journal_id
        assert journal.facts.starts == 2
        again = await journal.submit(RECEIVE, arrival(journal, b"m9", "C\u00e99"))
        assert (again.message_id, again.duplicate_of) == (41, 9), "keys of repeats are the same"
        assert (await journal.read(find_messages))[0]["seq"] == 41
        assert (await journal.read(check)).violations == ()
        report = await journal.read(verify_chain)
        assert (report.good, report.epochs, report.before) == (True, {1: 1}, 0), report.findings
        assert report.covered > 40, "the chain goes on from what was copied"
        complete = await journal.read(lambda connection: completeness(connection, report))
        assert complete.complete, complete
        assert (await journal.read(presence, Presence())).lacking == {}


@in_reactor
async def test_a_journal_comes_back(places: tuple[Path, Path], tmp_path: Path) -> None:
    source, target = places
    journal_id = await fill(source)
    copied(source, target)
    with pytest.raises(JournalRefused, match="was copied to"):
        copied(source, tmp_path / "third")
    with pytest.raises(JournalRefused, match="holds a journal already"):
        copied(target, source)
    copied(target, tmp_path / "third")
    async with journal_in(tmp_path / "third") as journal:
        assert journal.facts.journal_id == journal_id
        assert len(await journal.read(find_messages)) == 40


@in_reactor
async def test_nothing_is_copied_from_or_to_a_running_node(places: tuple[Path, Path]) -> None:
    source, target = places
    async with journal_in(source):
        with pytest.raises(JournalRefused, match="another process"):
            copied(source, target)
    async with journal_in(target):
        with pytest.raises(JournalRefused, match="another process"):
            copied(source, target)
    with pytest.raises(JournalRefused, match="holds a journal already"):
        copied(source, target)
    with pytest.raises(JournalRefused, match="both are"):
        copied(source, source)


class Ended(Exception):
    """The process ended here."""


@pytest.mark.parametrize("step", ["write", "compare", "_mark MOVED", "_mark ARRIVING"])
@in_reactor
async def test_wherever_a_copy_ends_a_node_can_start_on_one_of_the_two(
    places: tuple[Path, Path], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places
    await fill(source)
    name, _, fact = step.partition(" ")
    real = getattr(copying, name)

    def ended(*arguments: Any) -> Any:
        if fact and arguments[1] != getattr(copying, fact):
            return real(*arguments)
        raise Ended

    monkeypatch.setattr(copying, name, ended)
    with pytest.raises(Ended):
        copied(source, target)
    monkeypatch.setattr(copying, name, real)
    if step == "_mark ARRIVING":
        for folder, words in ((source, "was copied to"), (target, "has not ended")):
            with pytest.raises(JournalRefused, match=words):
                async with journal_in(folder):
                    pass
        assert copied(source, target).finished
        async with journal_in(target) as journal:
            assert len(await journal.read(find_messages)) == 40
        return
    async with journal_in(source):
        pass
    if step == "write":
        with pytest.raises(JournalRefused, match="has not ended"):
            async with journal_in(target):
                pass
        assert not copied(source, target).finished
    else:
        with pytest.raises(JournalRefused, match="cut short"):
            copied(source, target)
        with pytest.raises(JournalRefused, match="has not ended"):
            async with journal_in(target):
                pass


@in_reactor
async def test_what_arrives_otherwise_is_seen_and_nothing_is_moved(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places
    await fill(source)
    real = copying.compare

    def altered(one: Database, other: Database, progress: Any) -> Any:
        with other.writer.begin() as connection:
            connection.exec_driver_sql("UPDATE messages SET peer = 'elsewhere' WHERE id = 3")
        return real(one, other, progress)

    monkeypatch.setattr(copying, "compare", altered)
    with pytest.raises(JournalRefused, match="what arrived in messages"):
        copied(source, target)
    opened = Database(journal_url(source))
    with opened.reader.begin() as connection:
        assert Facts(connection).moved == ""
    opened.close()


@in_reactor
async def test_the_command_says_what_it_did(places: tuple[Path, Path]) -> None:
    source, target = places
    await fill(source)
    ended = bridge("journal", "copy", journal_url(source), journal_url(target))
    assert ended.status == 0, ended.err
    assert "40 messages, 5 deliveries" in ended.out
    assert "no node starts here any more" in ended.out
    again = bridge("journal", "copy", journal_url(source), journal_url(target))
    assert again.status == 3
    assert "was copied to" in again.err
    shown = bridge("status", "--journal", journal_url(target))
    assert "balance" in shown.out
