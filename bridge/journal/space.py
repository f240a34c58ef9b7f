"""Disk space that deleted rows leave behind: given back in small steps, or all at once.

SQLite moves pages from the end of the file into free ones and cuts it, where the file was made so that it
can.
PostgreSQL marks the space as free for new rows, and gives back what is free at the end of a table.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.journal.database import Database, Ownership, told
from bridge.journal.metadata import METADATA
from bridge.journal.writer import Transaction, Work

PAGES_AT_ONCE = 256
"""1 MiB of a SQLite file in one transaction."""
INCREMENTAL = 2


def _give_back(tx: Transaction, items: Sequence[None]) -> list[int]:
    return [_give_back_some(tx) for _ in items]


def _give_back_some(tx: Transaction) -> int:
    if tx.connection.dialect.name != "sqlite":
        return 0
    if tx.connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() != INCREMENTAL:
        return 0
    # Each step of the statement moves one page, and gives a row without columns: it must be read to its end.
    cursor = tx.connection.connection.cursor()
    cursor.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")
    cursor.fetchall()
    cursor.close()
    return int(tx.connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)


GIVE_BACK: Work[None, int] = Work("give-back", _give_back)
"""Give some pages back to the disk; how many are left that could be."""


def vacuum(database: Database) -> None:
    """Let PostgreSQL see what is free. It may take minutes, and stops nobody."""
    if database.file is not None:
        return
    with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in METADATA.sorted_tables:
            connection.exec_driver_sql(f"VACUUM (ANALYZE) {table.name}")


def compact(database: Database, ownership: Ownership) -> None:
    """Write a whole journal anew without its free space, while no node runs; it needs as much space again.

    A SQLite file can give back space in small steps from then on.
    """
    with told(database):
        ownership.connect().close()
        with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if database.file is None:
                for table in METADATA.sorted_tables:
                    connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {table.name}")
                return
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
