"""What the system tells of a folder, as a wake-up and no more. Imported only where a folder is watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler

from bridge.transports.watching import OWN

_TELLING = frozenset({"closed", "created", "moved", "deleted"})
"""What is only read, or still written, is nothing to look at."""


class Waking(FileSystemEventHandler):  # type: ignore[misc, unused-ignore]
    """Calls ``wake``, in a thread of the observer's."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent | Any) -> None:
        """Something may have changed."""
        if event.event_type in _TELLING and OWN not in str(event.src_path):
            self._wake()
