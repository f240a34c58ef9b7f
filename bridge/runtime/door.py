"""The door of a channel: its listener, which a person can close for a while and open again."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from bridge.config.topology import Channel
from bridge.errors import CertificateRefused, PeerUnavailable
from bridge.observe.metrics import Metrics
from bridge.runtime.file_intake import FileIntake
from bridge.runtime.intake import Intake
from bridge.runtime.surroundings import Surroundings
from bridge.tls.client import Exchanges
from bridge.transports.base import Listener
from bridge.units import SecretRef


class Door:
    """Where messages of one channel come in. Closed, its senders cannot connect, and keep what they have."""

    def __init__(
        self,
        channel: Channel,
        intake: Intake | FileIntake,
        metrics: Metrics,
        world: Surroundings,
        secrets: Callable[[SecretRef], str],
    ) -> None:
        self._channel, self._intake, self._world, self._secrets = channel, intake, world, secrets
        self._metrics = metrics
        self._listener: Listener | None = None
        self._next: tuple[Listener, IListeningPort | None] | None = None
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

    @property
    def certificates_end_s(self) -> Mapping[str, float]:
        """When what is in use for TLS ends, in seconds since 1970, by its option; empty without TLS."""
        return {} if self._listener is None else self._listener.certificates_end_s

    @property
    def certificates_not_reloaded(self) -> str:
        """Why changed files of TLS are not in use; empty where all is in use."""
        return "" if self._listener is None else self._listener.certificates_not_reloaded

    def status(self) -> dict[str, Any]:
        """What is known of it, for a person who asks."""
        return {
            "open": self.is_open,
            "connections": self.connections,
            "certificates_end_s": dict(self.certificates_end_s),
            "certificates_not_reloaded": self.certificates_not_reloaded,
        }

    async def open(self) -> None:
        """Let senders connect.

        Raises PeerUnavailable where its port cannot be listened on, CertificateRefused and SecretUnavailable
        where the files of its TLS cannot be used.
        """
        if self._listener is None:
            self._listener, self.port = await self._listen(self._channel)
            self._tell_ends()

    async def _listen(self, channel: Channel) -> tuple[Listener, IListeningPort | None]:
        source: Any = channel.source
        try:
            listener = source.component.build(
                channel.name,
                source.options,
                self._intake,
                reactor=self._world.reactor,
                now_us=self._world.now_us,
                secrets=self._secrets,
                tell_refused=self._count_refused,
            )
            return listener, await listener.start()
        except CertificateRefused as error:
            raise CertificateRefused(error.reason, f"channel {channel.name}: {error}") from None
        except (CannotListenError, OSError) as error:
            listen = getattr(source.options, "listen", source.component.name)
            raise PeerUnavailable(
                f"channel {channel.name} cannot listen on {listen}: "
                f"{listen_failed(error)}; {free_it(error, 'in the channel file')}"
            ) from error

    async def prepare(self, channel: Channel) -> None:
        """Make ready for ``channel``, by listening on another port too where it has one. Raises as `open`."""
        if self._listener is not None and not self._listener.prepare(channel.source.options):
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
            self._tell_ends()
            return None
        old, (self._listener, self.port), self._next = self._listener, self._next, None
        self._tell_ends()
        return old

    def look_at_certificates(self) -> Exchanges:
        """Take what has changed in the files of TLS, for new connections, and what became of it; open ones
        stay as they are."""
        found = () if self._listener is None else self._listener.look_at_certificates()
        self._tell_ends()
        return found

    def _tell_ends(self) -> None:
        for file, ends_s in self.certificates_end_s.items():
            self._metrics.certificate_expires.labels(self._channel.name, file).set(ends_s)

    def _count_refused(self, reason: str) -> None:
        self._metrics.tls_refused.labels(self._channel.name, reason).inc()

    async def close(self) -> None:
        """Take nothing more, answer what was taken, and close all connections."""
        listener, self._listener, self.port = self._listener, None, None
        if listener is not None:
            await listener.drain()


def listen_failed(error: Exception) -> str:
    """Why a port cannot be listened on, in the system's words."""
    inner = getattr(error, "socketError", error)
    return str(getattr(inner, "strerror", None) or inner)


def free_it(error: Exception, where: str) -> str:
    """What to do about a port that cannot be listened on; ``where`` another one is named."""
    inner = getattr(error, "socketError", error)
    match getattr(inner, "errno", None):
        case errno.EADDRNOTAVAIL | errno.ENODEV:
            return f"no interface of this machine has that address: name one that it has {where}"
        case errno.EACCES:
            return f"this user may not listen there: give it the right, or name a port above 1023 {where}"
        case _:
            return f"free the port, or name another {where}"
