"""What `bridge doctor` finds about SFTP servers: whether they are reached, who they are, whether they let us
in, and whether files that are taken from one can be put away there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bridge.config.topology import Topology
from bridge.ssh.options import SshOptions
from bridge.units import SecretRef

if TYPE_CHECKING:
    from bridge.cli.doctor import Finding


def findings(topology: Topology, secrets: Callable[[SecretRef], str]) -> Iterator[Finding]:
    """For each server of a channel or an API: what it says, or why it cannot be used and what to do. Where it
    lets us in, and files are taken from it, one more about its folders."""
    from bridge.cli.doctor import Finding

    named: list[tuple[str, object]] = [
        (channel.name, channel.source.options) for channel in topology.channels.values()
    ]
    named += [(api.name, getattr(api.destination.options, "sftp", None)) for api in topology.apis.values()]
    for name, options in named:
        if isinstance(options, SshOptions):
            for about, (found, advice) in _look(options, secrets):
                yield Finding(f"{about} of {name}", "bad" if advice else "good", found, advice)


def _look(options: SshOptions, secrets: Callable[[SecretRef], str]) -> Iterator[tuple[str, tuple[str, str]]]:
    # The library is read only where a channel needs it.
    from bridge.ssh.failures import ServerUnavailable
    from bridge.ssh.session import Remembered, connect, fingerprint
    from bridge.transports.sftp_options import SftpOptions
    from bridge.transports.sftp_tried import Untried, tried

    try:
        session = connect(options, secrets, Remembered())
    except ServerUnavailable as error:
        yield "server", (error.explained.text, error.explained.advice)
        return
    try:
        key = session.transport.get_remote_server_key()
        yield "server", (f"{options.host}:{options.port} lets {options.user} in, with {fingerprint(key)}", "")
        if isinstance(options, SftpOptions):
            yield "folder", (tried(session.sftp, options, f"bridge-doctor-{os.urandom(8).hex()}"), "")
    except Untried as untried:
        yield "folder", (f"on {options.host}:{options.port}, {untried.found}", untried.advice)
    except ServerUnavailable as error:
        yield "folder", (error.explained.text, error.explained.advice)
    finally:
        session.close()
