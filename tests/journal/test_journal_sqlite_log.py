"""SQLite's log is emptied beside the writer, and stays within its limit."""

from __future__ import annotations

import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.journal.sqlite import sqlite_module
from bridge.journal.sqlite_log import LOG_MAX_PAGES, Moving
from bridge.journal.threads import RealThreads


def opened(file: Path) -> Any:
    connection = sqlite_module().connect(str(file), isolation_level=None)
    for pragma in ("journal_mode = WAL", f"wal_autocheckpoint = {LOG_MAX_PAGES}"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body BLOB)")
    return connection


def written(connection: Any, rows: int) -> None:
    connection.executemany("INSERT INTO t (body) VALUES (?)", [(b"x" * 3000,) for _ in range(rows)])


def pages(file: Path) -> int:
    """How many pages the database file has by its own head: the log is not looked at."""
    with file.open("rb") as data:
        data.seek(28)
        (found,) = struct.unpack(">I", data.read(4))
    return int(found)


def test_what_was_committed_is_moved_without_the_writer(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    writer = opened(file)
    writer.execute("BEGIN")
    written(writer, 2000)
    writer.execute("COMMIT")
    assert pages(file) < 100, "no commit below the limit moves anything"
    moving = Moving(sqlite_module(), file)
    moving.step()
    assert pages(file) > 1500
    # The writer goes on, with the log from its beginning.
    log = tmp_path / "journal.db-wal"
    size = log.stat().st_size
    written(writer, 10)
    assert log.stat().st_size == size
    moving.close()
    writer.close()


def test_a_writer_under_way_is_not_waited_for_and_nothing_of_it_is_moved(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    writer = opened(file)
    moving = Moving(sqlite_module(), file)
    moving.step()
    before = pages(file)
    writer.execute("BEGIN IMMEDIATE")
    written(writer, 500)
    moving.step()
    assert pages(file) == before
    writer.execute("COMMIT")
    moving.step()
    assert pages(file) > before
    moving.close()
    writer.close()


def test_a_file_that_cannot_be_moved_into_is_told_of_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moving = Moving(sqlite_module(), tmp_path / "nowhere" / "journal.db")
    moving.step()
    moving.step()
    assert capsys.readouterr().out.count("log-not-moved") == 1
    moving.close()


def test_it_is_made_done_and_closed_in_one_thread_which_ends() -> None:
    seen: list[tuple[str, int]] = []

    class Tends:
        def __init__(self) -> None:
            self.note("made")

        def note(self, word: str) -> None:
            seen.append((word, threading.get_ident()))

        def step(self) -> None:
            self.note("step")

        def close(self) -> None:
            self.note("closed")

    tending = RealThreads().tending(Tends, 0.001)
    while len(seen) < 3:
        time.sleep(0.001)
    tending.end()
    assert [seen[0][0], seen[1][0], seen[-1][0]] == ["made", "step", "closed"]
    assert len({thread for _, thread in seen}) == 1
