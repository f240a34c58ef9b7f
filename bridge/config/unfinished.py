"""What is not in use yet and will be, so that nobody is advised to delete it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from bridge.config.files import FILES_MAX_COUNT, ConfigFile, read_regular

UNFINISHED: Final = "unfinished/channels"
"""Where `bridge migrate import` puts channels that cannot run yet. Nothing else of them is read."""
_NAMES: Final = re.compile(
    rb"\b(?:mapping|api): *[\"']?([a-z0-9][a-z0-9._-]*)|mappings/([a-z0-9._-]+)\.yaml|value://([a-z0-9._-]+)"
)


def awaited(directory: Path, files: Iterable[ConfigFile], size_max_bytes: int) -> frozenset[str]:
    """Names of mappings, APIs and values that an unfinished channel refers to, or a comment of one that
    runs, as a route does that is still commented out."""
    texts = [*_unfinished(directory, size_max_bytes)]
    for file in files:
        if file.kind == "channel":
            lines = file.content.splitlines()
            texts += [line for line in lines if line.lstrip().startswith(b"#")]
    found = (name for text in texts for match in _NAMES.finditer(text) for name in match.groups())
    return frozenset(name.decode() for name in found if name)


def _unfinished(directory: Path, size_max_bytes: int) -> Iterator[bytes]:
    for path in islice(sorted((directory / UNFINISHED).glob("*.yaml")), FILES_MAX_COUNT):
        try:
            read = read_regular(path, size_max_bytes)
        except OSError:
            continue
        if read is not None:
            yield read[0]
