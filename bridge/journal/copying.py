"""A whole journal copied to another database, where its node then goes on as if nothing had happened.

The copy is one transaction. A copy on which no node may start yet says so in `facts`, and so does the journal
that was left; whatever ends in between, a node can start on one of the two at most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select

from bridge.errors import JournalRefused
from bridge.journal import triggers
from bridge.journal.database import (
    ARRIVING,
    KEPT_BESIDE,
    MOVED,
    Database,
    Facts,
    Ownership,
    check_version,
    told,
    upgrade,
)
from bridge.journal.ledger import ledger
from bridge.journal.metadata import METADATA
from bridge.journal.postgresql import WRITER
from bridge.journal.postgresql_session import NUL_KEPT_AS
from bridge.journal.schema import facts, messages
from bridge.journal.spool import Spool
from bridge.journal.spool_copying import copy_spool, must_be_there
from bridge.journal.statements import insert_rows

ROWS_AT_ONCE, LARGE_ROWS_AT_ONCE = 500, 16
_LARGE = frozenset({"bodies", "requests", "revised_bodies", "revised_requests", "kept_files", "file_chunks"})
"""Tables whose rows may be as large as a message."""
_OWN_FACTS = (ARRIVING, MOVED, WRITER, KEPT_BESIDE)
"""What a journal knows of the place where it is; all else it takes along."""

Progress = Callable[[str, int], object]
"""Told of a table, and of how many more of its rows are done."""


@dataclass(frozen=True, slots=True)
class Copied:
    """How many rows each table has, on both sides; ``finished`` where an earlier copy only was ended."""

    rows: Mapping[str, int]
    finished: bool


def copy(
    source: Database, target: Database, *, random_bytes: Callable[[int], bytes], progress: Progress
) -> Copied:
    """Copy a journal and let it go on at the target.

    Raises JournalRefused where a node runs on either, the target holds something, the source went on
    elsewhere, or what arrived is not what was there; then a node can start at the source as before.
    """
    if source.name == target.name:
        raise JournalRefused(f"both are {source.name}; name another database to copy to")
    check_version(source)
    leaving = source.own()
    try:
        arriving = target.own()
        try:
            with told(target):
                return _copy(source, target, leaving, arriving, random_bytes, progress)
        finally:
            arriving.release()
    finally:
        leaving.release()


def _copy(
    source: Database,
    target: Database,
    leaving: Ownership,
    arriving: Ownership,
    random_bytes: Callable[[int], bytes],
    progress: Progress,
) -> Copied:
    words = f"a copy of {source.name} into this journal has not ended: run `bridge journal copy` again"
    if target.is_new():
        upgrade(target, random_bytes=random_bytes, arriving=words)
    check_version(target, arriving=True)
    finished = _is_to_finish(source, target)
    if not finished:
        with source.reader.begin() as reading, arriving.connect().begin() as writing:
            write(reading, writing.connection, words, progress)
            beside = Spool(source.beside), Spool(target.beside)
            missing = copy_spool(writing.connection, *beside, lambda files: progress("spool", files))
            must_be_there(source, missing)
    rows = compare(source, target, progress)
    where = (
        f"the journal {source.name} was copied to {target.name}, and goes on there: "
        "name that one with --journal"
    )
    _mark(leaving.connect(), MOVED, where)
    _mark(arriving.connect(), ARRIVING, None)
    return Copied(rows, finished)


def _is_to_finish(source: Database, target: Database) -> bool:
    """Whether an earlier copy is complete but for its end. Raises JournalRefused where none may begin."""
    with source.reader.begin() as connection:
        known = Facts(connection)
    with target.reader.begin() as connection:
        there = Facts(connection)
        held = connection.execute(select(func.count()).select_from(messages)).scalar_one()
    same = there.journal_id == known.journal_id
    if there.arriving and same and target.name in known.moved:
        return True
    if known.moved:
        raise JournalRefused(known.moved)
    if there.arriving and held:
        raise JournalRefused(
            f"{target.name} holds a copy that was cut short: remove it (the file, or drop the database and "
            "make it anew), and copy again"
        )
    if there.starts or held:
        raise JournalRefused(
            f"{target.name} holds a journal already; name an empty database, or a file that is not there"
        )
    return False


def write(reading: Connection, writing: Connection, words: str, progress: Progress) -> None:
    """Write all rows of a journal into another in place of its own; ``words`` say from then on why no node
    may start there yet."""
    # States that only a history leads to are written as they are, which the rules would refuse.
    triggers.remove(writing)
    for table in reversed(METADATA.sorted_tables):
        writing.execute(delete(table))
    for table in METADATA.sorted_tables:
        into = insert_rows(table)
        for rows in _batches(reading, table):
            into.many(writing, rows)
            progress(table.name, len(rows))
    writing.execute(insert(facts).values(name=ARRIVING, value=words.encode()))
    triggers.install(writing)


def _batches(connection: Connection, table: Table) -> Any:
    query = select(table).order_by(*table.primary_key.columns)
    if table is facts:
        query = query.where(facts.c.name.not_in(_OWN_FACTS))
    size = LARGE_ROWS_AT_ONCE if table.name in _LARGE else ROWS_AT_ONCE
    found = connection.execute(query, execution_options={"yield_per": size}).mappings()
    return found.partitions()


def compare(
    source: Database, target: Database, progress: Progress, *, but: Table | None = None
) -> dict[str, int]:
    """How many rows each table has. Raises JournalRefused where they differ, ``but`` for one table."""
    with source.reader.begin() as one, target.reader.begin() as other:
        counts = {}
        for table in METADATA.sorted_tables:
            if table is but:
                continue
            here, there = _digest(one, table, lambda *_: None), _digest(other, table, progress)
            if here != there:
                raise JournalRefused(
                    f"what arrived in {table.name} of {target.name} is not what was there "
                    f"({here[0]} rows, {there[0]} arrived): nothing was moved; "
                    "remove the copy, and copy again"
                )
            counts[table.name] = here[0]
        if ledger(one) != ledger(other):
            raise JournalRefused(f"the ledger of {target.name} is another one: nothing was moved")
    return counts


def _digest(connection: Connection, table: Table, progress: Progress) -> tuple[int, int]:
    """How many rows a table has, and what they come to, in whatever order a database gives them."""
    count = total = 0
    for rows in _batches(connection, table):
        for row in rows:
            values = tuple(map(_as_kept, row.values()))
            digest = hashlib.blake2b(repr(values).encode(), digest_size=16).digest()
            total = (total + int.from_bytes(digest)) % (1 << 128)
        count += len(rows)
        progress(table.name, len(rows))
    return count, total


def _as_kept(value: Any) -> Any:
    """A text as PostgreSQL keeps it, which has no NUL; the same in both directions."""
    return value.replace("\0", NUL_KEPT_AS) if isinstance(value, str) else value


def _mark(connection: Connection, name: str, words: str | None) -> None:
    with connection.begin():
        connection.execute(delete(facts).where(facts.c.name == name))
        if words is not None:
            connection.execute(insert(facts).values(name=name, value=words.encode()))


def rows_of(database: Database) -> int:
    """How many rows a journal has in all; so many are copied, and so many compared."""
    with told(database), database.reader.begin() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in METADATA.sorted_tables
        )
