"""Rules that the database itself holds, made from the tables of `delivery.state`.

They are put in place anew after every migration, since SQLite rebuilds a table to change it and drops its
triggers on the way. Each is written once, and said in the words of either database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from bridge.approvals.lifecycle import KEPT_ARROWS, KEPT_BEGINS
from bridge.delivery.files import FILE_ARROWS, FILE_BEGINS
from bridge.delivery.state import DELIVERY_ARROWS, DELIVERY_BEGINS, MESSAGE_ARROWS, MESSAGE_BEGINS

RETAINING, _RETAINING_NOW = "retaining", "SELECT 1 FROM facts WHERE name = 'retaining'"
"""A row of `facts` that stands only within a transaction of retention, which alone may delete steps."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is refused: an ``event`` on a table, ``when`` this is so, and with which words.

    ``when`` is standard SQL, and empty for always. ``unless`` is a query: where it finds a row, nothing is
    refused.
    """

    name: str
    table: str
    event: str
    words: str
    when: str = ""
    unless: str = ""
    only_sqlite: bool = False
    """Where PostgreSQL holds it by a foreign key, which SQLite does not look at."""

    def sqlite(self) -> str:
        """The trigger in SQLite's words."""
        # Older SQLite knows no IS DISTINCT FROM, and its IS compares anything.
        asked = " AND ".join(filter(None, (self.when, self.unless and f"NOT EXISTS ({self.unless})")))
        when = f"WHEN {asked.replace('IS DISTINCT FROM', 'IS NOT')}" if asked else ""
        return (
            f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} {when} "
            f"BEGIN SELECT RAISE(ABORT, '{self.words}'); END"
        )

    def postgresql(self) -> str:
        """The trigger in PostgreSQL's words; `_REFUSE` says no."""
        when = f"WHEN ({self.when})" if self.when else ""
        return f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} FOR EACH ROW {when} " + (
            f"EXECUTE FUNCTION journal_refuse_unless('{self.words}', {_literal(self.unless)})"
            if self.unless
            else f"EXECUTE FUNCTION journal_refuse('{self.words}')"
        )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# PostgreSQL takes no query in a trigger's condition.
_REFUSE_UNLESS = """CREATE OR REPLACE FUNCTION journal_refuse_unless() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE found boolean;
    BEGIN
        EXECUTE 'SELECT EXISTS (' || TG_ARGV[1] || ')' INTO found;
        IF found THEN RETURN OLD; END IF;
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = TG_ARGV[0];
    END $$"""
_REFUSE = """CREATE OR REPLACE FUNCTION journal_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = TG_ARGV[0]; END $$"""
_EMPTIED = "append-only: a journal is not emptied"


def _is_none_of(given: str, words: Iterable[str], usual: str) -> str:
    """That a text is none of these. The usual ones, with blanks between, are looked at first; a list of words
    would be sorted anew for each row, a tenth of what the row costs."""
    first = usual.split()
    assert set(first) <= set(words), "the usual ones are among them"
    others = sorted(set(words) - set(first))
    known = " ".join(f"WHEN '{word}' THEN FALSE" for word in (*first, *others))
    return f"CASE {given} {known} ELSE TRUE END"


def _machine(
    table: str, begins: Iterable[str], arrows: Iterable[tuple[str, str]], usual: tuple[str, str] = ("", "")
) -> Iterator[Rule]:
    """The rules of a table's states; ``usual`` are the states that most begin in, and the usual steps."""
    yield Rule(
        f"{table}_begin",
        table,
        "INSERT",
        f"state-machine: {table} cannot begin in this state",
        _is_none_of("NEW.state", begins, usual[0]),
    )
    yield Rule(
        f"{table}_step",
        table,
        "UPDATE OF state",
        f"state-machine: {table} has no such step",
        _is_none_of("OLD.state || '>' || NEW.state", [f"{old}>{new}" for old, new in arrows], usual[1]),
    )


def _append_only(table: str, what: str) -> Iterator[Rule]:
    yield Rule(f"{table}_kept", table, "UPDATE", f"append-only: {what} are not changed")
    yield Rule(
        f"{table}_not_deleted",
        table,
        "DELETE",
        f"append-only: {what} are not deleted",
        unless=_RETAINING_NOW,
    )


_RECEIVED = "as-received: what a sender sent does not change"
_RELEASED = "as-released: every attempt sends the same request"

