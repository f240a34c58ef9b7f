"""What a transport and the spine say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from twisted.internet.defer import Deferred

from bridge.message import Received

Flaw = Literal["oversized", "truncated"]
"""What a transport itself found wrong: such a block is answered and recorded, but cannot be used."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the sender. ``data`` is None where nothing must be said.

    ``message_id`` is None where the message could not be journaled.
    """

    data: bytes | None
    message_id: int | None


class Intake(Protocol):
    """The spine's side of the door."""

    def take(self, received: Received, flaw: Flaw | None = None) -> Deferred[Answer]:
        """Journal what arrived, then say what to answer. The Deferred always fires, and never fails."""
        ...

    def answered(self, answer: Answer, reached_socket: bool) -> None:
        """The answer was written to an open connection, or could not be."""
        ...


class Listener(Protocol):
    """A transport that is running."""

    @property
    def connections(self) -> int:
        """How many peers are connected."""
        ...

    def can_use(self, options: Any) -> bool:
        """Whether it can take these options as it runs, and needs no other port."""
        ...

    def use(self, options: Any) -> None:
        """Take these options, which it can: for new connections at least, and no open one is dropped."""
        ...

    async def drain(self) -> None:
        """Take nothing more, answer what was taken, and close. Bounded by the transport's own limit."""
        ...
