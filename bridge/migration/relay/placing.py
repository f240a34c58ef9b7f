"""Putting a file where an old job looks: whole, under its own name, and once, whatever happens between.

All of it is written and brought to the disk under a hidden name of ours beside its place, which one step then
changes to its own. Who finds the hidden name after a crash goes on from there; who does not, knows that the
step was done, though the job may have taken the file already. Nothing is overwritten: a job that has not
taken the file of a name yet is waited for. It blocks, and runs in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import Final, Literal, Protocol

from bridge.config.legacy import Legacy
from bridge.errors import PeerUnavailable
from bridge.units import SecretRef

NAME_MAX_BYTES: Final = 255
_SAFELY: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | _SAFELY

Shown = Literal["shown", "taken", "gone"]
"""It has its name now; another has that name; there is nothing hidden, so it had its name before."""


def is_placeable(name: str) -> bool:
    """Whether a name, which may have folders, is one below the job's folder that can be written as it is.

    >>> is_placeable("a/b.hl7"), is_placeable("../b"), is_placeable("/b"), is_placeable("b\\\\x00")
    (True, False, False, False)
    """
    return (
        "\0" not in name
        and "\\" not in name
        and all(
            part not in ("", ".", "..") and len(part.encode()) <= NAME_MAX_BYTES for part in name.split("/")
        )
    )


class Places(Protocol):
    """Where an old job looks. All of it raises PeerUnavailable where that cannot be reached or written to."""

    @property
    def directory(self) -> str:
        """What it is called; another place has another name."""
        ...

    def write(self, name: str, hidden: str, content: Iterable[bytes]) -> None:
        """Write all of a file under its hidden name, to the disk."""
        ...

    def show(self, name: str, hidden: str) -> Shown:
        """Give a hidden file its name, if no other has it."""
        ...

    def forget(self, name: str, hidden: str) -> bool:
        """Take a hidden file away; False where there is none."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def places_of(legacy: Legacy, secrets: Callable[[SecretRef], str], clock_s: Callable[[], float]) -> Places:
    """Where the old job of a channel looks."""
    if legacy.sftp is not None:
        # The library is read only where a channel needs it.
        from bridge.migration.relay.server_placing import ServerPlacing

        return ServerPlacing(legacy.sftp, secrets, clock_s)
    assert legacy.file is not None, "one that takes files says where"
    return Placing(legacy.file.directory, int(legacy.file.permissions, 8))


class Placing:
    """One folder of this machine."""

    def __init__(self, directory: str, permissions: int) -> None:
        self.directory, self._permissions = directory, permissions

    def write(self, name: str, hidden: str, content: Iterable[bytes]) -> None:
        """Write all of a file under its hidden name, to the disk. Raises PeerUnavailable."""
        with self._beside(name, make=True) as folder:
            with suppress(FileNotFoundError):
                os.unlink(hidden, dir_fd=folder)
            file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600, dir_fd=folder)
            try:
                for data in content:
                    left = memoryview(data)
                    while left:
                        left = left[os.write(file, left) :]
                os.fchmod(file, self._permissions)
                os.fsync(file)
            finally:
                os.close(file)
            os.fsync(folder)

    def show(self, name: str, hidden: str) -> Shown:
        """Give a hidden file its name, if no other has it. Raises PeerUnavailable.

        Nobody else may put files of these names there: between the look and the step is a moment.
        """
        own = PurePosixPath(name).name
        with self._beside(name, make=False) as folder:
            if not _is_there(hidden, folder):
                return "gone"
            if _is_there(own, folder):
                return "taken"
            os.rename(hidden, own, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        return "shown"

    def forget(self, name: str, hidden: str) -> bool:
        """Take a hidden file away; False where there is none. Raises PeerUnavailable."""
        with self._beside(name, make=False) as folder:
            try:
                os.unlink(hidden, dir_fd=folder)
            except FileNotFoundError:
                return False
        return True

    def close(self) -> None:
        """Nothing is kept open."""

    @contextmanager
    def _beside(self, name: str, *, make: bool) -> Iterator[int]:
        try:
            folder = os.open(self.directory, _FOLDER)
            try:
                for part in PurePosixPath(name).parts[:-1]:
                    if make:
                        with suppress(FileExistsError):
                            os.mkdir(part, 0o750, dir_fd=folder)
                    inner = os.open(part, _FOLDER, dir_fd=folder)
                    os.close(folder)
                    folder = inner
                yield folder
            finally:
                os.close(folder)
        except OSError as error:
            raise PeerUnavailable(f"the old job's folder {self.directory}: {error.strerror}") from error


def _is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
