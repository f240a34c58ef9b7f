"""An SFTP server for a test, and a spine that remembers what was handed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridge.cli.fake_sftp import PASSWORD, USER, FakeSftp
from bridge.transports.sftp_options import SftpOptions
from bridge.units import SecretRef


def secrets(reference: SecretRef) -> str:
    """The password of the server, and nothing else."""
    return {"password": PASSWORD, "wrong": "another"}[reference.name]


@contextmanager
def sftp_server(root: Path, **more: Any) -> Iterator[FakeSftp]:
    """A server for as long as the block lasts."""
    root.mkdir(exist_ok=True)
    server = FakeSftp(root, **more)
    try:
        yield server
    finally:
        server.close()


def options(server: FakeSftp, **more: Any) -> SftpOptions:
    """How it is reached."""
    chosen: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": USER,
        "password": "secret://env/password",
        "host_keys": [server.fingerprint],
        "directory": "/",
        "finished": "renamed",
        **more,
    }
    return SftpOptions.model_validate(chosen)
