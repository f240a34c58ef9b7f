"""One thing that is to be done at a time, which may be moved."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from bridge.message import Microseconds
from bridge.runtime.surroundings import Surroundings


class Alarm:
    """Calls ``do`` once, when its time has come."""

    def __init__(self, world: Surroundings, do: Callable[[], object]) -> None:
        self._world, self._do = world, do
        self._timer: IDelayedCall | None = None
        self._due_at_us: Microseconds | None = None

    def set(self, due_at_us: Microseconds | None) -> None:
        """Let it be then, or at once where that is over, and not when it was to be before; None for never."""
        active = self._timer is not None and self._timer.active()
        if active and due_at_us == self._due_at_us:
            return
        if active and self._timer is not None:
            self._timer.cancel()
        self._due_at_us = due_at_us
        if due_at_us is not None:
            wait_s = max(0.0, (due_at_us - self._world.now_us()) / 1e6)
            self._timer = self._world.reactor.callLater(wait_s, self._do)
