"""Core statements, compiled once and run with plain tuples, for many rows at a time.

On the message path Core's own parameter handling costs more than SQLite does; the statement is still
built from the tables, so that a column cannot be misspelt. On SQLite many rows go in one statement, not in
one statement each: at each step of a statement the driver gives up the interpreter and must win it back. On
PostgreSQL new rows are copied (COPY, binary), which costs a third of a statement for each, and changes go as
one list for each column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Executable,
    FromClause,
    Table,
    TypeDecorator,
    any_,
    bindparam,
    column,
    func,
    insert,
    select,
    update,
    values,
)
from sqlalchemy.types import TypeEngine

from bridge.journal.driven import NewRows, in_pipeline, rows_of, run, run_many
from bridge.journal.sealed import Sealed, seals_of

Row = Mapping[str, Any]

COPIED_MIN_ROWS = 8
"""Fewer new rows are not copied: that takes two ways to a server, and statements one."""
ROWS_MAX = 64
"""Rows of one statement."""
_SIZES: Final = (*range(1, 17), 20, 24, 28, 32, 40, 48, 56, ROWS_MAX)
"""Rows that statements are made for. So few serve all, and two of them any number up to the most: each
statement costs the driver the interpreter, which it must win back."""
_LARGEST: Final = tuple(max(size for size in _SIZES if size <= most) for most in range(1, ROWS_MAX + 1))
"""The largest of them that is no larger than so many, from one on."""


class Prepared:
    """One statement, with one row of parameters."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, tuple[str, ...], Mapping[str, Any]]] = {}

    def compiled(self, connection: Connection) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
        """The text, the names of its parameters in order, and values that the statement itself brings."""
        dialect = connection.dialect
        if (known := self._compiled.get(dialect.name)) is None:
            compiled = self._statement.compile(dialect=dialect)  # type: ignore[attr-defined]
            assert compiled.positiontup, "a prepared statement needs positional parameters"
            names = tuple(compiled.positiontup)
            known = self._compiled[dialect.name] = str(compiled), names, dict(compiled.params)
        return known

    def one(self, connection: Connection, row: Row) -> CursorResult[Any]:
        """Run with the parameters in ``row``, which may hold more than these."""
        return connection.exec_driver_sql(self.compiled(connection)[0], self.given(connection, row))

    def rows(self, connection: Connection, row: Row) -> list[tuple[Any, ...]]:
        """As `one`, for a query: what it answers, its columns in their order."""
        return rows_of(connection, self.compiled(connection)[0], self.given(connection, row))

    def given(self, connection: Connection, row: Row) -> tuple[Any, ...]:
        """The parameters in ``row`` as the driver gets them."""
        _, names, constants = self.compiled(connection)
        return tuple(row[name] if name in row else constants[name] for name in names)


