"""Statements that go to the driver as they are, without SQLAlchemy between, which takes as long as a short
statement itself: for what is run with every transaction. Errors are SQLAlchemy's, as everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.exc import DBAPIError


def rows_of(connection: Connection, sql: str, given: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What a query answers, as the driver gives it. Raises DBAPIError."""
    with _told(connection):
        cursor = connection.connection.cursor()
        connection.dialect.do_execute(cursor, sql, given)
        return list(cursor.fetchall())


def run(connection: Connection, sql: str, given: Sequence[Any] = ()) -> int:
    """Run a statement that answers nothing; how many rows it has changed. Raises DBAPIError."""
    with _told(connection):
        cursor = connection.connection.cursor()
        connection.dialect.do_execute(cursor, sql, given)
        return int(cursor.rowcount)


def run_many(connection: Connection, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run it once for each of these rows of parameters. Raises DBAPIError."""
    with _told(connection):
        connection.dialect.do_executemany(connection.connection.cursor(), sql, rows)


def in_pipeline(connection: Connection) -> bool:
    """Whether statements of a PostgreSQL connection go without waiting for answers now."""
    return bool(connection.connection.driver_connection.pgconn.pipeline_status)  # type: ignore[union-attr]


def do_copy(cursor: Any, sql: str, types: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """What a dialect's `do_execute` is for a statement, for rows to be copied, with columns of ``types``."""
    with cursor.copy(sql) as copying:
        copying.set_types(types)
        for row in rows:
            copying.write_row(row)


class NewRows:
    """New rows of a table for PostgreSQL, with all columns in their order."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._statement: tuple[str, list[str]] | None = None

    def copy(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Copy them into it. Not within a pipeline. Raises DBAPIError."""
        if self._statement is None:
            self._statement = self._made(connection.dialect)
        sql, types = self._statement
        with _told(connection):
            do_copy(connection.connection.cursor(), sql, types, rows)

    def _made(self, dialect: Dialect) -> tuple[str, list[str]]:
        quoted = dialect.identifier_preparer
        names = ", ".join(quoted.format_column(each) for each in self._table.columns)
        types = [each.type.compile(dialect=dialect).lower() for each in self._table.columns]
        return f"COPY {quoted.format_table(self._table)} ({names}) FROM STDIN (FORMAT BINARY)", types


def failure(connection: Connection, error: Exception) -> DBAPIError:
    """An error of the driver as SQLAlchemy tells it; where the connection is gone, it is known to be so. What
    was written is never in it."""
    dialect = connection.dialect
    gone = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)  # type: ignore[arg-type]
    if gone:
        connection.invalidate(error)
    made = DBAPIError.instance(
        None, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=gone
    )
    assert isinstance(made, DBAPIError)
    return made


@contextmanager
def _told(connection: Connection) -> Iterator[None]:
    try:
        yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise failure(connection, error) from error
