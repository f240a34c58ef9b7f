"""A destination that is not there: of an API that no route sends to at its stage.

It holds no socket and no way to one; what is asked of it is held until a stage gives the API its real one.
"""

from __future__ import annotations

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import Origin, Prepares
from bridge.message import Content
from bridge.tls.client import Exchanges

NOT_AT_THIS_STAGE = "not-at-this-stage"


class Recorder:
    """A `Destination` whose requests are made and recorded, and that can send nothing."""

    __slots__ = ("_requests",)

    def __init__(self, requests: Prepares) -> None:
        self._requests = requests

    def prepare(self, operation: str, content: Content, origin: Origin) -> bytes:
        """As `Destination` says."""
        return self._requests.prepare(operation, content, origin)

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:  # noqa: ARG002
        """Nothing is sent from here."""
        return Outcome(Verdict.HOLD, NOT_AT_THIS_STAGE)

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:  # noqa: ARG002
        """Nobody is asked from here."""
        return Outcome(Verdict.AMBIGUOUS, NOT_AT_THIS_STAGE)

    def look_at_files(self) -> Exchanges:
        """There are none."""
        return ()

    async def close(self) -> None:
        """Nothing is open."""
