"""What `bridge bench relay` measures: what the bridge adds where it stands before an old engine, and what the
disk needs in the same seconds.

The same load goes straight to an engine that answers at once, and then to it through the bridge, which waits
for the disk once for each message before it passes it on. Meanwhile a file beside the journal is written and
brought to the disk again and again, since a disk that others use is another disk a minute later. Messages
and syncs are timed alike, from the moment at which they were due: a disk that stands still for half a second
keeps all waiting that would have come meanwhile, and not only the one that was under way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from bridge.cli import output as out
from bridge.cli.bench_runs import SYNC_BYTES, Bench, Figures, in_a_file
from bridge.cli.bench_site import CHANNEL, write_bench_site
from bridge.cli.processes import BridgeProcess, running

RATE_PER_S: Final = 200
CONNECTIONS: Final = 16
SECONDS: Final = 20.0
QUICK_SECONDS: Final = 5.0
SYNC_EVERY_S: Final = 0.05
SYNCS_ALLOWED: Final = 3
ALLOWED_MS: Final = 5.0
SETTLE_S: Final = 2.0


def measure(folder: Path, *, quick: bool) -> Figures:
    """One round: milliseconds of an answer straight and through the bridge, and of the disk meanwhile."""
    bench = Bench(folder, QUICK_SECONDS if quick else SECONDS, in_a_file)
    with running("bridge.cli.echo") as engine:
        port = int(engine.line())
        straight = _load(bench, port, "S")
        site = write_bench_site(folder / "site", "http://127.0.0.1:1", deliver=True, engine=port)
        node = BridgeProcess(site, folder / "journal.db", folder / "log")
        try:
            bench.warm_up(node.ports[CHANNEL])
            time.sleep(SETTLE_S)
            cpu_s = node.cpu_s()
            disk = _Disk(folder / "sync")
            disk.start()
            through = _load(bench, node.ports[CHANNEL], "R")
            disk.end()
            cpu_us = (node.cpu_s() - cpu_s) / through["answers"] * 1e6
        finally:
            node.stop()
    assert through["answers"] == through["accepted"], "each message is answered AA by the engine"
    p99_ms = disk.p99_ms()
    return {
        "messages_per_s": through["per_second"],
        "straight_p50_ms": straight["p50_ms"],
        "straight_p99_ms": straight["p99_ms"],
        "relayed_p50_ms": through["p50_ms"],
        "relayed_p99_ms": through["p99_ms"],
        "fdatasync_p50_ms": disk.p50_ms(),
        "fdatasync_p99_ms": p99_ms,
        "added_p50_ms": through["p50_ms"] - straight["p50_ms"],
        "added_p99_ms": through["p99_ms"] - straight["p99_ms"],
        "allowed_p99_ms": SYNCS_ALLOWED * p99_ms + ALLOWED_MS,
        "cpu_us_relayed": cpu_us,
    }


def tell(rounds: Sequence[Figures], output: str) -> None:
    """Print every round, with what the added time is held against in each."""
    if output == "json":
        out.json([{name: round(value, 3) for name, value in figures.items()} for figures in rounds])
        return
    names = [f"round {number}" for number in range(1, len(rounds) + 1)]
    rows = [(name, *(f"{figures[name]:,.2f}" for figures in rounds)) for name in rounds[0]]
    out.table("", ["figure", *names], rows, right=names)
    reached = sum(figures["added_p99_ms"] <= figures["allowed_p99_ms"] for figures in rounds)
    rule = f"added_p99_ms is at most {SYNCS_ALLOWED} fdatasync p99 and {ALLOWED_MS:g} ms"
    click.echo(f"{rule}: in {reached} of {len(rounds)} rounds")


def _load(bench: Bench, port: int, prefix: str) -> Figures:
    return bench.load(port, CONNECTIONS, prefix, f"--rate={RATE_PER_S}")


class _Disk(threading.Thread):
    """How long it takes to bring a page to the disk, looked at again and again while others write to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path, self._ended = path, threading.Event()
        self._waits_ms: list[float] = []

    def run(self) -> None:
        data = os.urandom(SYNC_BYTES)
        with self._path.open("wb", buffering=0) as file:
            due_s = time.perf_counter()
            while not self._ended.wait(max(0.0, due_s - time.perf_counter())):
                file.write(data)
                os.fdatasync(file.fileno())
                self._waits_ms.append((time.perf_counter() - due_s) * 1000)
                due_s += SYNC_EVERY_S

    def end(self) -> None:
        self._ended.set()
        self.join()
        self._waits_ms.sort()

    def p50_ms(self) -> float:
        return self._waits_ms[len(self._waits_ms) // 2]

    def p99_ms(self) -> float:
        return self._waits_ms[len(self._waits_ms) * 99 // 100]
