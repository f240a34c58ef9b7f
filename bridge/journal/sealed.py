"""The column type of what is sealed: whoever writes or reads a row by Core sees it as it was given.

Which keys there are is the database's affair, so each of its engines carries its `Seals`, `give_seals`.
"""

from __future__ import annotations

from sqlalchemy import Connection, Dialect, Engine, LargeBinary
from sqlalchemy.types import TypeDecorator

from bridge.journal.sealing import Seals

_NAME = "bridge_seals"
_WITHOUT_KEYS = Seals()


def give_seals(engine: Engine, seals: Seals) -> None:
    """Let all connections of an engine seal and open with these."""
    vars(engine.dialect)[_NAME] = seals


def seals_of(connection: Connection) -> Seals:
    """What a connection seals and opens with."""
    return _of(connection.dialect)


def _of(dialect: Dialect) -> Seals:
    found = vars(dialect).get(_NAME, _WITHOUT_KEYS)
    assert isinstance(found, Seals)
    return found


class Sealed(TypeDecorator[bytes]):
    """Bytes that are compressed and encrypted at rest. ``place`` is the column that they are bound to.

    A statement that goes to the driver by itself must seal by itself: `ManyRows` does.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, place: str = "") -> None:
        super().__init__()
        self.place = place

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """As it is kept."""
        return None if value is None else _of(dialect).seal(value, self.place)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """As it was given."""
        return None if value is None else _of(dialect).open(bytes(value), self.place)
