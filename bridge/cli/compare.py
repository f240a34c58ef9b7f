"""``bridge compare``: two files of HL7 v2 messages, field by field."""

from __future__ import annotations

import re
from collections import Counter
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.author import read_file
from bridge.cli.main import ANSWER_IS_NO, DONE

if TYPE_CHECKING:
    from bridge.formats.hl7v2 import Hl7Message
    from bridge.formats.hl7v2_compare import Difference

_FILE = click.Path(path_type=Path)


SHOWN_MAX_COUNT: Final = 1000
_PLACE: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{2}(?:-[1-9][0-9]{0,3})?")


@click.command("compare")
@click.argument("a", type=_FILE)
@click.argument("b", type=_FILE)
@click.option(
    "--by",
    type=click.Choice(["place", "control-id"]),
    default="place",
    show_default=True,
    help="Which messages belong together: the first with the first, or those with one MSH-10.",
)
@click.option(
    "--ignore",
    "ignored",
    multiple=True,
    metavar="PLACE",
    help="A field or segment that may differ, as in MSH-7 or ZPI; may be given several times.",
)
@click.option("--mask", is_flag=True, help="Show where they differ, and no values.")
@options.output_format
def compare_command(
    a: Path, b: Path, *, by: str, ignored: tuple[str, ...], mask: bool, output: str
) -> int:  # fmt: skip
    """Compare the messages of two files, field by field.

    Ways of writing do not count: line ends, delimiters, escapes, character sets, empty fields at the end.
    Values are shown, so mind who is looking. Exit status 1 where anything differs.

    \b
    bridge compare old-engine.hl7 bridge.hl7 --ignore MSH-7 --ignore MSH-10
    bridge compare old-engine.hl7 bridge.hl7 --by control-id --format json
    """
    from bridge.cli.message_files import EDI, form_of
    from bridge.formats.hl7v2 import Hl7Message
    from bridge.formats.hl7v2_check import split_messages
    from bridge.formats.hl7v2_compare import compare

    places = _places(ignored)

    def read(path: Path) -> list[Hl7Message]:
        data = read_file(path)
        found = [Hl7Message.read(message) for message in split_messages(data)]
        if not found and (form := form_of(data)) in EDI:
            said = f"{path} is {form}, and what is compared are messages of HL7 v2"
            raise click.BadParameter(said, param_hint="FILES")
        return found or [Hl7Message.read(data)]

    rows: list[tuple[str, Difference]] = []
    alone: list[tuple[str, str]] = []
    pairs = _pairs(read(a), read(b), by_control_id=by == "control-id")
    for name, one, other in pairs:
        if one is None or other is None:
            alone.append((name, f"only in {b if one is None else a}"))
        elif refused := one.refused or other.refused:
            alone.append((name, f"{a if one.refused else b} cannot be read: {refused.text}"))
        else:
            rows += [(name, each) for each in compare(one, other, places)]
    _show(rows, alone, len(pairs), mask=mask, output=output)
    return ANSWER_IS_NO if rows or alone else DONE


def _places(ignored: tuple[str, ...]) -> frozenset[str]:
    """What may differ, in the form in which differences are found."""
    for each in ignored:
        if _PLACE.fullmatch(each) is None:
            said = f"{each!r} is neither a field nor a segment: expected one as in PID-5 or ZPI"
            raise click.BadParameter(said, param_hint="--ignore")
    return frozenset(map(str.upper, ignored))


Pair = tuple[str, "Hl7Message | None", "Hl7Message | None"]


def _pairs(a: list[Hl7Message], b: list[Hl7Message], *, by_control_id: bool) -> list[Pair]:
    if not by_control_id:
        return [(f"#{number}", *pair) for number, pair in enumerate(zip_longest(a, b), start=1)]
    for name, side in (("A", a), ("B", b)):
        twice = [key for key, count in Counter(each.control_id for each in side).items() if count > 1]
        if twice:
            text = f"{name} has several messages with control ID {twice[0]!r}: compare by place"
            raise click.BadParameter(text, param_hint="--by")
    ours, theirs = ({each.control_id: each for each in side} for side in (a, b))
    return [(key, ours.get(key), theirs.get(key)) for key in dict.fromkeys((*ours, *theirs))]


def _show(
    rows: list[tuple[str, Difference]], alone: list[tuple[str, str]], pairs: int, *, mask: bool, output: str
) -> None:
    from bridge.cli.hl7_names import field_name
    from bridge.mapping.coverage import NO_SEGMENT, SEGMENT_NAME

    def named(each: Difference) -> str:
        # What stands where a segment's name should is content.
        if not mask or not each.segment or SEGMENT_NAME.fullmatch(each.segment):
            return each.path
        return NO_SEGMENT + each.path[len(each.segment) :]

    shown = [
        {
            "message": name,
            "path": named(each),
            "name": field_name(each.segment, each.field),
            **({} if mask else {"a": _value(each.a), "b": _value(each.b)}),
        }
        for name, each in rows
    ]
    if output == "json":
        out.json(
            {
                "messages": pairs,
                "differences": shown,
                "alone": [{"message": name, "why": why} for name, why in alone],
            }
        )
        return
    if shown:
        columns = list(shown[0])
        out.table("", columns, ([row[column] for column in columns] for row in shown[:SHOWN_MAX_COUNT]))
    if (more := len(shown) - SHOWN_MAX_COUNT) > 0:
        click.echo(f"and {out.count(more, 'further place')}: --format json has all")
    for name, why in alone:
        click.echo(out.plain(f"{name}: {why}"))
    differing = len({name for name, _ in rows})
    told = f"{out.count(pairs, 'message')}, {differing} of them differ in {out.count(len(rows), 'place')}"
    click.echo(told + (f", {len(alone)} could not be compared" if alone else ""), err=True)


def _value(value: object) -> str | None:
    return None if value is None else str(value)
