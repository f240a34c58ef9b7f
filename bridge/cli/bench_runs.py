"""The single measurements of `bridge bench`: each starts what it needs, and stops it.

Senders, echo, bridge and sink are processes of their own on this machine, and share its processors.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from bridge.cli.bench_site import CHANNEL, message, write_bench_site
from bridge.cli.processes import BridgeProcess, load, measured, others_busy, running
from bridge.cli.reading import database as open_database
from bridge.errors import PeerUnavailable
from bridge.journal.ledger import Ledger, ledger

SYNC_BYTES = 4096
SYNCS = 500
PARSES = 300
KEYS = 2000
"""Patients that the messages are about. Of each patient one call is under way at a time, for each API."""
WARM_UP_MESSAGES = 320
DRAIN_MAX_S = 1800.0
OFFERED_PER_S = 1000
SOAK_LOOK_S = 15.0

Figures = dict[str, float]
Journal = Callable[[Path], AbstractContextManager[str]]
"""A journal for one measurement, which has a folder of its own: its URL, for as long as it lasts."""


@contextmanager
def in_a_file(folder: Path) -> Iterator[str]:
    """A journal in a SQLite file."""
    yield f"sqlite:///{folder / 'journal.db'}"


def on_a_server(url: str) -> Journal:
    """Journals on a PostgreSQL server, each in a schema of its own that is gone afterwards."""
    from bridge.config.settings import settings
    from bridge.journal.postgresql import scratch

    secret = settings(os.environ).secrets.resolve

    def make(folder: Path) -> AbstractContextManager[str]:
        # Of each round another: what is kept beside a journal knows the one that had its name before.
        return scratch(url, f"{folder.parent.name}_{folder.name}".replace("-", "_"), secret)

    return make


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and for how long is measured."""

    folder: Path
    seconds: float
    journal: Journal

    @contextmanager
    def bridge(
        self, name: str, sink: str, *options: str, deliver: bool
    ) -> Iterator[tuple[BridgeProcess, str]]:
        """A bridge with a journal of its own, and the journal's URL."""
        folder = self.folder / name
        folder.mkdir()
        site = write_bench_site(folder / "site", sink, deliver=deliver)
        with self.journal(folder) as kept:
            process = BridgeProcess(site, kept, folder / "log", *options)
            try:
                yield process, kept
            finally:
                process.stop()

    def load(self, port: int, connections: int, prefix: str, *more: str, kind: str = "adt") -> Figures:
        """What senders saw."""
        options = (f"--seconds={self.seconds}", f"--connections={connections}", f"--keys={KEYS}")
        seen = measured(load(port, *options, f"--prefix={prefix}", f"--kind={kind}", *more))
        assert not seen["cut"], "connections were refused or cut: there were fewer senders than it says"
        return seen

    def warm_up(self, port: int) -> float:
        """Some messages before anything is measured, so that what is made once is there; how many."""
        each = f"--messages-max={WARM_UP_MESSAGES // 64}"
        return measured(load(port, "--connections=64", "--prefix=U", "--kind=adt", each))["answers"]


