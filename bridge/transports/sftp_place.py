"""A folder on an SFTP server: a `Place`. It blocks, and runs in a thread.

One connection, made when it is first needed and made anew when it broke. A server's clock is believed in
nothing, and neither is a name that it says: what could not be one file in its folder is counted as odd, and
left.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from bridge.errors import PeerUnavailable
from bridge.ssh.client import is_utf8
from bridge.ssh.reading import Ahead
from bridge.ssh.session import (
    CONNECTION_ENDED,
    Attributes,
    Pace,
    Remembered,
    Secrets,
    Session,
    attributes_of,
    connect,
    on_the_wire,
)
from bridge.transports.base import FileGone, FileUnusable, Step
from bridge.transports.collecting import Claimed, End
from bridge.transports.sftp_options import SftpOptions
from bridge.transports.watching import OWN, Ready, Seen, is_plain_name

FILES_MAX_COUNT: Final = 100_000
_DATA, _MARKER = "file", "marker"
NAMES_TRIED_MAX: Final = 1000


class SftpFolder:
    """One folder on a server."""

    def __init__(self, options: SftpOptions, secrets: Secrets, clock_s: Callable[[], float]) -> None:
        """Connects to nothing."""
        self._options, self._secrets, self._clock_s = options, secrets, clock_s
        self._remembered = Remembered()
        self._session: Session | None = None
        self._base = options.directory.rstrip("/") or "/"

    @property
    def peer(self) -> str:
        """The server and the folder there."""
        return f"{self._options.host}:{self._base}"

    def _path(self, *parts: str) -> str:
        return "/".join((self._base.rstrip("/"), *parts))

    @contextmanager
    def sftp(self, step: Step | None = None) -> Iterator[Any]:
        """The connection, for one step with one file where that is said. What breaks it is PeerUnavailable,
        and the next use makes another."""
        if self._session is not None and not self._session.alive:
            self.close()
        if self._session is None:
            self._session = connect(self._options, self._secrets, self._remembered)
        try:
            with on_the_wire():
                yield self._session.sftp
        except PeerUnavailable:
            self.close()
            raise
        except FileNotFoundError:
            raise FileGone from None
        except OSError as error:
            what = error.strerror or "the server refuses it"
            if step is not None:
                raise FileUnusable(step, what, denied=isinstance(error, PermissionError)) from None
            raise PeerUnavailable(f"{self.peer}: {what}") from None

    def look(self) -> tuple[list[Seen], int]:
        """All plain files below it, as deep as is looked."""
        found: list[Seen] = []
        try:
            with self.sftp() as sftp:
                odd = self._look_into(sftp, "", self._options.depth, found)
        except FileGone:
            raise PeerUnavailable(f"{self.peer}: there is no such folder") from None
        return found, odd

    def _look_into(self, sftp: Any, below: str, depth: int, found: list[Seen]) -> int:
        odd, folders = 0, []
        path = self._path(below.rstrip("/")) if below else self._base
        for entry in sftp.listdir_attr(path):
            name = f"{below}{entry.filename}"
            if entry.filename in (OWN, ".", "..") or name in self._options.own_folders:
                continue
            if not (is_plain_name(entry.filename) and is_utf8(entry.filename)):
                odd += 1
            elif len(found) >= FILES_MAX_COUNT:
                break
            elif entry.st_mode is None:
                odd += 1
            elif stat.S_ISREG(entry.st_mode):
                found.append(_seen(name, entry))
            elif stat.S_ISDIR(entry.st_mode):
                folders.append(name)
            else:
                odd += 1
        for name in folders if depth else ():
            with suppress(FileNotFoundError, PermissionError):
                odd += self._look_into(sftp, f"{name}/", depth - 1, found)
        return odd

    def claims(self, owner: str) -> list[Claimed]:
        """What was claimed with a word that begins so."""
        with self.sftp() as sftp:
            try:
                words = sftp.listdir(self._path(OWN))
            except FileNotFoundError:
                return []
            mine = sorted(word for word in words if word.startswith(owner) and is_plain_name(word))
            return [each for word in mine if (each := self._claimed(sftp, word)) is not None]

    def claim(self, ready: Ready, word: str) -> Claimed | None:
        """Move a file, and its marker before it, into a folder of this word's own."""
        with self.sftp() as sftp:
            self._make(sftp, self._path(OWN))
            self._make(sftp, self._path(OWN, word))
        with self.sftp("claimed") as sftp:
            try:
                for name, kind in ((ready.marker, _MARKER), (ready.seen.name, _DATA)):
                    if name is not None and not self._move(sftp, name, self._path(OWN, word, kind), name):
                        self._let_go(sftp, word)
                        return None
            except OSError:
                self._claimed(sftp, word)  # nothing is left of it, and the marker stands beside its file
                raise
            return self._claimed(sftp, word)

    def _make(self, sftp: Any, path: str) -> None:
        try:
            sftp.mkdir(path, 0o700)
        except OSError:
            # Servers say no more than that it failed; that it is there already is the usual reason.
            there = _there(sftp, path)
            if there is None or not stat.S_ISDIR(there.st_mode or 0):
                raise

    def _move(self, sftp: Any, name: str, into: str, as_name: str) -> bool:
        """Move a file below the folder; False where it is gone."""
        self._make(sftp, into)
        at = into
        for part in as_name.split("/")[:-1]:
            at = f"{at}/{part}"
            self._make(sftp, at)
        try:
            sftp.rename(self._path(name), f"{into}/{as_name}")
        except OSError:
            if _there(sftp, self._path(name)) is None:
                return False
            raise
        return True

    def _claimed(self, sftp: Any, word: str) -> Claimed | None:
        data, marker = self._only_file(sftp, word, _DATA), self._only_file(sftp, word, _MARKER)
        if data is None:
            if marker is not None:
                with suppress(OSError):  # it goes back to its file, between which and it a crash came
                    sftp.rename(self._path(OWN, word, _MARKER, marker[0]), self._path(marker[0]))
            self._let_go(sftp, word)
            return None
        return Claimed(_seen(*data), word, None if marker is None else marker[0])

    def _only_file(self, sftp: Any, word: str, kind: str) -> tuple[str, Attributes] | None:
        parts: list[str] = []
        while True:
            try:
                entries = sftp.listdir_attr(self._path(OWN, word, kind, *parts))
            except FileNotFoundError:
                return None
            if len(entries) != 1 or not is_plain_name(entries[0].filename):
                return None
            parts.append(entries[0].filename)
            if not stat.S_ISDIR(entries[0].st_mode or 0):
                return "/".join(parts), entries[0]

    def _let_go(self, sftp: Any, word: str) -> None:
        """Remove a claim that is empty but for its marker. A file in it stays, and with it the claim."""
        with suppress(OSError):
            self._empty(sftp, self._path(OWN, word, _MARKER), files=True)
        with suppress(OSError):
            self._empty(sftp, self._path(OWN, word, _DATA), files=False)
        with suppress(OSError):
            sftp.rmdir(self._path(OWN, word))

    def _empty(self, sftp: Any, path: str, *, files: bool) -> None:
        for entry in sftp.listdir_attr(path):
            if stat.S_ISDIR(entry.st_mode or 0):
                self._empty(sftp, f"{path}/{entry.filename}", files=files)
            elif files:
                sftp.remove(f"{path}/{entry.filename}")
        sftp.rmdir(path)

    def _where(self, claimed: Claimed) -> str:
        name = claimed.seen.name
        return self._path(name) if claimed.claim is None else self._path(OWN, claimed.claim, _DATA, name)

    def open(self, claimed: Claimed) -> SftpFile:
        """Read it."""
        path = self._where(claimed)
        with self.sftp("read") as sftp:
            before = attributes_of(sftp, path)
            if not stat.S_ISREG(before.st_mode or 0):
                raise FileGone
            file = sftp.open(path, "rb")
        return SftpFile(self, path, file, before, Pace(self._options.bandwidth, self._clock_s))

    def put_away(self, claimed: Claimed, end: End) -> str | None:
        """Move it to `done` or `errors`, delete it or leave it; what is there already has its name."""
        options, path, lies = self._options, self._where(claimed), None
        if options.after == "keep":
            return None
        with self.sftp("put away") as sftp:
            if claimed.marker is not None:
                # It goes before its file, as in a folder of this machine.
                below = () if claimed.claim is None else (OWN, claimed.claim, _MARKER)
                with suppress(FileNotFoundError):
                    sftp.remove(self._path(*below, claimed.marker))
            if end.fate.good and options.after == "delete":
                with suppress(FileNotFoundError):
                    sftp.remove(path)
            elif _there(sftp, path) is not None:
                lies = self._put(sftp, path, claimed.seen.name, end)
            if claimed.claim is not None:
                self._let_go(sftp, claimed.claim)
        return lies

    def size_of(self, where: str) -> int:
        """Of what lies where it was put."""
        with self.sftp("read") as sftp:
            return attributes_of(sftp, where).st_size or 0

    def _put(self, sftp: Any, path: str, name: str, end: End) -> str:
        target = self._options.done if end.fate.good else self._options.errors
        into = target if target.startswith("/") else self._path(target)
        self._make(sftp, into)
        for part in name.split("/")[:-1]:
            into = f"{into}/{part}"
            self._make(sftp, into)
        last = name.rpartition("/")[2]
        for number in range(NAMES_TRIED_MAX):
            candidate = _candidate(last, end.fate.file_id, number)
            if _there(sftp, f"{into}/{candidate}") is not None:
                continue
            if end.told is not None:
                with sftp.open(f"{into}/{candidate}.reason.json", "wb") as told:
                    told.write(end.told)
            sftp.rename(path, f"{into}/{candidate}")
            return f"{into}/{candidate}"
        raise OSError(errno.EEXIST, "a thousand files of this name are there already")

    def put(self, into: str, name: str, content: bytes) -> None:
        """A file for a sender, whole or not at all; one that is there already with these bytes is it."""
        folder = into if into.startswith("/") else self._path(into)
        with self.sftp("put away") as sftp:
            self._make(sftp, folder)
            hidden = f"{folder}/.{name}.part"
            for number in range(NAMES_TRIED_MAX):
                path = f"{folder}/{_candidate(name, number + 1, min(number, 1))}"
                there = _there(sftp, path)
                if there is not None and not _holds(sftp, path, there, content):
                    continue
                if there is None:
                    with sftp.open(hidden, "wb") as file:
                        file.write(content)
                    sftp.rename(hidden, path)
                return
        raise OSError(errno.EEXIST, "a thousand files of this name are there already")

    def watch(self, wake: Callable[[], None]) -> None:
        """A server tells of nothing."""

    def hang_up(self) -> None:
        """Whoever waits for an answer hears that the connection has ended."""
        if (session := self._session) is not None:
            session.close()

    def close(self) -> None:
        """Hang up."""
        session, self._session = self._session, None
        if session is not None:
            session.close()


