"""Work that nobody waits for, kept in sight: its failures are logged, and stopping ends it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import structlog
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.python.failure import Failure

log = structlog.get_logger("bridge.tasks")


class Tasks:
    """Coroutines that run beside their caller."""

    def __init__(self) -> None:
        self._running: dict[Deferred[Any], None] = {}
        """In the order of their begin, which is the order in which they are ended."""

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, name: str, coroutine: Coroutine[Deferred[Any], Any, Any]) -> None:
        """Run a coroutine. It owes nobody a result; an exception it lets out is a fault, and is logged."""
        running = Deferred.fromCoroutine(coroutine)
        self._running[running] = None

        def ended(result: Any) -> None:
            self._running.pop(running, None)
            if isinstance(result, Failure) and not result.check(CancelledError):
                frame = result.frames[-1] if result.frames else ("?", "?", 0)
                log.error(
                    "task-failed",
                    task=name,
                    fault=type(result.value).__name__,
                    place=f"{frame[1]}:{frame[2]}",
                )

        running.addBoth(ended)

    async def settle(self) -> None:
        """Wait until everything has ended by itself."""
        while self._running:
            await DeferredList([_echo(running) for running in self._running])

    def cancel(self) -> None:
        """End everything that runs, as soon as it lets itself be ended."""
        for running in tuple(self._running):
            running.cancel()

    async def stop(self) -> None:
        """End everything that runs, and wait until it has."""
        self.cancel()
        await self.settle()


def _echo(source: Deferred[Any]) -> Deferred[None]:
    """Fires when ``source`` does, without taking its result."""
    echo: Deferred[None] = Deferred()

    def fire(result: Any) -> Any:
        echo.callback(None)
        return result

    source.addBoth(fire)
    return echo
