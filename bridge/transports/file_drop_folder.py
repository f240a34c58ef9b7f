"""A folder of this machine, or one that is mounted: a `Place`. It blocks, and runs in a thread.

Everything is done relative to the folder as it was opened, part by part and through no link, so that no name
and nobody who exchanges a folder meanwhile can lead out of it. The folder is opened anew for each step: one
that was deleted, or mounted over, is so noticed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import structlog

from bridge.errors import PeerUnavailable
from bridge.transports.base import FileChanged, FileGone, FileUnusable, Odd, Step
from bridge.transports.collecting import Claimed, End
from bridge.transports.collecting_options import CollectingOptions
from bridge.transports.file_drop_moving import move_into, put_into, status_below
from bridge.transports.watching import FILES_MAX_COUNT, OWN, Ready, Seen, is_plain_name

log = structlog.get_logger("bridge.files")

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ESTALE})
_AWAY: Final = frozenset({
    errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ENOTCONN,
    errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED, errno.ESHUTDOWN, errno.ENODEV, errno.EMFILE,
    errno.ENFILE, errno.ENOMEM,
})  # fmt: skip
"""What is a share's or this machine's, whichever file is asked for."""
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM})
WATCHED_MAX_COUNT: Final = 64
"""More folders than that are looked at, and not watched: each takes a thread."""
_DATA, _MARKER = "file", "marker"
_Which = tuple[int, int]
"""By what a folder is told from another of its name."""


class LocalFolder:
    """One folder."""

    def __init__(self, directory: str, options: CollectingOptions) -> None:
        """Opens nothing."""
        self._directory, self._options = directory, options
        self._observer: Any = None
        self._folders: dict[str, _Which] = {}
        self._watched: dict[tuple[str, _Which], Any] = {}

    @property
    def peer(self) -> str:
        """Its path."""
        return self._directory

    def look(self, wanted: Callable[[str], bool] = bool) -> tuple[list[Seen], Odd]:
        """All plain files below it of names that are wanted, as deep as is looked."""
        found: list[Seen] = []
        odd = Odd()
        self._folders = {}
        with self._opened() as root:
            self._look_into(root, "", self._options.depth, wanted, found, odd)
        return found, odd

    def _look_into(
        self, folder: int, below: str, depth: int, wanted: Callable[[str], bool], found: list[Seen], odd: Odd
    ) -> None:
        folders = []
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{below}{entry.name}"
                own = entry.name == OWN or name in self._options.own_folders
                if len(found) > FILES_MAX_COUNT:
                    break
                with suppress(OSError):  # gone again, or not to be looked at: another look will tell
                    status = entry.stat(follow_symlinks=False)
                    if own:
                        odd.note(name, Odd.NO_FOLDER, unless=stat.S_ISDIR(status.st_mode))
                    elif stat.S_ISDIR(status.st_mode):
                        folders.append(entry.name)
                    elif not stat.S_ISREG(status.st_mode):
                        odd.note(name, Odd.NOT_PLAIN)
                    elif wanted(name):
                        found.append(_seen(name, status))
        for name in folders if depth else ():
            try:
                inner = os.open(name, _FOLDER, dir_fd=folder)
            except OSError as error:
                odd.note(f"{below}{name}", Odd.NOT_OPENED, unless=error.errno in _GONE)
                continue
            self._folders[f"{below}{name}"] = _which(inner)
            try:
                self._look_into(inner, f"{below}{name}/", depth - 1, wanted, found, odd)
            finally:
                os.close(inner)

    def claims(self, owner: str) -> list[Claimed]:
        """What was claimed with a word that begins so: also where a crash came in between."""
        with self._opened() as root:
            try:
                own = self._own(root)
            except FileNotFoundError:
                return []
            try:
                words = sorted(name for name in os.listdir(own) if name.startswith(owner))
                return [each for word in words if (each := _claimed(root, own, word)) is not None]
            finally:
                os.close(own)

    def claim(self, ready: Ready, word: str) -> Claimed | None:
        """Move a file, and its marker before it, into a folder of this word's own."""
        with self._opened("claimed") as root:
            own = self._own(root, make=True)
            try:
                os.mkdir(word, 0o700, dir_fd=own)
                if ready.marker is not None and not _move(root, own, ready.marker, f"{word}/{_MARKER}"):
                    _let_go(own, word)
                    return None
                if not _move(root, own, ready.seen.name, f"{word}/{_DATA}"):
                    _let_go(own, word)
                    return None
                return _claimed(root, own, word)
            except OSError:
                _claimed(root, own, word)  # nothing is left of it, and the marker stands beside its file
                raise
            finally:
                os.close(own)

    def _own(self, root: int, *, make: bool = False) -> int:
        """The folder of claims. What is wrong with it is so for every file."""
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(OWN, 0o700, dir_fd=root)
            return os.open(OWN, _FOLDER, dir_fd=root)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PeerUnavailable(
                f"{self._directory}/{OWN}, into which files are moved first: {_words(error)}; "
                "the bridge's user must be able to make it and to write into it"
            ) from None

    def open(self, claimed: Claimed) -> LocalFile:
        """Read a claimed file, or one in its place."""
        with self._opened("read") as root:
            where = claimed.seen.name if claimed.claim is None else _path(claimed.claim, claimed.seen.name)
            file = LocalFile(_open_below(root, where, _FILE))
            if claimed.claim is None and not file.is_of(claimed.seen):
                file.close()
                raise FileChanged
            return file

    def put_away(self, claimed: Claimed, end: End) -> str | None:
        """Move it to `done` or `errors`, delete it or leave it; what is there already has its name."""
        options, name, lies = self._options, claimed.seen.name, None
        if options.after == "keep":
            return None
        with self._opened("put away") as root:
            where = name if claimed.claim is None else _path(claimed.claim, name)
            there = status_below(root, where)  # None: it was moved, and the process ended before it said so
            another = there is not None and claimed.claim is None and not _is_of(claimed.seen, there)
            self._unmark(root, claimed, there if another else None)
            if there is None:
                pass
            elif another:
                log.info("file-replaced-while-taken", place=self.peer)
            elif end.fate.good and options.after == "delete":
                _unlink_below(root, where)
            else:
                target = options.done if end.fate.good else options.errors
                mark = "" if end.fate.file_id is None else str(end.fate.file_id)
                lies = move_into(root, where, there, target, name, mark, end.told)
            if claimed.claim is not None:
                own = os.open(OWN, _FOLDER, dir_fd=root)
                try:
                    _let_go(own, claimed.claim)
                finally:
                    os.close(own)
        return lies

    def size_of(self, where: str) -> int:
        """Of what lies where it was put."""
        with self._opened("read") as root:
            return os.stat(where, dir_fd=root, follow_symlinks=False).st_size

    def _unmark(self, root: int, claimed: Claimed, another: os.stat_result | None) -> None:
        """The marker goes before its file: what has one and no file was to be claimed, and goes back; and
        none may be left that would call another file of this name finished, unless it came after that."""
        if claimed.marker is None:
            return
        where = f"{'' if claimed.claim is None else f'{OWN}/{claimed.claim}/{_MARKER}/'}{claimed.marker}"
        marker = status_below(root, where)
        if marker is not None and (another is None or marker.st_mtime_ns < another.st_mtime_ns):
            _unlink_below(root, where)

    def put(self, into: str, name: str, content: bytes) -> None:
        """A file for a sender, whole or not at all; one that is there already with these bytes is it."""
        with self._opened("put away") as root:
            put_into(root, into, name, content)

    def watch(self, wake: Callable[[], None]) -> None:
        """Let the system tell of changes. Shares tell of none that come from elsewhere: looking is the
        truth.

        The folder is watched, and each that the last look went into: not all that is below, since what the
        bridge moves into folders of its own is no news.
        """
        with self._opened() as root:
            wanted = {(self._directory, _which(root))}
        below = list(self._folders.items())[: WATCHED_MAX_COUNT - 1]
        wanted |= {(f"{self._directory}/{name}", which) for name, which in below}
        if wanted == self._watched.keys():
            return
        from watchdog.observers import Observer

        from bridge.transports.file_drop_events import Waking

        if self._observer is None:
            self._observer = Observer()
            self._observer.start()
        for gone in self._watched.keys() - wanted:
            self._observer.unschedule(self._watched.pop(gone))
        for each in sorted(wanted - self._watched.keys()):
            with suppress(OSError):  # it is gone, or no more watches are to be had: then only looking tells
                self._watched[each] = self._observer.schedule(Waking(wake), each[0])

    def _unwatch(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()

    def hang_up(self) -> None:
        """A call to the system ends when the system says so."""

    def close(self) -> None:
        """Let nothing be told any more."""
        self._unwatch()
        self._watched = {}

    @contextmanager
    def _opened(self, step: Step | None = None) -> Iterator[int]:
        """The folder, for one step with one file of it where that is said."""
        try:
            root = os.open(self._directory, _FOLDER)
        except OSError as error:
            raise PeerUnavailable(f"the folder {self._directory} cannot be opened: {_words(error)}") from None
        try:
            yield root
        except OSError as error:
            # Elsewhere it may be the folder to which a file goes that is not there.
            if error.errno in _GONE and step == "read":
                raise FileGone from None
            if step is not None and error.errno not in _AWAY:
                raise _unusable(step, error) from None
            raise PeerUnavailable(f"{self._directory}: {_words(error)}") from None
        finally:
            os.close(root)


class LocalFile:
    """A file that is read: an `Incoming`."""

    def __init__(self, descriptor: int) -> None:
        self._file = descriptor
        self._before = os.fstat(descriptor)
        self._read = 0
        if not stat.S_ISREG(self._before.st_mode):
            os.close(descriptor)
            raise FileGone

    def is_of(self, seen: Seen) -> bool:
        """Whether it is still the file that a look showed."""
        return _is_of(seen, self._before)

    def read(self, size: int) -> bytes:
        """The next bytes."""
        try:
            data = os.read(self._file, size)
        except OSError as error:
            if error.errno not in _AWAY:
                raise _unusable("read", error) from None
            raise PeerUnavailable(f"a file cannot be read: {_words(error)}") from None
        self._read += len(data)
        return data

    def skip(self, size: int) -> None:
        """Go on after so many bytes."""
        os.lseek(self._file, size, os.SEEK_SET)
        self._read = size

    def unchanged(self) -> bool:
        """Whether size and time are as they were, and all of it was read."""
        now, before = os.fstat(self._file), self._before
        same = (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        return same and self._read == now.st_size

    def close(self) -> None:
        """Let go of it."""
        with suppress(OSError):
            os.close(self._file)


def _which(folder: int) -> _Which:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


def _seen(name: str, status: os.stat_result) -> Seen:
    stamp = f"{status.st_mtime_ns} {status.st_ino}"
    return Seen(name, status.st_size, stamp, status.st_mtime_ns / 1e9, whole=status.st_nlink == 1)


def _is_of(seen: Seen, status: os.stat_result) -> bool:
    return _seen(seen.name, status).as_text == seen.as_text


def _path(word: str, name: str) -> str:
    return f"{OWN}/{word}/{_DATA}/{name}"


def _claimed(root: int, own: int, word: str) -> Claimed | None:
    """What a claim holds. A marker without its file, which a crash came between, goes back to it."""
    data, marker = _only_file(own, f"{word}/{_DATA}"), _only_file(own, f"{word}/{_MARKER}")
    if data is None:
        if marker is not None:
            _put_back(root, own, f"{word}/{_MARKER}", marker[0])
        _let_go(own, word)
        return None
    name, status = data
    return Claimed(_seen(name, status), word, None if marker is None else marker[0])


def _put_back(root: int, own: int, below: str, name: str) -> None:
    folder, _, last = name.rpartition("/")
    with suppress(OSError):
        source = _open_below(own, f"{below}/{folder}" if folder else below, _FOLDER)
        try:
            target = _open_below(root, folder or ".", _FOLDER)
            try:
                os.rename(last, last, src_dir_fd=source, dst_dir_fd=target)
            finally:
                os.close(target)
        finally:
            os.close(source)


def _only_file(own: int, below: str) -> tuple[str, os.stat_result] | None:
    """The one file below a folder, by its name there."""
    try:
        folder = _open_below(own, below, _FOLDER)
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
            inner = os.open(names[0], _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
    except OSError:
        return None
    finally:
        os.close(folder)


def _open_below(root: int, path: str, flags: int) -> int:
    """Open what is below a folder, part by part, through no link."""
    *folders, last = path.split("/")
    at = os.dup(root)
    try:
        for part in folders:
            inner = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(last, flags, dir_fd=at)
    finally:
        os.close(at)


def _unlink_below(root: int, path: str) -> None:
    folder, _, last = path.rpartition("/")
    at = _open_below(root, folder or ".", _FOLDER)
    try:
        os.unlink(last, dir_fd=at)
    finally:
        os.close(at)


def _move(root: int, own: int, name: str, below: str) -> bool:
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
            into = os.open(part, _FOLDER, dir_fd=into)
            made.append(into)
        try:
            folder = _open_below(root, "/".join(folders) or ".", _FOLDER)
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


def _let_go(own: int, word: str) -> None:
    """Remove a claim that is empty but for its marker. A file in it stays, and with it the claim."""
    with suppress(OSError):
        for below, folders, files, at in os.fwalk(word, topdown=False, dir_fd=own):
            if below.split("/")[1:2] == [_MARKER]:
                for name in files:
                    os.unlink(name, dir_fd=at)
            for name in folders:
                os.rmdir(name, dir_fd=at)
        os.rmdir(word, dir_fd=own)


def _unusable(step: Step, error: OSError) -> FileUnusable:
    return FileUnusable(step, _words(error), denied=error.errno in _DENIED)


def _words(error: OSError) -> str:
    return error.strerror or str(error.errno)
