"""``bridge generate``: synthetic messages to try things on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from bridge.cli import output as out
from bridge.cli.main import DONE

TYPES = ("ADT", "ORM", "ORU", "SIU", "DFT", "MDM", "VXU", "RDE", "MFN")
COUNT_MAX_MESSAGES = 1_000_000


@click.command("generate")
@click.argument("type", type=click.Choice((*TYPES, "all"), case_sensitive=False))
@click.option("--count", type=click.IntRange(1, COUNT_MAX_MESSAGES), default=10, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same messages.")
@click.option("--odd", is_flag=True, help="As feeds really send them: line ends, escapes, character sets.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), help="A folder; each message becomes a file."
)
def generate_command(type: str, count: int, seed: int, *, odd: bool, folder: Path | None) -> int:  # noqa: A002
    """Write synthetic HL7 v2 messages, the same for the same seed.

    TYPE is ADT, ORM, ORU, SIU, DFT, MDM, VXU, RDE, MFN, or `all` of them in turn. Everything in them is
    invented. They have what real ones have: repetitions, escapes, two character sets, segments of a site's
    own, dates of which only the year is known. With --odd each has one to three oddities more, such as a
    short MSH-2 or a date that does not exist. Without --to they go to standard output, one after another.

    \b
    bridge generate ADT --count 100 --seed 7 --to feed/
    bridge generate all --count 5000 --odd --to feed/
    bridge generate ORU --count 1
    """
    messages = _messages(type.upper(), count, seed, odd=odd)
    if folder is None:
        for _, body in messages:
            sys.stdout.buffer.write(body)
        sys.stdout.flush()
        return DONE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with out.progress("writing", messages, count) as each:
            for name, body in each:
                (folder / f"{name}.hl7").write_bytes(body)
    except OSError as error:
        raise click.BadParameter(f"{folder}: {error.strerror}", param_hint="--to") from None
    click.echo(f"{folder}: {out.count(count, 'message')}", err=True)
    return DONE


def _messages(kind: str, count: int, seed: int, *, odd: bool) -> Iterator[tuple[str, bytes]]:
    from bridge.cli.generated import message
    from bridge.cli.invented import chance_of
    from bridge.cli.oddities import odd as made_odd

    for number in range(count):
        of = TYPES[number % len(TYPES)] if kind == "ALL" else kind
        body = message(of, seed, number)
        if odd:
            body, _ = made_odd(body, chance_of(f"{seed}/odd/{number}"))
        yield f"{of.lower()}-{seed}-{number:06}", body
