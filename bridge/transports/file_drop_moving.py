"""Moving a file into another folder, so that it is there whole and overwrites nothing. It blocks."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from bridge.transports.put_names import (
    REASON,
    REASON_MAX_BYTES,
    TARGET_WORDS,
    fitting,
    marked,
    tells_of_same,
)

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_PATH: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_PIECE_BYTES: Final = 1024**2
NAMES_TRIED_MAX: Final = 1000
_ALL_TAKEN: Final = "a thousand files of this name are there already"


def status_below(root: int, where: str) -> os.stat_result | None:
    """What lies at a path below a folder, through no link; None where nothing does. Raises OSError."""
    made: list[int] = []
    try:
        return _status(_below(root, where.rpartition("/")[0], made, make=False), where.rpartition("/")[2])
    except OSError as error:
        if error.errno in _NO_PATH:
            return None
        raise
    finally:
        for each in made:
            os.close(each)


def move_into(
    root: int, where: str, status: os.stat_result, target: str, name: str, mark: str, told: bytes | None
) -> str:
    """Move ``where`` below the folder ``root`` to ``target``, as ``name``, which may have folders in it.

    ``status`` is of the file that is meant: another that has its name by the end stays. ``target`` is
    absolute and there, or below ``root`` and then made, through no link. Where the name is taken, ``mark``
    stands before its ending. ``told`` is written beside it first. Gives its path, absolute or below ``root``.
    Raises OSError where it cannot be done, with words about the target where that is why.
    """
    *folders, last = name.split("/")
    made: list[int] = []
    try:
        source = _below(root, where.rpartition("/")[0], made, make=False)
        into = _target(root, target, made)
        into = _below(into, "/".join(folders), made, make=True)
        moved = _move(source, where.rpartition("/")[2], status, into, last, mark, told)
        return "/".join((target, *folders, moved))
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
        hidden = fitting(f".{name}", ".part")
        _write(into, hidden, content)
        try:
            for candidate in (name, *(marked(name, str(number)) for number in range(2, NAMES_TRIED_MAX))):
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
        raise OSError(errno.EEXIST, _ALL_TAKEN)
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
    try:
        if not os.path.isabs(target):
            return _below(root, target, made, make=True)
        # Not made: where its disk is not mounted it would be on another, and hidden once that is.
        made.append(os.open(target, _FOLDER))
    except OSError as error:
        if error.errno not in _NO_PATH:
            raise
        raise OSError(error.errno, TARGET_WORDS.format(target, os.strerror(error.errno or 0))) from None
    return made[-1]


def _below(at: int, path: str, made: list[int], *, make: bool) -> int:
    for part in filter(None, path.split("/")):
        if make:
            with suppress(FileExistsError):
                os.mkdir(part, 0o750, dir_fd=at)
        at = os.open(part, _FOLDER, dir_fd=at)
        made.append(at)
    return at


def _move(
    source: int, last: str, status: os.stat_result, into: int, name: str, mark: str, told: bytes | None
) -> str:
    for candidate in _candidates(name, mark):
        there = _status(into, candidate)
        if there is not None and (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino):
            _unlink_same(source, last, status)
            return candidate
        if there is None and (told is None or _may_tell(into, candidate, told)):
            break
    else:
        raise OSError(errno.EEXIST, _ALL_TAKEN)
    if told is not None:
        _write(into, fitting(candidate, REASON), told)
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
    else:
        linked = _status(into, candidate)
        if linked is not None and _which(linked) != _which(status):
            os.unlink(candidate, dir_fd=into)  # it is another already, and with two names none would take it
    _unlink_same(source, last, status)
    return candidate


def _candidates(name: str, mark: str) -> Iterator[str]:
    yield name
    yield marked(name, mark)
    yield from (marked(name, f"{mark}-{number}") for number in range(2, NAMES_TRIED_MAX))


def _may_tell(into: int, name: str, told: bytes) -> bool:
    """Whether nothing lies where the reason of a file would be, or what was told of it at an earlier try."""
    reason = fitting(name, REASON)
    there = _status(into, reason)
    if there is None:
        return True
    if not stat.S_ISREG(there.st_mode) or there.st_size > REASON_MAX_BYTES:
        return False
    try:
        reading = os.open(reason, _READ, dir_fd=into)
    except PermissionError:
        return False  # the bridge may read what it has told itself
    with os.fdopen(reading, "rb") as file:
        return tells_of_same(file.read(REASON_MAX_BYTES), told)


def _unlink_same(folder: int, name: str, status: os.stat_result) -> None:
    """A copy takes its time, and somebody may have put another file there meanwhile, which stays."""
    now = _status(folder, name)
    if now is not None and _which(now) == _which(status):
        os.unlink(name, dir_fd=folder)


def _which(status: os.stat_result) -> tuple[int, ...]:
    # Without its number, which is another at each look on some file systems that a program provides.
    return status.st_size, status.st_mtime_ns


def _move_beside(source: int, last: str, into: int, name: str, mark: str) -> str:
    for number in range(2, NAMES_TRIED_MAX):
        candidate = marked(name, f"{mark}-{number}")
        if _status(into, candidate) is None:
            os.rename(last, candidate, src_dir_fd=source, dst_dir_fd=into)
            return candidate
    raise OSError(errno.EEXIST, _ALL_TAKEN)


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _copy(source: int, last: str, into: int, name: str, status: os.stat_result) -> None:
    """To another file system: all bytes under a hidden name, to the disk, and then the name."""
    hidden = fitting(f".{name}", ".part")
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
