"""Claims in a folder of this machine, each in a folder of its own word below `OWN`. It blocks.

Everything is done relative to folders that are open, part by part and through no link.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Final

from bridge.transports.collecting import Claimed
from bridge.transports.other_claims import OTHERS_MAX_COUNT, Other
from bridge.transports.watching import OWN, Seen, is_plain_name

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
DATA: Final = "file"
MARKER: Final = "marker"


def seen_as(name: str, status: os.stat_result) -> Seen:
    """A file as a look shows it."""
    stamp = f"{status.st_mtime_ns} {status.st_ino}"
    return Seen(name, status.st_size, stamp, status.st_mtime_ns / 1e9, whole=status.st_nlink == 1)


def path_of(word: str, name: str) -> str:
    """Where a claimed file lies."""
    return f"{OWN}/{word}/{DATA}/{name}"


def others_in(own: int, owner: str) -> list[Other]:
    """Claims with a word that does not begin so. Raises OSError."""
    words = sorted(word for word in os.listdir(own) if not word.startswith(owner))[:OTHERS_MAX_COUNT]
    found = ((word, only_file(own, f"{word}/{DATA}")) for word in words)
    return [Other(word, "" if file is None else file[0]) for word, file in found]


def claimed_as(root: int, own: int, word: str) -> Claimed | None:
    """What a claim holds. A marker without its file, which a crash came between, goes back to it."""
    data, marker = only_file(own, f"{word}/{DATA}"), only_file(own, f"{word}/{MARKER}")
    if data is None:
        if marker is not None:
            _put_back(root, own, f"{word}/{MARKER}", marker[0])
        let_go(own, word)
        return None
    name, status = data
    return Claimed(seen_as(name, status), word, None if marker is None else marker[0])


def _put_back(root: int, own: int, below: str, name: str) -> None:
    folder, _, last = name.rpartition("/")
    with suppress(OSError):
        source = open_below(own, f"{below}/{folder}" if folder else below, FOLDER)
        try:
            target = open_below(root, folder or ".", FOLDER)
            try:
                os.rename(last, last, src_dir_fd=source, dst_dir_fd=target)
            finally:
                os.close(target)
        finally:
            os.close(source)


def only_file(own: int, below: str) -> tuple[str, os.stat_result] | None:
    """The one file below a folder, by its name there."""
    try:
        folder = open_below(own, below, FOLDER)
    except OSError:
        return None
    parts: list[str] = []
    try:
        while True:
            names = os.listdir(folder)
            if len(names) != 1:
                return None
            parts.append(names[0])
            status = os.stat(names[0], dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                return "/".join(parts), status
            inner = os.open(names[0], FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
    except OSError:
        return None
    finally:
        os.close(folder)


def open_below(root: int, path: str, flags: int) -> int:
    """Open what is below a folder, part by part, through no link."""
    *folders, last = path.split("/")
    at = os.dup(root)
    try:
        for part in folders:
            inner = os.open(part, FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(last, flags, dir_fd=at)
    finally:
        os.close(at)


def unlink_below(root: int, path: str) -> None:
    """Remove a file below a folder, through no link. Raises OSError."""
    folder, _, last = path.rpartition("/")
    at = open_below(root, folder or ".", FOLDER)
    try:
        os.unlink(last, dir_fd=at)
    finally:
        os.close(at)


def move(root: int, own: int, name: str, below: str) -> bool:
    """Move a file into a claim under its own name; False where it is gone, or no file any more."""
    *folders, last = name.split("/")
    if not all(map(is_plain_name, (*folders, last))):
        return False
    into = own
    made: list[int] = []
    try:
        for part in (*below.split("/"), *folders):
            with suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=into)
            into = os.open(part, FOLDER, dir_fd=into)
            made.append(into)
        try:
            folder = open_below(root, "/".join(folders) or ".", FOLDER)
        except OSError:
            return False
        made.append(folder)
        try:
            os.rename(last, last, src_dir_fd=folder, dst_dir_fd=into)
        except FileNotFoundError:
            return False
        if stat.S_ISREG(os.stat(last, dir_fd=into, follow_symlinks=False).st_mode):
            return True
        os.rename(last, last, src_dir_fd=into, dst_dir_fd=folder)
        return False
    finally:
        for each in made:
            os.close(each)


def let_go(own: int, word: str) -> None:
    """Remove a claim that is empty but for its marker. A file in it stays, and with it the claim."""
    with suppress(OSError):
        for below, folders, files, at in os.fwalk(word, topdown=False, dir_fd=own):
            if below.split("/")[1:2] == [MARKER]:
                for name in files:
                    os.unlink(name, dir_fd=at)
            for name in folders:
                os.rmdir(name, dir_fd=at)
        os.rmdir(word, dir_fd=own)
