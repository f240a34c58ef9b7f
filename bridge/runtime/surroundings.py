"""Time, chance and identity, as a value that is passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from bridge.journal.threads import RealThreads, Threads
from bridge.message import Microseconds
from bridge.runtime.clock import BelievedTime

CONTROL_ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the spine may know of the world. Tests pass a clock and a seed instead.

    ``reactor`` gives delays (IReactorTime), ``now_us`` the time of day, ``chance`` a number in [0, 1),
    ``random_bytes`` bytes that do not repeat, ``threads`` are where the journal's disk is waited for.
    ``believed`` is the time by which is deleted; None where the time of day is. ``machine_us`` is what the
    machine's clock shows, which may go back; None where that is the time of day.
    """

    reactor: Any
    now_us: Callable[[], Microseconds]
    chance: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    threads: Threads = field(default_factory=RealThreads)
    believed: BelievedTime | None = None
    machine_us: Callable[[], Microseconds] | None = None

    def told_us(self) -> Microseconds:
        """The time of day for what others hold against their clocks: claims, signatures, dates of answers."""
        return self.now_us() if self.machine_us is None else self.machine_us()

    def believed_us(self) -> Microseconds:
        """The time of day for what cannot be undone."""
        return self.now_us() if self.believed is None else self.believed()

    def clock(self) -> dict[str, Any]:
        """What the time of day is here, and whether it counts for what cannot be undone."""
        self.believed_us()
        doubt = None if self.believed is None else self.believed.doubt
        return {
            "now_us": self.now_us(),
            "doubt": None if doubt is None else doubt._asdict(),
            "behind_s": 0 if self.believed is None else self.believed.behind_s,
        }

    def control_id(self) -> str:
        """A new MSH-10 for an answer of our own: 16 characters, of the 20 that all versions allow."""
        return self.random_bytes(CONTROL_ID_BYTES).hex().upper()

    def pause(self, seconds: float) -> Deferred[None]:
        """Wait."""
        return deferLater(self.reactor, seconds, lambda: None)
