"""The demonstration's third chapter: a night of files, their totals, and what makes people trust them."""

from __future__ import annotations

import csv
import json
import time
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from shlex import quote

import click

from bridge.cli import output as out
from bridge.cli.batch_site import CHANNELS, ENVIRONMENT, FOLDERS, SITE
from bridge.cli.batch_story import FORGOTTEN, BatchStory, Call, total
from bridge.cli.main import ANSWER_IS_NO, DONE

KILLED_AFTER = 20
"""So many calls are made before the bridge is killed."""
STOCK_LATE, BAD_LINE = 12, 6
MISSING = 10
"""The charge that the billing system's report gets wrong; it lacks the next one."""
REJECT_FILES = 2
"""What was not taken, and why."""
SHOWN_CHARACTERS = 70
AMOUNTS = ("--amounts", "--config", SITE, "--environment", ENVIRONMENT)
FIRST = {
    "nightly-charges": "charges.txt",
    "remittances": "payments.835",
    "stock-used": "stock.csv",
    "lab-batches": "results.hl7",
}
WHAT = {
    "nightly-charges": "charges of fixed width, a trailer with count and sum",
    "remittances": "claims of an X12 835, payments to the cent",
    "stock-used": "rows of CSV, a trailer with count and cost",
    "lab-batches": "results in a batch of HL7 v2, BTS-1 their count",
}


@dataclass(slots=True)
class Chapter:
    """What is told, and what was found on the way."""

    story: BatchStory
    found: list[tuple[bool, str, str]] = field(default_factory=list)
    parts: int = 0

    def part(self, title: str, *lines: str) -> None:
        """Begin a part, with what happens in it."""
        self.parts += 1
        click.echo()
        click.secho(f"{self.parts}  {title}", bold=True, fg="cyan")
        for line in lines:
            click.echo(f"   {line}")
        click.echo()

    def check(self, promise: str, found: object, *, kept: bool) -> None:
        """Note whether something that was promised is so."""
        self.found.append((kept, promise, str(found)))


def run_chapter(folder: Path, records: int, *, kept: bool) -> int:
    """Run it in a folder. Exit status 0 only if all is as promised."""
    began_s = time.monotonic()
    chapter = Chapter(BatchStory(folder.resolve(), records))
    try:
        chapter.story.start()
        _tell(chapter)
    finally:
        chapter.story.stop()
    click.echo()
    rows = (("✓" if kept else "✗", promise, found) for kept, promise, found in chapter.found)
    out.table("promises", ["", "promise", "found"], rows)
    click.echo(f"a night of files in {time.monotonic() - began_s:.1f} s")
    if kept:
        story = chapter.story
        port, calls = story.url.rpartition(":")[2], str(story.folder / "calls.jsonl")
        click.echo(f"to look at it: export BRIDGE_JOURNAL={quote(story.journal)}")
        click.echo("to go on with it, each in a terminal of its own:")
        click.echo(f"  python -m bridge.cli.fake_api --port {port} --mark amount --log {quote(calls)}")
        click.echo(f"  bridge run --config {quote(str(story.site))} --environment {ENVIRONMENT}")
    if all(kept for kept, *_ in chapter.found):
        click.echo(
            "each record is accounted for, none was applied twice, and all totals are right to the cent"
        )
        return DONE
    log = (folder / "bridge.log").read_text("utf-8")[-2000:]
    click.echo(f"NOT as promised: see above; the node said:\n{log}", err=True)
    return ANSWER_IS_NO


def _tell(chapter: Chapter) -> None:
    _four_files(chapter)
    _a_cent_off(chapter)
    _one_short(chapter)
    _one_bad_line(chapter)
    _the_same_again(chapter)
    _what_the_api_has(chapter)
    _the_file_for_the_ledger(chapter)
    _the_night(chapter)