RULES: tuple[Rule, ...] = (
    *_machine("messages", MESSAGE_BEGINS, MESSAGE_ARROWS, ("RECEIVED", "RECEIVED>MAPPED")),
    *_machine(
        "deliveries", DELIVERY_BEGINS, DELIVERY_ARROWS, ("READY", "READY>IN_FLIGHT IN_FLIGHT>DELIVERED")
    ),
    *_machine("taken_files", FILE_BEGINS, FILE_ARROWS),
    *_machine("bundles", KEPT_BEGINS, KEPT_ARROWS),
    Rule(
        "bundles_as_signed",
        "bundles",
        "UPDATE OF digest, kind, environment, base, author, people, manifest",
        "as-signed: a bundle is not changed",
    ),
    Rule("bundles_not_deleted", "bundles", "DELETE", "append-only: bundles are not deleted"),
    Rule(
        "bundle_statements_of_author",
        "bundle_statements",
        "INSERT",
        "as-signed: a statement is about a bundle and its author",
        "NOT EXISTS (SELECT 1 FROM bundles WHERE digest = NEW.bundle AND author = NEW.author)",
        only_sqlite=True,
    ),
    Rule("bundle_statements_kept", "bundle_statements", "UPDATE", "as-signed: statements are not changed"),
    Rule(
        "bundle_statements_not_deleted",
        "bundle_statements",
        "DELETE",
        "append-only: statements are not deleted",
    ),
    Rule(
        "taken_files_as_received",
        "taken_files",
        "UPDATE OF id, channel, name, received_at_us, size_bytes, sha256",
        _RECEIVED,
    ),
    Rule(
        "file_chunks_as_received",
        "file_chunks",
        "UPDATE",
        _RECEIVED,
        "NEW.sha256 IS DISTINCT FROM OLD.sha256 "
        "OR NEW.content IS DISTINCT FROM OLD.content AND NEW.content IS NOT NULL",
    ),
    Rule("file_steps_kept", "file_steps", "UPDATE", "append-only: steps are not changed"),
    Rule("file_steps_not_deleted", "file_steps", "DELETE", "append-only: steps are not deleted"),
    Rule(
        "messages_as_received",
        "messages",
        "UPDATE OF id, channel, seq, received_at_us, fingerprint",
        _RECEIVED,
    ),
    Rule(
        "bodies_as_received",
        "bodies",
        "UPDATE",
        _RECEIVED,
        "NEW.body IS DISTINCT FROM OLD.body AND NEW.body IS NOT NULL "
        "OR OLD.answer IS NOT NULL AND NEW.answer IS DISTINCT FROM OLD.answer",
    ),
    Rule("requests_as_released", "requests", "UPDATE", _RELEASED),
    Rule("revised_requests_as_released", "revised_requests", "UPDATE", _RELEASED),
    Rule("revised_bodies_as_given", "revised_bodies", "UPDATE", "as-given: a correction is not changed"),
    Rule("actions_kept", "actions", "UPDATE", "append-only: actions are not changed"),
    Rule("actions_not_deleted", "actions", "DELETE", "append-only: actions are not deleted"),
    *_append_only("chain", "rows of the chain"),
    *_append_only("checkpoints", "checkpoints"),
    *_append_only("anchored", "anchors"),
    *_append_only("disclosures", "disclosures"),
    *_append_only("transitions", "transitions"),
)

_ON_POSTGRESQL = tuple(rule for rule in RULES if not rule.only_sqlite)
NOT_EMPTIED = (
    "actions",
    "bodies",
    "bundle_statements",
    "bundles",
    "chain",
    "checkpoints",
    "deliveries",
    "disclosures",
    "messages",
    "requests",
    "transitions",
)
"""Tables that PostgreSQL could empty by a statement of its own, which asks no rule about rows."""


def install(connection: Connection) -> None:
    """Put all rules in place, in the transaction of ``connection``."""
    remove(connection)
    if connection.dialect.name == "sqlite":
        for rule in RULES:
            connection.exec_driver_sql(rule.sqlite())
        return
    connection.exec_driver_sql(_REFUSE)
    connection.exec_driver_sql(_REFUSE_UNLESS)
    for rule in _ON_POSTGRESQL:
        connection.exec_driver_sql(rule.postgresql())
    for table in NOT_EMPTIED:
        connection.exec_driver_sql(
            f"CREATE TRIGGER {table}_not_emptied BEFORE TRUNCATE ON {table} "
            f"EXECUTE FUNCTION journal_refuse('{_EMPTIED}')"
        )


def remove(connection: Connection) -> None:
    """Take all rules away, in the transaction of ``connection``; whoever does so puts them back in it."""
    if connection.dialect.name == "sqlite":
        for rule in RULES:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {rule.name}")
        return
    for name, table in _names_on_postgresql():
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name} ON {table}")


def _names_on_postgresql() -> Iterator[tuple[str, str]]:
    for rule in _ON_POSTGRESQL:
        yield rule.name, rule.table
    for table in NOT_EMPTIED:
        yield f"{table}_not_emptied", table


def expected(connection: Connection) -> set[str]:
    """The names of the rules that a database of this kind holds."""
    if connection.dialect.name == "sqlite":
        return {rule.name for rule in RULES}
    return {name for name, _ in _names_on_postgresql()}


def installed(connection: Connection) -> dict[str, str]:
    """The rules that are in place, by name, as the database tells them."""
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        if connection.dialect.name == "sqlite"
        else "SELECT tgname AS name, pg_get_triggerdef(t.oid) AS sql FROM pg_trigger t "
        "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE NOT tgisinternal AND n.nspname = current_schema()"
    )
    return {row.name: row.sql for row in rows}
