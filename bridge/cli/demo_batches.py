"""The demonstration's third chapter: a night of files, their totals, and what makes people trust them."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import click

from bridge.cli import output as out
from bridge.cli.batch_site import CHANNELS, FOLDERS
from bridge.cli.batch_story import FORGOTTEN, BatchStory, Call, total
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.journal.ledger import Ledger

KILLED_AFTER = 20
"""So many calls are made before the bridge is killed."""
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
        click.echo(f"to look at it: export BRIDGE_JOURNAL={chapter.story.journal}")
        click.echo(f"to go on with it: bridge run --config {chapter.story.site} --environment demo")
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
    wrong, says, holds = a_cent_more(right)
    chapter.part(
        "The charges come once more, with what was forgotten, and a trailer that is one cent off",
        f"{story.records + FORGOTTEN:,} charges of {holds:,}; the trailer says {says:,}",
    )
    story.drop("nightly-charges", "charges-again.txt", wrong)
    held = story.file("charges-again.txt")
    status = story.say("batches", "--wrong")
    chapter.check(
        "a file of which the trailer is one cent off is held whole",
        f"{held.state} {held.reason}, {held.place}",
        kept=(held.state, status) == ("QUARANTINED", ANSWER_IS_NO),
    )
    story.say("files", "discard", str(held.file_id), "--reason", "billing corrects its trailer")
    click.echo()
    click.echo("   billing sends it corrected; of a second file of a day only what is new goes on\n")
    before = len(posted(story))
    story.drop("nightly-charges", "charges-corrected.txt", right)
    story.put_away("nightly-charges", "charges-corrected.txt")
    story.settled()
    story.say("reconcile", "--channel", "nightly-charges")
    new = len(posted(story)) - before
    chapter.check(
        "of a corrected file of the same day only what is new is posted",
        f"{new} of {story.records + FORGOTTEN:,} charges",
        kept=new == FORGOTTEN,
    )


def a_cent_more(content: bytes) -> tuple[bytes, Decimal, Decimal]:
    """A file of charges whose trailer says a cent more than it holds; what it says, and what it holds."""
    before, trailer = content[:-1].rsplit(b"\n", 1)
    cents = int(trailer[8:20])
    wrong = trailer[:8] + b"%012d" % (cents + 1) if cents >= 0 else trailer[:8] + b"-%011d" % (-cents - 1)
    return before + b"\n" + wrong + b"\n", Decimal(cents + 1) / 100, Decimal(cents) / 100


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
        "a batch that is one result short is held, and goes on when a person says so",
        f"{held.state} {held.reason}, then {after - before} of {count} results",
        kept=kept and after - before == count,
    )


def _one_bad_line(chapter: Chapter) -> None:
    story = chapter.story
    count = 12
    lines = story.content("stock-used", count, seed=2).splitlines(keepends=True)
    broken = lines[5].rstrip(b"\n").rsplit(b",", 12)[0] + b"\n"
    cost = total([lines[5].decode().rsplit(",", 5)[1]])
    chapter.part(
        "A row of stock was cut short by whoever exported it",
        f"line 6 of {count + 2} has ten of its 22 values; the trailer is as it should be",
    )
    del cost
    story.drop("stock-used", "stock-late.csv", b"".join([*lines[:5], broken, *lines[6:]]))
    story.put_away("stock-used", "stock-late.csv")
    story.say("quarantine", "list")


def _the_same_again(chapter: Chapter) -> None:
    chapter.part("same")


def _what_the_api_has(chapter: Chapter) -> None:
    chapter.part("match")


def _the_file_for_the_ledger(chapter: Chapter) -> None:
    chapter.part("file")


def _the_night(chapter: Chapter) -> None:
    chapter.part("night")


def posted(story: BatchStory) -> list[Call]:
    """The charges that the billing system has."""
    return [call for call in story.calls() if call.path.startswith("/charges/")]
