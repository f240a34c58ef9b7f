"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorated = Callable[[Callable[..., Any]], Callable[..., Any]]

config: Decorated = click.option(
    "--config",
    "directory",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    help="The folder that holds channels/ and mappings/.",
)
environment: Decorated = click.option(
    "--environment",
    envvar="BRIDGE_ENVIRONMENT",
    show_envvar=True,
    help="Whose values the files take: a name in channels/environments/.",
)
journal: Decorated = click.option(
    "--journal",
    "journal_url",
    envvar="BRIDGE_JOURNAL",
    show_envvar=True,
    help="The journal's database.  [default: sqlite:///var/bridge.db]",
)
as_channel: Decorated = click.option(
    "--channel",
    "channel",
    help="Read FILES as this channel of the current folder does: columns, headers, character set.",
)
ID = click.IntRange(0, 2**63 - 1)
"""A number that a journal gives."""
newest: Decorated = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many, the newest.",
)
reason: Decorated = click.option("--reason", required=True, help="Why; kept beside what you do.")
output_format: Decorated = click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For a person, or for a program.",
)
