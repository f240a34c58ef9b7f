"""A public key as somebody names it: the line itself, or the file that holds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bridge.audit.notes import Verifier

KEY_MAX_BYTES = 4096


def public_key(key: str) -> Verifier:
    """What verifies signatures of a key. Raises BadParameter where it is none, or no file of this name."""
    from bridge.audit.notes import Verifier

    try:
        return Verifier.parse(_line(key))
    except ValueError as wrong:
        said = f"expected a public key, NAME+ID+KEY, or the file that holds it: {wrong}"
        raise click.BadParameter(said, param_hint="--key") from None


def _line(key: str) -> str:
    """A key as it was typed, or the first line of the file that was named."""
    path = Path(key)
    if "+" in key and not path.exists():
        return key
    try:
        with path.open("rb") as file:
            return file.read(KEY_MAX_BYTES).decode("utf-8", "replace").partition("\n")[0].strip()
    except OSError as error:
        raise click.BadParameter(f"{key}: {error.strerror}", param_hint="--key") from None