def syncs(bench: Bench) -> Figures:
    """What the disk does, whatever writes to it."""
    waits_s = []
    data = os.urandom(SYNC_BYTES)
    with (bench.folder / "sync").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(data)
            began_s = time.perf_counter()
            os.fdatasync(file.fileno())
            waits_s.append(time.perf_counter() - began_s)
    waits_s.sort()
    return {
        "fdatasync_per_s": SYNCS / sum(waits_s),
        "fdatasync_p99_ms": waits_s[SYNCS * 99 // 100] * 1000,
    }


def parse(bench: Bench) -> Figures:  # noqa: ARG001 - measurements have one shape
    """Processor microseconds of python-hl7's bare parse of the messages that are sent everywhere else, with
    the other processors as busy as everywhere else."""
    import hl7

    found = {}
    for kind, suffix in (("adt", ""), ("oru", "_oru")):
        text = message(kind, 1, "1").decode()
        with others_busy():
            began_s = time.process_time()
            for _ in range(PARSES):
                hl7.parse(text)
        found[f"cpu_us_python_hl7_parse{suffix}"] = (time.process_time() - began_s) / PARSES * 1e6
    return found


def echo(bench: Bench) -> Figures:
    """The limit: a bare MLLP echo on Twisted, which stores, maps and sends nothing."""
    found = {}
    with running("bridge.cli.echo") as process:
        port = int(process.line())
        for connections in (1, 8, 64):
            cpu_s = process.cpu_s()
            seen = bench.load(port, connections, "E")
            found[f"echo_{connections}"] = seen["per_second"]
            found["cpu_us_echo"] = (process.cpu_s() - cpu_s) / seen["answers"] * 1e6
    return found


def durable(bench: Bench) -> Figures:
    """Acknowledgements of what is on disk, without delivery: of 1, 8 and 64 senders, and at a given rate."""
    found = {}
    with bench.bridge("durable", "http://127.0.0.1:1", deliver=False) as (bridge, _):
        port = bridge.ports[CHANNEL]
        bench.warm_up(port)
        for connections in (1, 8, 64):
            cpu_s = bridge.cpu_s()
            seen = bench.load(port, connections, f"D{connections}")
            found[f"durable_{connections}"] = seen["per_second"]
            found[f"durable_{connections}_p50_ms"] = seen["p50_ms"]
            found[f"durable_{connections}_p99_ms"] = seen["p99_ms"]
            found["cpu_us_durable"] = (bridge.cpu_s() - cpu_s) / seen["answers"] * 1e6
        seen = bench.load(port, 64, "O", f"--rate={OFFERED_PER_S}")
        found["open_1000_per_s"] = seen["per_second"]
        found["open_1000_p50_ms"], found["open_1000_p99_ms"] = seen["p50_ms"], seen["p99_ms"]
        found["durable_64_oru"] = bench.load(port, 64, "R", kind="oru")["per_second"]
        found["rss_mib_durable"] = bridge.rss_mib()
    return found


def single_commit(bench: Bench) -> Figures:
    """The same with one transaction for each message, which is what group commit is held against."""
    with bench.bridge("single", "http://127.0.0.1:1", "--commit-items=1", deliver=False) as (bridge, _):
        return {"durable_64_single_commit": bench.load(bridge.ports[CHANNEL], 64, "S")["per_second"]}


def delivered(bench: Bench) -> Figures:
    """From the first message sent to the last record at the API, with one process beside the journal's."""
    return _whole_path(bench, "delivered", "", "adt") | _whole_path(bench, "delivered-oru", "_oru", "oru")


def delivered_by_workers(bench: Bench) -> Figures:
    """The same with workers."""
    return _whole_path(bench, "workers", "_workers", "adt", "--workers=1")


def delivered_in_one_process(bench: Bench) -> Figures:
    """The same with the journal written in a thread of the one process that does all."""
    return _whole_path(bench, "one", "_one_process", "adt", "--writer=thread")


def _whole_path(bench: Bench, name: str, suffix: str, kind: str, *options: str) -> Figures:
    with running("bridge.cli.sink") as sink:
        url = f"http://127.0.0.1:{sink.line()}"
        with bench.bridge(name, url, *options, deliver=True) as (bridge, kept):
            port = bridge.ports[CHANNEL]
            if "--workers=1" in options:
                _until(lambda: workers_of(bridge) > 0)
            warm = bench.warm_up(port)
            _until(lambda: records(url) >= warm)
            cpu_s, began_s = bridge.cpu_s(), time.monotonic()
            seen = bench.load(port, 64, "W", kind=kind)
            _until(lambda: records(url) >= warm + seen["answers"])
            took_s = time.monotonic() - began_s
            cpu_us = (bridge.cpu_s() - cpu_s) / seen["answers"] * 1e6
            rss_mib = bridge.rss_mib()
            _drained(kept)
        assert seen["answers"] == seen["accepted"] == records(url) - warm, "a message makes one record, once"
    return {
        f"delivered_64{suffix}": seen["answers"] / took_s,
        f"cpu_us_message{suffix}": cpu_us,
        f"rss_mib{suffix}": rss_mib,
    }


def records(url: str) -> int:
    """How many requests with a body the sink has answered."""
    with urlopen(f"{url}/count", timeout=10) as answer:  # noqa: S310 - our own sink on loopback
        return int(answer.read())


def workers_of(bridge: BridgeProcess) -> float:
    """How many workers are at work; a process that still starts is none."""
    with urlopen(f"http://127.0.0.1:{bridge.ports['admin']}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith("bridge_workers ")), 0.0)


def _until(so: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + DRAIN_MAX_S
    while not so():
        if time.monotonic() > give_up_s:
            raise PeerUnavailable(f"deliveries are still open after {DRAIN_MAX_S} s")
        time.sleep(0.05)


def _drained(journal: str) -> None:
    database = open_database(journal)

    def so() -> bool:
        with database.reader.begin() as connection:
            return not sum(entries["open"] for entries in ledger(connection).channels.values())

    try:
        _until(so)
    finally:
        database.close()


def backlog(bench: Bench, size: int, *options: str) -> Figures:
    """With ``size`` deliveries that wait: a start after ``kill -9``, and how fast they go, first and last."""
    folder = bench.folder / "backlog"
    folder.mkdir()
    port = _free_port()
    site = write_bench_site(folder / "site", f"http://127.0.0.1:{port}", deliver=True)
    found: Figures = {}
    with bench.journal(folder) as kept:
        bridge = BridgeProcess(site, kept, folder / "log", *options)
        try:
            each = -(-size // 64)
            options_ = (f"--messages-max={each}", f"--keys={KEYS}", "--kind=adt", f"--seconds={DRAIN_MAX_S}")
            sent = measured(load(bridge.ports[CHANNEL], *options_))["answers"]
            _translated(kept)
            found["backlog"] = sent
            found["backlog_rss_mib"] = bridge.rss_mib()
            bridge.kill()
            began_s = time.monotonic()
            bridge = BridgeProcess(site, kept, folder / "log", *options)
            found["backlog_ready_s"] = time.monotonic() - began_s
            with running("bridge.cli.sink", f"--port={port}") as sink:
                url = f"http://127.0.0.1:{sink.line()}"
                _until(lambda: records(url) > 0)
                tenth = sent / 10
                first_s = _takes_s(url, records(url) + tenth)
                found["backlog_rss_mib"] = max(found["backlog_rss_mib"], bridge.rss_mib())
                _until(lambda: records(url) >= sent - tenth)
                last_s = _takes_s(url, sent)
                _drained(kept)
            found["backlog_delivered_first"], found["backlog_delivered_last"] = (
                tenth / first_s,
                tenth / last_s,
            )
        finally:
            bridge.stop()
    return found


def _takes_s(url: str, count: float) -> float:
    began_s = time.monotonic()
    _until(lambda: records(url) >= count)
    return time.monotonic() - began_s


def _translated(journal: str) -> None:
    from bridge.journal.schema import messages

    database = open_database(journal)

    def so() -> bool:
        with database.reader.begin() as connection:
            waiting = messages.select().where(messages.c.state == "RECEIVED").limit(1)
            return connection.execute(waiting).first() is None

    try:
        _until(so)
    finally:
        database.close()


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def soak(bench: Bench, minutes: float, tell: Callable[[str], None]) -> Figures:
    """At half of what one process delivers now, for so long: memory, descriptors, the ledger at the end."""
    most_per_s = _whole_path(bench, "most", "", "adt")["delivered_64"]
    rate, seconds = most_per_s / 2, minutes * 60
    seen: list[tuple[float, int]] = []
    with running("bridge.cli.sink") as sink:
        url = f"http://127.0.0.1:{sink.line()}"
        with bench.bridge("soak", url, deliver=True) as (bridge, kept):
            options = (f"--seconds={seconds}", f"--rate={rate}", "--connections=64", f"--keys={KEYS}")
            sending = load(bridge.ports[CHANNEL], *options, "--kind=adt")
            ends_s = time.monotonic() + seconds
            while (left_s := ends_s - time.monotonic()) > 0:
                time.sleep(min(SOAK_LOOK_S, left_s))
                seen.append((bridge.rss_mib(), bridge.descriptors()))
                tell(f"{left_s / 60:.1f} minutes left, {seen[-1][0]:.0f} MiB, {seen[-1][1]} descriptors")
            sent = measured(sending)
            _until(lambda: records(url) >= sent["answers"])
            _drained(kept)
            counts = _ledger(kept)
            assert counts.balanced, "the ledger does not balance"
            assert sent["answers"] == sent["accepted"] == records(url) == counts.received[CHANNEL], (
                "what was acknowledged, delivered and counted is not the same"
            )
    quarter = max(1, len(seen) // 4)
    first, last = seen[quarter : 2 * quarter] or seen, seen[-quarter:]
    return {
        "soak_minutes": minutes,
        "soak_offered_per_s": rate,
        "soak_messages": sent["answers"],
        "soak_p99_ms": sent["p99_ms"],
        "soak_rss_mib_second_quarter": max(each[0] for each in first),
        "soak_rss_mib_last_quarter": max(each[0] for each in last),
        "soak_descriptors_second_quarter": max(each[1] for each in first),
        "soak_descriptors_last_quarter": max(each[1] for each in last),
    }


def _ledger(journal: str) -> Ledger:
    database = open_database(journal)
    try:
        with database.reader.begin() as connection:
            return ledger(connection)
    finally:
        database.close()
