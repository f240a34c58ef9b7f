"""Writing one file on an SFTP server so that it is there whole or not at all. It blocks: for a thread.

Temporary name in the same folder, all bytes, as far as the server can the sync of its disk, a look at the
size that came; then the name, by a rename that does not overwrite (draft-ietf-secsh-filexfer-02 section 6.5);
then the marker. What is there already under the name is read: the same delivery once more finds its own file.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import TARGET_REFUSED
from bridge.destinations.partial_files import Remains, partial_name
from bridge.ssh.failures import ServerUnavailable
from bridge.ssh.options import SshOptions
from bridge.ssh.reading import Ahead
from bridge.ssh.session import (
    Pace,
    Permits,
    Remembered,
    Secrets,
    Session,
    attributes_of,
    connect,
    on_the_wire,
)
from bridge.ssh.writing import Behind

_NEEDS_SOMEBODY: Final = frozenset(
    {
        "host-key",
        "key-unusable",
        "secret",
        "login-kind",
        "login-refused",
        "no-common-algorithm",
        TARGET_REFUSED,
    }
)
"""Reasons that no waiting ends: the operation cannot be called as it is set up."""
_WRITTEN: Final = "written"
PACED_BYTES: Final = 256 * 1024
PACED_MIN_BYTES: Final = 1024


class ServerFolder:
    """One folder on a server, over one connection that is made when it is needed. For one thread."""

    def __init__(
        self,
        options: SshOptions,
        directory: str,
        marker: str,
        secrets: Secrets,
        permits: Permits | None,
        remembered: Remembered,
        clock_s: Callable[[], float],
        remains: Remains,
    ) -> None:
        """Connects to nothing. ``remains`` are the folder's, over whichever connection they were made."""
        self._remains = remains
        self._options, self._marker, self._secrets = options, marker, secrets
        self._permits, self._remembered, self._clock_s = permits, remembered, clock_s
        self._base = directory.rstrip("/")
        self._session: Session | None = None
        self._moved: Callable[[], None] = lambda: None
        self._named = False
        """Whether the server was asked to give the file its name, so that it may have."""

    def write_once(self, name: str, content: bytes, number: int, moved: Callable[[], None]) -> Outcome:
        """Write a file, or find that it is there already. Never raises OSError, and never overwrites.

        ``number`` is one that no other attempt has; ``moved`` is called with each answer of the server.
        """
        self._named, self._moved = False, moved
        try:
            session = self._connected()
            moved()
            with on_the_wire():
                return self._write(session.sftp, name, content, number)
        except ServerUnavailable as error:
            self.close()
            return self._lost(error.explained.reason)
        except OSError as error:
            return Outcome(Verdict.AMBIGUOUS, "write-unconfirmed") if self._named else _failed(error)

    def _lost(self, reason: str) -> Outcome:
        if self._named:
            return Outcome(Verdict.AMBIGUOUS, "connection-lost")
        return Outcome(Verdict.HOLD if reason in _NEEDS_SOMEBODY else Verdict.RETRY, reason)

    def _connected(self) -> Session:
        if self._session is not None and not self._session.alive:
            self.close()
        if self._session is None:
            self._session = connect(self._options, self._secrets, self._remembered, self._permits)
        return self._session

    def close(self) -> None:
        """Hang up."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _write(self, sftp: Any, name: str, content: bytes, number: int) -> Outcome:
        path = f"{self._base}/{name}"
        self._clear(sftp, name)
        if (found := self._before(sftp, path, content)) is None:
            partial = partial_name(name, number)
            self._remains.begun(partial)
            try:
                self._fill(sftp, f"{self._base}/{partial}", content)
                found = self._name(sftp, f"{self._base}/{partial}", path, content)
            except OSError as error:
                if isinstance(error, TimeoutError | ConnectionError):
                    raise
                self._remove(sftp, partial)  # that it could not be written is what is told
                raise
            if found.reason == _WRITTEN:
                self._remains.gone(partial)
            else:
                self._remove(sftp, partial)
        if found.verdict is Verdict.DELIVERED and self._marker:
            self._named = True
            sftp.open(path + self._marker, "w").close()
        return found

    def _clear(self, sftp: Any, name: str) -> None:
        """Take away what earlier attempts of this file have left. A server that does not list the folder
        shows nothing of those of another process, which then stay, hidden."""
        try:
            self._remains.learn(lambda: (each.filename for each in self._listed(sftp)))
        except (TimeoutError, ConnectionError):
            raise
        except PermissionError:
            self._remains.learn(tuple)  # nor will it be shown the next time
        except OSError:
            pass  # what the matter is, the next request shows
        for partial in self._remains.of(name):
            self._remove(sftp, partial)

    def _listed(self, sftp: Any) -> Iterator[Any]:
        for each in sftp.listed(self._base or "/"):
            self._moved()
            yield each

    def _remove(self, sftp: Any, partial: str) -> None:
        try:
            with suppress(FileNotFoundError):
                sftp.remove(f"{self._base}/{partial}")
        except (TimeoutError, ConnectionError):
            raise
        except OSError:
            return  # it is hidden, and the next attempt tries again
        self._remains.gone(partial)

    def _before(self, sftp: Any, path: str, content: bytes) -> Outcome | None:
        """What is there under this name: the same file, another, or nothing."""
        try:
            there = attributes_of(sftp, path)
        except FileNotFoundError:
            return None
        ours = stat.S_ISREG(there.st_mode or 0) and there.st_size == len(content)
        if ours and self._holds(sftp, path, content):
            return Outcome(Verdict.DELIVERED, "written-before")
        return Outcome(Verdict.POISON, "name-taken")

    def _fill(self, sftp: Any, temporary: str, content: bytes) -> None:
        file = sftp.open(temporary, "wx")
        try:
            behind = Behind(sftp, file.handle, self._moved)
            pace = Pace(self._options.bandwidth, self._clock_s)
            # No part takes much longer than a second by the rate, so that a slow one is seen to move.
            paced_bytes = max(PACED_MIN_BYTES, min(PACED_BYTES, self._options.bandwidth or PACED_BYTES))
            for start in range(0, len(content), paced_bytes):
                part = content[start : start + paced_bytes]
                behind.write(part)
                pace.spend(len(part))
                if self._options.bandwidth is not None:
                    self._moved()
            behind.finish(sync=True)
        finally:
            file.close()
        if attributes_of(sftp, temporary).st_size != len(content):
            raise OSError(errno.EIO, "the server has less of the file than was sent")

    def _name(self, sftp: Any, temporary: str, path: str, content: bytes) -> Outcome:
        self._named = True
        try:
            sftp.rename(temporary, path)
        except OSError:
            found = self._before(sftp, path, content)
            self._named = False  # it is known again: it is there, or it is not
            if found is None:
                raise
            return found
        return Outcome(Verdict.DELIVERED, _WRITTEN)

    def _holds(self, sftp: Any, path: str, content: bytes) -> bool:
        """Whether a file has just these bytes."""
        file = sftp.open(path, "r")
        try:
            ahead, at = Ahead(sftp, file.handle, 0, len(content)), 0
            while part := ahead.next():
                self._moved()
                if part != content[at : at + len(part)]:
                    return False
                at += len(part)
            return at == len(content)
        finally:
            file.close()


def _failed(error: OSError) -> Outcome:
    """A fault before the file had its name. Servers say little of why: a full disk is a failure."""
    match error.errno:
        case errno.ENOENT:
            return Outcome(Verdict.HOLD, "folder-missing")
        case errno.EACCES | errno.EPERM:
            return Outcome(Verdict.HOLD, "no-right-to-write")
    return Outcome(Verdict.RETRY, "write-failed")
