"""What was committed is moved from SQLite's log into its file beside the writer, so that no commit has to.

A commit appends to the log and syncs it, which is quick; moving pages to where they belong is not. Whoever
moves them holds up nobody: SQLite lets the writer go on meanwhile. Only where a log grows past
`LOG_MAX_PAGES`, since something reads for long or a disk is slow, does a commit move them itself.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import structlog

log = structlog.get_logger("bridge.journal")

PAGE_BYTES = 4096
LOG_MAX_PAGES = 16_384
"""64 MiB."""
EVERY_S = 0.2


class Moving:
    """Moves pages out of the log. Made, used and closed in one thread."""

    def __init__(self, module: ModuleType, file: Path) -> None:
        self._module, self._file = module, file
        self._connection: Any = None
        self._failing = False

    def step(self) -> None:
        """Move what can be moved without waiting for anybody."""
        try:
            if self._connection is None:
                self._connection = self._module.connect(str(self._file), isolation_level=None, timeout=0)
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except self._module.Error as error:
            # What is not moved stays in the log, and is safe there.
            if not self._failing:
                log.warning("log-not-moved", reason=str(error))
            self._failing = True
        else:
            self._failing = False

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
