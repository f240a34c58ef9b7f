"""``bridge bench``: what this machine does, as ratios to limits measured in the same run.

Rates swing with the neighbours of a machine; ratios of one run, taken in turn and as medians, tell more.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.demo_site import write_site
from bridge.cli.main import DONE
from bridge.cli.processes import BridgeProcess, load, measured, running
from bridge.cli.reading import database as open_database
from bridge.cli.synthetic import admission
from bridge.errors import PeerUnavailable
from bridge.journal.ledger import ledger

CHANNEL = "ehr-adt"
DRAIN_MAX_S = 120.0
SYNC_BYTES = 4096
SYNCS = 500
PARSES = 300
KEYS_MANY, KEYS_FEW = 2000, 20
"""Patients that the messages are about. Of each patient one call is under way at a time, for each API."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of all measurements, taken one after the other."""

    syncs_per_s: float
    parse_us: float
    echo_per_s: float
    echo_cpu_us: float
    durable_per_s: float
    durable_cpu_us: float
    durable_p99_ms: float
    durable_one_per_s: float
    delivered_per_s: float
    delivered_cpu_us: float
    delivered_ack_per_s: float
    delivered_few_keys_per_s: float


Journal = Callable[[Path], AbstractContextManager[str]]
"""A journal for one measurement, which has a folder of its own: its URL, for as long as it lasts."""


@contextmanager
def _file(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'journal.db'}"


def _on_server(url: str) -> Journal:
    from bridge.config.settings import settings
    from bridge.journal.postgresql import scratch

    secret = settings(os.environ).secrets.resolve

    def make(folder: Path) -> AbstractContextManager[str]:
        return scratch(url, f"bench_{os.getpid()}_{folder.name}".replace("-", "_"), secret)

    return make


@contextmanager
def _bridge(folder: Path, journal: str, otherwise: str, sink: str) -> Iterator[BridgeProcess]:
    site = write_site(
        folder / "site", patients_url=sink, encounters_url=sink, otherwise=otherwise, in_flight=64
    )
    if otherwise == "ignore":
        # Nothing is accepted, so that every message is journaled, answered, and goes no further.
        channel = site / "channels" / f"{CHANNEL}.yaml"
        text = channel.read_text()
        channel.write_text(text.replace("accept: [ADT^A01, ADT^A03, ADT^A08]", "accept: [ADT^A03]"))
    process = BridgeProcess(site, journal, folder / "log")
    try:
        yield process
    finally:
        process.stop()


def _syncs_per_s(folder: Path) -> float:
    with (folder / "sync").open("wb", buffering=0) as file:
        data = os.urandom(SYNC_BYTES)
        started_s = time.perf_counter()
        for _ in range(SYNCS):
            file.write(data)
            os.fdatasync(file.fileno())
        return SYNCS / (time.perf_counter() - started_s)


def _parse_us() -> float:
    """Processor microseconds of python-hl7's bare parse of the message that is sent everywhere else."""
    import hl7

    text = admission(1, 1, "A08", control_id="1").body.decode()
    started_s = time.process_time()
    for _ in range(PARSES):
        hl7.parse(text)
    return (time.process_time() - started_s) / PARSES * 1e6


def _round(seconds: float, connections: int, journal: Journal) -> Round:
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as scratch:
        folder = Path(scratch)
        syncs_per_s, parse_us = _syncs_per_s(folder), _parse_us()
        common = (f"--seconds={seconds}", f"--connections={connections}")
        with running("bridge.cli.echo") as echo:
            port = int(echo.line())
            cpu_s = echo.cpu_s()
            echoed = measured(load(port, *common))
            echo_cpu_us = (echo.cpu_s() - cpu_s) / echoed["answers"] * 1e6
        with running("bridge.cli.sink") as sink:
            url = f"http://127.0.0.1:{sink.line()}"
            (folder / "durable").mkdir()
            with (
                journal(folder / "durable") as kept,
                _bridge(folder / "durable", kept, "ignore", url) as bridge,
            ):
                port = bridge.ports[CHANNEL]
                one = measured(load(port, f"--seconds={seconds / 2}", "--connections=1", "--prefix=ONE"))
                cpu_s = bridge.cpu_s()
                durable = measured(load(port, *common))
                durable_cpu_us = (bridge.cpu_s() - cpu_s) / durable["answers"] * 1e6
            many = _delivered(folder / "many-keys", journal, url, *common, f"--keys={KEYS_MANY}")
            few = _delivered(folder / "few-keys", journal, url, *common, f"--keys={KEYS_FEW}")
        return Round(
            syncs_per_s,
            parse_us,
            echoed["per_second"],
            echo_cpu_us,
            durable["per_second"],
            durable_cpu_us,
            durable["p99_ms"],
            one["per_second"],
            many.per_s,
            many.cpu_us,
            many.ack_per_s,
            few.per_s,
        )


@dataclass(frozen=True, slots=True)
class _Delivered:
    per_s: float
    cpu_us: float
    ack_per_s: float


def _delivered(folder: Path, journal: Journal, url: str, *load_options: str) -> _Delivered:
    """From the first message sent to the last record at the API."""
    folder.mkdir()
    before = _records(url)
    with journal(folder) as kept, _bridge(folder, kept, "reject", url) as bridge:
        cpu_s, started_s = bridge.cpu_s(), time.monotonic()
        sent = measured(load(bridge.ports[CHANNEL], *load_options))
        _drain(kept)
        took_s = time.monotonic() - started_s
        cpu_us = (bridge.cpu_s() - cpu_s) / sent["answers"] * 1e6
    records = _records(url) - before
    assert records == 2 * sent["answers"] == 2 * sent["accepted"], "every message makes two records"
    return _Delivered(sent["answers"] / took_s, cpu_us, sent["per_second"])


