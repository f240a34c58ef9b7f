"""Files of TLS that are exchanged while a node runs: which were taken, and which were not."""

from __future__ import annotations

from typing import Literal, NamedTuple

import structlog

from bridge.runtime.parts import Parts
from bridge.runtime.trying import end_waits
from bridge.tls.client import Exchanges

log = structlog.get_logger("bridge.certificates")


class Exchange(NamedTuple):
    """Changed files of TLS, and why they are not in use; empty where they are."""

    kind: Literal["channel", "tap", "api"]
    name: str
    why_not: str


class Certificates:
    """Looks at the files of all that speaks TLS."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._refused: dict[str, Exchanges] = {}
        """What the log has already said of APIs."""

    def look(self) -> list[Exchange]:
        """Take what has changed in the files of TLS and in secrets, for what is new, and what became of those
        of TLS. What cannot be used is told each time, even if nothing has changed since. Does not raise."""
        parts, found = self._parts, list[Exchange]()
        for name, door in parts.doors.items():
            found += [Exchange("channel", name, each) for each in door.look_at_certificates()]
        for (name, route), tap in parts.taps.items():
            found += [Exchange("tap", f"{name}/{route}", each) for each in tap.look_at_certificates()]
        for name, outlet in parts.outlets.items():
            exchanged = outlet.destination.look_at_files()
            self._log(name, exchanged)
            found += [Exchange("api", name, each) for each in exchanged]
            if "" in exchanged:  # what was refused for the files of before may be taken now
                end_waits(outlet, parts.world.now_us())
        return [each for each in found if each.name.partition("/")[0] not in parts.leaving]

    def _log(self, api: str, found: Exchanges) -> None:
        """As the files of a listener do themselves."""
        refused = tuple(filter(None, found))
        for why in refused:
            if why not in self._refused.get(api, ()):
                log.error("certificate-not-reloaded", api=api, reason="unusable", why=why)
        if len(refused) < len(found):
            log.info("certificate-reloaded", api=api)
        self._refused[api] = refused
