"""SFTP servers for drills, the fake one and OpenSSH's: each a folder, a login, and a way to be cut off."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import Protocol

import paramiko

from bridge.cli.fake_sftp import PASSWORD, USER, FakeSftp
from bridge.ssh.session import fingerprint


class Server(Protocol):
    """A server that gives files of a folder."""

    cuts: int

    def source(self, options: str) -> str:
        """What a channel says to take from it."""
        ...

    def secret(self) -> str:
        """What logs in."""
        ...

    def cut(self) -> None:
        """End all of its connections at once."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Fake:
    """The fake one, in threads of this process."""

    def __init__(self, root: Path) -> None:
        self._server = FakeSftp(root)
        self.cuts = 0

    def source(self, options: str) -> str:
        login = f"port: {self._server.port}, user: {USER}, password: secret://env/SFTP_SECRET, directory: /"
        return f'sftp: {{host: 127.0.0.1, {login}, host_keys: ["{self._server.fingerprint}"], {options}}}'

    def secret(self) -> str:
        return PASSWORD

    def cut(self) -> None:
        self.cuts += 1
        self._server.cut_all()

    def close(self) -> None:
        self._server.close()


class OpenSsh:
    """OpenSSH's, as a process of this user; ``sshd`` is its program, and `sftp-server` lies near it."""

    def __init__(self, sshd: Path, root: Path, home: Path, port: int) -> None:
        home.mkdir()
        self._root, self._port, self.cuts = root, port, 0
        for name in ("host", "user"):
            key = home / name
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        self._key = (home / "user").read_text()
        self._shown = fingerprint(paramiko.Ed25519Key.from_private_key_file(str(home / "host")))
        sftp_server = next(sshd.parents[2].rglob("sftp-server"))
        (home / "config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home / 'host'}\nPidFile none\n"
            f"AuthorizedKeysFile {home / 'user.pub'}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            f"MaxStartups 100\nSubsystem sftp {sftp_server}\n"
        )
        command = [str(sshd), "-D", "-f", str(home / "config"), "-E", str(home / "log")]
        self._process = subprocess.Popen(command)

    def source(self, options: str) -> str:
        login = f"port: {self._port}, user: {os.environ.get('USER', 'root')}, key: secret://env/SFTP_SECRET"
        where = f'host: 127.0.0.1, {login}, host_keys: ["{self._shown}"], directory: {self._root}'
        return f"sftp: {{{where}, {options}}}"

    def secret(self) -> str:
        return self._key

    def cut(self) -> None:
        self.cuts += 1
        for pid in _children(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)

    def close(self) -> None:
        self.cut()
        self._process.kill()
        self._process.wait()


def _children(pid: int) -> list[int]:
    """All processes that a process has started, and theirs."""
    try:
        mine = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [each for child in map(int, mine) for each in (*_children(child), child)]
