"""Opening a journal: one owner, the right version, a SQLite that is safe, and rules that hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from databases import journal_url
from journals import journal_in, open_journal
from reactor_tests import in_reactor
from sqlalchemy import Connection, inspect, update

from bridge.errors import JournalRefused, JournalUnavailable
from bridge.journal import sqlite, triggers
from bridge.journal.beside import path_of
from bridge.journal.database import SCHEMA, Database, check_version, upgrade, version
from bridge.journal.making import migrate
from bridge.journal.metadata import METADATA
from bridge.journal.schema import facts

pytestmark = pytest.mark.both_databases


def made(path: Path) -> Database:
    url = journal_url(path.parent)
    database = Database(url if url.startswith("postgresql:") else f"sqlite:///{path}", create=True)
    upgrade(database, random_bytes=os.urandom)
    return database


def tables_of(connection: Connection) -> dict[str, dict[str, Any]]:
    """All that the database can tell of its tables, whatever order it tells it in."""
    looked = inspect(connection)

    def words(each: Mapping[str, Any]) -> dict[str, Any]:
        options = {name: str(value) for name, value in each.get("dialect_options", {}).items()}
        return {**each, "type": str(each.get("type")), "dialect_options": options}

    return {
        table: {
            "columns": {each["name"]: words(each) for each in looked.get_columns(table)},
            "key": looked.get_pk_constraint(table)["constrained_columns"],
            "indexes": {each["name"]: words(each) for each in looked.get_indexes(table)},
            "refers": sorted(str(each["constrained_columns"]) for each in looked.get_foreign_keys(table)),
            "unique": sorted(str(each["column_names"]) for each in looked.get_unique_constraints(table)),
            "checks": sorted(str(each["sqltext"]) for each in looked.get_check_constraints(table)),
            "comment": looked.get_table_comment(table) if connection.dialect.supports_comments else None,
        }
        for table in looked.get_table_names()
    }


def indexes_of(connection: Connection) -> dict[str, str]:
    """The words that made each index, also of those that begin with an expression: of these an inspector of
    SQLite tells nothing."""
    if connection.dialect.name != "sqlite":
        return {}
    made = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''"
    )
    return {name: " ".join(words.split()) for name, words in made}


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
def test_all_steps_make_the_tables_that_are_made_at_once_and_that_the_code_writes(tmp_path: Path) -> None:
    database = made(tmp_path / "j.db")
    with database.writer.begin() as connection:
        assert version(connection) == SCHEMA
        at_once, indexes = tables_of(connection), indexes_of(connection)
        assert MigrationContext.configure(connection).get_current_revision() == f"{SCHEMA:04}"
        triggers.remove(connection)
        METADATA.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        migrate(connection)
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        by_steps = tables_of(connection)
        assert indexes_of(connection) == indexes
    database.close()
    assert set(by_steps) == set(at_once)
    for table, told in by_steps.items():
        assert told == at_once[table]


def test_every_rule_is_in_place_after_every_upgrade(tmp_path: Path) -> None:
    database = made(tmp_path / "j.db")
    with database.writer.begin() as connection:
        first = triggers.installed(connection)
        assert set(first) == triggers.expected(connection)
        assert all(rule.words in first[rule.name] for rule in triggers.RULES if rule.name in first)
        on = "" if connection.dialect.name == "sqlite" else "ON transitions"
        connection.exec_driver_sql(f"DROP TRIGGER transitions_kept {on}")
        assert "transitions_kept" not in triggers.installed(connection)
    assert upgrade(database, random_bytes=os.urandom) == (SCHEMA, SCHEMA)
    with database.reader.begin() as connection:
        assert triggers.installed(connection) == first
    database.close()


@in_reactor
async def test_a_second_owner_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    async with journal_in(tmp_path):
        with pytest.raises(JournalRefused, match="another process"):
            open_journal(tmp_path)
    async with journal_in(tmp_path):
        pass


@pytest.mark.parametrize(
    ("fact", "value", "words"),
    [("schema", b"0", "journal upgrade"), ("oldest_code", b"99", "newer bridge")],
)
def test_another_version_is_refused_with_what_to_do(
    tmp_path: Path, fact: str, value: bytes, words: str
) -> None:
    database = made(tmp_path / "j.db")
    with database.writer.begin() as connection:
        connection.execute(update(facts).where(facts.c.name == fact).values(value=value))
    with pytest.raises(JournalRefused, match=words):
        check_version(database)
    database.close()


def test_a_newer_journal_is_not_upgraded_down(tmp_path: Path) -> None:
    database = made(tmp_path / "j.db")
    with database.writer.begin() as connection:
        connection.execute(update(facts).where(facts.c.name == "oldest_code").values(value=b"99"))
    with pytest.raises(JournalRefused, match="newer bridge"):
        upgrade(database, random_bytes=os.urandom)
    database.close()


def test_a_newer_journal_that_this_code_can_work_with_stays_as_it_is(tmp_path: Path) -> None:
    database = made(tmp_path / "j.db")
    with database.writer.begin() as connection:
        connection.execute(update(facts).where(facts.c.name == "schema").values(value=b"99"))
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0099'")
    assert upgrade(database, random_bytes=os.urandom) == (99, 99)
    with database.writer.begin() as connection:
        assert version(connection) == 99
    database.close()


@pytest.mark.only_sqlite
def test_files_that_are_no_journal_are_refused_with_a_reason(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_bytes(b"this is no database, but it is long enough to be looked at" * 40)
    database = Database(f"sqlite:///{text}")
    with pytest.raises(JournalUnavailable, match="not a database"):
        check_version(database)
    database.close()
    other = tmp_path / "other.db"
    connection = sqlite.sqlite_module().connect(other)
    connection.execute("CREATE TABLE things (id INTEGER)")
    connection.close()
    database = Database(f"sqlite:///{other}")
    with pytest.raises(JournalRefused, match="other tables"):
        check_version(database)
    database.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://localhost/x",
        "postgresql://localhost",
        "postgresql://u:word@localhost/x",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////nowhere/j.db",
    ],
)
def test_a_journal_that_cannot_be_named_is_refused(url: str) -> None:
    with pytest.raises(JournalRefused):
        Database(url)


@pytest.mark.only_sqlite
def test_a_journal_is_for_its_user_alone(tmp_path: Path) -> None:
    database = made(tmp_path / "var" / "j.db")
    with database.writer.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
    rights = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "var").iterdir()}
    assert set(rights) >= {"j.db"}
    assert set(rights.values()) == {0o600}
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
    database.close()


@pytest.mark.only_sqlite
def test_a_sqlite_with_the_fault_keeps_no_write_ahead_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "wal_is_safe", lambda _version: False)
    database = made(tmp_path / "j.db")
    with database.writer.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    database.close()


@pytest.mark.only_sqlite
def test_the_journal_waits_for_the_disk_at_every_commit(tmp_path: Path) -> None:
    database = made(tmp_path / "j.db")
    with database.writer.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    database.close()


@in_reactor
async def test_a_start_on_a_full_disk_says_so_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        path = path_of(journal.database.beside)
    partial = path.with_name(path.name + ".partial")
    partial.symlink_to("/dev/full")
    with pytest.raises(JournalUnavailable, match="No space left on device; make room on its disk"):
        async with journal_in(tmp_path):
            pass
    assert not partial.is_symlink()
    async with journal_in(tmp_path):
        assert path.exists()
