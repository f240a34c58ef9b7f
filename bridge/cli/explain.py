"""``bridge explain``: what a name means, whatever it is the name of."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE

if TYPE_CHECKING:
    from bridge.cli.meanings import Meaning
    from bridge.mapping.plan import Plan

EXAMPLES_MAX_COUNT = 4
WIDTH_CHARACTERS = 100


@click.command("explain")
@click.argument("name", nargs=-1)
@options.config
@options.journal
@click.option("--reveal", is_flag=True, help="Of a message in the journal, show values; it is written down.")
@click.option("--reason", default="", help="Why you look; needed with --reveal.")
@options.output_format
def explain_command(
    name: tuple[str, ...],
    directory: Path,
    journal_url: str | None,
    *,
    reveal: bool,
    reason: str,
    output: str,
) -> int:
    """Say what a name means, or why a field of a record is what it is.

    NAME is anything that stands in a file or on a screen: a key, a component, a function, a code, a state.
    Without it the kinds of names are listed. Where a name means several things, all are told. Exit status 1
    where it means nothing. Of HL7 segments, fields, components, types, messages and tables it tells what the
    dictionary knows, and what the mappings of the configuration read.

    \b
    bridge explain limits.in_flight
    bridge explain C130
    bridge explain QUARANTINED
    bridge explain PID-3.1

    With a mapping, a message and a field it says where the value came from: the rule, the values of the
    message with their bytes, and what was taken from the file. The message is a file (`feed.hl7#2` is its
    second one), or the number of one in the journal; then the mapping may be named, and is read as it was
    when it was used. Exit status 1 where no record has the field.

    \b
    bridge explain mappings/adt-admit.yaml admission.hl7 patient.birth_date
    bridge explain adt-admit 17 encounter.class --journal sqlite:///var/bridge.db
    """
    from bridge.cli.hl7_names import SEGMENT_NAMES, hl7_meanings
    from bridge.cli.meanings import find, of_this_build

    if len(name) == 3 and (name[0].endswith(".yaml") or name[1].isdigit()):
        from bridge.cli.explain_value import explain_value

        return explain_value(*name, journal_url=journal_url, reveal=reveal, reason=reason, output=output)
    known = of_this_build()
    if not name:
        _list_kinds(known, output)
        return DONE
    wanted = " ".join(name)
    found = [*find(known, wanted)]
    # A reason may go on after a colon, with a code that is explained too.
    if not found and ":" in wanted:
        found = [each for part in wanted.split(":") for each in find(known, part)]
    found += hl7_meanings(wanted, _plans(directory))
    if not found:
        names = {each for meaning in known for each in (meaning.name, *meaning.also)}
        hint = _nearest(wanted, {*names, *SEGMENT_NAMES}) or "`bridge explain` lists the kinds of names"
        click.echo(f"nothing is called {wanted[:60]!r}; {hint}", err=True)
        return ANSWER_IS_NO
    if output == "json":
        out.json([_as_json(each) for each in found])
    else:
        for each in found:
            _print(each)
    return DONE


def _as_json(meaning: Meaning) -> dict[str, object]:
    return {
        "kind": meaning.kind,
        "name": meaning.name,
        "text": meaning.text,
        "facts": dict(meaning.facts),
        "rows": [dict(zip(meaning.columns, row, strict=True)) for row in meaning.rows],
        "example": meaning.example,
    }


def _nearest(wanted: str, names: Iterable[str]) -> str | None:
    from bridge.located import did_you_mean

    # Of two that differ in their capitals the state is meant before the word of the log.
    written = {each.casefold(): each for each in sorted(names, reverse=True)}
    hint = did_you_mean(wanted.casefold(), written)
    if hint is None:
        return None
    word = hint.split("'")[1]
    return f"did you mean {written[word]!r}?"


def _plans(directory: Path) -> list[Plan]:
    """The mappings of a configuration, or those that are shipped; of one with mistakes it is said so."""
    from bridge.config.load import load_mapping
    from bridge.errors import ConfigurationRefused
    from bridge.shipped import shipped

    folder = directory / "mappings"
    plans = []
    for path in sorted((folder if folder.is_dir() else shipped("mappings")).glob("*.yaml")):
        try:
            plans.append(load_mapping(path, test=False))
        except ConfigurationRefused:
            click.echo(f"{path}: left out, since it has mistakes; `bridge check` shows them", err=True)
    return plans


def _list_kinds(known: Iterable[Meaning], output: str) -> None:
    kinds: dict[str, list[str]] = {}
    for each in known:
        kinds.setdefault(each.kind, []).append(each.name)
    kinds["HL7 segment or field"] = ["PID", "PID-3", "ZPI-4"]
    if output == "json":
        out.json(kinds)
        return
    out.table(
        "",
        ["kind", "known", "for example"],
        (
            (kind, "" if kind.startswith("HL7") else len(names), ", ".join(names[:EXAMPLES_MAX_COUNT]))
            for kind, names in kinds.items()
        ),
        right=("known",),
    )


def _print(meaning: Meaning) -> None:
    click.echo(f"{meaning.name}: {meaning.kind}")
    for line in textwrap.wrap(meaning.text, WIDTH_CHARACTERS):
        click.echo(f"  {line}")
    if meaning.facts:
        out.table("", ["", ""], meaning.facts)
    if meaning.rows:
        out.table("", meaning.columns, meaning.rows)
    if meaning.example:
        click.echo("  for example")
        click.echo(textwrap.indent(meaning.example.rstrip("\n"), "    "))
    click.echo()
