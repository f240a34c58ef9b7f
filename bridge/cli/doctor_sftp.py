"""What `bridge doctor` finds about SFTP servers: whether they are reached, who they are, and whether they
let us in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bridge.config.topology import Topology
from bridge.ssh.options import SshOptions
from bridge.units import SecretRef

if TYPE_CHECKING:
    from bridge.cli.doctor import Finding


def findings(topology: Topology, secrets: Callable[[SecretRef], str]) -> Iterator[Finding]:
    """One for each server of a channel or an API: what it says, or why it cannot be used and what to do."""
    from bridge.cli.doctor import Finding

    named: list[tuple[str, object]] = [
        (channel.name, channel.source.options) for channel in topology.channels.values()
    ]
    named += [(api.name, getattr(api.destination.options, "sftp", None)) for api in topology.apis.values()]
    for name, options in named:
        if isinstance(options, SshOptions):
            found, advice = _look(options, secrets)
            yield Finding(f"server of {name}", "bad" if advice else "good", found, advice)


def _look(options: SshOptions, secrets: Callable[[SecretRef], str]) -> tuple[str, str]:
    # The library is read only where a channel needs it.
    from bridge.ssh.failures import ServerUnavailable
    from bridge.ssh.session import Remembered, connect, fingerprint

    try:
        session = connect(options, secrets, Remembered())
    except ServerUnavailable as error:
        return error.explained.text, error.explained.advice
    try:
        key = session.transport.get_remote_server_key()
        return f"{options.host}:{options.port} lets {options.user} in, with {fingerprint(key)}", ""
    finally:
        session.close()
