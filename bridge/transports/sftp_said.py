"""What a server says of what lies on it, and what is asked for where it says too little. It blocks."""

from __future__ import annotations

import stat
from contextlib import suppress
from typing import Any, Final

from bridge.ssh.session import Attributes, attributes_of, on_the_wire
from bridge.transports.put_names import REASON_MAX_BYTES, tells_of_same

UNSAID: Final = (
    "the server does not say what lies there, or how large it is, of {} in all: expected its permissions and "
    "its size, without which nobody can tell whether a file is whole; have the server give them"
)


def is_told(sftp: Any, path: str, entry: Attributes) -> bool:
    """Whether the server says what something is, and of a file how large; what a listing leaves out is asked
    for."""
    if entry.st_mode is None or (entry.st_size is None and stat.S_ISREG(entry.st_mode)):
        with on_the_wire(), suppress(FileNotFoundError, PermissionError):
            alone = attributes_of(sftp, path)
            entry.st_mode, entry.st_size, entry.st_mtime = alone.st_mode, alone.st_size, alone.st_mtime
    return entry.st_mode is not None and not (entry.st_size is None and stat.S_ISREG(entry.st_mode))


def may_tell(sftp: Any, path: str, told: bytes) -> bool:
    """Whether nothing lies where a reason would be, or what was told of the same file at an earlier try."""
    try:
        there = attributes_of(sftp, path)
    except FileNotFoundError:
        return True
    if not stat.S_ISREG(there.st_mode or 0) or (there.st_size or 0) > REASON_MAX_BYTES:
        return False
    try:
        with sftp.open(path, "rb") as file:
            return tells_of_same(file.read(REASON_MAX_BYTES), told)
    except PermissionError:
        return False  # the bridge may read what it has told itself


def holds(sftp: Any, path: str, there: Attributes, content: bytes) -> bool:
    """Whether a file has just these bytes."""
    if there.st_size != len(content):
        return False
    with sftp.open(path, "rb") as file:
        return bool(file.read(len(content) + 1) == content)