def counts_of(records: int) -> dict[str, int]:
    """How many entries the first file of each channel has."""
    return {
        "nightly-charges": records,
        "remittances": records,
        "stock-used": max(1, records // 2),
        "lab-batches": max(1, records // 8),
    }


def _four_files(chapter: Chapter) -> None:
    story = chapter.story
    chapter.part(
        "Four systems put their files of the day where they always did",
        *(f"{FIRST[name]:13} {count:>6,} {WHAT[name]}" for name, count in counts_of(story.records).items()),
    )
    for name, count in counts_of(story.records).items():
        story.drop(name, FIRST[name], story.content(name, count))
    story.wait(lambda: len(story.calls()) >= KILLED_AFTER, "the first calls")
    story.kill()
    click.echo(f"   kill -9 after {len(story.calls())} calls; the bridge is started again, and goes on")
    for name in CHANNELS:
        story.put_away(name, FIRST[name])
    counts = story.settled(but_for=story.records)
    received = ", ".join(f"{counts.received[name]:,} of {name}" for name in CHANNELS)
    click.echo(f"   all are delivered: {received}")


def _a_cent_off(chapter: Chapter) -> None:
    story = chapter.story
    right = story.content("nightly-charges", story.records + FORGOTTEN)
    wrong = a_cent_more(right)
    chapter.part(
        "The charges come once more, with what was forgotten, and a trailer that is one cent off",
        f"{story.records + FORGOTTEN:,} charges of {trailer_total(right):,.2f}; the trailer says "
        f"{trailer_total(wrong):,.2f}",
    )
    story.drop("nightly-charges", "charges-again.txt", wrong)
    held = story.file("charges-again.txt")
    status = story.say("batches", "--wrong")
    chapter.check(
        "a file whose trailer is one cent off is held whole",
        held.place,
        kept=(held.state, status) == ("QUARANTINED", ANSWER_IS_NO),
    )
    story.say("files", "discard", str(held.file_id), "--reason", "billing corrects its trailer")
    click.echo()
    click.echo("   billing sends it corrected; of a second file of a day only what is new goes on\n")
    before = len(posted(story))
    story.drop("nightly-charges", "charges-corrected.txt", right)
    story.put_away("nightly-charges", "charges-corrected.txt")
    story.settled()
    story.say("reconcile", "--channel", "nightly-charges", *AMOUNTS)
    new = len(posted(story)) - before
    chapter.check(
        "of the corrected file only what is new is posted",
        f"{new} of {story.records + FORGOTTEN:,} charges",
        kept=new == FORGOTTEN,
    )


def trailer_total(content: bytes) -> Decimal:
    """What the trailer of a file of charges says that they come to."""
    return Decimal(int(content[-13:])) / 100


def a_cent_more(content: bytes) -> bytes:
    """A file of charges whose trailer says a cent more than it holds."""
    cents = int(content[-13:]) + 1
    return content[:-13] + (b"%012d" % cents if cents >= 0 else b"-%011d" % -cents) + b"\n"


def _one_short(chapter: Chapter) -> None:
    story = chapter.story
    count = counts_of(story.records)["lab-batches"] // 4 + 1
    content = story.content("lab-batches", count, seed=2).replace(
        b"BTS|%d\r" % count, b"BTS|%d\r" % (count + 1)
    )
    chapter.part(
        "A batch of results comes, and its trailer counts one more than there are",
        "it may be cut short, so nothing of it goes on until somebody has asked the laboratory",
    )
    story.drop("lab-batches", "results-late.hl7", content)
    held = story.file("results-late.hl7")
    before = story.ledger().received["lab-batches"]
    status = story.say("batches", "--wrong", "--channel", "lab-batches")
    kept = (held.state, status) == ("QUARANTINED", ANSWER_IS_NO)
    said = "the laboratory says that this is all"
    story.say("files", "take", str(held.file_id), "--reason", said)
    after = story.settled().received["lab-batches"]
    chapter.check(
        "a batch that is one result short waits for a person",
        f"{held.place}, then {after - before} of {count} results",
        kept=kept and after - before == count,
    )


def _one_bad_line(chapter: Chapter) -> None:
    story = chapter.story
    lines = story.content("stock-used", STOCK_LATE, seed=2).splitlines(keepends=True)
    lines[BAD_LINE - 1] = b",".join(lines[BAD_LINE - 1].split(b",")[:4]) + b"\n"
    chapter.part(
        "An export of the stock was cut in the middle of a line",
        f"line {BAD_LINE} of stock-late.csv has four of its 22 values; the other {STOCK_LATE - 1} rows go on",
    )
    story.drop("stock-used", "stock-late.csv", b"".join(lines))
    story.put_away("stock-used", "stock-late.csv")
    counts = story.settled()
    story.say("quarantine", "list")
    back = story.folder / FOLDERS["stock-used"] / "rejects"
    story.wait(lambda: len(list(back.glob("*"))) == REJECT_FILES, "the rejects to be written")
    [rejects] = back.glob("*.csv")
    click.echo(f"   its sender finds {rejects.relative_to(story.folder)}, to be corrected and sent again:\n")
    text = rejects.read_text("utf-8")
    for line in text.splitlines():
        click.echo(f"   │ {line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + '…'}")
    waiting = counts.channels["stock-used"]["quarantined"]
    chapter.check(
        "a torn line waits by itself, and goes back as a file",
        f"{waiting} of {STOCK_LATE} rows, with a trailer of its own",
        kept=waiting == 1
        and lines[BAD_LINE - 1].decode() in text
        and text.splitlines()[-1].startswith("TRL,1,"),
    )


def _the_same_again(chapter: Chapter) -> None:
    story = chapter.story
    chapter.part("A job runs twice, and puts the payments of this morning there once more")
    before = story.ledger().received["remittances"]
    again = FIRST["remittances"]
    content = story.content("remittances", counts_of(story.records)["remittances"])
    story.drop("remittances", again, content)
    errors = story.folder / FOLDERS["remittances"] / "errors"
    story.wait(lambda: len(list(errors.glob("*"))) == REJECT_FILES, "the second file to be put away")
    story.say("files", "list", "--state", "REFUSED")
    [reason] = errors.glob("*.reason.json")
    click.echo(f"   beside it in errors/ stands why: {json.loads(reason.read_text('utf-8'))['text']}")
    more = story.ledger().received["remittances"] - before
    chapter.check("a file that comes again is known", f"{more} payments more", kept=more == 0)


def _what_the_api_has(chapter: Chapter) -> None:
    story = chapter.story
    has = posted(story)
    chapter.part(
        "The billing system reports what it has posted",
        "one charge is not in its report, and of another it has a cent less",
    )
    story.report([*has[:MISSING], _a_cent_less(has[MISSING]), *has[MISSING + 2 :]])
    words = (
        "--since",
        "1h",
        "--report",
        "posted.csv",
        "--api",
        "billing.charges",
        "--by",
        "key=charge",
        "--amount",
        "amount=posted",
    )
    status = story.say("reconcile", *words)
    [matched] = [json.loads(story.asked("reconcile", *words, "--format", "json"))]
    found = sorted(each["type"] for each in matched["misfits"])
    chapter.check(
        "what was sent is held against what was posted",
        ", ".join(found),
        kept=(status, found) == (ANSWER_IS_NO, ["amount", "missing"]),
    )


def _a_cent_less(call: Call) -> Call:
    return replace(call, mark=f"{Decimal(call.mark) - Decimal('0.01')}")


def _the_file_for_the_ledger(chapter: Chapter) -> None:
    story = chapter.story
    chapter.part("All charges of the day stand in one file for the ledger as well")
    story.say("batches", "--sent")
    [written] = story.written()
    rows = list(csv.reader(written.read_text("utf-8").splitlines()))
    lines = written.read_text("utf-8").splitlines()
    for line in (*lines[:3], "…", lines[-1]):
        click.echo(f"   │ {line}")
    [*_, trailer] = rows
    details = rows[2:-1] if rows[1][0] == "key" else rows[1:-1]
    paid, sent = total(row[-1] for row in details), total(call.mark for call in posted(story))
    kept = trailer == ["TRL", str(len(details)), f"{paid:f}"] and paid == sent
    chapter.check(
        "the file for the ledger says what it holds",
        f"{trailer[1]} charges, {out.figure(trailer[2])}",
        kept=kept and len(details) == story.records + FORGOTTEN,
    )


def _the_night(chapter: Chapter) -> None:
    story = chapter.story
    chapter.part("In the morning: what each batch said of itself, and what became of all of it")
    story.say("batches")
    story.say("reconcile", *AMOUNTS)
    counts, calls = story.settled(), story.calls()
    received = sum(counts.received.values())
    became = {
        entry: sum(each[entry] for each in counts.channels.values())
        for entry in ("delivered", "duplicate", "quarantined", "open")
    }
    words = " + ".join(f"{number:,} {entry}" for entry, number in became.items())
    chapter.check(
        "all that came is accounted for",
        f"{received:,} received = {words}",
        kept=counts.balanced and sum(became.values()) == received,
    )
    delivered = sum(
        entries["delivered"] for (_, route), entries in counts.routes.items() if route != "ledger"
    )
    keys = len({call.idempotency_key for call in calls})
    chapter.check(
        "each record was applied once, through a kill -9",
        f"{len(calls):,} calls applied, {delivered:,} delivered",
        kept=keys == len(calls) == delivered,
    )
    right = trailer_total(story.content("nightly-charges", story.records + FORGOTTEN))
    sent = total(call.mark for call in posted(story))
    chapter.check(
        "what was posted is what the trailer says, to the cent",
        f"{sent:,} of {right:,}",
        kept=sent == right,
    )


def posted(story: BatchStory) -> list[Call]:
    """The charges that the billing system has."""
    return [call for call in story.calls() if call.path.startswith("/charges/")]
