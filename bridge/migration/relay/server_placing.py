"""Putting a file where an old job looks on an SFTP server: as `Placing` does in a folder, step by step.

All of it is written under a hidden name beside its place, brought to the server's disk as far as the server
can, and looked at; then a rename that does not overwrite gives it its name (draft-ietf-secsh-filexfer-02
section 6.5). A connection that breaks in between leaves the hidden file or its name, which the next attempt
finds. It blocks, and is used by one thread at a time.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import Any

from bridge.config.legacy import LegacyServer
from bridge.errors import PeerUnavailable
from bridge.migration.relay.placing import Shown
from bridge.ssh.failures import ServerUnavailable
from bridge.ssh.session import Pace, Remembered, Secrets, Session, attributes_of, connect, on_the_wire
from bridge.ssh.writing import Behind

PACED_BYTES = 256 * 1024


class ServerPlacing:
    """One folder on a server, over one connection that is made when it is needed."""

    def __init__(self, server: LegacyServer, secrets: Secrets, clock_s: Callable[[], float]) -> None:
        """Connects to nothing."""
        self._server, self._secrets, self._clock_s = server, secrets, clock_s
        self.directory = server.place
        self._base = server.directory.rstrip("/")
        self._remembered = Remembered()
        self._session: Session | None = None

    def write(self, name: str, hidden: str, content: Iterable[bytes]) -> None:
        """Write all of a file under its hidden name. Raises PeerUnavailable."""
        with self._sftp() as sftp:
            self._make_folders(sftp, name)
            path = self._beside(name, hidden)
            with suppress(FileNotFoundError):
                sftp.remove(path)
            file, size_bytes = sftp.open(path, "wx"), 0
            try:
                behind, pace = Behind(sftp, file.handle), Pace(self._server.bandwidth, self._clock_s)
                for data in content:
                    for start in range(0, len(data), PACED_BYTES):
                        part = data[start : start + PACED_BYTES]
                        behind.write(part)
                        pace.spend(len(part))
                    size_bytes += len(data)
                behind.finish(sync=True)
            finally:
                file.close()
            if attributes_of(sftp, path).st_size != size_bytes:
                raise OSError(errno.EIO, "the server has less of the file than was sent")

    def show(self, name: str, hidden: str) -> Shown:
        """Give a hidden file its name, if no other has it. Raises PeerUnavailable."""
        with self._sftp() as sftp:
            before, own = self._beside(name, hidden), f"{self._base}/{name}"
            if not _is_there(sftp, before):
                return "gone"
            if _is_there(sftp, own):
                return "taken"
            sftp.rename(before, own)
        return "shown"

    def forget(self, name: str, hidden: str) -> bool:
        """Take a hidden file away; False where there is none. Raises PeerUnavailable."""
        with self._sftp() as sftp:
            try:
                sftp.remove(self._beside(name, hidden))
            except FileNotFoundError:
                return False
        return True

    def close(self) -> None:
        """Hang up."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _beside(self, name: str, hidden: str) -> str:
        return posixpath.join(self._base, posixpath.dirname(name), hidden)

    def _make_folders(self, sftp: Any, name: str) -> None:
        at = self._base
        for part in PurePosixPath(name).parts[:-1]:
            at = f"{at}/{part}"
            if not _is_there(sftp, at):
                sftp.mkdir(at)

    @contextmanager
    def _sftp(self) -> Iterator[Any]:
        if self._session is not None and not self._session.alive:
            self.close()
        try:
            if self._session is None:
                self._session = connect(self._server, self._secrets, self._remembered)
            with on_the_wire():
                yield self._session.sftp
        except ServerUnavailable as error:
            self.close()
            raise PeerUnavailable(f"the old job's server {self._server.host}: {error}") from error
        except OSError as error:
            # Servers say little of why; the library's own words may be all there is.
            why = os.strerror(error.errno) if error.errno else "it refused, without saying why"
            raise PeerUnavailable(f"the old job's folder {self.directory}: {why}") from error


def _is_there(sftp: Any, path: str) -> bool:
    try:
        attributes_of(sftp, path)
    except FileNotFoundError:
        return False
    return True
