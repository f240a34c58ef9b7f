"""Processes that the demonstration, drills and measurements start beside the bridge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bridge.errors import PeerUnavailable

START_MAX_S = 120.0
STOP_MAX_S = 20.0


class Process:
    """A Python module that runs, and says on a line of its output what others must know of it."""

    def __init__(self, module: str, *arguments: str, log: Path | None = None) -> None:
        """Start ``python -m module``; what it says on standard error goes to ``log``, or nowhere."""
        self._log: IO[bytes] | None = log.open("ab") if log is not None else None
        self._process = subprocess.Popen(  # noqa: S603 - our own modules, our own arguments
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=self._log if self._log is not None else subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        self.pid = self._process.pid

    def line(self) -> str:
        """Its next line of output. Raises PeerUnavailable where it ended without one."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        if not line:
            raise PeerUnavailable(f"a process ended with status {self._process.wait()} before it was ready")
        return line

    def pids(self, module: str = "") -> list[int]:
        """Its process, and those that it has started; only those that run ``module``, where one is named."""
        pids = [self.pid, *map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())]
        runs = f"\0{module}\0".encode()
        return [pid for pid in pids if not module or runs in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def cpu_s(self) -> float:
        """Processor seconds that it has used so far with all its processes, in user and system mode."""
        spent = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            spent += int(fields[11]) + int(fields[12])
        return spent / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """The memory of the largest of its processes."""
        sizes = (Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in self.pids())
        return max(map(int, sizes)) * os.sysconf("SC_PAGE_SIZE") / 1024**2

    def descriptors(self) -> int:
        """How many files and sockets all its processes hold open."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()
        self._close()

    def stop(self) -> int:
        """Ask it to end, wait until it has, and return its status."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            status = self._process.wait(STOP_MAX_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._close()
        return status

    def _close(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._log is not None:
            self._log.close()


@contextmanager
def running(module: str, *arguments: str, log: Path | None = None) -> Iterator[Process]:
    """A process for as long as the block lasts."""
    process = Process(module, *arguments, log=log)
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def others_busy() -> Iterator[None]:
    """All processors but one have work for as long as the block lasts.

    Two processors that share a core are each slower when both work, so what is held against something that
    keeps all of them busy is measured beside as much work.
    """
    command = (sys.executable, "-c", "while True: sum(range(1000))")
    busy = [subprocess.Popen(command) for _ in range((os.cpu_count() or 1) - 1)]  # noqa: S603 - our own words
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.wait()


class BridgeProcess(Process):
    """``bridge run`` as a process of its own."""

    module = "bridge.cli.main"

    def __init__(self, site: Path, journal: Path | str, log: Path, *options: str) -> None:
        """Start it, and wait until it takes messages. ``journal`` is a SQLite file or a URL."""
        self._marker = site / "ready"
        self._marker.unlink(missing_ok=True)
        super().__init__(
            self.module,
            "run",
            f"--config={site}",
            f"--journal={journal if isinstance(journal, str) else f'sqlite:///{journal}'}",
            "--admin-port=0",
            f"--ready-file={self._marker}",
            *options,
            log=log,
        )
        give_up_s = time.monotonic() + START_MAX_S
        while not self._marker.exists():
            if self._process.poll() is not None or time.monotonic() > give_up_s:
                self.kill()
                raise PeerUnavailable(f"the bridge did not start; it said:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)
        self.ports: dict[str, int] = json.loads(self._marker.read_text())


def load(port: int, *arguments: str) -> Process:
    """A load of senders on a port; its line is what `bridge.cli.load` prints."""
    return Process("bridge.cli.load", f"--port={port}", *arguments)


def measured(process: Process) -> dict[str, float]:
    """The result of a load that has run to its end."""
    result: dict[str, float] = json.loads(process.line())
    process.stop()
    return result
