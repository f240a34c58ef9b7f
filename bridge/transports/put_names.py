"""What files are called where they are put, and what is told where they cannot be. Pure."""

from __future__ import annotations

import os
from typing import Any, Final

import orjson

from bridge.transports.watching import NAME_MAX_BYTES

TARGET_WORDS: Final = (
    "the folder {}: {}; expected a folder and no link, on a disk that is mounted: make it, or name another"
)
NOT_RENAMED_WORDS: Final = (
    "the server does not rename it into {}, and does not say why; SFTP renames within one file system only: "
    "name a folder on that of the source, and see the server's log"
)
REASON: Final = ".reason.json"
"""The ending of what is told beside a file that failed."""
REASON_MAX_BYTES: Final = 64 * 1024
"""What is larger was not told by a bridge."""
ENDING_MAX_BYTES: Final = 64
"""What is longer is no ending of a name, behind a mark."""


def marked(name: str, mark: str) -> str:
    """A name with a mark before its ending, if there is one, and room for `REASON` behind it.

    >>> marked("a.hl7", "7"), marked("a", "7"), marked("a.hl7", "")
    ('a.7.hl7', 'a.7', 'a.hl7')
    """
    stem, dot, ending = name.rpartition(".")
    if not stem or len(os.fsencode(ending)) > ENDING_MAX_BYTES:
        stem, dot, ending = name, "", ""
    return fitting(stem, f".{mark}{dot}{ending}", NAME_MAX_BYTES - len(REASON)) if mark else name


def tells_of_same(there: bytes, told: bytes) -> bool:
    """Whether what lies there was told of the same file, at an earlier try: it may be told anew.

    >>> tells_of_same(b'{"file": "a", "number": 7, "at": "1"}', b'{"file": "a", "number": 7, "at": "2"}')
    True
    >>> tells_of_same(b'{"file": "a", "number": 6}', b'{"file": "a", "number": 7}'), tells_of_same(b"", b"{}")
    (False, False)
    """
    if there == told:
        return True
    try:
        one, other = orjson.loads(there), orjson.loads(told)
    except orjson.JSONDecodeError:
        return False
    return isinstance(one, dict) and _whose(one) == _whose(other) != (None, None)


def _whose(told: dict[str, Any]) -> tuple[object, object]:
    return told.get("file"), told.get("number")


def fitting(stem: str, ending: str, max_bytes: int = NAME_MAX_BYTES) -> str:
    """A name that a file may have: the stem gives way, by whole characters."""
    room = max_bytes - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending
