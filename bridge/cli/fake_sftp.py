"""An SFTP server on a folder, with faults on demand: for tests, drills and measurements.

``python -m bridge.cli.fake_sftp --root FOLDER`` prints a line of JSON: port, and the fingerprint of its key.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
from paramiko.sftp import SFTP_FAILURE, SFTP_NO_SUCH_FILE, SFTP_OK

from bridge.ssh.session import fingerprint

USER, PASSWORD = "bridge", "not-a-secret"
KEY_BITS = 256


@dataclass(slots=True)
class Faults:
    """What the server does to its clients. All of it may be changed while it runs."""

    cut_after_bytes: int = 0
    """A connection that has been given so many bytes of files is cut; 0 for never."""
    slow_bytes_per_s: int = 0
    listed_names: tuple[str, ...] = ()
    """Names that each listing has beside those that are there."""
    not_readable: tuple[str, ...] = ()
    """Last names of files that nobody has the right to read."""
    full: bool = False
    """Whether there is no room for what is written."""
    full_once: bool = False
    """The same, for one write."""
    cut_once_at: str = ""
    """The next ``write`` or ``rename`` cuts the connection: before it is done, or after."""
    holds: Callable[[str, str], None] | None = None
    """Called before each ``read`` and ``write``, with which it is and the file's last name. It may wait."""
    not_listed: bool = False
    """Whether nobody has the right to list a folder."""
    fails_to_list: tuple[str, ...] = ()
    """Last names of folders of which the server says no more than that they cannot be listed."""
    not_renamed: bool = False
    """Whether a rename is answered with that there is no such file."""
    unsaid: tuple[str, ...] = ()
    """What is left out of what is said of files: ``st_mode``, ``st_size``."""
    unsaid_in_listings: tuple[str, ...] = ()
    """The same in listings alone."""
    renames: Any = None
    """Called in the middle of each listing."""


class _Doorman(paramiko.ServerInterface):
    def __init__(self, server: FakeSftp, keys: Sequence[paramiko.PKey]) -> None:
        self._server = server
        self._keys = {key.asbytes() for key in keys}

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        return (
            paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        )

    def check_auth_password(self, username: str, password: str) -> int:
        self._server.passwords += 1
        good = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == USER and key.asbytes() in self._keys
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        return "publickey,password" if self._keys else "password"


class _Handle(paramiko.SFTPHandle):
    """One open file."""

    def __init__(self, server: FakeSftp, connection: _Files, descriptor: int, flags: int, name: str) -> None:
        super().__init__(flags)
        self._server, self._connection, self._descriptor, self._name = server, connection, descriptor, name

    def _hold(self, step: str) -> None:
        if (holds := self._server.faults.holds) is not None:
            holds(step, self._name)

    def read(self, offset: int, length: int) -> bytes | int:
        faults = self._server.faults
        self._hold("read")
        try:
            data = os.pread(self._descriptor, length, offset)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        self._server.given_bytes += len(data)
        self._connection.given_bytes += len(data)
        if faults.cut_after_bytes and self._connection.given_bytes >= faults.cut_after_bytes:
            self._server.cuts += 1
            self._connection.cut()
            return SFTP_FAILURE
        if faults.slow_bytes_per_s:
            time.sleep(len(data) / faults.slow_bytes_per_s)
        return data

    def write(self, offset: int, data: bytes) -> int:
        faults = self._server.faults
        self._hold("write")
        if faults.cut_once_at == "write":
            faults.cut_once_at = ""
            self._connection.cut()
            return SFTP_FAILURE
        if faults.full or faults.full_once:
            faults.full_once = False
            return paramiko.SFTPServer.convert_errno(errno.ENOSPC)
        os.pwrite(self._descriptor, data, offset)
        return SFTP_OK

    def stat(self) -> paramiko.SFTPAttributes | int:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self._descriptor))

    def close(self) -> None:
        os.close(self._descriptor)


class _Files(paramiko.SFTPServerInterface):
    """The folder, as one connection sees it."""

    def __init__(self, server: paramiko.ServerInterface, *args: Any, fake: FakeSftp, **more: Any) -> None:
        super().__init__(server, *args, **more)
        self._fake = fake
        self.given_bytes = 0

    def cut(self) -> None:
        self._fake.cut_all()

    def _real(self, path: str) -> str:
        return f"{self._fake.root}{self.canonicalize(path)}"

    def _tried(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def _done(self, call: Any, *arguments: Any) -> Any:
        failed = self._tried(call, *arguments)
        return SFTP_OK if failed is None else failed

    def list_folder(self, path: str) -> Any:
        faults = self._fake.faults

        def listed() -> list[paramiko.SFTPAttributes]:
            if faults.not_listed:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if path.rpartition("/")[2] in faults.fails_to_list:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            found = []
            for place, name in enumerate(sorted(os.listdir(self._real(path)))):
                if place == 1 and faults.renames is not None:
                    faults.renames()
                try:
                    status = os.lstat(os.path.join(self._real(path), name))
                except FileNotFoundError:
                    continue
                found.append(self._without(_attributes(name, status), faults.unsaid_in_listings))
            for name in faults.listed_names:
                found.append(_attributes(name, os.lstat(__file__)))  # noqa: PERF401
            return found

        return self._tried(listed)

    def stat(self, path: str) -> Any:
        return self._tried(lambda: paramiko.SFTPAttributes.from_stat(os.stat(self._real(path))))

    def lstat(self, path: str) -> Any:
        return self._tried(
            lambda: self._without(paramiko.SFTPAttributes.from_stat(os.lstat(self._real(path))))
        )

    def _without(self, said: paramiko.SFTPAttributes, more: tuple[str, ...] = ()) -> paramiko.SFTPAttributes:
        for each in (*self._fake.faults.unsaid, *more):
            setattr(said, each, None)
        return said

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> Any:  # noqa: ARG002
        def opened() -> _Handle:
            name = path.rpartition("/")[2]
            if name in self._fake.faults.not_readable and not flags & os.O_WRONLY:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return _Handle(self._fake, self, os.open(self._real(path), flags, 0o644), flags, name)

        return self._tried(opened)

    def remove(self, path: str) -> Any:
        return self._done(os.remove, self._real(path))

    def rename(self, oldpath: str, newpath: str) -> Any:
        if self._fake.faults.not_renamed:
            return SFTP_NO_SUCH_FILE
        # As OpenSSH does: a name that is taken is not overwritten.
        if os.path.lexists(self._real(newpath)):
            return SFTP_FAILURE
        done = self._done(os.rename, self._real(oldpath), self._real(newpath))
        if self._fake.faults.cut_once_at == "rename":
            self._fake.faults.cut_once_at = ""
            self.cut()
        return done

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> Any:  # noqa: ARG002
        return self._done(os.mkdir, self._real(path))

    def rmdir(self, path: str) -> Any:
        return self._done(os.rmdir, self._real(path))


class _Entry(paramiko.SFTPAttributes):
    """A name in a listing, in the bytes that the file system has, whether they are UTF-8 or not."""

    def asbytes(self) -> bytes:
        """The line for people."""
        return b"-rw-r--r-- 1 " + self.filename


def _attributes(name: str, status: os.stat_result) -> paramiko.SFTPAttributes:
    found = _Entry.from_stat(status)
    found.filename = os.fsencode(name)
    return found


class FakeSftp:
    """A server in threads of this process."""

    def __init__(self, root: Path, *, keys: Sequence[paramiko.PKey] = (), port: int = 0) -> None:
        self.root, self.faults = root, Faults()
        self.key: paramiko.PKey = paramiko.ECDSAKey.generate(bits=KEY_BITS)
        self.given_bytes = self.cuts = self.logins = self.passwords = 0
        self._keys = keys
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listening.getsockname()[1])
        self._transports: set[paramiko.Transport] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def know(self, *keys: paramiko.PKey) -> None:
        """Let these keys in, and no other, from the next connection on."""
        self._keys = keys

    @property
    def fingerprint(self) -> str:
        """Of its key."""
        return fingerprint(self.key)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(self.key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, fake=self)
        self._transports.add(transport)
        try:
            transport.start_server(server=_Doorman(self, self._keys))
            self.logins += 1
        except (paramiko.SSHException, EOFError, OSError):
            transport.close()

    def cut_all(self) -> None:
        """Cut every connection, as a network does."""
        for transport in list(self._transports):
            self._transports.discard(transport)
            with_socket: Any = transport.sock
            with_socket.close()
            transport.close()

    def close(self) -> None:
        """Listen no more, and cut what is open."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut_all()


def main() -> None:
    """Serve a folder until the process is ended."""
    options = argparse.ArgumentParser()
    options.add_argument("--root", type=Path, required=True)
    options.add_argument("--port", type=int, default=0)
    chosen = options.parse_args()
    server = FakeSftp(chosen.root, port=chosen.port)
    said = {"port": server.port, "host_key": server.fingerprint}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
