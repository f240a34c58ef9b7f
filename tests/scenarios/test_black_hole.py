"""One API of twenty takes connections and never answers: the others do not notice."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

from lane_messages import message
from nodes import Hospital
from reactor_tests import in_reactor, until
from sqlalchemy import Connection, select

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import FakeApi, Fault
from bridge.destinations.in_loop import in_loop
from bridge.formats.mllp_framing import frame
from bridge.journal.schema import attempts, deliveries, messages

APIS = 20
MESSAGES = 20
MEASURED_MESSAGES = 60
PACE_S = 0.08
"""Of a measured run: a message comes so long after the one before, so that none waits for others."""
ROUTE = """\
  - route: patient-{number}
    mapping: adt-admit
    record: patient
    to: {{api: copy-{number}, operations: {{upsert: putPatient, merge: putPatient}}}}
"""
API = """\
api: copy-{number}
base_url: {url}
auth: none
repeat_safety: header
timeouts: {{connect: 1s, request: 60s}}
operations:
  putPatient: {{method: PUT, path: "/patients/{{key}}", send_only: [key, family, given]}}
"""


def latencies(connection: Connection) -> dict[str, list[float]]:
    """Milliseconds from a message's arrival to the end of its call, by API."""
    rows = connection.execute(
        select(deliveries.c.api, attempts.c.ended_at_us - messages.c.received_at_us)
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(attempts.c.verdict == "delivered")
    )
    found: dict[str, list[float]] = {}
    for api, took_us in rows:
        found.setdefault(api, []).append(took_us / 1000)
    return found


async def acknowledged_in(port: int, count: int, pace_s: float) -> list[float]:
    """Milliseconds to each acknowledgement, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took = []
    for number in range(count):
        await asyncio.sleep(pace_s)
        began_s = time.monotonic()
        writer.write(frame(message(number, 1).body))
        assert b"MSA|AA" in await reader.readuntil(b"\x1c\r")
        took.append((time.monotonic() - began_s) * 1000)
    writer.close()
    await writer.wait_closed()
    return took


async def run(
    folder: Path, *, black_hole: bool, count: int = MESSAGES, pace_s: float = 0.0
) -> tuple[list[float], list[float]]:
    """Milliseconds to delivery at the nineteen others, and to the acknowledgement."""
    site = Hospital(folder)
    await site.open()
    fakes = [FakeApi() for _ in range(APIS)]
    apis = folder / "site" / "channels" / "apis"
    for file in apis.iterdir():
        file.unlink()
    for number, fake in enumerate(fakes):
        url = await in_loop(fake.start())
        (apis / f"copy-{number}.yaml").write_text(API.format(number=number, url=url))
    if black_hole:
        fakes[0].plant(Fault("hang", times=None))
    channel = folder / "site" / "channels" / f"{CHANNEL}.yaml"
    routes = "".join(ROUTE.format(number=number) for number in range(APIS))
    channel.write_text(channel.read_text().partition("  - route:")[0] + routes)
    node = await site.start()
    try:
        acknowledged: list[float] = await in_loop(acknowledged_in(node.addresses()[CHANNEL], count, pace_s))
        others = fakes[1:]
        await until(lambda: all(len(fake.applied) == count for fake in others), "the others took theirs")
        await until(lambda: all(node.outlets[f"copy-{n}"].in_flight == 0 for n in range(1, APIS)), "settled")
        found = await node.journal.read(latencies)
        assert ("copy-0" in found) is not black_hole
        took = [each for name, values in found.items() if name != "copy-0" for each in values]
        assert len(took) == count * (APIS - 1)
        assert fakes[0].attempts, "the black hole was called"
        return took, acknowledged
    finally:
        for fake in fakes:
            await in_loop(fake.stop())
        await site.close()


def figures(values: list[float]) -> str:
    ordered = sorted(values)
    return f"p50 {statistics.median(ordered):.1f} ms, p99 {ordered[int(len(ordered) * 0.99)]:.1f} ms"


@in_reactor
async def test_a_black_hole_among_twenty_apis_is_noticed_by_no_other(
    tmp_path: Path, black_holes: int
) -> None:
    """No time is asserted here; `pytest -rP --black-holes 5` prints pairs of runs, of which every second
    begins with the black hole, since a machine is not as quick at all times."""
    measured = {"count": MEASURED_MESSAGES, "pace_s": PACE_S} if black_holes > 1 else {}
    slower: list[float] = []
    for pair in range(black_holes):
        found = {}
        for hole in (False, True) if pair % 2 == 0 else (True, False):
            found[hole] = await run(tmp_path / f"{pair}-{hole}", black_hole=hole, **measured)  # type: ignore[arg-type]
        (whole, acks), (holed, acks_holed) = found[False], found[True]
        slower.append(statistics.median(holed) - statistics.median(whole))
        print(f"pair {pair}: without {figures(whole)}, acknowledged {figures(acks)}")
        print(f"pair {pair}: with    {figures(holed)}, acknowledged {figures(acks_holed)}")
    print(f"p50 with less without: {', '.join(f'{each:+.1f}' for each in slower)} ms")
