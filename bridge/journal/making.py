"""The tables of now: made all at once where there are none, and step by step where there are older ones.

Both ways end at the same tables, which a test compares. A new journal is made at once since that is four
times as quick, and needs no Alembic.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, MetaData, String, Table, insert

from bridge.journal import schema  # noqa: F401 - the tables
from bridge.journal.metadata import METADATA

_STEPS: Final = Path(__file__).parent / "migrations"
_REACHED: Final = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True, nullable=False)
)
"""Where Alembic keeps which step was the last."""


def make(connection: Connection, version: int) -> None:
    """Make all tables in an empty database, and note that this is how step ``version`` leaves them."""
    METADATA.create_all(connection, checkfirst=False)
    _REACHED.create(connection, checkfirst=False)
    connection.execute(insert(_REACHED).values(version_num=f"{version:04}"))


def migrate(connection: Connection) -> None:
    """Take all steps that have not been taken, in the transaction that the connection is in."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_STEPS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
