"""Requests that were just journaled, kept for the moment of their call, so that they are not read back.

A shortcut, never the truth: what is not here any more is read from the journal, and a request from here is
sent only where the journal says that its delivery is as it was made.
"""

from __future__ import annotations

from bridge.journal.deliveries import Fresh

FRESH_MAX_BYTES = 4 * 1024**2
FRESH_MAX_REQUESTS = 1000
"""Of one API; the oldest give way. What waits longer than so many others is read when its turn comes."""


class FreshRequests:
    """The requests of one API that were journaled last."""

    def __init__(self, max_bytes: int = FRESH_MAX_BYTES) -> None:
        self._kept: dict[int, Fresh] = {}
        self._bytes, self._max_bytes = 0, max_bytes

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def keep(self, delivery_id: int, fresh: Fresh) -> None:
        """Keep a request until it is taken, or newer ones need its place."""
        self._kept[delivery_id] = fresh
        self._bytes += len(fresh.request)
        while self._bytes > self._max_bytes or len(self._kept) > FRESH_MAX_REQUESTS:
            self._bytes -= len(self._kept.pop(next(iter(self._kept))).request)

    def take(self, delivery_id: int) -> Fresh | None:
        """The request of a delivery, once."""
        fresh = self._kept.pop(delivery_id, None)
        if fresh is not None:
            self._bytes -= len(fresh.request)
        return fresh