class ManyRows:
    """One statement for many rows. Each row is a mapping that holds ``columns``; further keys do no harm.

    ``of_one`` is the statement for one row, its parameters named as `_given` does, in that order;
    ``of_lists`` has one parameter for each column, its values of all rows, for a database that has lists.
    Without it, rows are new ones of ``table``. Columns that are `Sealed` are sealed here, since the driver
    gets the values as they are.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        of_one: Executable,
        of_lists: Executable | None = None,
    ) -> None:
        self._columns = tuple(columns)
        self._pick = itemgetter(*self._columns)
        self._of_one = Prepared(of_one)
        self._of_lists = None if of_lists is None else Prepared(of_lists)
        self._new = NewRows(table) if of_lists is None else None
        self._of_size: dict[int, str] = {}
        types = [(at, table.c[name].type) for at, name in enumerate(self._columns)]
        self._sealed = [(at, type_.place) for at, type_ in types if isinstance(type_, Sealed)]

    def many(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Run for all rows; the order among them is kept."""
        if rows:
            self.in_order(connection, [self._pick(row) for row in rows])

    def one(self, connection: Connection, row: tuple[Any, ...]) -> None:
        """Run for one row, the values of ``columns`` in their order, none of them `Sealed`."""
        assert not self._sealed, "what is sealed goes through `in_order`"
        self._give(connection, 1, row)

    def in_order(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run for rows that are the values of ``columns`` in their order, and nothing else."""
        if self._sealed:
            seal = seals_of(connection).seal
            rows = [self._with_seals(list(row), seal) for row in rows]
        if connection.dialect.name == "postgresql":
            if rows:
                self._on_server(connection, rows)
            return
        for chunk in _chunks(rows):
            self._give(connection, len(chunk), tuple(chain.from_iterable(chunk)))

    def _give(self, connection: Connection, size: int, given: tuple[Any, ...]) -> None:
        run(connection, self._text(connection, size), given)

    def _on_server(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        if self._of_lists is not None:
            run(connection, self._of_lists.compiled(connection)[0], list(map(list, zip(*rows, strict=True))))
        elif self._new is not None and len(rows) >= COPIED_MIN_ROWS and not in_pipeline(connection):
            self._new.copy(connection, rows)
        elif len(rows) == 1:
            run(connection, self._text(connection, 1), rows[0])
        else:
            run_many(connection, self._text(connection, 1), rows)

    def _with_seals(self, values: list[Any], seal: Callable[[bytes, str], bytes]) -> tuple[Any, ...]:
        for at, place in self._sealed:
            if values[at] is not None:
                values[at] = seal(values[at], place)
        return tuple(values)

    def _text(self, connection: Connection, size: int) -> str:
        text, names, _ = self._of_one.compiled(connection)
        if size == 1:
            return text
        # To have it compiled for each size takes a writer that has just begun some tenths of a second.
        if (known := self._of_size.get(size)) is None:
            row = f"({', '.join('?' * len(names))})"
            assert names == tuple(map(_given, self._columns)), "parameters must stand as the columns do"
            assert text.count(row) == 1, "they must be one row"
            known = self._of_size[size] = text.replace(row, ", ".join([row] * size))
        return known


def _given(name: str) -> str:
    """The parameter for a column; its own name would be taken for what the statement sets."""
    return f"given_{name}"


def _chunks(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    start, left = 0, len(rows)
    while left:
        size = _LARGEST[min(left, ROWS_MAX) - 1]
        yield rows[start : start + size]
        start, left = start + size, left - size


def insert_rows(table: Table) -> ManyRows:
    """Insert rows with all columns of a table."""
    columns = [each.name for each in table.columns]
    of_one = insert(table).values({name: bindparam(_given(name)) for name in columns})
    return ManyRows(table, columns, of_one)


def update_rows(
    table: Table, *columns: str, key: str = "id", where: ColumnElement[bool] | None = None
) -> ManyRows:
    """Set some columns of the rows with these keys, where ``where`` holds of a row; no key may stand twice in
    one call."""
    names = (key, *columns)
    types = {name: table.c[name].type for name in names}

    def changing(changed: FromClause) -> Executable:
        return (
            update(table)
            .where(table.c[key] == changed.c[key], *(() if where is None else (where,)))
            .values({name: changed.c[name] for name in columns})
        )

    given = [column(name, types[name]) for name in names]
    one = tuple(bindparam(_given(name), type_=types[name]) for name in names)
    changed = values(*given, name="changed").data([one]).cte("changed")
    lists = func.unnest(*(bindparam(name, type_=ARRAY(_plain(types[name]))) for name in names))
    of_lists = lists.table_valued(*given, name="changed").render_derived()
    return ManyRows(table, names, changing(changed), changing(of_lists))


def _plain(of_column: TypeEngine[Any]) -> TypeEngine[Any]:
    return of_column.impl_instance if isinstance(of_column, TypeDecorator) else of_column


class ManyIds:
    """A query that says which of many ids have a row of which a condition holds.

    First it counts them, one row to read: most often all have one, or none.
    """

    def __init__(self, key: Column[int], where: ColumnElement[bool]) -> None:
        self._key, self._where = key, where
        self._of_size: dict[int, Prepared] = {}
        self._counts = ForIds(
            lambda dialect: select(func.count()).where(among(dialect, self._key, "ids"), self._where)
        )

    def of(self, connection: Connection, ids: Sequence[int]) -> set[int]:
        """Those of ``ids``."""
        count = self._counts.rows(connection, {"ids": ids})[0][0] if ids else 0
        if count in {0, len(ids)}:
            return set(ids) if count else set()
        found: set[int] = set()
        for start in range(0, len(ids), ROWS_MAX):
            asked = ids[start : start + ROWS_MAX]
            # Sizes are powers of two, so that few statements serve all; the last id fills up.
            size = 1 << (len(asked) - 1).bit_length()
            sql, names, constants = self._prepared(size).compiled(connection)
            filled = [*asked, *[asked[-1]] * (size - len(asked)), *map(constants.__getitem__, names[size:])]
            found.update(row[0] for row in rows_of(connection, sql, filled))
        return found

    def _prepared(self, size: int) -> Prepared:
        if (prepared := self._of_size.get(size)) is None:
            names = [bindparam(f"id_{number}", type_=self._key.type) for number in range(size)]
            prepared = self._of_size[size] = Prepared(
                select(self._key).where(self._key.in_(names), self._where)
            )
        return prepared


def select_ids(key: Column[int], *, where: ColumnElement[bool]) -> ManyIds:
    """Which of many ids have a row of which ``where`` holds."""
    return ManyIds(key, where)


class ForIds:
    """A statement about lists of ids, each of which is one parameter, so that its text is one for all sizes.

    ``make`` gives it for a dialect, by name, with `among` for each list.
    """

    def __init__(self, make: Callable[[str], Executable]) -> None:
        self._make = make
        self._of_dialect: dict[str, Prepared] = {}

    def run(
        self, connection: Connection, ids: Mapping[str, Sequence[int]], row: Row | None = None
    ) -> CursorResult[Any]:
        """Run with lists by name, and further parameters in ``row``."""
        return self._prepared(connection).one(connection, {**(row or {}), **_lists(connection, ids)})

    def rows(self, connection: Connection, ids: Mapping[str, Sequence[int]]) -> list[tuple[Any, ...]]:
        """As `run`, for a query that is asked often: what it answers, as the driver gives it."""
        return self._prepared(connection).rows(connection, _lists(connection, ids))

    def _prepared(self, connection: Connection) -> Prepared:
        dialect = connection.dialect.name
        if (prepared := self._of_dialect.get(dialect)) is None:
            prepared = self._of_dialect[dialect] = Prepared(self._make(dialect))
        return prepared


def _lists(connection: Connection, ids: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    as_one = list if connection.dialect.name == "postgresql" else _as_json
    return {name: as_one(each) for name, each in ids.items()}


def _as_json(ids: Sequence[int]) -> str:
    return orjson.dumps(list(ids)).decode()


def among(dialect: str, key: Column[int], name: str) -> ColumnElement[bool]:
    """That a column has one of the ids of a list by this name."""
    if dialect == "postgresql":
        return key == any_(bindparam(name, type_=ARRAY(BigInteger)))
    return key.in_(select(func.json_each(bindparam(name)).table_valued("value").c.value))
