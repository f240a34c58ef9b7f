"""Commands of those who write files: check, parse, schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.located import Problem, did_you_mean

FILE_MAX_BYTES = 256 * 1024**2


@click.command("check")
@options.config
@options.environment
@options.output_format
def check_command(directory: Path, environment: str | None, output: str) -> int:
    """Show every mistake in all files, with its place.

    Opens files only, and connects to nothing. Without --environment the files are checked with the values
    of every environment; a mistake that is one in some only says in which. Exit status 1 where there is a
    mistake; warnings do not count.

    \b
    bridge check --config /etc/bridge
    bridge check --environment prod
    bridge check --format json
    """
    from bridge.catalog import STANDARD
    from bridge.config.load import check
    from bridge.runtime.consent_files import problems_of

    checked = check(directory, STANDARD, environment=environment)
    found = checked.topology
    wrong = [] if found is None else problems_of(found)
    problems = {**checked.problems, **dict.fromkeys(wrong, checked.environments)}
    found = None if wrong else found
    if output == "json":
        rows = [_problem(problem, names) for problem, names in problems.items()]
        out.json({"ok": found is not None, "problems": rows})
        return ANSWER_IS_NO if found is None else DONE
    for problem, names in problems.items():
        everywhere = set(names) in (set(), set(checked.environments))
        click.echo(out.problem(problem) + ("" if everywhere else f"  (in {', '.join(names)})"))
    if found is None:
        click.echo(out.mistakes(problems), err=True)
        return ANSWER_IS_NO
    counts = [
        out.count(len(found.channels), "channel"),
        out.count(len(found.apis), "API"),
        out.count(len(found.plans), "mapping"),
    ]
    if checked.environments:
        counts.append(f"as in {' and '.join(checked.environments)}")
    click.echo(f"{', '.join(counts)}: no mistakes", err=True)
    return DONE


def _problem(problem: Problem, environments: tuple[str, ...]) -> dict[str, object]:
    place = problem.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "severity": problem.severity,
        "code": problem.code,
        "text": problem.text,
        "hint": problem.hint,
        "environments": environments,
    }


@click.command("parse")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--check", "checking", is_flag=True, help="Count what can be read, and show no content.")
@options.output_format
def parse_command(files: tuple[Path, ...], checking: bool, output: str) -> int:
    """Show messages as named trees, or check whether files can be read.

    HL7 v2, X12 and EDIFACT; a file is known by how it begins. Values are shown, so mind who is looking. With
    --check none is, and exit status 1 says that something is refused, or that the bytes of a message cannot
    be given back. A folder stands for all files in it. `bridge files check` looks closer at whole files.

    \b
    bridge parse admission.hl7
    bridge parse remittance.835
    bridge parse --check feed/*.hl7 --format json
    """
    contents = ((path, read_file(path)) for path in files_in(files))
    return _check_files(contents, output) if checking else _show_trees(list(contents), output)


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The files that were named, and those in folders that were."""
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.is_file())
        else:
            yield path


def read_file(path: Path) -> bytes:
    """All of a file that a person named, or of what comes through a pipe. Raises BadParameter where it cannot
    be read, or is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint="FILES") from None
    if len(data) > FILE_MAX_BYTES:
        from bridge.units import size_text

        raise click.BadParameter(f"{path}: larger than {size_text(FILE_MAX_BYTES)}", param_hint="FILES")
    return data


def _check_files(contents: Iterator[tuple[Path, bytes]], output: str) -> int:
    from bridge.cli.edi_trees import check_edi
    from bridge.cli.message_files import EDI, form_of
    from bridge.formats.hl7v2_check import check_file

    checked = [
        (path, check_edi(form, data) if (form := form_of(data)) in EDI else check_file(data))
        for path, data in contents
    ]
    names = ("read", "problems", "refused", "reproduced")
    rows = [
        {
            "file": str(path),
            **{name: getattr(found, name) for name in names},
            "reasons": dict(found.reasons),
            "noticed": dict(found.noticed),
        }
        for path, found in checked
    ]
    totals = {name: sum(getattr(found, name) for _, found in checked) for name in names}
    if output == "json":
        out.json({"files": rows, **totals})
    else:
        out.table(
            "",
            ["file", *names, "refused because", "noticed"],
            (
                (path, found.read, found.problems, found.refused, found.reproduced, _counts(found.reasons),
                 _counts(found.noticed))
                for path, found in checked
            ),
            right=names,
        )  # fmt: skip
        click.echo(", ".join(f"{count} {name}" for name, count in totals.items()))
    return DONE if not totals["refused"] and totals["reproduced"] == totals["read"] else ANSWER_IS_NO


def _counts(counts: object) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(dict(counts).items()))  # type: ignore[call-overload]


def _show_trees(contents: list[tuple[Path, bytes]], output: str) -> int:
    from bridge.cli.edi_trees import EdiTree, edi_as_json, edi_trees, print_edi
    from bridge.cli.message_files import EDI, form_of
    from bridge.cli.trees import print_tree, tree_as_json
    from bridge.formats.hl7v2_check import split_messages
    from bridge.formats.hl7v2_tree import NamedTree, named_tree

    def trees_of(data: bytes) -> Iterable[NamedTree | EdiTree]:
        if (form := form_of(data)) in EDI:
            return edi_trees(form, data)
        return map(named_tree, list(split_messages(data)) or [data])

    trees = [
        (f"{path} #{number}", tree)
        for path, data in contents
        for number, tree in enumerate(trees_of(data), 1)
    ]
    if output == "json":
        out.json(
            [
                {"message": name, **(edi_as_json(tree) if isinstance(tree, EdiTree) else tree_as_json(tree))}
                for name, tree in trees
            ]
        )
    else:
        for name, tree in trees:
            if isinstance(tree, EdiTree):
                print_edi(name, tree)
            else:
                print_tree(name, tree)
    return ANSWER_IS_NO if any(not tree.segments for _, tree in trees) else DONE


@click.command("schema")
@click.argument("directory", type=click.Path(path_type=Path), default=Path("schemas"))
@click.option("--of", "command", metavar="COMMAND", help="Show that of what a command prints as JSON.")
@click.option("--outputs", is_flag=True, help="Write those of what commands print as JSON, a file for each.")
def schema_command(directory: Path, command: str | None, *, outputs: bool) -> int:
    """Write JSON Schemas, so that editors complete and check files.

    One each for channel, API, mapping and environment files, into DIRECTORY (default: schemas/). An editor
    with a YAML language server uses them in files that begin with a line like
    `# yaml-language-server: $schema=../schemas/channel.schema.json`. With --of and --outputs those of what
    commands print with `--format json`: names may be added to it, and none is taken away.

    \b
    bridge schema
    bridge schema --of "map coverage"
    bridge schema --outputs schemas/outputs
    """
    import orjson

    from bridge.catalog import STANDARD
    from bridge.cli.shapes import SHAPES, schema_of
    from bridge.config.schema import json_schemas

    if command is not None:
        wanted = command.removeprefix("bridge ").strip()
        if wanted not in SHAPES:
            hint = did_you_mean(wanted, SHAPES) or f"these do: {', '.join(SHAPES)}"
            raise click.BadParameter(f"no command {wanted[:60]!r} prints JSON; {hint}", param_hint="--of")
        out.json(schema_of(wanted))
        return DONE
    of_outputs = {f"{name.replace(' ', '-')}.schema.json": schema_of(name) for name in SHAPES if outputs}
    schemas = json_schemas(STANDARD)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, schema in (of_outputs or schemas).items():
            (directory / name).write_bytes(orjson.dumps(schema, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise click.BadParameter(f"{directory}: {error.strerror}", param_hint="DIRECTORY") from None
    for name in of_outputs or schemas:
        click.echo(str(directory / name))
    return DONE
