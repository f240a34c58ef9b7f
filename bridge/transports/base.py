"""What a transport and the spine say to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from twisted.internet.defer import Deferred

from bridge.message import Received

Flaw = Literal["oversized", "truncated"]
"""What a transport itself found wrong: such a block is answered and recorded, but cannot be used."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the sender. ``data`` is None where nothing must be said.

    ``message_id`` is None where the message could not be journaled. ``later`` is a second answer, said on the
    same connection as soon as it is known and never before the first; it is cancelled where the connection is
    gone, and ``application`` tells that an answer is such a one. ``cut`` closes the connection, because no
    answer tells the sender that its message was not kept.
    """

    data: bytes | None
    message_id: int | None
    later: Deferred[Answer] | None = None
    application: bool = False
    cut: bool = False


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

    def prepare(self, options: Any) -> bool:
        """Make ready to take these options; False where they need another port, and so another listener.

        Raises PeerUnavailable, CertificateRefused and SecretUnavailable where they cannot be taken.
        """
        ...

    def use(self, options: Any) -> None:
        """Take options for which `prepare` was True: for new connections at least; no open one is dropped."""
        ...

    @property
    def certificates_end_s(self) -> Mapping[str, float]:
        """When what is in use for TLS ends, in seconds since 1970, by its option; empty without TLS."""
        ...

    @property
    def certificates_not_reloaded(self) -> str:
        """Why changed files of TLS are not in use, for a person; empty where all is in use."""
        ...

    def look_at_certificates(self) -> None:
        """Take what has changed in the files of TLS, for new connections. Does not raise."""
        ...

    async def drain(self) -> None:
        """Take nothing more, answer what was taken, and close. Bounded by the transport's own limit."""
        ...


class BackChannel(Protocol):
    """A way to a listener of the sender's, for answers that do not go back on its connection."""

    async def ask(self, answer: bytes, matches: Callable[[bytes], bool]) -> bytes:
        """Send an answer, and return what ``matches`` among what the listener says to it.

        One at a time. Raises PeerUnavailable where nobody listens, and its subclass PeerSilent where the
        answer was written and not confirmed in time.
        """
        ...

    def hang_up(self) -> None:
        """Close at once."""
        ...
