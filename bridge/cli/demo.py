"""``bridge demo``: a hospital in a box, checked to the last message."""

from __future__ import annotations

import asyncio
import io
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
from twisted.internet.defer import Deferred

from bridge.catalog import STANDARD
from bridge.cli import output, reactor
from bridge.cli.demo_site import write_site
from bridge.cli.fake_api import FakeApi, Fault
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.story import print_ledger
from bridge.cli.synthetic import STORY, Synthetic, admission, admissions
from bridge.config.load import load
from bridge.destinations.in_loop import in_loop
from bridge.errors import SecretUnavailable
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.formats.mllp_framing import Block, MllpFraming, frame
from bridge.journal.ledger import Ledger, ledger
from bridge.observe.log import configure
from bridge.runtime.service import Node, Plan, real_surroundings, start

CHANNEL = "ehr-adt"
SENDERS = 4
DRAIN_WAIT_S = 60.0
PLANTED_503 = 3
ANSWER_MAX_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Sent:
    """One message with the answer that it got."""

    message: Synthetic
    answer: Acknowledged


async def send_all(port: int, messages: list[Synthetic]) -> list[Sent]:
    """A legacy sender: one connection, each message after the last one's answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    framing = MllpFraming(ANSWER_MAX_BYTES)
    sent: list[Sent] = []
    for message in messages:
        writer.write(frame(message.body))
        answers: list[bytes] = []
        while not answers:
            data = await reader.read(ANSWER_MAX_BYTES)
            if not data:
                raise ConnectionError("the bridge closed the connection")
            answers = [event.body for event in framing.feed(data) if isinstance(event, Block)]
        sent.append(Sent(message, Acknowledged.read(answers[0])))
    writer.close()
    await writer.wait_closed()
    return sent


def scripts(patients: int) -> list[list[Synthetic]]:
    """What each sender sends: its patients' stories; the first repeats one, and sends one nobody takes."""
    share = -(-patients // SENDERS)
    lines = [list(admissions(share, first=number * share)) for number in range(SENDERS)]
    lines[0].insert(share + 1, lines[0][0])
    lines[0].append(admission(0, len(STORY) + 1, "A60", control_id="NOBODY"))
    return lines


@dataclass(frozen=True, slots=True)
class Check:
    """Something promised, and whether it was kept."""

    promise: str
    found: str
    kept: bool


def check(sent: list[Sent], counts: Ledger, apis: dict[str, FakeApi]) -> list[Check]:
    """Hold what went in against what came out."""
    answers = Counter(each.answer.code for each in sent)
    mismatched = sum(each.answer.control_id != each.message.control_id for each in sent)
    accepted = {(each.message.patient, each.message.step) for each in sent if each.answer.code == "AA"}
    entries = counts.channels[CHANNEL]
    checks = [
        Check(
            "every message was answered, each under its own control ID",
            ", ".join(f"{number} {code}" for code, number in sorted(answers.items())),
            set(answers) == {"AA", "AR"} and answers["AR"] == 1 and not mismatched,
        ),
        Check(
            "every message is accounted for",
            f"{len(sent)} sent, {counts.received[CHANNEL]} received, {entries['open']} open",
            counts.balanced and counts.received[CHANNEL] == len(sent) and not entries["open"],
        ),
        Check(
            "nothing needs a person", f"{entries['quarantined']} in quarantine", not entries["quarantined"]
        ),
    ]
    for name, api in apis.items():
        arrived: dict[str, list[int]] = {}
        for applied in api.applied:
            patient = unquote(applied.path).rpartition(":")[2].split("-")[-2 if "V-" in applied.path else 0]
            arrived.setdefault(patient, []).append(int(applied.mark.split()[0]))
        expected: dict[str, list[int]] = {}
        for patient, step in sorted(accepted):
            expected.setdefault(patient, []).append(step)
        tries = Counter(attempt.idempotency_key for attempt in api.attempts)
        checks += [
            Check(
                f"{name}: each accepted message arrived once, in its patient's order",
                f"{len(api.applied)} applied, {len(accepted)} accepted, {len(arrived)} patients",
                arrived == expected,
            ),
            Check(
                f"{name}: what failed was tried again under the same key",
                f"{sum(tries.values())} calls for {len(tries)} keys",
                len(tries) == len(api.applied) < sum(tries.values()),
            ),
        ]
    return checks


async def drained(node: Node, pause: Any) -> Ledger:
    """The ledger once nothing is open any more, or after `DRAIN_WAIT_S`."""
    give_up_s = time.monotonic() + DRAIN_WAIT_S
    while True:
        counts = await node.journal.read(ledger)
        if not any(entries["open"] for entries in counts.channels.values()) or time.monotonic() > give_up_s:
            return counts
        await pause(0.1)


def no_secrets(reference: object) -> str:
    """The demonstration has no secrets."""
    raise SecretUnavailable(f"{reference}: there are no secrets here")


@click.command("demo")
@click.option(
    "--patients",
    type=click.IntRange(SENDERS, 5000),
    default=40,
    show_default=True,
    help="So many patients are in the hospital.",
)
@click.option(
    "--chapter",
    type=click.Choice(["hospital", "migration", "batches"]),
    default="hospital",
    show_default=True,
    help="A hospital in a box, a live route that moves off an old engine, or a night of files.",
)
@click.option(
    "--records",
    type=click.IntRange(50, 10_000),
    default=200,
    show_default=True,
    help="Charges of the chapter `batches`; its other files have fewer.",
)
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Keep the configuration and the journal in this folder."
)
def demo_command(patients: int, chapter: str, records: int, keep: Path | None) -> int:
    """A hospital in a box: senders, the bridge and two APIs, checked to the last message.

    All on real sockets of this machine, with APIs that fail as APIs do. Exit status 0 only if every message
    is accounted for, in order, and none was applied twice. The chapter `migration` takes a route from an old
    engine of its own process through all stages and once back, and leaves parity.html behind. The chapter
    `batches` has files of charges, payments, stock and results, with wrong trailers, a torn line and a
    `kill -9` among them, and ends with the day reconciled to the cent.

    \b
    bridge demo
    bridge demo --patients 200 --keep hospital
    bridge demo --chapter migration
    bridge demo --chapter batches --keep night
    """
    with tempfile.TemporaryDirectory(prefix="bridge-demo-") as scratch:
        folder = keep or Path(scratch)
        if (folder / "channels").exists() or (folder / "site").exists():
            raise click.BadParameter(f"{folder} holds a configuration already", param_hint="--keep")
        if chapter == "migration":
            from bridge.cli.demo_migration import run_chapter

            folder.mkdir(parents=True, exist_ok=True)
            return run_chapter(folder, (keep or Path()) / "parity.html")
        if chapter == "batches":
            from bridge.cli.demo_batches import run_chapter as run_batches

            folder.mkdir(parents=True, exist_ok=True)
            return run_batches(folder, records, kept=bool(keep))
        return reactor.run(
            lambda the_reactor, told: _until_told(_demo(the_reactor, folder, patients, kept=bool(keep)), told)
        )


