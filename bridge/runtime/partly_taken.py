"""What has come of files before their place went away: each goes on where it was, whatever comes between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bridge.journal.spool import Incoming
from bridge.runtime.file_messages import Looking

FILES_MAX_COUNT: Final = 4
"""So many are kept, each with what has come of it on disk; of one more the oldest begins anew."""
Key = tuple[str, str]
"""The name of a file, and how its place showed it."""


@dataclass(slots=True)
class Partly:
    """One file: its bytes so far, and who looks them through; None where all of it is to be looked through at
    its end."""

    growing: Incoming
    looking: Looking | None


class PartlyTaken:
    """Files of one channel. For one thread at a time."""

    def __init__(self, begin: Callable[[], Partly]) -> None:
        """``begin`` gives a file of which nothing has come."""
        self._begin = begin
        self._files: dict[Key, Partly] = {}

    def of(self, key: Key) -> Partly:
        """What has come of this very file, or nothing yet."""
        found = self._files.pop(key, None)
        while found is None and len(self._files) >= FILES_MAX_COUNT:
            self.give_up(next(iter(self._files)))
        self._files[key] = found = found or self._begin()
        return found

    def done(self, key: Key) -> None:
        """All of it has come."""
        self._files.pop(key, None)

    def give_up(self, key: Key) -> None:
        """Forget what has come of it."""
        if (partly := self._files.pop(key, None)) is not None:
            partly.growing.abandon()

    def look_through_at_end(self) -> None:
        """What files are looked through by has changed."""
        for each in self._files.values():
            each.looking = None
