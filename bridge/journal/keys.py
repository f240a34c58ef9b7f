"""Keys of bodies: taken into use while a node runs, and which rows are sealed with which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection, LargeBinary, func, select, type_coerce, update

from bridge.journal.database import INDEX_KEY, SEALED_WITH, Facts, seal_with
from bridge.journal.metadata import METADATA
from bridge.journal.schema import facts
from bridge.journal.sealed import Sealed, seals_of
from bridge.journal.sealing import CONTENT_AT, Keyring, key_id_of
from bridge.journal.spool import Spool
from bridge.journal.spool_copying import sealed_files
from bridge.journal.writer import Transaction, Work


def _seal_with(tx: Transaction, keyrings: Sequence[Keyring]) -> list[None]:
    for keyring in keyrings:
        seal_with(tx.connection, keyring)
        tx.afterwards(partial(seals_of(tx.connection).use, keyring))
    return [None] * len(keyrings)


SEAL_WITH: Work[Keyring, None] = Work("seal-with", _seal_with)
"""Note that bodies are sealed with other keys, and seal with them once that is on disk."""


def sealed_rows(connection: Connection, progress: Callable[[int], object]) -> Counter[bytes | None]:
    """How many values are sealed with each key, by its id; None counts those that are not encrypted.

    Every value is looked at; ``progress`` hears of each that was.
    """
    found: Counter[bytes | None] = Counter()
    for table in METADATA.sorted_tables:
        for column in table.columns:
            if not isinstance(column.type, Sealed):
                continue
            head = func.substr(type_coerce(column, LargeBinary), 1, CONTENT_AT + 1)
            query = select(type_coerce(head, LargeBinary)).where(column.is_not(None))
            for (value,) in connection.execute(query, execution_options={"yield_per": 1000}):
                found[key_id_of(bytes(value))] += 1
                progress(1)
    return found


def forget(connection: Connection, key_id: bytes, spool: Spool) -> int:
    """Note that a key is not needed any more; how many values are sealed with it, where it still is."""
    counts = sealed_rows(connection, lambda _: None) + sealed_files(connection, spool)
    kept = connection.execute(select(facts.c.value).where(facts.c.name == INDEX_KEY)).scalar_one()
    left = counts[key_id] + (key_id_of(kept) == key_id)
    if not left:
        used = [each for each in in_use(connection) if each != key_id]
        connection.execute(update(facts).where(facts.c.name == SEALED_WITH).values(value=b"".join(used)))
    return left


def in_use(connection: Connection) -> tuple[bytes, ...]:
    """The ids of keys that something may be sealed with."""
    return Facts(connection).sealed_with
