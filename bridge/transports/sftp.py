"""Files on an SFTP server, for one channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.component import Component
from bridge.transports.base import FileIntake
from bridge.transports.collecting import Collector
from bridge.transports.files_told import told
from bridge.transports.sftp_options import SftpOptions
from bridge.units import SecretRef


def build(
    channel: str,
    options: SftpOptions,
    intake: FileIntake,
    *,
    reactor: Any,
    now_us: Callable[[], int],
    secrets: Callable[[SecretRef], str],
    tell_refused: object = None,  # noqa: ARG001 - nobody connects to us
) -> Collector:
    """What takes the files of one folder on a server. Connects to nothing."""
    # The library is read only where a channel needs it.
    from bridge.transports.sftp_place import SftpFolder

    place = SftpFolder(options, secrets, reactor.seconds)
    return Collector(channel, options, place, intake, reactor, told(channel, now_us))


COMPONENT = Component(
    kind="transport",
    name="sftp",
    summary="Fetches files from an SFTP server, each once and whole.",
    options=SftpOptions,
    example="""\
host: files.lab.example
user: bridge
key: secret://file/lab.key
host_keys: ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
directory: /outbox
include: ["*.hl7"]
after: delete
""",
    takes="files",
    bulk=True,
    build=build,
)
