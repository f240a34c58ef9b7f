"""What helps beside the words of click where a command was given wrongly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

_EXTRA: Final = re.compile(r"Got unexpected extra arguments? \((\S+)")


def hint(error: click.ClickException) -> str:
    """A line that says what there is, or what was meant; '' where click has said enough."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None or "Did you mean" in error.format_message():
        return ""
    if isinstance(context.command, click.Group) and error.format_message().startswith("No such command"):
        return "there are: " + ", ".join(context.command.list_commands(context))
    extra = _EXTRA.match(error.format_message())
    takes = {option for param in context.command.params for option in param.opts}
    if extra is not None and "--config" in takes and Path(extra[1].rstrip(")")).is_dir():
        return f"a site's folder is named by an option: --config {extra[1].rstrip(')')}"
    return ""
