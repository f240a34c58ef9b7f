"""``bridge generate``: synthetic messages to try things on."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click

from bridge.cli import output as out
from bridge.cli.main import DONE
from bridge.cli.new_files import new_files

TYPES = ("ADT", "ORM", "ORU", "SIU", "DFT", "MDM", "VXU", "RDE", "MFN")
FILES = (
    *("837", "277", "835", "850", "810", "orders", "invoic"),
    *("consumption", "shifts", "charges", "results", "gl", "dispenses"),
)
"""What comes in files: many entries in one."""
_ENDINGS = {"charges": "txt", "results": "hl7", "orders": "edi", "invoic": "edi", "dispenses": "xml"}
COUNT_MAX_MESSAGES = 1_000_000
EARLIEST, LATEST = 1900, 9998
"""Years of files: days before them, and after, are in them."""


@click.command("generate")
@click.argument("type", metavar="TYPE", type=click.Choice((*TYPES, "all", *FILES), case_sensitive=False))
@click.option(
    "--count",
    type=click.IntRange(1, COUNT_MAX_MESSAGES),
    default=10,
    show_default=True,
    help="So many messages, or entries of the file.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same messages.")
@click.option(
    "--day", type=click.DateTime(["%Y-%m-%d"]), help="The day that a file is of.  [default: 2026-01-05]"
)
@click.option("--odd", is_flag=True, help="As feeds really send them: line ends, escapes, character sets.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), help="A folder; each message becomes a file of it."
)
def generate_command(
    type: str,  # noqa: A002
    count: int,
    seed: int,
    day: datetime | None,
    folder: Path | None,
    *,
    odd: bool,
) -> int:
    """Write synthetic HL7 v2 messages, the same for the same seed.

    TYPE is ADT, ORM, ORU, SIU, DFT, MDM, VXU, RDE, MFN, or `all` of them in turn; or what comes in files: X12
    837, 277, 835, 850 and 810, EDIFACT ORDERS and INVOIC, rows of stock that was used (consumption), of
    shifts, of fixed width (charges) and of a journal of the ledger (gl), XML of what cabinets gave out
    (dispenses), and a batch of HL7 v2 (results), each one file with so many entries and the totals of these.
    Everything in them is invented. Messages have what real ones have: repetitions, escapes, two character
    sets, segments of a site's own, dates of which only the year is known. With --odd each has one to three
    oddities more, such as a short MSH-2 or a date that does not exist. Without --to they go to standard
    output, one after another; with it no file that is there is written over.

    \b
    bridge generate ADT --count 100 --seed 7 --to feed/
    bridge generate all --count 5000 --odd --to feed/
    bridge generate ORU --count 1
    bridge generate 837 --count 1000 --to claims/
    bridge generate charges --count 1000000 --day 2026-11-23 --to charges/
    """
    if type.lower() in FILES:
        return _file(type.lower(), count, seed, day, folder, odd=odd)
    if day is not None:
        raise click.BadParameter("a day is for what comes in files", param_hint="--day")
    kinds = TYPES if type.lower() == "all" else (type.upper(),)
    messages = _messages(kinds, count, seed, odd=odd)
    if folder is None:
        for body in messages:
            sys.stdout.buffer.write(body)
        sys.stdout.flush()
        return DONE
    names = [f"{kinds[number % len(kinds)].lower()}-{seed}-{number:06}.hl7" for number in range(count)]
    with new_files(folder, names, "--to") as put, out.progress("writing", messages, count) as each:
        for name, body in zip(names, each, strict=True):
            put(name, body)
    click.echo(f"{folder}: {out.count(count, 'message')}", err=True)
    return DONE


def _file(kind: str, count: int, seed: int, day: datetime | None, folder: Path | None, *, odd: bool) -> int:
    from bridge.cli.generated_entry import FIRST_DAY
    from bridge.cli.generated_files import lines_of

    if odd:
        raise click.BadParameter("oddities are those of HL7 v2", param_hint="--odd")
    if day is not None and not EARLIEST <= day.year <= LATEST:
        raise click.BadParameter(f"a day of the years {EARLIEST} to {LATEST}", param_hint="--day")
    lines = lines_of(kind, seed, count, FIRST_DAY if day is None else day.date())
    if folder is None:
        sys.stdout.buffer.writelines(lines)
        sys.stdout.flush()
        return DONE
    ending = "x12" if kind.isdigit() else _ENDINGS.get(kind, "csv")
    path = folder / f"{kind}-{seed}.{ending}"
    # Whoever looks into the folder, as a bridge does, finds the file once it is whole.
    hidden = folder / f".{path.name}.tmp"
    with new_files(folder, [path.name], "--to"):
        try:
            with hidden.open("wb") as file:
                file.writelines(lines)
            hidden.rename(path)
        finally:
            hidden.unlink(missing_ok=True)
    click.echo(f"{path}: {out.count(count, 'entry', 'entries')}", err=True)
    return DONE


def _messages(kinds: Sequence[str], count: int, seed: int, *, odd: bool) -> Iterator[bytes]:
    from bridge.cli.generated import message
    from bridge.cli.invented import chance_of
    from bridge.cli.oddities import odd as made_odd

    for number in range(count):
        body = message(kinds[number % len(kinds)], seed, number)
        if odd:
            body, _ = made_odd(body, chance_of(f"{seed}/odd/{number}"))
        yield body
