"""The door of a channel: its listener, which a person can close for a while and open again."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from bridge.config.topology import Channel
from bridge.errors import PeerUnavailable
from bridge.observe.metrics import Metrics
from bridge.runtime.intake import Intake
from bridge.runtime.surroundings import Surroundings
from bridge.transports.base import Listener


class Door:
    """Where messages of one channel come in. Closed, its senders cannot connect, and keep what they have."""

    def __init__(self, channel: Channel, intake: Intake, metrics: Metrics, world: Surroundings) -> None:
        self._channel, self._intake, self._world = channel, intake, world
        self._listener: Listener | None = None
        self._next: tuple[Listener, IListeningPort] | None = None
        self.port: IListeningPort | None = None
        metrics.connections.labels(channel.name).set_function(lambda: self.connections)

    @property
    def is_open(self) -> bool:
        """Whether senders can connect."""
        return self._listener is not None

    @property
    def connections(self) -> int:
        """How many senders are connected."""
        return 0 if self._listener is None else self._listener.connections

    async def open(self) -> None:
        """Let senders connect. Raises PeerUnavailable where its port cannot be listened on."""
        if self._listener is None:
            self._listener, self.port = await self._listen(self._channel)

    async def _listen(self, channel: Channel) -> tuple[Listener, IListeningPort]:
        source: Any = channel.source
        listener = source.component.build(
            channel.name,
            source.options,
            self._intake,
            reactor=self._world.reactor,
            now_us=self._world.now_us,
        )
        try:
            return listener, await listener.start()
        except (CannotListenError, OSError) as error:
            raise PeerUnavailable(
                f"channel {channel.name} cannot listen on {source.options.listen}: "
                f"{listen_failed(error)}; free the port, or name another in the channel file"
            ) from error

    async def prepare(self, channel: Channel) -> None:
        """Listen for ``channel`` too, where it has another port. Raises PeerUnavailable as `open` does."""
        if self._listener is not None and not self._listener.can_use(channel.source.options):
            self._next = await self._listen(channel)

    async def forget_next(self) -> None:
        """Give up what `prepare` has opened."""
        if self._next is not None:
            (listener, _), self._next = self._next, None
            await listener.drain()

    def use(self, channel: Channel) -> Listener | None:
        """Be the door of ``channel``, for which `prepare` was called; what is to be drained, if anything.

        Open connections stay open; new ones have the new options.
        """
        self._channel = channel
        if self._listener is None:
            return None
        if self._next is None:
            self._listener.use(channel.source.options)
            return None
        old, (self._listener, self.port), self._next = self._listener, self._next, None
        return old

    async def close(self) -> None:
        """Take nothing more, answer what was taken, and close all connections."""
        listener, self._listener, self.port = self._listener, None, None
        if listener is not None:
            await listener.drain()


def listen_failed(error: Exception) -> str:
    """Why a port cannot be listened on, in the system's words."""
    inner = getattr(error, "socketError", error)
    return str(getattr(inner, "strerror", None) or inner)
