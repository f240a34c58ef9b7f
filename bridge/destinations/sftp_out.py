"""A folder on an SFTP server that takes one file for each delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from bridge.component import Component, OperationOptions, Options
from bridge.delivery.outcomes import Outcome
from bridge.destinations.base import GUARDED, CredentialOptions, Permits, Secrets
from bridge.destinations.files_out import FileOperation, FileRequests, FilesOut, OutFiles
from bridge.destinations.files_under_way import Moved
from bridge.destinations.partial_files import Remains
from bridge.message import Microseconds
from bridge.ssh.options import SshOptions, remote_directory

if TYPE_CHECKING:
    from bridge.destinations.sftp_out_writing import ServerFolder


class OutServer(SshOptions, OutFiles):
    """The server, the folder there, and what a file in it is."""

    directory: Annotated[str, AfterValidator(remote_directory)] = Field(
        description="The folder on the server, which must be there: a path, or one below where the login "
        "begins."
    )
    connections: int = Field(1, gt=0, le=8, description="So many files are written at once.")


class SftpOutOptions(Options):
    """An SFTP server that takes files."""

    sftp: OutServer = Field(description="Where files are written, and who is who.")


def build(
    options: SftpOutOptions,
    operations: Mapping[str, OperationOptions],
    credential: CredentialOptions | None,
    secrets: Secrets,
    now_us: Callable[[], Microseconds],
    permits: Permits | None = None,
) -> SftpOut:
    """The destination of one folder. Connects to nothing."""
    assert credential is None, "who the bridge is stands in the options"
    # The library is read only where an API needs it.
    from bridge.destinations.sftp_out_writing import ServerFolder
    from bridge.ssh.session import Remembered

    server, remembered, remains = options.sftp, Remembered(), Remains()

    def folder() -> ServerFolder:
        marker, clock_s = server.marker or "", lambda: now_us() / 1e6
        return ServerFolder(server, server.directory, marker, secrets, permits, remembered, clock_s, remains)

    return SftpOut(server, operations, folder, now_us(), "" if permits is None else GUARDED)


def prepares(options: SftpOutOptions, operations: Mapping[str, OperationOptions]) -> FileRequests:
    """What makes the files for one server."""
    return FileRequests(options.sftp, operations)


class SftpOut(FilesOut):
    """One folder on a server: a `Destination`. Each of its threads takes a connection to itself."""

    def __init__(
        self,
        options: OutServer,
        operations: Mapping[str, OperationOptions],
        folder: Callable[[], ServerFolder],
        now_us: Microseconds,
        guarded: str = "",
    ) -> None:
        """``folder`` makes a connection, which connects when it is first needed."""
        super().__init__(options, operations, guarded, options.connections, now_us)
        self._options, self._new_folder = options, folder
        self._folders: list[ServerFolder] = []
        self._free: list[ServerFolder] = []

    def __repr__(self) -> str:
        return f"<SftpOut {self._options.host}:{self._options.directory}>"

    def write(self, name: str, content: bytes, number: int, moved: Moved) -> Outcome:
        """Write one file, in a thread, over a connection that no other uses meanwhile."""
        try:
            folder = self._free.pop()
        except IndexError:
            folder = self._new_folder()
            self._folders.append(folder)
        try:
            return folder.write_once(name, content, number, moved)
        finally:
            self._free.append(folder)

    async def close(self) -> None:
        """Begin no file any more, wait for those under way as long as one may stand still, and hang up."""
        await super().close()
        while self._folders:
            self._folders.pop().close()


COMPONENT = Component(
    kind="destination",
    name="sftp_out",
    summary="A folder on an SFTP server that takes a file for each record or message, or one for many.",
    options=SftpOutOptions,
    example="""\
sftp:
  host: files.payer.example
  user: bridge
  key: secret://file/payer.key
  host_keys: ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
  directory: /inbox
  name: "{channel}-{message_id}-{delivery}.hl7"
  marker: .ok
""",
    marker="sftp",
    sends=("record", "original", "message"),
    repeat_safety=("natural_key", "none"),
    credentials=False,
    operation=FileOperation,
    build=build,
    prepares=prepares,
)
