"""A small disk that a test fills and empties: a file system of its own where one may be mounted.

Where it may not, SQLite's writes fail as on a full disk, and the free space is said to be what it would be.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import FaultyDisk, installed

MIB = 1024**2
TOTAL_BYTES = 48 * MIB

_Usage = namedtuple("_Usage", "total used free")


class SmallDisk:
    """`fill` it, and let it have room `again`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, leave_bytes: int) -> None:
        """Leave so much free."""
        raise NotImplementedError

    def again(self) -> None:
        """Give back what was filled."""
        raise NotImplementedError


class _Mounted(SmallDisk):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._ballast = folder / "ballast"

    def fill(self, leave_bytes: int) -> None:
        with self._ballast.open("ab") as file:
            while (more := shutil.disk_usage(self.folder).free - leave_bytes) > 0:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, more)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    # Others write here as well, and were faster: look again.

    def again(self) -> None:
        self._ballast.unlink()


class _Pretended(SmallDisk):
    def __init__(self, folder: Path, disk: FaultyDisk) -> None:
        super().__init__(folder)
        self._disk, self.free_bytes = disk, TOTAL_BYTES

    def fill(self, leave_bytes: int) -> None:
        self.free_bytes = leave_bytes
        self._disk.before = lambda kind: "full" if kind == "write" and leave_bytes < MIB else None

    def again(self) -> None:
        self.fill(TOTAL_BYTES)

    def usage(self, _: Path) -> Any:
        return _Usage(TOTAL_BYTES, TOTAL_BYTES - self.free_bytes, self.free_bytes)


@contextmanager
def small_disk(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[SmallDisk]:
    """A disk of 48 MiB below a folder."""
    below = folder / "disk"
    below.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={TOTAL_BYTES}", "tmpfs", str(below)]
    if os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0:
        try:
            yield _Mounted(below)
        finally:
            subprocess.run(["umount", str(below)], check=True)
        return
    with installed(FaultyDisk(really_sync=True)) as disk:
        pretended = _Pretended(below, disk)
        patch.setattr("bridge.runtime.disk.shutil.disk_usage", pretended.usage)
        yield pretended
