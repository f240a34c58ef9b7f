"""In which database a test's journals are: a file in its folder, or a database of a real PostgreSQL.

Tests marked ``both_databases`` run on each, so that what the journal promises is promised of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postgres_server import PostgresServer

from bridge.journal.frames import Frames, framed
from bridge.journal.journal import Journal
from bridge.journal.places import InThread

KINDS = ("sqlite", "postgresql")


def _file(folder: Path) -> str:
    return f"sqlite:///{folder / 'journal.db'}"


_url: Callable[[Path], str] = _file


def journal_url(folder: Path) -> str:
    """The URL of the journal that belongs to a folder; the same for as long as the test runs."""
    return _url(folder)


@contextmanager
def on_postgresql(server: PostgresServer, *, but: Path | None = None) -> Iterator[None]:
    """Until the block ends, the journal of each folder is a database of its own, ``but`` for one folder's."""
    global _url  # noqa: PLW0603 - the tests of one process run one after another
    made: dict[Path, str] = {}

    def of(folder: Path) -> str:
        if folder == but:
            return _file(folder)
        if folder not in made:
            made[folder] = server.database()
        return server.url(made[folder])

    _url = of
    try:
        yield
    finally:
        _url = _file
        for name in made.values():
            server.drop(name)


def crossed(content: Any) -> Any:
    """The same object as another process has it that it was sent to."""
    (there,) = Frames().feed(framed(content))
    return there


def in_thread(journal: Journal) -> InThread:
    """The half of a journal's writer that writes, where it is a thread of this process."""
    place = journal.writer._place
    assert isinstance(place, InThread)
    return place
