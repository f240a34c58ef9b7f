"""A destination whose deliveries end in the node's own journal: written there, and nowhere else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, Generic, TypeVar

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import IDENTIFIED, JUDGED, KNOWN, SENT
from bridge.errors import JournalUnavailable
from bridge.tls.client import Exchanges

_STEPS: Final = f"{IDENTIFIED}{KNOWN}{SENT}{JUDGED}"
Writes = TypeVar("Writes")


class IntoJournal(ABC, Generic[Writes]):
    """Most of a `Destination`. It is told how to write once there is a journal; before that, and once it is
    closed, everything waits. To write the same again changes nothing."""

    def __init__(self, guarded: str) -> None:
        self._guarded = guarded
        self._writes: Writes | None = None

    @abstractmethod
    async def _written(self, writes: Writes, request: bytes) -> Outcome:
        """Write what a request says. Raises JournalUnavailable."""

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:  # noqa: ARG002
        """Write it."""
        steps = self._guarded + _STEPS
        if self._writes is None:
            return Outcome(Verdict.RETRY, "closing", steps=f"{steps}!closing")
        try:
            return (await self._written(self._writes, request))._replace(steps=steps)
        except JournalUnavailable:
            return Outcome(Verdict.RETRY, "journal-unavailable", steps=f"{steps}!journal-unavailable")

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:  # noqa: ARG002
        """Writing again changes nothing, so nobody need ask."""
        return None

    def look_at_files(self) -> Exchanges:
        """There are none."""
        return ()

    async def close(self) -> None:
        """Write nothing more."""
        self._writes = None
