"""A journal whose writer is a process of its own: it promises what one in a thread does, and dies alone."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from databases import journal_url
from journals import NOW_US, arrival, journal_in, translation
from reactor_tests import in_reactor
from sqlalchemy import select
from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from bridge.cli.journal_writer import WriterProcess
from bridge.errors import ItemRefused, JournalRefused, JournalUnavailable
from bridge.journal import serving
from bridge.journal.committing import Batch
from bridge.journal.frames import CannotCross, Frames, framed, received
from bridge.journal.history import check
from bridge.journal.journal import Journal
from bridge.journal.messages import ANSWERED, RECEIVE, TRANSLATE, Answered
from bridge.journal.opening import Opening
from bridge.journal.places import HURRY, InProcess
from bridge.journal.schema import messages
from bridge.journal.sealing import Key, Keyring, Seals
from bridge.units import SecretRef

pytestmark = pytest.mark.both_databases

KEYS = SecretRef("env", "JOURNAL_KEYS_OF_A_TEST")


@asynccontextmanager
async def journal_apart(folder: Path, **more: Any) -> AsyncIterator[tuple[Journal, WriterProcess]]:
    process = WriterProcess()
    journal = Journal(
        journal_url(folder),
        reactor,
        random_bytes=random.Random(7).randbytes,
        at_us=NOW_US,
        state=folder,
        apart=process,
        **more,
    )
    try:
        yield journal, process
    finally:
        await journal.close()


async def numbers(journal: Journal) -> list[int]:
    """The numbers in their channel of all messages, oldest first."""
    asked = select(messages.c.seq).order_by(messages.c.id)
    return list(await journal.read(lambda connection: connection.execute(asked).scalars().all()))


@in_reactor
async def test_what_it_says_is_written_is_on_disk_in_its_order(tmp_path: Path) -> None:
    async with journal_apart(tmp_path) as (journal, _):
        large = random.Random(1).randbytes(3_000_000)  # more than a socket takes at once
        bodies = [b"m%d" % number for number in range(200)] + [large]
        receipts = await gatherResults([journal.submit(RECEIVE, arrival(journal, each)) for each in bodies])
        assert [each.message_id for each in receipts] == list(range(1, 202))
        assert await journal.submit(TRANSLATE, translation(1, b"k")) == (1,)
        repeated = await journal.submit(RECEIVE, arrival(journal, b"same", "C1"))
        again = await journal.submit(RECEIVE, arrival(journal, b"same", "C1"))
        assert (again.duplicate_of, again.answer) == (repeated.message_id, b"answer to same")
    async with journal_in(tmp_path) as journal:
        assert await numbers(journal) == list(range(1, 204))
        assert (await journal.read(check)).violations == ()


@pytest.mark.only_sqlite
@in_reactor
async def test_an_item_that_cannot_be_written_takes_no_neighbour_with_it(tmp_path: Path) -> None:
    async with journal_apart(tmp_path) as (journal, _):
        first = await journal.submit(RECEIVE, arrival(journal, b"first"))
        wrong = journal.submit(TRANSLATE, translation(first.message_id, b"k", state="NO-STATE"))
        right = journal.submit(ANSWERED, Answered(first.message_id, True))
        with pytest.raises(ItemRefused, match="refused an item"):
            await wrong
        await right
        assert await journal.submit(TRANSLATE, translation(first.message_id, b"k")) == (1,)


@pytest.mark.only_sqlite
@in_reactor
async def test_what_cannot_cross_to_it_is_refused_and_what_follows_is_written(tmp_path: Path) -> None:
    async with journal_apart(tmp_path) as (journal, _):
        with pytest.raises(ItemRefused, match="cannot go to the journal's writer"):
            await journal.submit(RECEIVE, arrival(journal, b"first", peer=lambda: None))
        assert (await journal.submit(RECEIVE, arrival(journal, b"second"))).message_id == 1


@pytest.mark.only_sqlite
@in_reactor
async def test_why_it_cannot_open_a_journal_is_told_as_a_thread_tells_it(tmp_path: Path) -> None:
    async with journal_in(tmp_path):
        with pytest.raises(JournalRefused, match="another process runs on the journal"):
            async with journal_apart(tmp_path):
                raise AssertionError("two write the same journal")
    async with journal_apart(tmp_path) as (journal, _):
        assert journal.facts.starts == 2
        with pytest.raises(JournalRefused, match="another process runs on the journal"):
            async with journal_in(tmp_path):
                raise AssertionError("two write the same journal")


@in_reactor
async def test_when_it_is_killed_nobody_waits_in_vain_and_what_was_acknowledged_is_there(
    tmp_path: Path,
) -> None:
    async with journal_apart(tmp_path) as (journal, process):
        kept = await gatherResults(
            [journal.submit(RECEIVE, arrival(journal, b"m%d" % number)) for number in range(50)]
        )
        os.kill(process.pid, signal.SIGSTOP)
        under_way = journal.submit(RECEIVE, arrival(journal, b"under way"))
        journal.writer._hand_over()
        waiting = journal.submit(RECEIVE, arrival(journal, b"waiting"))
        os.kill(process.pid, signal.SIGKILL)
        assert await journal.writer.lost == "the journal's writer was ended by signal 9"
        for each in (under_way, waiting, journal.submit(RECEIVE, arrival(journal, b"too late"))):
            with pytest.raises(JournalUnavailable, match="ended by signal 9"):
                await each
        assert journal.writer.failing
        await journal.writer.flush()
    async with journal_apart(tmp_path) as (journal, _):
        assert len(await numbers(journal)) == len(kept)
        assert (await journal.submit(RECEIVE, arrival(journal, b"goes on"))).message_id == len(kept) + 1


@pytest.mark.only_sqlite
@in_reactor
async def test_it_ends_with_its_node_and_gives_the_journal_back(tmp_path: Path) -> None:
    async with journal_apart(tmp_path) as (journal, process):
        await journal.submit(RECEIVE, arrival(journal, b"first"))
        # As where the node is killed: its end of the line is closed, and nothing was said before.
        place = journal.writer._place
        assert isinstance(place, InProcess)
        reactor.removeReader(place)
        process.line.close()
        async with journal_in(tmp_path) as later:
            assert await numbers(later) == [1]
        assert process.ended() == "ended with status 0"


@pytest.mark.only_sqlite
@in_reactor
async def test_it_seals_with_another_key_from_the_moment_that_the_journal_knows_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [Key.made(name, name.encode().ljust(32)) for name in ("old", "new")]
    monkeypatch.setenv(KEYS.name, keys[0].line)
    given = [keys[0]]

    def secret(reference: SecretRef) -> str:
        assert reference == KEYS
        return "\n".join(key.line for key in given)

    async with journal_apart(tmp_path, secret=secret, keys=KEYS) as (journal, _):
        await journal.submit(RECEIVE, arrival(journal, b"first"))
        given.insert(0, keys[1])
        assert await journal.take_keys()
        await journal.submit(RECEIVE, arrival(journal, b"second"))
        found = await journal.read(
            lambda connection: [
                bytes(row[0])
                for row in connection.exec_driver_sql("SELECT body FROM bodies ORDER BY message_id")
            ]
        )
    for sealed, key, body in zip(found, keys, (b"first", b"second"), strict=True):
        assert Seals(Keyring((key,))).open(sealed, "bodies.body") == body


def test_a_frame_is_read_in_whatever_pieces_it_comes() -> None:
    contents = [b"", ("word", 1, b"x" * 1000), [None], arrival]
    data = b"".join(map(framed, contents))
    for step in (1, 7, 1000, len(data)):
        frames = Frames()
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        assert [content for piece in pieces for content in frames.feed(piece)] == contents
    with pytest.raises(CannotCross, match="Error"):
        framed(lambda: None)


def test_the_writing_half_knows_that_the_bridge_ends_also_when_it_heard_so_between_two_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    class Waiting:
        """As a writer is whose server does not answer: it asks whether to go on waiting."""

        def __init__(self, *told: Any) -> None:
            self._closing: Callable[[float], bool] = told[-1]

        def write(self, _batch: Batch) -> None:
            asked.extend(self._closing(0.05) for _ in range(2))

    monkeypatch.setattr(serving, "Committer", Waiting)
    ours, theirs = socket.socketpair()
    half = threading.Thread(
        target=serving.serve, args=(theirs, str, bytes, lambda: 0.0, lambda: None), daemon=True
    )
    half.start()
    ours.sendall(framed(Opening(f"sqlite:///{tmp_path}/journal.db", tmp_path, None, (), 0)))
    assert next(received(ours)) is True
    ours.sendall(framed(HURRY))
    ours.sendall(framed(Batch("", [])))
    while not asked:
        time.sleep(0.01)
    ours.close()
    half.join(30)
    theirs.close()
    assert asked == [True, True]
