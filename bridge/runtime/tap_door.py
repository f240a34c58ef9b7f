"""The door of a tap, which can be opened and closed."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from bridge.config.legacy import Tap
from bridge.errors import CertificateRefused, PeerUnavailable, SecretUnavailable
from bridge.journal.journal import Journal
from bridge.migration.relay.outputs import Around, OpenTap
from bridge.migration.relay.taps import tap_of
from bridge.observe.metrics import Metrics
from bridge.runtime.door import listen_failed
from bridge.runtime.given_again import GivenAgain
from bridge.runtime.staging import Staging
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tap import TapIntake
from bridge.tls.client import Exchanges
from bridge.units import SecretRef


class TapDoor:
    """One tap. Closed, the old engine cannot connect, and keeps what it has."""

    def __init__(
        self,
        staging: Staging,
        tap: Tap,
        journal: Journal,
        world: Surroundings,
        secrets: Callable[[SecretRef], str],
        metrics: Metrics,
        again: GivenAgain,
    ) -> None:
        self._secrets, self._metrics = secrets, metrics
        self.tap, self._staging, self._world = tap, staging, world
        self._intake = TapIntake(staging, tap, journal, world, again)
        self._journal_id = journal.facts.journal_id
        self._opened: OpenTap | None = None
        self.port: IListeningPort | None = None
        self._why = ""

    @property
    def why(self) -> str:
        """Why nothing can pass; empty where it can, or was not asked to."""
        if self._opened is None or not self._opened.away:
            return self._why
        return f"the tap of {self._staging.channel.name}/{self.tap.route}: {self._opened.away}"

    async def open(self) -> None:
        """Listen. Raises PeerUnavailable where the port cannot be had, or its certificate not be used."""
        if self._opened is not None:
            return
        channel, world = self._staging.channel, self._world
        name = f"{channel.name}/{self.tap.route}"
        around = Around(world.reactor, world.now_us, world.random_bytes, self._journal_id, self._secrets)
        try:
            made = tap_of(self.tap, name, self._intake, around)
            self.port = await made.start()
        except (CertificateRefused, SecretUnavailable) as error:
            self._why = f"the tap of {name} cannot listen: {error}"
            raise PeerUnavailable(self._why) from error
        except (CannotListenError, OSError) as error:
            self._why = f"the tap of {name} cannot listen: {listen_failed(error)}"
            raise PeerUnavailable(
                f"{self._why}; free its port, or name another in the channel file"
            ) from error
        self._opened, self._why = made, ""
        self._tell_ends()

    def look_at_certificates(self) -> Exchanges:
        """Take for new connections what has changed in the files of TLS, and what became of it. Does not
        raise."""
        found = () if self._opened is None else self._opened.look_at_certificates()
        self._tell_ends()
        return found

    def _tell_ends(self) -> None:
        ends_s = {} if self._opened is None else self._opened.certificates_end_s
        for file, at_s in ends_s.items():
            named = f"{file} (tap of {self.tap.route})"
            self._metrics.certificate_expires.labels(self._staging.channel.name, named).set(at_s)

    async def close(self) -> None:
        """Take nothing more."""
        opened, self._opened, self.port = self._opened, None, None
        if opened is not None:
            await opened.stop()
