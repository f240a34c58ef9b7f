"""What the spine asks of a destination."""

from __future__ import annotations

from typing import Protocol

from bridge.delivery.outcomes import Outcome
from bridge.message import Record


class RequestRefused(Exception):
    """A record cannot become a request of this operation. The text names fields, never values."""


class Destination(Protocol):
    """One API with its operations.

    `prepare` is pure: the same record gives the same bytes, and these bytes are journaled, so that each
    attempt sends what was decided once. `send` does not raise: whatever happens on the wire is an outcome.
    """

    def prepare(self, operation: str, record: Record) -> bytes:
        """The final request, limited to what the operation may carry.

        Raises RequestRefused where the record cannot be made into one.
        """
        ...

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:
        """One attempt with a request of `prepare`. Bounded in time by the API's own timeouts."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
