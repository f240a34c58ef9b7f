"""Keys of records: from business identifiers alone, so that a replay finds the same record again."""

from __future__ import annotations

from typing import Final

_ESCAPED: Final = {"%": "%25", ":": "%3A"}


def key_of(*parts: str) -> str:
    """One key of several parts. Other parts never give the same key; a part that is missing gives none.

    >>> key_of("NORTH", "100:7")
    'NORTH:100%3A7'

    :raises ValueError: a part is empty: half a key is the key of somebody else
    """
    if not parts or not all(parts):
        raise ValueError("a key needs all its parts")
    return ":".join("".join(_ESCAPED.get(each, each) for each in part) for part in parts)
