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
from bridge.transports.file_drop_claims import (
    DATA,
    FOLDER,
    MARKER,
    claimed_as,
    let_go,
    move,
    open_below,
    others_in,
    path_of,
    seen_as,
    unlink_below,
)
from bridge.transports.file_drop_moving import move_into, put_into, status_below
from bridge.transports.other_claims import Other
from bridge.transports.watching import FILES_MAX_COUNT, OWN, Ready, Seen

log = structlog.get_logger("bridge.files")

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
                        found.append(seen_as(name, status))
        for name in folders if depth else ():
            try:
                inner = os.open(name, FOLDER, dir_fd=folder)
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
            if (own := self._own_if_there(root)) is None:
                return []
            try:
                words = sorted(name for name in os.listdir(own) if name.startswith(owner))
                return [each for word in words if (each := claimed_as(root, own, word)) is not None]
            finally:
                os.close(own)

    def others(self, owner: str) -> list[Other]:
        """What was claimed with another word; nothing is done about it."""
        with self._opened() as root:
            if (own := self._own_if_there(root)) is None:
                return []
            try:
                return others_in(own, owner)
            finally:
                os.close(own)

    def adopt(self, word: str, as_word: str) -> None:
        """Give a claim another word, in one step."""
        with self._opened() as root, suppress(OSError):
            own = os.open(OWN, FOLDER, dir_fd=root)
            try:
                os.rename(word, as_word, src_dir_fd=own, dst_dir_fd=own)
            finally:
                os.close(own)

    def claim(self, ready: Ready, word: str) -> Claimed | None:
        """Move a file, and its marker before it, into a folder of this word's own."""
        with self._opened("claimed") as root:
            own = self._own(root, make=True)
            try:
                os.mkdir(word, 0o700, dir_fd=own)
                if ready.marker is not None and not move(root, own, ready.marker, f"{word}/{MARKER}"):
                    let_go(own, word)
                    return None
                if not move(root, own, ready.seen.name, f"{word}/{DATA}"):
                    let_go(own, word)
                    return None
                return claimed_as(root, own, word)
            except OSError:
                claimed_as(root, own, word)  # nothing is left of it, and the marker stands beside its file
                raise
            finally:
                os.close(own)

    def _own(self, root: int, *, make: bool = False) -> int:
        """The folder of claims. What is wrong with it is so for every file."""
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(OWN, 0o700, dir_fd=root)
            return os.open(OWN, FOLDER, dir_fd=root)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PeerUnavailable(
                f"{self._directory}/{OWN}, into which files are moved first: {_words(error)}; "
                "the bridge's user must be able to make it and to write into it"
            ) from None

    def _own_if_there(self, root: int) -> int | None:
        try:
            return self._own(root)
        except FileNotFoundError:
            return None
        except PeerUnavailable:
            if self._options.claims:
                raise
            return None  # where nothing is claimed, another's folder of claims is nobody's fault

    def open(self, claimed: Claimed) -> LocalFile:
        """Read a claimed file, or one in its place."""
        with self._opened("read") as root:
            where = claimed.seen.name if claimed.claim is None else path_of(claimed.claim, claimed.seen.name)
            file = LocalFile(open_below(root, where, _FILE))
            if claimed.claim is None and not file.is_of(claimed.seen):
                file.close()
                raise FileChanged
            return file

    def put_away(self, claimed: Claimed, end: End) -> str | None:
        """Move it to `done` or `errors`, delete it or leave it; what is there already has its name."""
        options, name, lies = self._options, claimed.seen.name, None
        if options.after == "keep" and claimed.claim is None:
            return None
        with self._opened("put away") as root:
            where = name if claimed.claim is None else path_of(claimed.claim, name)
            there = status_below(root, where)  # None: it was moved, and the process ended before it said so
            another = there is not None and claimed.claim is None and not _is_of(claimed.seen, there)
            self._unmark(root, claimed, there if another else None)
            if there is None:
                pass
            elif another:
                log.info("file-replaced-while-taken", place=self.peer)
            elif end.fate.good and options.after == "delete":
                unlink_below(root, where)
            else:
                target = options.done if end.fate.good else options.errors
                mark = "" if end.fate.file_id is None else str(end.fate.file_id)
                lies = move_into(root, where, there, target, name, mark, end.told)
            if claimed.claim is not None:
                own = os.open(OWN, FOLDER, dir_fd=root)
                try:
                    let_go(own, claimed.claim)
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
        where = f"{'' if claimed.claim is None else f'{OWN}/{claimed.claim}/{MARKER}/'}{claimed.marker}"
        marker = status_below(root, where)
        if marker is not None and (another is None or marker.st_mtime_ns < another.st_mtime_ns):
            unlink_below(root, where)

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
            root = os.open(self._directory, FOLDER)
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


def _is_of(seen: Seen, status: os.stat_result) -> bool:
    return seen_as(seen.name, status).as_text == seen.as_text


def _unusable(step: Step, error: OSError) -> FileUnusable:
    return FileUnusable(step, _words(error), denied=error.errno in _DENIED)


def _words(error: OSError) -> str:
    return error.strerror or str(error.errno)
