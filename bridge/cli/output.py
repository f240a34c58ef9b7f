"""What commands print: tables for people, JSON for programs, and times that anybody can read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

PIPED_WIDTH_CHARACTERS = 140


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()
) -> None:
    """Print a table; columns named in ``right`` are set to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    headed = any(columns)
    shown = Table(
        title=title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD if headed else None,
        show_header=headed,
        pad_edge=False,
    )
    for column in columns:
        shown.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*("" if cell is None else str(cell) for cell in row))
    # Cells are data: nothing in them is markup, and `:100:` is a line number.
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH_CHARACTERS
    console.print(shown)


def json(value: Any) -> None:
    """Print a value as JSON, bytes in hexadecimal digits."""
    import orjson

    text = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=_as_text)
    click.echo(text.decode())


def _as_text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def moment(at_us: int) -> str:
    """A time as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(sep=" ", timespec="milliseconds")[:23] + "Z"
