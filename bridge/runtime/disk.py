"""The disk of a journal in a file: nothing new is taken where less is left than the reserve, or the file is
gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from bridge.config.settings import DiskReserve
from bridge.journal.journal import Journal
from bridge.journal.messages import RECEIVE
from bridge.journal.taken_files import SPLIT_FILE, TAKE_FILE
from bridge.journal.writer import Work
from bridge.observe.metrics import Metrics
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.disk")

LOOK_EVERY_S = 1.0
ENOUGH_AGAIN_RATIO = 1.25
"""So many times the reserve must be free before anything is taken again, so that it does not flutter."""

_TAKING: tuple[Work[Any, Any], ...] = (RECEIVE, TAKE_FILE, SPLIT_FILE)


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file stands there; None where none does."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class DiskWatch:
    """Looks at the free space, and refuses what arrives while there is too little of it.

    A sender then hears AE and keeps its message, and a file stays where it is. What was taken before goes on,
    in the reserve.
    """

    def __init__(
        self,
        file: Path,
        reserve: DiskReserve,
        journal: Journal,
        metrics: Metrics,
        usage: Callable[[Path], Any] = shutil.disk_usage,
    ) -> None:
        self._file, self._folder, self._reserve = file.absolute(), file.absolute().parent, reserve
        self._identity = _identity(self._file)
        self._journal, self._metrics, self._usage = journal, metrics, usage
        self.free_bytes = self.total_bytes = self.reserve_bytes = 0
        self.low = self.gone = False

    def look(self) -> None:
        """See whether the file is there and how much is left, and act on it.

        A disk that cannot be asked stays as it was.
        """
        self._look_at_file()
        try:
            found = self._usage(self._folder)
        except OSError as error:
            log.warning("disk-not-seen", reason=error.strerror)
            return
        self.free_bytes, self.total_bytes = found.free, found.total
        self.reserve_bytes = self._reserve.of(found.total)
        enough = self.reserve_bytes * (ENOUGH_AGAIN_RATIO if self.low else 1.0)
        self._metrics.disk_free.set(found.free)
        self._metrics.disk_reserve.set(self.reserve_bytes)
        if (low := found.free < enough) == self.low:
            return
        self.low = low
        self._metrics.disk_low.set(low)
        self._refuse()
        said = log.error if low else log.warning
        said(
            "disk-low" if low else "disk-has-room-again",
            free_bytes=found.free,
            reserve_bytes=self.reserve_bytes,
        )

    def _look_at_file(self) -> None:
        if (gone := _identity(self._file) != self._identity) == self.gone:
            return
        # What is written to a file without a name ends with the process, though each sync of it succeeds.
        self.gone = gone
        self._refuse()
        (log.error if gone else log.warning)("journal-file-gone" if gone else "journal-file-is-back")

    def _refuse(self) -> None:
        for taking in _TAKING:
            self._journal.refuse(taking, self.why)

    @property
    def trouble(self) -> str:
        """What is wrong with the file itself; empty where it is in its place."""
        if not self.gone:
            return ""
        return "the journal's file was moved away, deleted or replaced: put it back, or restore a backup"

    @property
    def why(self) -> str:
        """Why nothing is taken; empty while there is room, and the file in its place."""
        return self.trouble or ("too little is left on the journal's disk" if self.low else "")

    async def run(self, world: Surroundings) -> None:
        """Look again and again, until cancelled."""
        while True:
            await world.pause(LOOK_EVERY_S)
            self.look()

    def status(self) -> dict[str, Any]:
        """How things stand, in numbers."""
        return {
            "free_bytes": self.free_bytes,
            "total_bytes": self.total_bytes,
            "reserve_bytes": self.reserve_bytes,
            "low": self.low,
        }
