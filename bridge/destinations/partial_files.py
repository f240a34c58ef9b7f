"""What files are called while they are not whole, and which of them attempts that broke have left behind.

A hidden name holds a digest of the file's own name, and a number that no two attempts share. So an attempt
knows what earlier ones of the same file have left, of this process or of one that ended, and of no other file
is anything taken away.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Final

FILES_MAX_COUNT: Final = 10_000
"""So many are remembered; further ones stay, hidden."""
_PARTIAL: Final = re.compile(r"\.[0-9a-f]{32}\.[0-9]{1,20}\.part")


def partial_name(name: str, number: int) -> str:
    """The name of a file while it is not whole: hidden, so that whoever collects files takes none by halves,
    and of a length that fits any name."""
    return f"{_begin(name)}{number}.part"


def _begin(name: str) -> str:
    return f".{hashlib.sha256(name.encode()).hexdigest()[:32]}."


class Remains:
    """Partial files of one folder, of which those of a file are remains once it is written anew.

    Threads share it: each step is one of a set, and no two threads write one file.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._looked = False

    def learn(self, listed: Callable[[], Iterable[str]]) -> None:
        """See, once, what lies there from before. Raises what ``listed`` does, and then looks again later."""
        if not self._looked:
            for name in listed():
                self.begun(name)
            self._looked = True

    def begun(self, partial: str) -> None:
        """An attempt has made this one. A name that is no partial file's is left alone."""
        if _PARTIAL.fullmatch(partial) is not None and len(self._known) < FILES_MAX_COUNT:
            self._known.add(partial)

    def gone(self, partial: str) -> None:
        """It is there no more."""
        self._known.discard(partial)

    def of(self, name: str) -> list[str]:
        """What earlier attempts of this file have left, where none is under way."""
        begin = _begin(name)
        return sorted(each for each in tuple(self._known) if each.startswith(begin))
