"""Core statements, compiled once and run with plain tuples.

On the message path Core's own parameter handling costs more than SQLite does; the statement is still
built from the tables, so that a column cannot be misspelt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, Table, bindparam, insert, update

Row = Mapping[str, Any]


class Prepared:
    """One statement. Rows are mappings that hold all of its parameters; further keys do no harm."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, tuple[str, ...]]] = {}
        # SQLite's LIMIT comes with an OFFSET of 0 that nobody wrote.
        self._constants: dict[str, dict[str, Any]] = {}

    def _text(self, connection: Connection) -> tuple[str, tuple[str, ...]]:
        dialect = connection.dialect
        if (known := self._compiled.get(dialect.name)) is None:
            compiled = self._statement.compile(dialect=dialect)  # type: ignore[attr-defined]
            assert compiled.positiontup, "a prepared statement needs positional parameters"
            known = self._compiled[dialect.name] = str(compiled), tuple(compiled.positiontup)
            self._constants[dialect.name] = dict(compiled.params)
        return known

    def many(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Run once for each row."""
        if rows:
            sql, names = self._text(connection)
            pick = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
            connection.exec_driver_sql(sql, [pick(row) for row in rows])

    def one(self, connection: Connection, row: Row) -> CursorResult[Any]:
        """Run once and return the result."""
        sql, names = self._text(connection)
        constants = self._constants[connection.dialect.name]
        return connection.exec_driver_sql(
            sql, tuple(row[name] if name in row else constants[name] for name in names)
        )


def insert_row(table: Table) -> Prepared:
    """Insert all columns of a table."""
    return Prepared(insert(table))


def update_by_id(table: Table, *columns: str) -> Prepared:
    """Set some columns of the row ``the_id``; parameters are named ``new_COLUMN``."""
    values: dict[str, Any] = {column: bindparam(f"new_{column}") for column in columns}
    return Prepared(update(table).where(table.c.id == bindparam("the_id")).values(values))
