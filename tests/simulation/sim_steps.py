"""The steps of a journal's writer, statement by statement, and what may happen to one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, create_engine

from bridge.journal import driven

Break = Callable[[Any, str], None]
"""What happens at a step: it gets the driver's connection and the statement, or COMMIT. May raise."""

_shared: dict[tuple[str, Any], tuple[Any, Any]] = {}


class Steps:
    """Counts what the writer does, and breaks one of it."""

    def __init__(self) -> None:
        self.number = 0
        self.broken = ""
        """The step that was broken, as its statement begins."""
        self.dead = False
        """The process is gone: nothing it still does has an effect."""
        self._at = 0
        self._before: Break = _nothing
        self._after: Break = _nothing

    def arm(self, at: int, before: Break | None = None, after: Break | None = None) -> None:
        """Break the step ``at``, counted from 1 from here on: ``before`` it, or ``after`` a COMMIT."""
        self.number, self._at, self.broken = 0, at, ""
        self._before, self._after = before or _nothing, after or _nothing

    def step(self, connection: Any, statement: str) -> None:
        """A step is about to be done."""
        if self.dead:
            raise Gone
        self.number += 1
        if self.number == self._at:
            self.broken = statement.split("(", maxsplit=1)[0][:60]
            self._before(getattr(connection, "dbapi_connection", connection), statement)

    def committed(self, connection: Any) -> None:
        """A COMMIT was done, and the writer does not know it yet."""
        if self.number == self._at:
            self._after(getattr(connection, "dbapi_connection", connection), "COMMIT")


class Gone(BaseException):
    """The process has ended here."""


def _nothing(connection: Any, statement: str) -> None: ...


now = Steps()
"""The steps that are counted now."""


def counted(steps: Steps) -> None:
    """Count for somebody else from now on."""
    global now  # noqa: PLW0603 - engines outlive who counts
    now = steps


def sharing_engine(url: Any, **options: Any) -> Engine:
    """An engine that knows the statements which others have compiled; that is most of what a life costs.

    What the writer's does is counted.
    """
    engine = create_engine(url, **options)
    writes = options["poolclass"].__name__ == "NullPool"
    of = engine.dialect.name, options["poolclass"]
    if of not in _shared:
        _shared[of] = engine.dialect, engine._compiled_cache
        if writes:
            _count(engine)
    engine.dialect, engine._compiled_cache = _shared[of]
    engine.pool._dialect = engine.dialect
    return engine


def _count(engine: Engine) -> None:
    dialect: Any = engine.dialect
    commit = dialect.do_commit

    def do_commit(connection: Any) -> None:
        now.step(connection, "COMMIT")
        commit(connection)
        now.committed(connection)

    def counting(execute: Callable[..., None]) -> Callable[..., None]:
        def counted(cursor: Any, statement: str, *more: Any, **named: Any) -> None:
            now.step(cursor.connection, statement)
            execute(cursor, statement, *more, **named)

        return counted

    dialect.do_commit = do_commit
    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        setattr(dialect, name, counting(getattr(dialect, name)))
    if dialect.name == "postgresql":
        driven.do_copy = counting(driven.do_copy)
