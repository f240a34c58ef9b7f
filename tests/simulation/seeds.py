"""Runs simulations: ``PYTHONPATH=tests python tests/simulation/seeds.py --first 0 --count 200``.

Exit status 1 where one of them found something; it is printed with its seed, cut down to what it takes.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from faulty_disk import FaultyDisk, installed
from plants import PLANTS
from scenario import Scenario, Send, Trouble, drawn
from sim_run import Ended, Simulation
from sim_steps import sharing_engine

from bridge.journal import sqlite

HISTORY_LINES_MAX = 60
RUNS_TO_CUT_MAX = 300
FAILURES_SHOWN_MAX = 5
FAULTS = ("task-failed", "attempt-fault", "intake-fault", "feed-fault", "translation-fault")
"""What the log says where the bridge itself is at fault."""


def prepare(plant: str | None = None) -> None:
    """Make this process ready for simulations, with a fault put into the bridge where one is named."""
    setattr(sqlite, "create_engine", sharing_engine)  # noqa: B010 - the module does not offer it
    if plant is not None:
        PLANTS[plant](setattr)


def run(scenario: Scenario) -> Ended:
    """One simulation, with what the bridge says of its own faults."""
    with tempfile.TemporaryDirectory() as folder, installed(FaultyDisk()):
        simulation = Simulation(scenario, Path(folder))

        def note(_logger: Any, _method: str, said: Any) -> Any:
            simulation.note(said.pop("event"), **said)
            raise structlog.DropEvent

        structlog.configure(processors=[note])
        ended = simulation.run()
        ended.found += [line for line in ended.history if any(f"  {each} " in line for each in FAULTS)]
        return ended


def cut_down(scenario: Scenario) -> tuple[Scenario, Ended]:
    """The same with as little in it as still fails."""
    ended, left = run(scenario), RUNS_TO_CUT_MAX
    smaller = True
    while smaller and left > 0:
        smaller = False
        parts: list[Trouble | Send] = [*scenario.troubles, *reversed(scenario.sends)]
        for part in islice(parts, left):
            left -= 1
            tried = scenario.but([part])
            if (result := run(tried)).found:
                scenario, ended, smaller = tried, result, True
    return scenario, ended


def _one(seed: int) -> tuple[int, Ended]:
    return seed, run(drawn(seed))


def results(first: int, count: int, processes: int, plant: str | None) -> Iterator[tuple[int, Ended]]:
    """Each seed with how it ended, in no order."""
    seeds = range(first, first + count)
    if processes == 1:
        prepare(plant)
        yield from map(_one, seeds)
        return
    with multiprocessing.get_context("fork").Pool(processes, prepare, (plant,)) as pool:
        yield from pool.imap_unordered(_one, seeds, chunksize=4)


def main() -> int:
    """Run as told on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="The first seed.")
    parser.add_argument("--count", type=int, default=200, help="How many seeds.")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--plant", choices=sorted(PLANTS), help="Put a fault into the bridge first.")
    parser.add_argument("--until-found", action="store_true", help="Stop at the first seed that fails.")
    asked = parser.parse_args()
    began_s, totals, failed = time.monotonic(), Counter[str](), []
    digests: dict[int, bytes] = {}
    for seed, ended in results(asked.first, asked.count, asked.processes, asked.plant):
        totals.update(
            seeds=1,
            lives=ended.lives,
            acknowledged=ended.acknowledged,
            effects=ended.effects,
            steps=ended.steps,
            simulated_s=int(ended.simulated_s),
        )
        totals.update(ended.troubles)
        digests[seed] = hashlib.sha256("\n".join(ended.history).encode()).digest()
        if ended.found:
            failed.append(seed)
            if asked.until_found:
                break
    histories = hashlib.sha256(b"".join(digests[seed] for seed in sorted(digests))).hexdigest()[:16]
    print(", ".join(f"{name} {count:,}" for name, count in totals.items()))
    print(f"histories {histories}, in {time.monotonic() - began_s:.0f} s")
    prepare(asked.plant if asked.processes > 1 else None)
    for seed in sorted(failed)[:FAILURES_SHOWN_MAX]:
        scenario, ended = cut_down(drawn(seed))
        print(f"\nFAILED {scenario}\n  found:")
        print("\n".join(f"    {each}" for each in ended.found[:10]))
        print("  history:")
        print("\n".join(f"    {each}" for each in ended.history[-HISTORY_LINES_MAX:]))
    print(
        f"{len(failed)} of {totals['seeds']} seeds failed: {sorted(failed)}" if failed else "no seed failed"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
