"""Processes of `bridge` that need not import it: one process has, and forks for each.

What a command imports takes six tenths of a second, longer than most commands take themselves, and tests run
hundreds. What is forked is a process like any other, with its own output, folder and environment; how one
really begins, the tests of `bridge run`, of exit statuses and of the README see.
"""

from __future__ import annotations

import atexit
import importlib
import io
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

REQUEST_MAX_BYTES = 1024**2
READ_BYTES = 65536
BEFOREHAND = (
    "bridge.cli.reading", "bridge.journal.files_kept", "bridge.catalog", "bridge.config.load",
    "bridge.cli.checks", "rich.console", "rich.table", "sqlalchemy.dialects.sqlite", "psycopg",
)  # fmt: skip


class Forking:
    """The process that forks, as a test sees it. Any thread may use it."""

    def __init__(self) -> None:
        self._line, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno())],
                pass_fds=(other.fileno(),),
                stdin=subprocess.DEVNULL,
            )
        self._lock = threading.Lock()
        atexit.register(self.close)

    def close(self) -> None:
        """End it."""
        self._line.close()
        self._process.wait()

    def run(
        self, arguments: Sequence[str], cwd: Path | None, environment: Mapping[str, str], at_most_s: float
    ) -> tuple[int, str, str]:
        """The exit status of a command, and what it said. Raises TimeoutError."""
        told = {"arguments": list(arguments), "cwd": str(cwd or Path.cwd()), "environment": dict(environment)}
        ends: dict[str, int] = {}
        for name in ("out", "err", "status"):
            ends[name], theirs = os.pipe()
            ends[f"their {name}"] = theirs
        theirs_all = [ends.pop(f"their {name}") for name in ("out", "err", "status")]
        try:
            with self._lock:
                socket.send_fds(self._line, [json.dumps(told).encode()], theirs_all)
        finally:
            for each in theirs_all:
                os.close(each)
        said = _read_all(ends, at_most_s)
        assert said["status"], "what ran the command has ended without a word"
        return int(said["status"]), _text(said["out"]), _text(said["err"])


def _text(data: bytearray) -> str:
    return io.TextIOWrapper(io.BytesIO(data), "utf-8").read()


def _read_all(ends: Mapping[str, int], at_most_s: float) -> dict[str, bytearray]:
    """What comes through pipes until all are closed at their other ends."""
    give_up_s = time.monotonic() + at_most_s
    said = {name: bytearray() for name in ends}
    with selectors.DefaultSelector() as selector:
        try:
            for name, end in ends.items():
                selector.register(end, selectors.EVENT_READ, name)
            while selector.get_map():
                left_s = give_up_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError(f"the command has not ended within {at_most_s} s")
                for key, _ in selector.select(left_s):
                    data = os.read(key.fd, READ_BYTES)
                    said[key.data] += data
                    if not data:
                        selector.unregister(key.fd)
        finally:
            for end in ends.values():
                os.close(end)
    return said


def _serve(line: socket.socket) -> None:
    from bridge.cli.main import COMMANDS

    for module in (*(module for module, _ in COMMANDS.values()), *BEFOREHAND):
        with suppress(ImportError):
            importlib.import_module(module)
    while True:
        data, descriptors, _, _ = socket.recv_fds(line, REQUEST_MAX_BYTES, 3)
        if not data:
            return
        if os.fork() == 0:
            line.close()
            _keep(json.loads(data), *descriptors)
        for each in descriptors:
            os.close(each)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _keep(told: Mapping[str, Any], out: int, err: int, status: int) -> NoReturn:
    """Run a command in a process of its own, and say how that ended."""
    child = os.fork()
    if child == 0:
        os.close(status)
        _become(told, out, err)
    os.close(out)
    os.close(err)
    _, ended = os.waitpid(child, 0)
    os.write(status, str(os.waitstatus_to_exitcode(ended)).encode())
    os._exit(0)


def _become(told: Mapping[str, Any], out: int, err: int) -> NoReturn:
    ended = 1
    try:
        for descriptor, of_process in ((out, 1), (err, 2)):
            os.dup2(descriptor, of_process)
            os.close(descriptor)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        os.environ.clear()
        os.environ.update(told["environment"])
        os.chdir(told["cwd"])
        sys.argv = ["bridge", *told["arguments"]]
        from bridge.cli.main import main

        main()
    except SystemExit as said:
        ended = said.code if isinstance(said.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter would
        traceback.print_exc()
    finally:
        with suppress(BrokenPipeError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(ended)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as from_test:
        _serve(from_test)
