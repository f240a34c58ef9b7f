"""A worker of a node: ``python -m bridge.cli.worker``, started by ``bridge run --workers``.

It reads the node's files, connects to the node, and makes of messages what they come to, until the node lets
go.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bridge.catalog import STANDARD
from bridge.cli import options
from bridge.cli.memory import settle
from bridge.config.load import load
from bridge.config.settings import settings
from bridge.journal.hashes import Hashes
from bridge.observe.log import configure
from bridge.runtime.clock import SteadyClock
from bridge.runtime.control import socket_address
from bridge.runtime.parcels import Unwrapping, answer, read_question, wrap
from bridge.runtime.parts import makers

READ_BYTES = 1024**2
END_WAIT_S = 5.0


class WorkerProcess:
    """A worker as the node sees it."""

    def __init__(self, directory: Path, environment: str | None, path: Path) -> None:
        """Start one that reads ``directory`` and connects to ``path``."""
        named = [] if environment is None else [f"--environment={environment}"]
        self._process = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
            [sys.executable, "-m", "bridge.cli.worker", f"--config={directory}", f"--socket={path}", *named],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def running(self) -> bool:
        """Whether it still is."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it; it has nothing to finish."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@click.command()
@options.config
@options.environment
@click.option("--socket", "path", type=click.Path(path_type=Path), required=True, help="The node's socket.")
def main(directory: Path, environment: str | None, path: Path) -> None:
    """Make what a node asks for, until it lets go."""
    # Ctrl-C ends the node, and the node its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    topology = load(directory, STANDARD, environment=environment)
    configure()
    address, folder = socket_address(path)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.connect(address)
    if folder is not None:
        os.close(folder)
    line.sendall(wrap(topology.digest))
    parcels = _parcels(line)
    index_key, _ = next(parcels)
    secrets = settings(os.environ).secrets.resolve
    made_by = makers(
        topology, secrets, SteadyClock(time.time_ns, time.monotonic_ns), Hashes(bytes.fromhex(index_key))
    )
    settle()
    for content, blob in parcels:
        number, channel, sources = read_question(content, blob)
        line.sendall(answer(number, made_by[channel].make_all(sources)))


def _parcels(line: socket.socket) -> Iterator[tuple[Any, memoryview]]:
    unwrapping = Unwrapping()
    while data := line.recv(READ_BYTES):
        yield from unwrapping.feed(data)


if __name__ == "__main__":
    main()
