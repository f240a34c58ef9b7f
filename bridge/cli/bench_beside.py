"""What `bridge bench beside` measures: live admissions by themselves, and beside a large file of charges.

Both in each round, on the same bridge and in the same minute, so that a noisy neighbour is in both.
Admissions and charges go to one API, which is the harder case: they share its calls, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from bridge.cli.demo_site import write_site
from bridge.cli.processes import BridgeProcess, load, measured, running
from bridge.journal.database import Database
from bridge.journal.latency import waits_us
from bridge.journal.ledger import ledger
from bridge.shipped import shipped

T = TypeVar("T")

LIVE, FILES = "ehr-adt", "charges"
RECORDS, QUICK_RECORDS = 100_000, 10_000
RATE_PER_S: Final = 20
CONNECTIONS: Final = 4
IDLE_S, QUICK_IDLE_S = 20.0, 4.0
BESIDE_S, QUICK_BESIDE_S = 40.0, 6.0
LOOK_EVERY_S: Final = 0.5
WAIT_MAX_S: Final = 120.0

_CHANNEL = """\
channel: charges
source:
  file_drop: {{directory: {folder}, finished: renamed, poll: 100ms}}
format:
  fixed:
    header: {{says: H, fields: {{business_date: 2-9}}}}
    detail:
      says: D
      fields:
        {{account: 2-11, svc_date: 12-19, code: 20-26, code_type: "27", qty: 28-32, amount: 33-41,
          dept: 42-45}}
    trailer: {{says: T, fields: {{count: 2-7, total: 8-18}}}}
    totals: [{{trailer: count}}, {{trailer: total, of: sum, column: amount, decimals: 2}}]
order_by: $.account
batches: {{release: after_balance}}
routes:
  - route: charge
    mapping: nightly-charges
    record: charge
    to: {{api: ehr.patients, operation: putCharge}}
"""
_OPERATION = """\
operations:
  putCharge:
    method: PUT
    path: /charges/{key}
    send_only: [key, account, code, amount]
"""


def measure_beside(folder: Path, *, quick: bool) -> dict[str, float]:
    """One round: milliseconds of the answer and of the way to the API, idle and beside the file."""
    count = QUICK_RECORDS if quick else RECORDS
    with running("bridge.cli.sink") as sink:
        url = f"http://127.0.0.1:{sink.line()}"
        incoming = folder / "incoming"
        incoming.mkdir()
        site = _write(folder / "site", url, incoming)
        journal = folder / "journal.db"
        node = BridgeProcess(site, journal, folder / "log")
        try:
            _load(node, 2.0, "W")
            figures = _measured(node, journal, QUICK_IDLE_S if quick else IDLE_S, "idle")
            hidden = incoming / ".charges.tmp"
            hidden.write_bytes(charges(count))
            hidden.rename(incoming / "charges.txt")
            before = _delivered(journal)
            began_s = time.monotonic()
            while not _taken(journal):  # it is looked through by then, and begins to be split
                if time.monotonic() - began_s > WAIT_MAX_S:
                    raise click.ClickException("the file was not taken in time; the bridge's log says why")
                figures |= _measured(node, journal, 2.0, "reading")
            began_s = time.monotonic()
            figures |= _measured(node, journal, QUICK_BESIDE_S if quick else BESIDE_S, "beside")
            took_s = time.monotonic() - began_s
            done = _delivered(journal) - before
            assert done < count, "the file ended before the load did: take more records"
        finally:
            node.stop()
    figures["records_delivered_s"] = done / took_s
    return figures


def charges(count: int) -> bytes:
    """A file of so many charges on 5,000 accounts, with the totals that it has."""
    rows = [
        b"D%010d20240102%-7sC00001%08d{ED01" % (n % 5000, b"99%05d" % (n % 100_000), 10 * (n % 1000))
        for n in range(count)
    ]
    total = sum(100 * (n % 1000) for n in range(count))
    return b"\n".join([b"H20240103", *rows, b"T%06d%011d" % (count, total)]) + b"\n"


def _write(site: Path, url: str, incoming: Path) -> Path:
    write_site(site, patients_url=url, encounters_url=url)
    (site / "channels" / f"{FILES}.yaml").write_text(_CHANNEL.format(folder=incoming))
    text = shipped("mappings", "examples", "nightly-charges.yaml").read_text()
    (site / "mappings" / "nightly-charges.yaml").write_text(text)
    api = site / "channels" / "apis" / "ehr.patients.yaml"
    said = api.read_text().replace("operations:\n", _OPERATION)
    api.write_text(said.replace("auth: none\n", "auth: none\ncarries: {phi: true, financial: true}\n"))
    return site


def _load(node: BridgeProcess, seconds: float, prefix: str) -> dict[str, float]:
    options = (f"--seconds={seconds}", f"--rate={RATE_PER_S}", f"--connections={CONNECTIONS}")
    return measured(load(node.ports[LIVE], *options, f"--prefix={prefix}", "--keys=400"))


def _measured(node: BridgeProcess, journal: Path, seconds: float, name: str) -> dict[str, float]:
    since_us = int(time.time() * 1e6)
    seen = _load(node, seconds, f"L{since_us // 100_000 % 1_000_000}-")  # no message is another's repeat
    give_up_s = time.monotonic() + WAIT_MAX_S
    while len(waits_ms := _waits_ms(journal, since_us)) < 2 * seen["answers"]:
        if time.monotonic() > give_up_s:
            raise click.ClickException("live messages are not delivered; the bridge's log says why")
        time.sleep(LOOK_EVERY_S)
    return {
        f"answer_p50_{name}_ms": seen["p50_ms"],
        f"answer_p99_{name}_ms": seen["p99_ms"],
        f"delivered_p50_{name}_ms": waits_ms[len(waits_ms) // 2],
        f"delivered_p99_{name}_ms": waits_ms[len(waits_ms) * 99 // 100],
    }


def _waits_ms(journal: Path, since_us: int) -> list[float]:
    """From the arrival of each live message to the end of each of its calls."""
    return sorted(each / 1000 for each in _asked(journal, waits_us, LIVE, since_us))


def _asked(journal: Path, query: Callable[..., T], *arguments: Any) -> T:
    database = Database(f"sqlite:///{journal}")
    try:
        with database.reader.begin() as connection:
            return query(connection, *arguments)
    finally:
        database.close()


def _taken(journal: Path) -> bool:
    return FILES in _asked(journal, ledger).received


def _delivered(journal: Path) -> int:
    counts = _asked(journal, ledger).channels.get(FILES, {})
    return counts.get("delivered", 0)
