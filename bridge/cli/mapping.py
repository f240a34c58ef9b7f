"""``bridge map``: trying and testing mappings, and what they leave out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.author import files_in
from bridge.cli.main import ANSWER_IS_NO, DONE, show_problems
from bridge.cli.message_files import inputs_in, none_of
from bridge.errors import ConfigurationRefused

if TYPE_CHECKING:
    from bridge.mapping.messages import Message
    from bridge.mapping.plan import Plan

MAPPING_SUFFIXES = (".yaml", ".yml")
WATCH_EVERY_S = 0.3


@click.group("map")
def map_command() -> None:
    """Try mappings, test them, and see what they leave out.

    \b
    bridge map new labs --from samples/
    bridge map try mappings/labs.yaml samples/
    bridge map test mappings/*.yaml
    """


@map_command.command("new")
@click.argument("name")
@click.option("--from", "samples", multiple=True, type=click.Path(path_type=Path), help="Files or folders.")
@click.argument("more", nargs=-1, type=click.Path(path_type=Path))
@click.option("--to", "folder", type=click.Path(path_type=Path), default=Path("mappings"), help="The folder.")
@click.option("--owner", default="to-be-named", help="Who answers for it.")
@click.option("--key", "key_file", type=click.Path(path_type=Path), help="A secret, as for deidentify.")
def new_command(
    name: str,
    samples: tuple[Path, ...],
    more: tuple[Path, ...],
    folder: Path,
    owner: str,
    key_file: Path | None,
) -> int:
    """Begin the mapping NAME from sample messages of HL7 v2.

    What the samples have becomes rules and tables of the canonical records, with the codes that were seen
    and how often; what a person must decide is marked TODO, and what no rule reads is listed. Its tests are
    made of the samples, with nobody in them who they were (`bridge deidentify`). A file that is there is left
    alone. Exit status 1 where no test could be made.

    \b
    bridge map new labs --from samples/*.hl7
    bridge map new adt --from feed/ --to site/mappings --owner integration
    """
    from bridge.cli.new_mapping import begin

    return begin(name, (*samples, *more), folder, owner, key_file)


@map_command.command("try")
@click.argument("mapping", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Do it again whenever the mapping or a file changes.")
@options.as_channel
@options.output_format
def try_command(
    mapping: Path, files: tuple[Path, ...], *, watch: bool, channel: str | None, output: str
) -> int:
    """Run the messages of FILES through MAPPING: records, where each value came from, issues, what is left.

    Of each value its rule, the path that gave it and its bytes in the message are shown, and at the end what
    became of all values of the message. A folder stands for all files in it. Values are shown, so mind who is
    looking. Exit status 1 where a message fails.

    \b
    bridge map try mappings/adt-admit.yaml admission.hl7
    bridge map try mappings/adt-admit.yaml admission.hl7 --watch
    bridge map try mappings/nightly-charges.yaml charges.txt --channel charges
    """
    if watch:
        _watch(mapping, files, channel, output)
        return DONE
    return _try(mapping, files, channel, output)


def _try(mapping: Path, files: tuple[Path, ...], channel: str | None, output: str) -> int:
    from bridge.cli.trees import accounted_as_json, print_accounted
    from bridge.config.load import load_mapping
    from bridge.mapping.accounting import account_by

    plan = load_mapping(mapping, test=False)
    read = inputs_in(files, plan, channel)
    results = [(name, account_by(message, plan)) for name, message in read]
    if not results:
        raise click.BadParameter(f"{none_of(plan.format)} in them", param_hint="FILES")
    if output == "json":
        out.json([{"message": name, **accounted_as_json(found)} for name, found in results])
    else:
        for name, found in results:
            print_accounted(name, found)
    return ANSWER_IS_NO if any(found.failed for _, found in results) else DONE


def _watch(mapping: Path, files: tuple[Path, ...], channel: str | None, output: str) -> None:
    """Try whenever something has changed, until it is interrupted. Mistakes in files are shown, too."""
    import time

    before: object = None
    while True:
        seen = _seen((mapping, *files))
        if seen != before:
            before = seen
            click.clear()
            try:
                _try(mapping, files, channel, output)
            except ConfigurationRefused as refused:
                show_problems(refused)
            except click.ClickException as error:
                error.show()
            click.echo(f"watching {mapping}; Ctrl-C ends", err=True)
        time.sleep(WATCH_EVERY_S)


def _seen(paths: tuple[Path, ...]) -> list[tuple[str, int, int]]:
    """What tells that something has changed: times and sizes."""
    found = []
    for path in files_in(paths):
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return found


def plans_and_files(paths: tuple[Path, ...]) -> tuple[list[Plan], tuple[Path, ...]]:
    """The mappings among paths, by their suffix, and the rest. Raises BadParameter where one is missing."""
    from bridge.config.load import load_mapping

    mappings = [path for path in paths if path.suffix in MAPPING_SUFFIXES]
    files = tuple(path for path in paths if path.suffix not in MAPPING_SUFFIXES)
    if not mappings:
        raise click.BadParameter("name a mapping, a .yaml file, before the messages", param_hint="MAPPINGS")
    if not files:
        raise click.BadParameter("name files or folders of messages after the mappings", param_hint="FILES")
    return [load_mapping(path, test=False) for path in mappings], files


@map_command.command("coverage")
@click.argument("mappings_and_files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), help="Write it as one static HTML file, too.")
@click.option("--all", "everything", is_flag=True, help="Show every place that is unmapped.")
@click.option(
    "--unmapped-at-most",
    "percent_max",
    type=click.FloatRange(0, 100),
    help="Exit status 1 where more than so many percent of the values are unmapped.",
)
@options.as_channel
@options.output_format
def coverage_command(
    mappings_and_files: tuple[Path, ...],
    html: Path | None,
    everything: bool,
    percent_max: float | None,
    channel: str | None,
    output: str,
) -> int:
    """Show what mappings use of messages, what they ignore, and what they do not know of.

    MAPPINGS_AND_FILES are mappings (.yaml) and files or folders of messages. Each value that is not empty is
    used by a mapping, ignored with a reason, or unmapped; the three add up. Messages of a type that no
    mapping accepts are counted, and left out. No value is shown. Exit status 1 where a message could not be
    read, or more is unmapped than it may be.

    \b
    bridge map coverage mappings/adt-admit.yaml feed/
    bridge map coverage mappings/*.yaml feed/ --html coverage.html
    bridge map coverage mappings/*.yaml feed/ --unmapped-at-most 20 --format json
    """
    from bridge.cli.coverage import coverage_as_json, print_coverage
    from bridge.cli.coverage_page import coverage_page
    from bridge.mapping.coverage import cover

    plans, files = plans_and_files(mappings_and_files)
    forms = {(plan.format, plan.xml) for plan in plans}
    if len(forms) > 1:
        raise click.BadParameter("these mappings read different formats", param_hint="MAPPINGS")
    form = plans[0].format
    with out.progress("accounting", inputs_in(files, plans[0], channel)) as messages:
        found = cover((message for _, message in messages), plans)
    if not (found.messages or found.errors or found.other_types):
        raise click.BadParameter(f"{none_of(form)} in them", param_hint="FILES")
    if html is not None:
        out.write(html, coverage_page(found))
    if output == "json":
        out.json(coverage_as_json(found))
    else:
        print_coverage(found, everything=everything)
    too_much = percent_max is not None and found.percent("unmapped") > percent_max
    if too_much:
        click.echo(f"more than {percent_max:g} % is unmapped", err=True)
    return ANSWER_IS_NO if found.errors or too_much else DONE


@map_command.command("impact")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@options.journal
@click.option(
    "--last",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="Without FILES: so many messages of the journal, the newest.",
)
@click.option("--reveal", is_flag=True, help="Show values, of FILES only.")
@click.option("--html", type=click.Path(path_type=Path), help="Write it as one static HTML file, too.")
@options.as_channel
@options.output_format
def impact_command(  # noqa: PLR0913 - an option each
    old: Path,
    new: Path,
    files: tuple[Path, ...],
    journal_url: str | None,
    *,
    last: int,
    reveal: bool,
    html: Path | None,
    channel: str | None,
    output: str,
) -> int:
    """Show what mapping NEW would make otherwise than OLD, field by field.

    Of the messages of FILES, or of the newest in the journal. What changes in the same field in the same way
    is one line. Values are masked. Exit status 1 where something would change, so that it can be a gate.

    \b
    bridge map impact adt-admit.old.yaml mappings/adt-admit.yaml feed/
    bridge map impact adt-admit.old.yaml mappings/adt-admit.yaml --last 5000
    """
    from bridge.cli.impact import impact_as_json, impact_page, print_impact
    from bridge.config.load import load_mapping
    from bridge.mapping.impact import Impact

    before, after = load_mapping(old, test=False), load_mapping(new, test=False)
    if reveal and not files:
        raise click.BadParameter("values of the journal are not shown here", param_hint="--reveal")
    if (before.format, before.xml) != (after.format, after.xml):
        raise click.BadParameter(f"it reads {after.format}, and OLD {before.format}", param_hint="NEW")
    named = inputs_in(files, before, channel) if files else _recent(journal_url, before, after, last)
    found = Impact(before, after)
    with out.progress("mapping by both", named, None if files else last) as messages:
        for name, message in messages:
            found.add(name, message)
    if html is not None:
        out.write(html, impact_page(found, reveal=reveal))
    if output == "json":
        out.json(impact_as_json(found, reveal=reveal))
    else:
        print_impact(found, reveal=reveal)
    return ANSWER_IS_NO if found.changed else DONE


def _recent(journal_url: str | None, before: Plan, after: Plan, last: int) -> Iterator[tuple[str, Message]]:
    from bridge.cli.reading import read
    from bridge.journal.recent import recent
    from bridge.mapping.messages import read_message

    for message_id, body in read(journal_url, recent, None, before.accept | after.accept, last):
        yield f"message {message_id}", read_message(before.format, body, xml=before.xml)


@map_command.command("docs")
@click.argument("mapping", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@options.as_channel
@click.option(
    "--format",
    "output",
    type=click.Choice(["markdown", "csv", "html", "json"]),
    default="markdown",
    show_default=True,
    help="For a person, or for a program.",
)
def docs_command(mapping: Path, files: tuple[Path, ...], *, channel: str | None, output: str) -> int:
    """Write MAPPING as the sheet that analysts exchange: a line for each field.

    Each says what the field means, the paths that it comes from with their names in HL7 v2, X12 or the
    canonical records, the rule as it is written, what happens without a value and with one that cannot be
    read, and how it is classified; what is inside of a list has its own lines. With FILES it also says in how
    many records the field is, and what of them no rule reads. No value is shown, and no cell of the CSV is a
    formula.

    \b
    bridge map docs mappings/adt-admit.yaml > adt-admit.md
    bridge map docs mappings/adt-admit.yaml feed/ --format csv > adt-admit.csv
    """
    from bridge.cli.sheet import as_csv, as_html, as_json, as_markdown, sheet_of
    from bridge.config.load import load_mapping

    plan = load_mapping(mapping, test=False)
    read = inputs_in(files, plan, channel) if files else ()
    sheet = sheet_of(mapping, (message for _, message in read))
    if output == "json":
        out.json(as_json(sheet))
    else:
        write = {"markdown": as_markdown, "csv": as_csv, "html": as_html}[output]
        click.echo(write(sheet), nl=False)
    return DONE


@map_command.command("fmt")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--check", "checking", is_flag=True, help="Write nothing; exit status 1 where one would change."
)
@click.option("--diff", "differing", is_flag=True, help="Write nothing, and show what would change.")
def fmt_command(files: tuple[Path, ...], *, checking: bool, differing: bool) -> int:
    """Put mapping FILES into the one form that they all have. Comments stay.

    Sections stand in one order with an empty line between them, blocks go in by two, and the values of rules
    that stand together begin in one column. What a file says is the same before and after: that is looked at
    before anything is written. A folder stands for all its .yaml files.

    \b
    bridge map fmt mappings/
    bridge map fmt --check mappings/*.yaml
    bridge map fmt --diff mappings/adt-admit.yaml
    """
    from bridge.cli.formatting import format_files

    return format_files(files, write=not checking and not differing, differing=differing)


@map_command.command("test")
@click.argument("mappings", nargs=-1, type=click.Path(path_type=Path))
@click.option("--coverage", is_flag=True, help="Show rules and branches that no test goes through.")
@click.option("--mutate", is_flag=True, help="Delete and swap rules, and see whether the tests notice.")
@click.option(
    "--score-at-least",
    "score_min",
    type=click.FloatRange(0, 100),
    help="With --mutate: exit status 1 where fewer percent are noticed.",
)
@options.output_format
def test_command(
    mappings: tuple[Path, ...], *, coverage: bool, mutate: bool, score_min: float | None, output: str
) -> int:
    """Run the tests that stand in MAPPINGS. Exit status 1 where one fails.

    Without MAPPINGS those of the current folder are tested, mappings/*.yaml. What was expected and what
    came is shown as it is; `bridge check` runs the same tests and shows no values. With --coverage each
    rule that gives nothing in any test is shown, and each condition, alternative and default that is not
    gone through. With --mutate the file is changed in one place after another, and those changes are
    shown that no test notices; a change with which it would not load counts for nothing.

    \b
    bridge map test
    bridge map test mappings/adt-admit.yaml --coverage
    bridge map test mappings/*.yaml --mutate --score-at-least 80
    """
    from bridge.cli.testing import Tested, print_tested, tested_as_json

    if not mappings and not (mappings := tuple(sorted(Path("mappings").glob("*.yaml")))):
        said = "name mappings: this folder has none in mappings/"
        raise click.BadParameter(said, param_hint="MAPPINGS")
    tested = [Tested.of(path, mutate=mutate) for path in mappings]
    if output == "json":
        out.json(tested_as_json(tested))
    else:
        for each in tested:
            print_tested(each, coverage=coverage)
        count = sum(len(each.results) for each in tested)
        failed = sum(not result.passed for each in tested for result in each.results)
        click.echo(f"{out.count(count, 'test')}, {failed} failed", err=True)
    low = [each for each in tested if score_min is not None and each.score < score_min]
    for each in low:
        click.echo(f"{each.path}: the tests notice less than {score_min:g} %", err=True)
    passed = all(result.passed for each in tested for result in each.results)
    return DONE if passed and not low else ANSWER_IS_NO
