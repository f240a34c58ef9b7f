"""Moving a file into another folder, so that it is there whole and overwrites nothing. It blocks."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Final

from bridge.transports.watching import NAME_MAX_BYTES

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_PIECE_BYTES: Final = 1024**2
_REASON: Final = ".reason.json"


def move_into(root: int, where: str, target: str, name: str, mark: str, told: bytes | None) -> str | None:
    """Move ``where`` below the folder ``root`` to ``target``, as ``name``, which may have folders in it.

    ``target`` is absolute, or below ``root`` and then made, through no link. Where the name is taken,
    ``mark`` stands before its ending. ``told`` is written beside it first. Gives its path, absolute or below
    ``root``. Done already, it does nothing, and gives None; raises OSError where it cannot be done.
    """
    *folders, last = name.split("/")
    made: list[int] = []
    try:
        source = _below(root, where.rpartition("/")[0], made, make=False)
        into = _target(root, target, made)
        into = _below(into, "/".join(folders), made, make=True)
        moved = _move(source, where.rpartition("/")[2], into, last, mark, told)
        return None if moved is None else "/".join((target, *folders, moved))
    finally:
        for each in made:
            os.close(each)


def put_into(root: int, target: str, name: str, content: bytes) -> None:
    """Make a file of the folder ``target``, as `move_into` knows it: whole or not at all, and over none.

    One that is there already with just these bytes is it; another one keeps its name. Raises OSError.
    """
    made: list[int] = []
    try:
        into = _target(root, target, made)
        hidden = _fitting(f".{name}", ".part")
        _write(into, hidden, content)
        try:
            for candidate in (name, *(_marked(name, str(number)) for number in range(2, 1000))):
                there = _status(into, candidate)
                if there is not None and not _holds(into, candidate, there, content):
                    continue
                if there is None:
                    os.rename(hidden, candidate, src_dir_fd=into, dst_dir_fd=into)
                    os.fsync(into)
                return
        finally:
            with suppress(FileNotFoundError):
                os.unlink(hidden, dir_fd=into)
        raise OSError(errno.EEXIST, "a thousand files of this name are there already")
    finally:
        for each in made:
            os.close(each)


def _holds(folder: int, name: str, status: os.stat_result, content: bytes) -> bool:
    if not stat.S_ISREG(status.st_mode) or status.st_size != len(content):
        return False
    reading = os.open(name, _READ, dir_fd=folder)
    with os.fdopen(reading, "rb") as file:
        return file.read(len(content) + 1) == content


def _target(root: int, target: str, made: list[int]) -> int:
    if not os.path.isabs(target):
        return _below(root, target, made, make=True)
    with suppress(FileExistsError):
        os.mkdir(target, 0o750)
    made.append(os.open(target, _FOLDER))
    return made[-1]


def _below(at: int, path: str, made: list[int], *, make: bool) -> int:
    for part in filter(None, path.split("/")):
        if make:
            with suppress(FileExistsError):
                os.mkdir(part, 0o750, dir_fd=at)
        at = os.open(part, _FOLDER, dir_fd=at)
        made.append(at)
    return at


def _move(source: int, last: str, into: int, name: str, mark: str, told: bytes | None) -> str | None:
    try:
        status = os.stat(last, dir_fd=source, follow_symlinks=False)
    except FileNotFoundError:
        return None  # it was moved, and the process ended before it could say so
    for candidate in (name, _marked(name, mark)):
        there = _status(into, candidate)
        if there is not None and (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino):
            os.unlink(last, dir_fd=source)
            return candidate
        if there is None:
            break
    if told is not None:
        _write(into, _fitting(candidate, _REASON), told)
    try:
        os.link(last, candidate, src_dir_fd=source, dst_dir_fd=into, follow_symlinks=False)
    except FileExistsError:
        # Taken between the look and now, or both names are: the next try has the file under another mark.
        return _move_beside(source, last, into, candidate, mark)
    except OSError as error:
        if error.errno == errno.EXDEV:
            _copy(source, last, into, candidate, status)
        elif error.errno in _NO_LINKS:
            os.rename(last, candidate, src_dir_fd=source, dst_dir_fd=into)
            return candidate
        else:
            raise
    os.unlink(last, dir_fd=source)
    return candidate


def _move_beside(source: int, last: str, into: int, name: str, mark: str) -> str:
    for number in range(2, 1000):
        candidate = _marked(name, f"{mark}-{number}")
        if _status(into, candidate) is None:
            os.rename(last, candidate, src_dir_fd=source, dst_dir_fd=into)
            return candidate
    raise OSError(errno.EEXIST, "a thousand files of this name are there already")


def _marked(name: str, mark: str) -> str:
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    return _fitting(stem, f".{mark}{dot}{ending}") if mark else name


def _fitting(stem: str, ending: str) -> str:
    """A name that a file may have: the stem gives way."""
    room = max(1, NAME_MAX_BYTES - len(os.fsencode(ending)))
    return os.fsdecode(os.fsencode(stem)[:room]) + ending


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _copy(source: int, last: str, into: int, name: str, status: os.stat_result) -> None:
    """To another file system: all bytes under a hidden name, to the disk, and then the name."""
    hidden = _fitting(f".{name}", ".part")
    reading = os.open(last, _READ, dir_fd=source)
    try:
        writing = os.open(hidden, _WRITE, 0o600, dir_fd=into)
        try:
            while data := os.read(reading, _PIECE_BYTES):
                view = memoryview(data)
                while view:
                    view = view[os.write(writing, view) :]
            os.fchmod(writing, stat.S_IMODE(status.st_mode) & 0o777)
            os.utime(writing, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(writing)
        except OSError:
            os.unlink(hidden, dir_fd=into)
            raise
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    os.rename(hidden, name, src_dir_fd=into, dst_dir_fd=into)


def _write(folder: int, name: str, content: bytes) -> None:
    writing = os.open(name, _WRITE, 0o640, dir_fd=folder)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(writing, view) :]
        os.fsync(writing)
    finally:
        os.close(writing)
