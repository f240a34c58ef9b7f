"""Who may connect to a listener: by address, and by how many there are already; and who is refused."""

from __future__ import annotations

import ipaddress
from collections import Counter

from structlog.typing import FilteringBoundLogger
from twisted.internet.interfaces import IReactorTime

FULL = ("too-many-connections", "too-many-connections-of-peer")
"""Reasons for refusing a connection that another one gives, and may give up."""


class Guests:
    """The open connections of one listener, by host; handshakes under way are among them."""

    def __init__(self) -> None:
        self._of_host: Counter[str] = Counter()
        self.limit((), most=0, most_of_one=0)

    def limit(self, networks: tuple[str, ...], *, most: int, most_of_one: int) -> None:
        """Judge who comes from now on by these; who is there stays."""
        self._allowed = tuple(ipaddress.ip_network(network) for network in networks)
        self._most, self._most_of_one = most, most_of_one

    def refusal(self, host: str) -> str | None:
        """Why another connection from there is not taken, or None."""
        if self._allowed and not self._may_connect(host):
            return "not-allowed"
        if self._of_host.total() >= self._most:
            return "too-many-connections"
        if self._of_host[host] >= self._most_of_one:
            return "too-many-connections-of-peer"
        return None

    def came(self, host: str) -> None:
        """A connection came up."""
        self._of_host[host] += 1

    def left(self, host: str) -> None:
        """A connection is gone."""
        self._of_host[host] -= 1
        if not self._of_host[host]:
            del self._of_host[host]

    def _may_connect(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        # A dual-stack socket names an IPv4 peer as ::ffff:a.b.c.d; the site wrote a.b.c.d.
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._allowed if network.version == address.version)


class Rationed:
    """Lets through the first of a kind, and a few more in each minute, so that a storm fills no log."""

    def __init__(self, clock: IReactorTime, *, per_minute: int = 5) -> None:
        self._clock, self._per_minute = clock, per_minute
        self._since_s = clock.seconds()
        self._seen: Counter[str] = Counter()
        self._kept_back: Counter[str] = Counter()

    def let_through(self, kind: str) -> int | None:
        """How many of this kind were kept back before this one, or None to keep this one back too."""
        if self._clock.seconds() - self._since_s >= 60.0:
            self._since_s = self._clock.seconds()
            self._seen.clear()
        self._seen[kind] += 1
        if self._seen[kind] > self._per_minute:
            self._kept_back[kind] += 1
            return None
        return self._kept_back.pop(kind, 0)

    def tell_refused(
        self, log: FilteringBoundLogger, channel: str, peer: str, reason: str, certificate: str
    ) -> None:
        """Say that a sender is refused before its first message, unless that is said too often."""
        if (kept_back := self.let_through(reason)) is not None:
            log.warning(
                "sender-refused",
                channel=channel,
                peer=peer,
                reason=reason,
                certificate=certificate,
                not_logged=kept_back,
            )
