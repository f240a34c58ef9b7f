"""Files of TLS that are exchanged while a node runs: which were taken, and which were not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import structlog

from bridge.config.tls_clients import TlsClient, tls_clients
from bridge.errors import CertificateRefused
from bridge.runtime.parts import Parts
from bridge.runtime.trying import end_waits
from bridge.tls.client import Exchanges, Stamp, context_or_why, ends_of, stamp

log = structlog.get_logger("bridge.certificates")


class Exchange(NamedTuple):
    """Changed files of TLS, and why they are not in use; empty where they are."""

    kind: Literal["channel", "tap", "api"]
    name: str
    why_not: str


class _Ours(NamedTuple):
    """Files for calls of the bridge's own: when they end, and why they cannot be used, as they were seen."""

    client: TlsClient
    stamp: Stamp
    ends_s: Mapping[str, float]
    unusable: str


class Certificates:
    """Looks at the files of all that speaks TLS."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._refused: dict[str, Exchanges] = {}
        """What the log has already said of APIs."""
        self._ours: dict[str, _Ours] = {}

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
        self.look_at_ours()
        return [each for each in found if each.name.partition("/")[0] not in parts.leaving]

    def look_at_ours(self) -> None:
        """Find out when the files of calls of our own end, and whether they can be used. Does not raise."""
        before, self._ours = self._ours, {}
        for client in tls_clients(self._parts.topology):
            now, known = stamp(client.tls), before.pop(client.name, None)
            in_use = {} if known is None else known.ends_s
            ours = known if known is not None and known.stamp == now else _looked_at(client, now, in_use)
            self._ours[client.name] = ours
            for labels, at_s in _labelled(ours).items():
                self._parts.metrics.certificate_expires.labels(*labels).set(at_s)
            if known is not None and known is not ours:
                self._forget(set(_labelled(known)) - set(_labelled(ours)))
        for gone in before.values():
            self._forget(set(_labelled(gone)))

    def _forget(self, labels: set[tuple[str, str]]) -> None:
        for each in labels:
            self._parts.metrics.certificate_expires.remove(*each)

    def status(self) -> dict[str, Any]:
        """Of each whom the bridge calls with files of its own: when these end, why they cannot be used."""
        return {
            name: {"ends_s": dict(each.ends_s), "unusable": each.unusable}
            for name, each in self._ours.items()
        }

    def _log(self, api: str, found: Exchanges) -> None:
        """As the files of a listener do themselves."""
        refused = tuple(filter(None, found))
        for why in refused:
            if why not in self._refused.get(api, ()):
                log.error("certificate-not-reloaded", api=api, reason="unusable", why=why)
        if len(refused) < len(found):
            log.info("certificate-reloaded", api=api)
        self._refused[api] = refused


def _looked_at(client: TlsClient, now: Stamp, in_use: Mapping[str, float]) -> _Ours:
    """What the files of now come to; where they cannot be used, those of before are ``in_use`` still."""
    try:
        context_or_why(client.tls)
    except CertificateRefused as refused:
        return _Ours(client, now, in_use, str(refused))
    try:
        return _Ours(client, now, ends_of(client.tls), "")
    except CertificateRefused:
        return _Ours(client, now, {}, "")  # OpenSSL takes what is not read here


def _labelled(ours: _Ours) -> dict[tuple[str, str], float]:
    """When each file ends, by the labels of its metric."""
    return {
        (ours.client.channel, f"{file} for {ours.client.name}"): at_s for file, at_s in ours.ends_s.items()
    }
