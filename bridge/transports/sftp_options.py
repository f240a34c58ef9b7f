"""What a channel file says of files on an SFTP server."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from bridge.ssh.options import SshOptions, remote_directory
from bridge.transports.collecting_options import CollectingOptions
from bridge.units import DurationS


class SftpOptions(SshOptions, CollectingOptions):
    """Options of an SFTP source."""

    directory: Annotated[str, AfterValidator(remote_directory)] = Field(
        description="The folder on the server: a path, or one below where the login begins."
    )
    poll: DurationS = Field(30.0, gt=0, le=86400, description="How often is looked for files.")
    claim: bool = Field(
        False,
        description="Whether a file is first moved out of sight on the server, into `.bridge-claims`, so "
        "that several bridges may take from one folder, and no other file that comes under its "
        "name meanwhile is taken for it. The login must have the right to.",
    )