class SftpFile:
    """A file that is read from a server: an `Incoming`. Much of it is asked for before it is needed."""

    def __init__(self, place: SftpFolder, path: str, file: Any, before: Attributes, pace: Pace) -> None:
        self._place, self._path, self._file, self._before, self._pace = place, path, file, before, pace
        self._at = 0
        self._ahead: Ahead | None = None

    def read(self, size: int) -> bytes:
        """The next bytes: as many as the server gives in answer to some requests."""
        parts: list[bytes] = []
        got = 0
        try:
            with self._place.sftp("read"):
                while got < size and (part := self._next(self._at + got)):
                    parts.append(part)
                    got += len(part)
        except PeerUnavailable:
            self._ahead = None
            if not got:
                raise
            # What came before the connection broke counts; the next call says that it did.
        self._at += got
        if not got and self._at < (self._before.st_size or 0):
            raise FileUnusable("read", "the server gives less of it than it says that it has", denied=False)
        self._pace.spend(got)
        return b"".join(parts)

    def _next(self, at: int) -> bytes:
        if self._ahead is None:
            self._ahead = Ahead(self._file.sftp, self._file.handle, at, self._before.st_size or 0)
        return self._ahead.next()

    def skip(self, size: int) -> None:
        """Go on after so many bytes."""
        self._at, self._ahead = size, None

    def unchanged(self) -> bool:
        """Whether size and time are as they were, and all of it was read."""
        with self._place.sftp("read") as sftp:
            now, before = attributes_of(sftp, self._path), self._before
        same = (now.st_size, now.st_mtime) == (before.st_size, before.st_mtime)
        return same and self._at == (now.st_size or 0)

    def close(self) -> None:
        """Let go of it."""
        with suppress(*CONNECTION_ENDED):
            self._file.close()


def _seen(name: str, entry: Attributes) -> Seen:
    return Seen(name, entry.st_size or 0, str(entry.st_mtime), float(entry.st_mtime or 0))


def _there(sftp: Any, path: str) -> Attributes | None:
    try:
        return attributes_of(sftp, path)
    except FileNotFoundError:
        return None


def _holds(sftp: Any, path: str, there: Attributes, content: bytes) -> bool:
    if there.st_size != len(content):
        return False
    with sftp.open(path, "rb") as file:
        return bool(file.read(len(content) + 1) == content)


def _candidate(name: str, file_id: int | None, number: int) -> str:
    if not number:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    mark = f"{file_id or 0}" if number == 1 else f"{file_id or 0}-{number}"
    return f"{stem[:180]}.{mark}{dot}{ending}"
