"""Commands on a journal that is no file: the same answers, and nothing about a disk that is another's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import bridge, bridge_process
from databases import journal_url, on_postgresql
from postgres_server import PostgresServer

from bridge.journal.database import SCHEMA, Database, upgrade


@pytest.fixture
def url(tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("BRIDGE_STATE", str(tmp_path))
    with on_postgresql(postgres_server):
        yield journal_url(tmp_path)


def made(url: str) -> Database:
    database = Database(url, create=True)
    upgrade(database, random_bytes=os.urandom)
    return database


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("status",), "nothing has been received yet"),
        (("messages",), "control ID"),
        (("journal", "verify"), "every rule was kept"),
        (("journal", "upgrade"), f"tables are of version {SCHEMA} already"),
        (("doctor",), "✓"),
    ],
)
def test_commands_read_it_by_its_url(url: str, arguments: tuple[str, ...], words: str) -> None:
    made(url).close()
    ended = bridge(*arguments, "--journal", url)
    assert words in ended.out, ended.said
    assert "Traceback" not in ended.said


def test_an_empty_database_is_told_as_such(url: str) -> None:
    findings = json.loads(bridge("doctor", "--journal", url, "--format", "json").out)
    (found,) = [each for each in findings if each["about"] == "journal"]
    assert found["grade"] == "good"
    assert "`bridge run` makes its tables" in found["found"]
    assert "disk" not in {each["about"] for each in findings}
    ended = bridge("status", "--journal", url)
    assert ended.status == 3
    assert "no journal" in ended.err


@pytest.mark.parametrize("command", ["upgrade", "compact"])
def test_an_empty_database_is_not_filled_by_a_command_that_tends_a_journal(url: str, command: str) -> None:
    ended = bridge("journal", command, "--journal", url)
    assert ended.status == 3
    assert "no journal" in ended.err
    assert "is empty" in bridge("doctor", "--journal", url).out


def test_status_looks_at_no_disk_and_says_that_no_node_runs(url: str) -> None:
    made(url).close()
    ended = bridge("status", "--check", "--journal", url)
    assert ended.status == 1
    assert "no node runs on this journal" in ended.out
    assert "MiB" not in ended.out


def test_a_second_owner_is_refused(url: str) -> None:
    database = made(url)
    owner = database.own()
    try:
        ended = bridge_process("journal", "upgrade", "--journal", url)
    finally:
        owner.release()
        database.close()
    assert (ended.status, ended.out) == (3, "")
    assert "another process runs on the journal postgresql" in ended.err
    assert "postgres@" not in ended.err


def test_a_server_that_is_not_there_is_3_with_what_to_do(tmp_path: Path) -> None:
    ended = bridge("status", "--journal", f"postgresql://anna@/bridge?host={tmp_path}")
    assert ended.status == 3
    assert "check that the server runs" in ended.err
    assert "Traceback" not in ended.err
