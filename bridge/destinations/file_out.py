"""A folder that takes one file for each delivery."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from bridge.component import Component, OperationOptions, Options
from bridge.delivery.outcomes import Outcome
from bridge.destinations.base import GUARDED, CredentialOptions, Permits, Secrets
from bridge.destinations.file_out_writing import Folder, write_once
from bridge.destinations.files_out import FileOperation, FileRequests, FilesOut, OutFiles
from bridge.destinations.files_under_way import Moved
from bridge.message import Microseconds

WRITERS_MAX: Final = 4
"""Threads that write; a sync of the disk keeps one busy, and must not keep the reactor."""


def _directory(text: str) -> str:
    if not text.startswith("/") or "\0" in text or ".." in PurePosixPath(text).parts:
        raise ValueError("expected the absolute path of a folder that is there, as in /var/spool/lab-out")
    return text


def _permissions(text: str) -> str:
    if not re.fullmatch("0[0-7]{3}", text):
        raise ValueError("expected permissions in octal digits, as in 0640")
    return text


class OutFolder(OutFiles):
    """The folder, and what a file in it is."""

    directory: Annotated[str, AfterValidator(_directory)] = Field(
        description="The folder, which must be there and no symbolic link; an absolute path."
    )
    permissions: Annotated[str, AfterValidator(_permissions)] = Field(
        "0640", description="Who may read a file: permissions in octal."
    )
    fsync: bool = Field(
        True, description="Whether a delivery is done only once file and name are on the disk."
    )


class FileOutOptions(Options):
    """A folder that takes files."""

    file: OutFolder = Field(description="Where files are written.")


def build(
    options: FileOutOptions,
    operations: Mapping[str, OperationOptions],
    credential: CredentialOptions | None,
    secrets: Secrets,  # noqa: ARG001 - a folder asks for none
    now_us: Callable[[], Microseconds],
    permits: Permits | None = None,
) -> FileOut:
    """The destination of one folder. Opens nothing."""
    assert credential is None, "the rights of the process decide"
    return FileOut(options.file, operations, now_us(), "" if permits is None else GUARDED)


def prepares(options: FileOutOptions, operations: Mapping[str, OperationOptions]) -> FileRequests:
    """What makes the files for one folder."""
    return FileRequests(options.file, operations)


class FileOut(FilesOut):
    """One folder: a `Destination`."""

    def __init__(
        self,
        options: OutFolder,
        operations: Mapping[str, OperationOptions],
        now_us: Microseconds,
        guarded: str = "",
    ) -> None:
        # A folder has no address but its own path, which the folder's checks look at each time.
        super().__init__(options, operations, guarded, WRITERS_MAX, now_us)
        marker = options.marker or ""
        self._folder = Folder(options.directory, int(options.permissions, 8), options.fsync, marker)

    def __repr__(self) -> str:
        return f"<FileOut {self._folder.path}>"

    def write(self, name: str, content: bytes, number: int, moved: Moved) -> Outcome:
        """Write one file, in a thread."""
        return write_once(self._folder, name, content, number, moved)


COMPONENT = Component(
    kind="destination",
    name="file_out",
    summary="A folder that takes a file for each record or message, or one for many.",
    options=FileOutOptions,
    example='file: {directory: /var/spool/lab-out, name: "{channel}-{message_id}-{delivery}.hl7"}\n',
    marker="file",
    sends=("record", "original", "message"),
    repeat_safety=("natural_key", "none"),
    credentials=False,
    operation=FileOperation,
    build=build,
    prepares=prepares,
)
