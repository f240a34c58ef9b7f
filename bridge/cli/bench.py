"""``bridge bench``: what this machine does, as ratios to limits measured in the same run.

Rates swing with the neighbours of a machine; ratios of one run, taken in turn and as medians, tell more.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from bridge.cli import bench_runs as runs
from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.bench_beside import measure_beside
from bridge.cli.bench_map import figures as map_figures
from bridge.cli.bench_policies import policies_cost
from bridge.cli.bench_runs import Bench, Figures
from bridge.cli.main import DONE

ROUNDS, QUICK_ROUNDS = 5, 1
SECONDS, QUICK_SECONDS = 3.0, 0.7

MEASUREMENTS: tuple[Callable[[Bench], Figures], ...] = (
    runs.syncs,
    runs.parse,
    runs.echo,
    runs.durable,
    runs.single_commit,
    runs.delivered,
    runs.delivered_by_workers,
    runs.delivered_in_one_process,
    policies_cost,
)

RATIOS: dict[str, tuple[str, str, str, float]] = {
    "durable_64 / echo_64": ("durable_64", "echo_64", "at least", 0.40),
    "durable_64 / durable_64_single_commit": ("durable_64", "durable_64_single_commit", "at least", 5),
    "durable_1 / fdatasync_per_s": ("durable_1", "fdatasync_per_s", "at least", 0.35),
    "cpu_us_durable / cpu_us_echo": ("cpu_us_durable", "cpu_us_echo", "at most", 2.5),
    "cpu_us_message / cpu_us_python_hl7_parse": (
        "cpu_us_message",
        "cpu_us_python_hl7_parse",
        "at most",
        0.60,
    ),
    "cpu_us_message_oru / cpu_us_python_hl7_parse_oru": (
        "cpu_us_message_oru",
        "cpu_us_python_hl7_parse_oru",
        "at most",
        0.60,
    ),
    "cpu_us_map_adt / cpu_us_python_hl7_adt": ("cpu_us_map_adt", "cpu_us_python_hl7_adt", "at most", 0.15),
    "cpu_us_map_oru / cpu_us_python_hl7_oru": ("cpu_us_map_oru", "cpu_us_python_hl7_oru", "at most", 0.25),
    "cpu_us_policies / cpu_us_message": ("cpu_us_policies", "cpu_us_message", "at most", 0.10),
    "delivered_64 / echo_64": ("delivered_64", "echo_64", "at least", 0.10),
    "delivered_64 / durable_64": ("delivered_64", "durable_64", "at least", 0.15),
    "delivered_64_workers / delivered_64": ("delivered_64_workers", "delivered_64", "at least", 1.4),
    "delivered_64_workers / delivered_64_one_process": (
        "delivered_64_workers",
        "delivered_64_one_process",
        "at least",
        1.4,
    ),
    "answer_p50_beside / idle": ("answer_p50_beside_ms", "answer_p50_idle_ms", "at most", 2.0),
    "delivered_p50_beside / idle": ("delivered_p50_beside_ms", "delivered_p50_idle_ms", "at most", 2.0),
    "backlog_delivered_first / backlog_delivered_last": (
        "backlog_delivered_first",
        "backlog_delivered_last",
        "at least",
        0.80,
    ),
}
"""Each ratio with what it is held against: figures of the best designs measured on machines like this."""
ON_A_SERVER = {
    "durable_64 / echo_64": 0.20,
    "cpu_us_message / cpu_us_python_hl7_parse": 0.75,
    "cpu_us_message_oru / cpu_us_python_hl7_parse_oru": 0.75,
    "delivered_64_workers / delivered_64": 1.3,
    "delivered_64_workers / delivered_64_one_process": 1.3,
}
"""What differs on PostgreSQL."""


@click.command("bench")
@click.argument("what", required=False, type=click.Choice(["audit", "beside", "files", "map", "relay"]))
@click.option("--rounds", type=click.IntRange(1, 100), help=f"How often.  [default: {ROUNDS}]")
@click.option("--seconds", type=click.FloatRange(0.5, 600), help=f"Of each load.  [default: {SECONDS:g}]")
@click.option("--quick", is_flag=True, help="One round of short loads, within a minute.")
@click.option(
    "--backlog",
    type=click.IntRange(1000, 10_000_000),
    help="Measure only this: so many deliveries that wait, a kill -9, a start, and how fast they go.",
)
@click.option(
    "--soak",
    type=click.FloatRange(0.1, 10_000),
    help="Measure only this: so many minutes at half of what is delivered at most; memory and descriptors.",
)
@click.option(
    "--journal",
    "journal_url",
    help="The journal's database. Here one of PostgreSQL: each measurement has a schema of its own in it.",
)
@options.output_format
def bench_command(
    what: str | None,
    rounds: int | None,
    seconds: float | None,
    quick: bool,
    backlog: int | None,
    soak: float | None,
    journal_url: str | None,
    output: str,
) -> int:
    """Measure, as ratios to limits measured in the same run.

    Each as the median of all rounds, with the smallest and the largest. Senders, bridge and API are processes
    of their own on this machine, and share its processors.

    \b
    bridge bench --quick
    bridge bench --rounds 5 --format json
    bridge bench --backlog 200000
    bridge bench audit --rounds 3
    bridge bench files --quick
    bridge bench beside
    bridge bench --soak 20
    bridge bench map
    bridge bench relay --rounds 3
    bridge bench --journal postgresql://bridge@db/bridge
    """
    if what == "files":
        from bridge.cli.bench_files import measure_files, tell

        with tempfile.TemporaryDirectory(prefix="bridge-bench-") as scratch:
            tell(measure_files(Path(scratch), quick=quick), output)
        return DONE
    if what in {"audit", "relay"}:
        from bridge.cli import bench_audit, bench_relay

        measured = bench_audit if what == "audit" else bench_relay
        each_round: list[Figures] = []
        for _ in range(rounds or QUICK_ROUNDS):
            with tempfile.TemporaryDirectory(prefix="bridge-bench-") as scratch:
                each_round.append(measured.measure(Path(scratch), quick=quick))
        measured.tell(each_round, output)
        return DONE
    if journal_url is not None and not journal_url.startswith("postgres"):
        raise click.BadParameter("expected postgresql://user@host/database", param_hint="--journal")
    rounds = rounds or (QUICK_ROUNDS if quick or backlog or soak else ROUNDS)
    seconds = seconds or (QUICK_SECONDS if quick else SECONDS)
    journal = runs.in_a_file if journal_url is None else runs.on_a_server(journal_url)
    measurements = MEASUREMENTS
    if backlog is not None:
        measurements = (lambda bench: runs.backlog(bench, backlog),)
    elif what == "beside":
        measurements = (lambda bench: measure_beside(bench.folder, quick=quick),)
    elif what == "map":
        measurements = (lambda bench: map_figures(bench.folder),)
    elif soak is not None:
        measurements = (lambda bench: runs.soak(bench, soak, lambda words: click.echo(words, err=True)),)
    done: list[Figures] = []
    for number in range(1, rounds + 1):
        click.echo(f"round {number} of {rounds} …", err=True)
        with tempfile.TemporaryDirectory(prefix="bridge-bench-") as scratch:
            bench = Bench(Path(scratch), seconds, journal)
            figures: Figures = {}
            for measure in measurements:
                figures |= measure(bench)
            done.append(figures)
    _tell(done, output, on_a_server=journal_url is not None)
    return DONE


def _tell(done: Sequence[Figures], output: str, *, on_a_server: bool) -> None:
    ratios = []
    for name, (over, under, word, usual) in RATIOS.items():
        if over in done[0] and under in done[0]:
            limit = ON_A_SERVER.get(name, usual) if on_a_server else usual
            spread = _spread([each[over] / each[under] for each in done])
            reached = spread["median"] >= limit if word == "at least" else spread["median"] <= limit
            ratios.append({"ratio": name, **spread, "held": f"{word} {limit:g}", "reached": reached})
    figures = {name: _spread([each[name] for each in done]) for name in done[0]}
    if output == "json":
        out.json({"rounds": len(done), "ratios": ratios, "figures": figures})
        return
    spread_names = ("median", "smallest", "largest")
    out.table(
        f"ratios, {len(done)} rounds",
        ["ratio", *spread_names, "good is", ""],
        (
            (
                row["ratio"],
                *(f"{row[name]:.2f}" for name in spread_names),
                row["held"],
                "reached" if row["reached"] else "missed",
            )
            for row in ratios
        ),
        right=spread_names,
    )
    out.table(
        "figures of this machine, now",
        ["figure", *spread_names],
        ((name, *(_number(spread[each]) for each in spread_names)) for name, spread in figures.items()),
        right=spread_names,
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "smallest": min(values), "largest": max(values)}