def _records(url: str) -> int:
    with urlopen(f"{url}/count", timeout=10) as answer:  # noqa: S310 - our own sink on loopback
        return int(answer.read())


def _drain(journal: str) -> None:
    database = open_database(journal)
    give_up_s = time.monotonic() + DRAIN_MAX_S
    try:
        while time.monotonic() < give_up_s:
            with database.reader.begin() as connection:
                if not sum(entries["open"] for entries in ledger(connection).channels.values()):
                    return
            time.sleep(0.2)
    finally:
        database.close()
    raise PeerUnavailable(f"deliveries are still open after {DRAIN_MAX_S} s")


RATIOS: dict[str, tuple[Callable[[Round], float], str, float]] = {
    "durable ACK/s : bare echo/s": (lambda r: r.durable_per_s / r.echo_per_s, "at least", 0.40),
    "durable ACK/s on 1 connection : fdatasync/s": (
        lambda r: r.durable_one_per_s / r.syncs_per_s,
        "at least",
        0.35,
    ),
    "processor, durable ACK : bare echo": (lambda r: r.durable_cpu_us / r.echo_cpu_us, "at most", 2.5),
    "delivered/s, 20 patients : 2,000 patients": (
        lambda r: r.delivered_few_keys_per_s / r.delivered_per_s,
        "at least",
        0.80,
    ),
    "delivered/s : bare echo/s": (lambda r: r.delivered_per_s / r.echo_per_s, "at least", 0.10),
    "processor, whole path : python-hl7's bare parse": (
        lambda r: r.delivered_cpu_us / r.parse_us,
        "at most",
        0.35,
    ),
}
"""Each ratio with what it is held against: figures of the best designs measured on machines like this."""

FIGURES: dict[str, tuple[Callable[[Round], float], str]] = {
    "bare Twisted echo": (lambda r: r.echo_per_s, "ACK/s"),
    "durable acknowledgement": (lambda r: r.durable_per_s, "ACK/s"),
    "durable acknowledgement, 1 connection": (lambda r: r.durable_one_per_s, "ACK/s"),
    "slowest 1 % of durable acknowledgements": (lambda r: r.durable_p99_ms, "ms"),
    "delivered, two records a message, 2,000 patients": (lambda r: r.delivered_per_s, "messages/s"),
    "delivered, two records a message, 20 patients": (lambda r: r.delivered_few_keys_per_s, "messages/s"),
    "acknowledged while delivering": (lambda r: r.delivered_ack_per_s, "ACK/s"),
    "fdatasync of 4 KiB": (lambda r: r.syncs_per_s, "/s"),
    "processor, bare echo": (lambda r: r.echo_cpu_us, "µs"),
    "processor, durable acknowledgement": (lambda r: r.durable_cpu_us, "µs"),
    "processor, whole path": (lambda r: r.delivered_cpu_us, "µs"),
    "processor, python-hl7's bare parse": (lambda r: r.parse_us, "µs"),
}


@click.command("bench")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(0.5, 600), default=4.0, show_default=True, help="Of each load."
)
@click.option("--connections", type=click.IntRange(1, 512), default=64, show_default=True)
@click.option(
    "--journal",
    "journal_url",
    help="The journal's database. Here one of PostgreSQL: each measurement has a schema of its own in it.",
)
@options.output_format
def bench_command(rounds: int, seconds: float, connections: int, journal_url: str | None, output: str) -> int:
    """Measure, as ratios to limits measured in the same run.

    Each as the median of all rounds, with the smallest and the largest. Senders, bridge and API are processes
    of their own on this machine, and share its processors.

    \b
    bridge bench --rounds 5
    bridge bench --journal postgresql://bridge@db/bridge
    """
    if journal_url is not None and not journal_url.startswith("postgres"):
        raise click.BadParameter("expected postgresql://user@host/database", param_hint="--journal")
    journal = _file if journal_url is None else _on_server(journal_url)
    done = []
    for number in range(1, rounds + 1):
        click.echo(f"round {number} of {rounds} …", err=True)
        done.append(_round(seconds, connections, journal))
    ratios = [
        {"ratio": name, **_spread([take(each) for each in done]), "held": f"{word} {limit}"}
        for name, (take, word, limit) in RATIOS.items()
    ]
    figures = [
        {"figure": name, **_spread([take(each) for each in done]), "unit": unit}
        for name, (take, unit) in FIGURES.items()
    ]
    if output == "json":
        out.json({"connections": connections, "rounds": rounds, "ratios": ratios, "figures": figures})
        return DONE
    spread = ("median", "smallest", "largest")
    out.table(
        f"ratios, {rounds} rounds, {connections} connections",
        ["ratio", *spread, "good is"],
        ((row["ratio"], *(f"{row[name]:.2f}" for name in spread), row["held"]) for row in ratios),
        right=spread,
    )
    out.table(
        "figures of this machine, now",
        ["figure", *spread, "unit"],
        ((row["figure"], *(f"{row[name]:,.0f}" for name in spread), row["unit"]) for row in figures),
        right=spread,
    )
    return DONE


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "smallest": min(values), "largest": max(values)}
