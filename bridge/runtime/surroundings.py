"""Time, chance and identity, as a value that is passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from bridge.journal.threads import RealThreads, Threads
from bridge.message import Microseconds


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the spine may know of the world. Tests pass a clock and a seed instead.

    ``reactor`` gives delays (IReactorTime), ``now_us`` the time of day, ``chance`` a number in [0, 1),
    ``random_bytes`` bytes that do not repeat, ``threads`` are where the journal's disk is waited for.
    ``monotonic_s`` is a clock that nobody sets, which the reactor's may not be; None where that is one.
    """

    reactor: Any
    now_us: Callable[[], Microseconds]
    chance: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    threads: Threads = field(default_factory=RealThreads)
    monotonic_s: Callable[[], float] | None = None

    def passed_s(self) -> float:
        """Seconds that have passed since whenever, however the time of day was set meanwhile."""
        return self.reactor.seconds() if self.monotonic_s is None else self.monotonic_s()

    def pause(self, seconds: float) -> Deferred[None]:
        """Wait."""
        return deferLater(self.reactor, seconds, lambda: None)
