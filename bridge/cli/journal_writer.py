"""The process that writes a journal: ``python -m bridge.cli.journal_writer``, started by ``bridge run``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import click
import structlog

from bridge.cli.memory import one_heap, settle
from bridge.config.settings import settings
from bridge.errors import place_of
from bridge.journal.serving import serve
from bridge.observe.log import configure

log = structlog.get_logger("bridge.journal")

END_WAIT_S = 10.0
FAULT = 70
"""The status with which it ends after a fault of ours (EX_SOFTWARE of sysexits)."""


class WriterProcess:
    """The writer as the node sees it; used as a context, which ends it."""

    def __init__(self) -> None:
        """Start one. It waits for the node to say which journal it writes."""
        self.line, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
                [sys.executable, "-m", "bridge.cli.journal_writer", f"--line={other.fileno()}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(other.fileno(),),
            )
        self.pid = self._process.pid

    def __enter__(self) -> WriterProcess:
        return self

    def __exit__(self, *_: object) -> None:
        # It has ended with its journal, unless there was none.
        self._process.kill()
        self.ended()

    def ended(self) -> str:
        """Close its line, wait until it has ended, or end it; how it ended, in words."""
        self.line.close()
        try:
            status = self._process.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return f"did not end within {END_WAIT_S:g} s"
        return f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"


@click.command()
@click.option("--line", "descriptor", type=int, required=True, help="The descriptor of its line to the node.")
def main(descriptor: int) -> None:
    """Write a journal for as long as its node runs."""
    # Whatever ends the node, the node ends its writer, after the last commit.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    configure()
    one_heap()
    with socket.socket(fileno=descriptor) as line:
        try:
            serve(line, settings(os.environ).secrets.resolve, os.urandom, time.monotonic, settle)
        except Exception as error:  # noqa: BLE001 - what it says may be of a message
            log.error("journal-writer-fault", fault=type(error).__name__, place=place_of(error))
            sys.exit(FAULT)


if __name__ == "__main__":
    main()