async def _until_told(work: Coroutine[Deferred[Any], Any, int], told_to_stop: Deferred[None]) -> int:
    """Do the work, or as much of it as there is time for until somebody wants it to stop."""
    running = Deferred.fromCoroutine(work)
    told_to_stop.addCallback(lambda _: running.cancel())
    return await running


async def _demo(the_reactor: Any, folder: Path, patients: int, *, kept: bool) -> int:
    logged = io.StringIO()
    configure(logged)
    apis = {"ehr.patients": FakeApi(mark="line1"), "ehr.encounters": FakeApi(mark="bed")}
    urls = {name: await in_loop(api.start()) for name, api in apis.items()}
    apis["ehr.patients"].plant(*[Fault("status", status=503, retry_after="1")] * PLANTED_503, Fault("lose"))
    apis["ehr.encounters"].plant(Fault("cut"), *[Fault("status", status=503)] * PLANTED_503, Fault("lose"))
    write_site(folder, patients_url=urls["ehr.patients"], encounters_url=urls["ehr.encounters"])
    world = real_surroundings(the_reactor)
    plan = Plan(load(folder, STANDARD), f"sqlite:///{folder / 'journal.db'}", no_secrets, None)
    node = await start(plan, world)
    try:
        checks = await _send_and_check(node, world.pause, patients, apis, urls)
    finally:
        await node.stop()
        for api in apis.values():
            await in_loop(api.stop())
    if kept:
        click.echo(f"to look at it: bridge messages --journal {plan.journal_url}")
    if all(each.kept for each in checks):
        click.echo("every message is accounted for, in order, and none was applied twice")
        return DONE
    click.echo(f"NOT as promised; the node said:\n{logged.getvalue()}", err=True)
    return ANSWER_IS_NO


async def _send_and_check(
    node: Node, pause: Any, patients: int, apis: dict[str, FakeApi], urls: dict[str, str]
) -> list[Check]:
    port = node.addresses()[CHANNEL]
    lines = scripts(patients)
    click.echo(
        f"{sum(map(len, lines))} messages of {patients} invented patients from {SENDERS} senders "
        f"to MLLP port {port}, records to {urls['ehr.patients']} and {urls['ehr.encounters']}\n"
        f"planted: {2 * PLANTED_503} answers of 503, 3 connections cut, 1 before and 2 after the call took "
        "effect,\n1 message sent twice, 1 message of a type that nobody takes\n"
    )
    started_s = time.monotonic()
    sent = [
        each for line in await in_loop(_together([send_all(port, line) for line in lines])) for each in line
    ]
    answered_s = time.monotonic() - started_s
    counts = await drained(node, pause)
    spent_s = time.monotonic() - started_s
    print_ledger(counts)
    checks = check(sent, counts, apis)
    output.table(
        "promises", ["", "promise", "found"], (("✓" if c.kept else "✗", c.promise, c.found) for c in checks)
    )
    click.echo(f"all answered after {answered_s:.1f} s, all delivered after {spent_s:.1f} s")
    return checks


async def _together(coroutines: list[Any]) -> list[Any]:
    return list(await asyncio.gather(*coroutines))
