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
        if self._listener is not None:
            return
        source: Any = self._channel.source
        listener = source.component.build(
            self._channel.name,
            source.options,
            self._intake,
            reactor=self._world.reactor,
            now_us=self._world.now_us,
        )
        try:
            self.port = await listener.start()
        except (CannotListenError, OSError) as error:
            raise PeerUnavailable(
                f"channel {self._channel.name} cannot listen on {source.options.listen}: "
                f"{listen_failed(error)}; free the port, or name another in the channel file"
            ) from error
        self._listener = listener

    async def close(self) -> None:
        """Take nothing more, answer what was taken, and close all connections."""
        listener, self._listener, self.port = self._listener, None, None
        if listener is not None:
            await listener.drain()


def listen_failed(error: Exception) -> str:
    """Why a port cannot be listened on, in the system's words."""
    inner = getattr(error, "socketError", error)
    return str(getattr(inner, "strerror", None) or inner)
