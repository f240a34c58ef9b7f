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

import structlog

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
from bridge.transports.base import FileChanged, FileGone, FileUnusable, Odd, Step
from bridge.transports.collecting import Claimed, End
from bridge.transports.other_claims import OTHERS_MAX_COUNT, Other
from bridge.transports.put_names import NOT_RENAMED_WORDS, REASON, TARGET_WORDS, fitting, marked
from bridge.transports.sftp_claims import DATA, MARKER, SftpClaims, seen_as
from bridge.transports.sftp_options import SftpOptions
from bridge.transports.sftp_said import UNSAID, holds, is_told, may_tell
from bridge.transports.watching import FILES_MAX_COUNT, OWN, Ready, Seen, is_plain_name

log = structlog.get_logger("bridge.files")

NAMES_TRIED_MAX: Final = 1000


class SftpFolder:
    """One folder on a server."""

    def __init__(self, options: SftpOptions, secrets: Secrets, clock_s: Callable[[], float]) -> None:
        """Connects to nothing."""
        self._options, self._secrets, self._clock_s = options, secrets, clock_s
        self._remembered = Remembered()
        self._session: Session | None = None
        self._base = options.directory.rstrip("/") or "/"
        self._claims = SftpClaims(self._base)
        self._reading: tuple[Claimed, str] | None = None
        """The file that was opened last, and as what."""
        self._unsaid = 0

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
        except OSError as error:
            # Elsewhere it may be the folder to which a file goes that is not there.
            if step == "read" and isinstance(error, FileNotFoundError):
                raise FileGone from None
            what = _words(error)
            if step is not None:
                raise FileUnusable(step, what, denied=isinstance(error, PermissionError)) from None
            raise PeerUnavailable(f"{self.peer}: {what}") from None

    def look(self, wanted: Callable[[str], bool] = bool) -> tuple[list[Seen], Odd]:
        """All plain files below it of names that are wanted, as deep as is looked."""
        found: list[Seen] = []
        odd = Odd()
        self._unsaid = 0
        with self.sftp() as sftp:
            try:
                self._look_into(sftp, "", self._options.depth, wanted, found, odd)
            except FileNotFoundError:
                raise PeerUnavailable(f"{self.peer}: there is no such folder") from None
        if self._unsaid and not found:
            raise PeerUnavailable(f"{self.peer}: {UNSAID.format(self._unsaid)}")
        return found, odd

    def _look_into(
        self, sftp: Any, below: str, depth: int, wanted: Callable[[str], bool], found: list[Seen], odd: Odd
    ) -> None:
        folders = []
        path = self._path(below.rstrip("/")) if below else self._base
        for entry in sftp.listdir_attr(path):
            name = f"{below}{entry.filename}"
            if entry.filename in (".", ".."):
                continue
            if entry.filename == OWN or name in self._options.own_folders:
                odd.note(name, Odd.NO_FOLDER, unless=stat.S_ISDIR(entry.st_mode or stat.S_IFDIR))
                continue
            if not (is_plain_name(entry.filename) and is_utf8(entry.filename)):
                odd.note(name, "a name that is not UTF-8, or that no file can have")
            elif len(found) > FILES_MAX_COUNT:
                break
            elif not is_told(sftp, f"{path.rstrip('/')}/{entry.filename}", entry):
                self._unsaid += 1
                odd.note(name, "the server does not say what it is, or how large")
            elif stat.S_ISDIR(entry.st_mode):
                folders.append(name)
            elif not stat.S_ISREG(entry.st_mode):
                odd.note(name, Odd.NOT_PLAIN)
            elif wanted(name):
                found.append(seen_as(name, entry))
        for name in folders if depth else ():
            try:
                with on_the_wire():
                    self._look_into(sftp, f"{name}/", depth - 1, wanted, found, odd)
            except FileNotFoundError:
                continue
            except OSError:  # it keeps nothing else from being taken
                odd.note(name, Odd.NOT_OPENED)

    def claims(self, owner: str) -> list[Claimed]:
        """What was claimed with a word that begins so."""
        with self.sftp() as sftp:
            mine = [word for word in self._words(sftp) if word.startswith(owner)]
            return [each for word in mine if (each := self._claims.claimed(sftp, word)) is not None]

    def _words(self, sftp: Any) -> list[str]:
        try:
            return sorted(filter(is_plain_name, sftp.listdir(self._path(OWN))))
        except FileNotFoundError:
            return []
        except OSError:
            if self._options.claims:
                raise
            return []  # where nothing is claimed, another's folder of claims is nobody's fault

    def others(self, owner: str) -> list[Other]:
        """What was claimed with another word; nothing is done about it."""
        with self.sftp() as sftp:
            words = [word for word in self._words(sftp) if not word.startswith(owner)][:OTHERS_MAX_COUNT]
            return [Other(word, self._name_in(sftp, word)) for word in words]

    def _name_in(self, sftp: Any, word: str) -> str:
        try:
            data = self._claims.only_file(sftp, word, DATA)
        except OSError:
            return ""
        return "" if data is None else data[0]

    def adopt(self, word: str, as_word: str) -> None:
        """Give a claim another word, in one step."""
        with self.sftp() as sftp, suppress(OSError):
            sftp.rename(self._path(OWN, word), self._path(OWN, as_word))

    def claim(self, ready: Ready, word: str) -> Claimed | None:
        """Move a file, and its marker before it, into a folder of this word's own."""
        with self.sftp() as sftp:
            self._make(sftp, self._path(OWN))
            self._make(sftp, self._path(OWN, word))
        with self.sftp("claimed") as sftp:
            try:
                for name, kind in ((ready.marker, MARKER), (ready.seen.name, DATA)):
                    if name is not None and not self._move(sftp, name, self._path(OWN, word, kind), name):
                        self._claims.let_go(sftp, word)
                        return None
            except OSError:
                # Nothing is left of it, and the marker stands beside its file.
                self._claims.claimed(sftp, word)
                raise
            return self._claims.claimed(sftp, word)

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

    def _where(self, claimed: Claimed) -> str:
        name = claimed.seen.name
        return self._path(name) if claimed.claim is None else self._path(OWN, claimed.claim, DATA, name)

    def open(self, claimed: Claimed) -> SftpFile:
        """Read it."""
        path = self._where(claimed)
        with self.sftp("read") as sftp:
            before = attributes_of(sftp, path)
            if before.st_mode is None or before.st_size is None:
                raise FileUnusable("read", UNSAID.format(1), denied=False)
            if not stat.S_ISREG(before.st_mode):
                raise FileGone
            if self._reading is None or self._reading[0] is not claimed:
                self._reading = claimed, _version(before)
            elif self._reading[1] != _version(before):
                raise FileChanged  # begun before the connection broke: half of each would be no file
            file = sftp.open(path, "rb")
        return SftpFile(self, path, file, before, Pace(self._options.bandwidth, self._clock_s))

    def put_away(self, claimed: Claimed, end: End) -> str | None:
        """Move it to `done` or `errors`, delete it or leave it; what is there already has its name."""
        options, path, lies = self._options, self._where(claimed), None
        if options.after == "keep" and claimed.claim is None:
            return None
        with self.sftp("put away") as sftp:
            there = _there(sftp, path)
            another = claimed.claim is None and there is not None and _version(there) != self._read(claimed)
            self._unmark(sftp, claimed, there if another else None)
            if there is None:
                pass
            elif another:
                log.info("file-replaced-while-taken", place=self.peer)
            elif end.fate.good and options.after == "delete":
                sftp.remove(path)
            else:
                lies = self._put(sftp, path, claimed.seen.name, end)
                moved = _there(sftp, lies) if claimed.claim is None else None
                # By its size alone: where a move is a copy, as on object stores, its time is another.
                if moved is not None and moved.st_size != there.st_size:
                    self._put_back(sftp, lies, path)  # it came between the look and the move
                    lies = None
            if claimed.claim is not None:
                self._claims.let_go(sftp, claimed.claim)
        return lies

    def _put_back(self, sftp: Any, lies: str, path: str) -> None:
        """Where the next look finds it; under another name where its own is taken again."""
        folder, _, last = path.rpartition("/")
        back = path if _there(sftp, path) is None else f"{folder}/{marked(last, 'came-before')}"
        sftp.rename(lies, back)
        log.info("file-replaced-while-taken", place=self.peer)

    def _read(self, claimed: Claimed) -> str:
        """As what a file was read; as what it was seen, where it was taken without that."""
        if self._reading is not None and self._reading[0] is claimed:
            return self._reading[1]
        return claimed.seen.as_text

    def _unmark(self, sftp: Any, claimed: Claimed, another: Attributes | None) -> None:
        """The marker goes before its file, as in a folder of this machine; not one of another file, which
        came after that."""
        if claimed.marker is None:
            return
        path = self._path(*(() if claimed.claim is None else (OWN, claimed.claim, MARKER)), claimed.marker)
        marker = _there(sftp, path)
        if marker is not None and (another is None or (marker.st_mtime or 0) < (another.st_mtime or 0)):
            sftp.remove(path)

    def size_of(self, where: str) -> int:
        """Of what lies where it was put."""
        with self.sftp("read") as sftp:
            return attributes_of(sftp, where).st_size or 0

    def _put(self, sftp: Any, path: str, name: str, end: End) -> str:
        target = self._options.done if end.fate.good else self._options.errors
        into = self._made(sftp, target)
        for part in name.split("/")[:-1]:
            into = f"{into}/{part}"
            self._make(sftp, into)
        last = name.rpartition("/")[2]
        for number in range(NAMES_TRIED_MAX):
            candidate = marked(last, _mark(end.fate.file_id, number))
            reason = f"{into}/{fitting(candidate, REASON)}"
            if _there(sftp, f"{into}/{candidate}") is not None:
                continue
            if end.told is not None:
                if not may_tell(sftp, reason, end.told):
                    continue
                with sftp.open(reason, "wb") as told:
                    told.write(end.told)
            try:
                sftp.rename(path, f"{into}/{candidate}")
            except FileNotFoundError:
                # Some servers say so of whatever they do not do.
                if _there(sftp, path) is None:
                    raise FileGone from None
                raise
            except OSError as error:
                if error.strerror is None:
                    raise OSError(error.errno, NOT_RENAMED_WORDS.format(target)) from None
                raise
            return f"{into}/{candidate}"
        raise OSError(errno.EEXIST, "a thousand files of this name are there already")

    def _made(self, sftp: Any, target: str) -> str:
        """The path of a folder to which files go. Raises OSError, with words about it."""
        into = target if target.startswith("/") else self._path(target)
        try:
            with on_the_wire():
                self._make(sftp, into)
        except OSError as error:
            raise OSError(error.errno, TARGET_WORDS.format(target, _words(error))) from None
        return into

    def put(self, into: str, name: str, content: bytes) -> None:
        """A file for a sender, whole or not at all; one that is there already with these bytes is it."""
        with self.sftp("put away") as sftp:
            folder = self._made(sftp, into)
            hidden = f"{folder}/{fitting(f'.{name}', '.part')}"
            for number in range(NAMES_TRIED_MAX):
                path = f"{folder}/{marked(name, str(number + 1) if number else '')}"
                there = _there(sftp, path)
                if there is not None and not holds(sftp, path, there, content):
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


def _version(entry: Attributes) -> str:
    return seen_as("", entry).as_text


def _words(error: OSError) -> str:
    return error.strerror or "the server refuses it"


def _there(sftp: Any, path: str) -> Attributes | None:
    try:
        return attributes_of(sftp, path)
    except FileNotFoundError:
        return None


def _mark(file_id: int | None, number: int) -> str:
    """What stands in the n-th name that is tried; nothing in the first."""
    return ("", f"{file_id or 0}", f"{file_id or 0}-{number}")[min(number, 2)]
