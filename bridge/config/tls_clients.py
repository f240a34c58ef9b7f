"""Where the bridge itself calls over TLS with files of its own: APIs, token servers, and old engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bridge.config.topology import Topology
from bridge.tls.client import Tls


class TlsClient(NamedTuple):
    """Whom it calls, in words, and the files for that; ``channel`` is empty for an API."""

    channel: str
    name: str
    tls: Tls


def tls_clients(topology: Topology) -> Iterator[TlsClient]:
    """All of them that name a file."""
    return (each for each in _all(topology) if each.tls.ca or each.tls.certificate)


def _all(topology: Topology) -> Iterator[TlsClient]:
    for name, api in topology.apis.items():
        credential = None if api.credential is None else api.credential.options
        for whom, options in ((name, api.destination.options), (f"the tokens of {name}", credential)):
            tls = getattr(options, "tls", None)
            if isinstance(tls, Tls):
                yield TlsClient("", whom, tls)
    for name, channel in topology.channels.items():
        if (legacy := channel.legacy) is None:
            continue
        if legacy.tls is not None:
            yield TlsClient(name, f"the old engine of {name}", legacy.tls)
        for tap in legacy.taps:
            passes = tap.http or tap.mllp
            if passes is not None and passes.pass_tls is not None:
                yield TlsClient(name, f"what passes the tap of {name}/{tap.route}", passes.pass_tls)
