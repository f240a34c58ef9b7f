"""Writing one file so that it is there whole or not at all. It blocks, and runs in a thread.

Temporary name in the same folder, all bytes, sync; then a second name by `link`, which fails where that name
is taken; then the sync of the folder. The folder is opened once, and everything is done relative to it, so
that nobody can put another in its place meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.partial_files import Remains, partial_name

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_RIGHT: Final = frozenset({errno.EACCES, errno.EPERM})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_FOLDER: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_SAFELY: Final = os.O_NOFOLLOW | os.O_CLOEXEC
READ_BYTES: Final = 1024**2
WRITE_BYTES: Final = 1024**2
"""So much is handed to the system at once, so that a slow disk is seen to move."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Where files go, with which rights, whether the disk is waited for, the ending of a marker beside each,
    if there is to be one, and what attempts that broke have left."""

    path: str
    permissions: int
    sync: bool
    marker: str = ""
    remains: Remains = field(default_factory=Remains, compare=False)


def write_once(
    folder: Folder, name: str, content: bytes, number: int, moved: Callable[[], None] = lambda: None
) -> Outcome:
    """Write a file, or find that it is there already. Never raises an OSError, and never overwrites.

    ``number`` is one that no other attempt has; ``moved`` is called with each step.
    """
    try:
        directory = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | _SAFELY)
    except OSError as error:
        if error.errno in _NO_FOLDER:
            return Outcome(Verdict.HOLD, "folder-missing")
        return _failed(error)
    try:
        return _write(directory, folder, name, content, number, moved)
    finally:
        os.close(directory)


def _write(
    directory: int, folder: Folder, name: str, content: bytes, number: int, moved: Callable[[], None]
) -> Outcome:
    _clear(directory, folder, name)
    temporary = partial_name(name, number)
    folder.remains.begun(temporary)
    try:
        _fill(directory, temporary, folder, content, moved)
    except OSError as error:
        _remove(directory, folder, temporary)
        return _failed(error)
    try:
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError:
        ours = _holds(directory, name, content, moved)
        reason = "written-before" if ours else "name-taken"
        outcome = Outcome(Verdict.DELIVERED if ours else Verdict.POISON, reason)
    except OSError as error:
        _remove(directory, folder, temporary)
        return Outcome(Verdict.HOLD, "no-hard-links") if error.errno in _NO_LINKS else _failed(error)
    else:
        outcome = Outcome(Verdict.DELIVERED, "written")
    _remove(directory, folder, temporary)
    if outcome.verdict is Verdict.DELIVERED:
        try:
            if folder.marker:
                _mark(directory, name + folder.marker, folder.permissions)
            if folder.sync:
                os.fsync(directory)
        except OSError:
            return Outcome(Verdict.AMBIGUOUS, "write-unconfirmed")
    return outcome


def _mark(directory: int, name: str, permissions: int) -> None:
    """See that the marker is there. A file that was written before has it too, or gets it now."""
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | _SAFELY, permissions, dir_fd=directory))


def _clear(directory: int, folder: Folder, name: str) -> None:
    """Take away what earlier attempts of this file have left, those of a process that was killed too."""
    with suppress(OSError):  # who may write and not list sees none, and they stay, hidden
        folder.remains.learn(lambda: os.listdir(directory))
    for partial in folder.remains.of(name):
        _remove(directory, folder, partial)


def _fill(directory: int, temporary: str, folder: Folder, content: bytes, moved: Callable[[], None]) -> None:
    create = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY
    file = os.open(temporary, create, 0o600, dir_fd=directory)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(file, left[:WRITE_BYTES]) :]
            moved()
        os.fchmod(file, folder.permissions)
        if folder.sync:
            os.fsync(file)
    finally:
        os.close(file)


def _holds(directory: int, name: str, content: bytes, moved: Callable[[], None]) -> bool:
    """Whether the file of this name is a plain one with just these bytes."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _SAFELY, dir_fd=directory)
    except OSError:
        return False
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size != len(content):
            return False
        at = 0
        while part := os.read(file, READ_BYTES):
            if part != content[at : at + len(part)]:
                return False
            at += len(part)
            moved()
        return at == len(content)
    except OSError:
        return False
    finally:
        os.close(file)


def _remove(directory: int, folder: Folder, temporary: str) -> None:
    try:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
    except OSError:
        return  # it is hidden, and the same delivery's next attempt tries again
    folder.remains.gone(temporary)


def _failed(error: OSError) -> Outcome:
    """A fault before the file had its name."""
    if error.errno in _NO_ROOM:
        return Outcome(Verdict.RETRY, "disk-full")
    if error.errno in _NO_RIGHT:
        return Outcome(Verdict.HOLD, "no-right-to-write")
    if error.errno == errno.EROFS:
        return Outcome(Verdict.HOLD, "disk-read-only")
    return Outcome(Verdict.RETRY, "write-failed")
