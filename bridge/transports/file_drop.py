"""A folder into which files are dropped, for one channel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bridge.component import Component
from bridge.transports.base import FileIntake
from bridge.transports.collecting import Collector
from bridge.transports.collecting_options import CollectingOptions
from bridge.transports.file_drop_folder import LocalFolder
from bridge.transports.files_told import told


def _directory(text: str) -> str:
    if not text.startswith("/") or "\0" in text or ".." in PurePosixPath(text).parts:
        raise ValueError("expected the absolute path of a folder, as in /var/spool/adt-in")
    return text.rstrip("/") or "/"


class FileDropOptions(CollectingOptions):
    """Options of a folder into which files are dropped."""

    directory: Annotated[str, AfterValidator(_directory)] = Field(
        description="The folder, which is no symbolic link; an absolute path. One that is not there, as a "
        "share that is not mounted, is waited for."
    )


def build(
    channel: str,
    options: FileDropOptions,
    intake: FileIntake,
    *,
    reactor: Any,
    now_us: Callable[[], int],
    secrets: object = None,  # noqa: ARG001 - a folder asks for none
    tell_refused: object = None,  # noqa: ARG001 - nobody connects
) -> Collector:
    """What takes the files of one folder. Opens nothing."""
    place = LocalFolder(options.directory, options)
    return Collector(channel, options, place, intake, reactor, told(channel, now_us))


COMPONENT = Component(
    kind="transport",
    name="file_drop",
    summary="Takes files that are dropped into a folder, each once and whole.",
    options=FileDropOptions,
    example='directory: /var/spool/adt-in\ninclude: ["*.hl7"]\nfinished: marker\nmarkers: [".ok"]\n',
    takes="files",
    bulk=True,
    build=build,
)
