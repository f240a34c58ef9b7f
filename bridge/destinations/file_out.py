"""A folder that takes one file for each delivery: its options, and what writing comes to.

A file appears under its name with all its bytes on disk, or not at all, and none is ever overwritten. Its
name holds the delivery's own number, so that the same delivery once more finds its own file, and is done.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AfterValidator, Field

from bridge.component import Component, OperationOptions, Options
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import (
    GUARDED,
    IDENTIFIED,
    JUDGED,
    KNOWN,
    SENT,
    CredentialOptions,
    Origin,
    Permits,
    RequestRefused,
    Secrets,
    listed_fields,
)
from bridge.destinations.file_out_writing import Folder, write_once
from bridge.destinations.in_loop import in_loop
from bridge.message import Microseconds, Record
from bridge.units import DurationS, SizeBytes

NAME_MAX_BYTES: Final = 255
"""Of one name on common file systems."""
DELIVERY_MAX_CHARACTERS: Final = 64
WRITERS_MAX: Final = 4
"""Threads that write; a sync of the disk keeps one busy, and must not keep the reactor."""

_FIELDS: Final = {
    "channel": "c" * 64,
    "message_id": "9" * 19,
    "operation": "o" * 64,
    "delivery": "d" * DELIVERY_MAX_CHARACTERS,
}
"""What a name may hold, and the longest that each can be. None of it comes from a message."""
_PATTERN: Final = re.compile(r"(?:[A-Za-z0-9._-]|\{(?:" + "|".join(_FIELDS) + r")\})+")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*[A-Za-z0-9_-]")
_DELIVERY: Final = re.compile(rf"[A-Za-z0-9.-]{{1,{DELIVERY_MAX_CHARACTERS}}}")
_DEVICES: Final = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\..*)?", re.IGNORECASE)


def is_safe_name(name: str) -> bool:
    """Whether a name is one plain file in its folder, on any system that may share the folder.

    >>> is_safe_name("adt-17.hl7"), is_safe_name("../adt"), is_safe_name("NUL.hl7")
    (True, False, False)
    """
    return (
        _NAME.fullmatch(name) is not None
        and ".." not in name
        and len(name) <= NAME_MAX_BYTES
        and _DEVICES.fullmatch(name) is None
    )


def _name(text: str) -> str:
    if not _PATTERN.fullmatch(text):
        names = ", ".join(f"{{{field}}}" for field in _FIELDS)
        raise ValueError(f"expected letters, digits, '.', '-', '_' and of {names}")
    if "{delivery}" not in text:
        raise ValueError("expected {delivery} in the name: it is what no two files share")
    if not is_safe_name(text.format_map(_FIELDS)):
        raise ValueError(
            "expected the name of one file: no dot at its begin or end, no '..', no name of a device, "
            f"and at most {NAME_MAX_BYTES} bytes with every field at its longest"
        )
    return text


def _directory(text: str) -> str:
    if not text.startswith("/") or "\0" in text or ".." in PurePosixPath(text).parts:
        raise ValueError("expected the absolute path of a folder that is there, as in /var/spool/lab-out")
    return text


def _permissions(text: str) -> str:
    if not re.fullmatch("0[0-7]{3}", text):
        raise ValueError("expected permissions in octal digits, as in 0640")
    return text


class OutFolder(Options):
    """The folder, and what a file in it is."""

    directory: Annotated[str, AfterValidator(_directory)] = Field(
        description="The folder, which must be there and no symbolic link; an absolute path."
    )
    name: Annotated[str, AfterValidator(_name)] = Field(
        description="The name of a file. {delivery} is what no two files share, and must be in it; "
        "{channel}, {message_id} and {operation} may be."
    )
    permissions: Annotated[str, AfterValidator(_permissions)] = Field(
        "0640", description="Who may read a file: permissions in octal."
    )
    fsync: bool = Field(
        True, description="Whether a delivery is done only once file and name are on the disk."
    )
    within: DurationS = Field(30.0, gt=0, le=600, description="The longest that writing one file may take.")
    max_size: SizeBytes = Field(
        16 * 1024**2, gt=0, description="A larger file is refused before it is written."
    )


class FileOutOptions(Options):
    """A folder that takes files."""

    file: OutFolder = Field(description="Where files are written.")


class FileOperation(OperationOptions):
    """One kind of file: a record as a line of JSON. Nothing but ``send_only`` leaves."""

    send_only: tuple[str, ...] = Field(
        min_length=1, description="The record's fields that the file may hold."
    )
    nulls: Literal["send", "omit"] = Field(
        "send", description="What a field that the sender asked to delete becomes: null, or nothing."
    )


def build(
    options: FileOutOptions,
    operations: Mapping[str, OperationOptions],
    credential: CredentialOptions | None,
    secrets: Secrets,  # noqa: ARG001 - a folder asks for none
    now_us: Callable[[], Microseconds],  # noqa: ARG001
    permits: Permits | None = None,
) -> FileOut:
    """The destination of one folder. Opens nothing."""
    assert credential is None, "the rights of the process decide"
    return FileOut(options.file, operations, "" if permits is None else GUARDED)


def prepares(options: FileOutOptions, operations: Mapping[str, OperationOptions]) -> FileRequests:
    """What makes the files for one folder."""
    return FileRequests(options.file, operations)


class FileRequests:
    """What makes the files for one folder, and has nothing to write them with."""

    def __init__(self, options: OutFolder, operations: Mapping[str, OperationOptions]) -> None:
        self._options, self._operations = options, dict(operations)

    def prepare(self, operation: str, content: Record | bytes, origin: Origin) -> bytes:
        """The final request. Raises RequestRefused as `Destination.prepare` says."""
        declared = self._operations.get(operation)
        if declared is None:
            raise RequestRefused(f"the API has no operation {operation}")
        if isinstance(content, Record):
            if not isinstance(declared, FileOperation):
                raise RequestRefused("this folder takes messages, and no records")
            content = _line(content, declared)
        elif isinstance(declared, FileOperation):
            raise RequestRefused("this folder takes records, and no messages")
        if len(content) > self._options.max_size:
            raise RequestRefused(f"the file is larger than max_size, {self._options.max_size} bytes")
        fields = {"channel": origin.channel, "message_id": origin.message_id, "operation": operation}
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS) + b"\n" + content


class FileOut(FileRequests):
    """One folder: a `Destination`.

    A request is a line of JSON that says where it comes from, and then the file's bytes.
    """

    def __init__(
        self, options: OutFolder, operations: Mapping[str, OperationOptions], guarded: str = ""
    ) -> None:
        # A folder has no address but its own path, which the folder's checks look at each time.
        self._steps = guarded + IDENTIFIED + KNOWN + SENT + JUDGED
        super().__init__(options, operations)
        self._folder = Folder(options.directory, int(options.permissions, 8), options.fsync)
        self._threads: ThreadPoolExecutor | None = None
        self._writing: set[asyncio.Future[Any]] = set()
        self._closed = False
        self._count = 0

    def __repr__(self) -> str:
        return f"<FileOut {self._options.directory}>"

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:  # noqa: ARG002
        """One attempt: the file under its name, whole, or an outcome that says why not."""
        read = _read(request)
        if read is None or not _DELIVERY.fullmatch(idempotency_key):
            return Outcome(Verdict.POISON, "request-unreadable")
        fields, content = read
        if fields["operation"] not in self._operations:
            return Outcome(Verdict.HOLD, "operation-unknown")
        name = self._options.name.format_map({**fields, "delivery": idempotency_key})
        if not is_safe_name(name):
            return Outcome(Verdict.POISON, "name-refused")
        outcome: Outcome = await in_loop(self._write(name, content))
        return replace(outcome, steps=self._steps)

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:  # noqa: ARG002
        """Nobody can be asked here; no file of an API says otherwise."""
        return Outcome(Verdict.AMBIGUOUS, "not-to-be-asked")

    def look_at_files(self) -> None:
        """There are none behind a folder."""

    async def close(self) -> None:
        """Begin no file any more, and wait for those under way, though no longer than one may take."""
        self._closed = True
        if self._threads is not None:
            await in_loop(self._settle())
            self._threads.shutdown(wait=False)
            self._threads = None

    async def _settle(self) -> None:
        if self._writing:
            await asyncio.wait(self._writing, timeout=self._options.within)

    async def _write(self, name: str, content: bytes) -> Outcome:
        if self._closed:
            return Outcome(Verdict.RETRY, "closing")
        self._count += 1
        self._threads = self._threads or ThreadPoolExecutor(WRITERS_MAX, "file-out")
        writing = asyncio.get_running_loop().run_in_executor(
            self._threads, write_once, self._folder, name, content, self._count
        )
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        done, _ = await asyncio.wait([writing], timeout=self._options.within)
        # A thread cannot be ended: what it still does is the same file under the same name.
        return writing.result() if done else Outcome(Verdict.AMBIGUOUS, "write-timeout")


def _line(record: Record, operation: FileOperation) -> bytes:
    fields = listed_fields(record, operation.send_only, nulls=operation.nulls == "send")
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS) + b"\n"
    except orjson.JSONEncodeError:
        raise RequestRefused("expected values that JSON can hold in the fields of send_only") from None


def _read(request: bytes) -> tuple[dict[str, Any], bytes] | None:
    head, found, content = request.partition(b"\n")
    try:
        match orjson.loads(head):
            case {"channel": str(), "message_id": int(), "operation": str()} as fields if found:
                return dict(fields), content
    except orjson.JSONDecodeError:
        return None
    return None


COMPONENT = Component(
    kind="destination",
    name="file_out",
    summary="A folder that takes one file for each record or message.",
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
