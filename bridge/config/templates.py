"""Texts of an operation in which fields of a record stand in braces."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bridge.located import Mapping, Scalar


def path_placeholders(path: str) -> Iterator[tuple[str, int]]:
    """The fields in a path template, each with its offset.

    >>> list(path_placeholders("/patients/{key}/merge"))
    [('key', 10)]
    """
    return ((found[1], found.start()) for found in re.finditer(r"\{(\w+)\}", path))


def templates_of(operation: Mapping) -> Iterator[Scalar]:
    """The texts of an operation in which fields stand in braces: paths, parameters and headers."""
    query = operation.get("query")
    found = [operation.get("path"), query.get("path") if isinstance(query, Mapping) else None]
    for name in ("params", "headers"):
        found += [value for _, value in getattr(operation.get(name), "entries", ())]
    yield from (each for each in found if isinstance(each, Scalar))
