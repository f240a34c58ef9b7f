"""``bridge apis diff`` and ``lint``: what two documents differ in, and whether one is a good contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE

if TYPE_CHECKING:
    from bridge.contracts.openapi import OpenApi

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("diff")
@click.argument("older", type=_FILE)
@click.argument("newer", type=_FILE)
@click.option("--breaking", is_flag=True, help="Only what breaks.")
@options.output_format
def diff_command(older: Path, newer: Path, *, breaking: bool, output: str) -> int:
    """Say what has changed between two OpenAPI documents, and what of it breaks.

    Each change has a code; `bridge explain` says what one means. Exit status 1 where a change breaks who
    calls by the older document.

    \b
    bridge apis diff contracts/rcm-2.1.0.yaml rcm-2.2.0.yaml
    bridge apis diff old.json new.json --breaking --format json
    """
    from bridge.contracts.changes import changes

    with _told_wrong_use("OLDER"):
        before = _read(older)
    with _told_wrong_use("NEWER"):
        now = _read(newer)
    with _told_wrong_use("NEWER"):
        found = changes(before, now)
    breaks = any(each.severity == "breaking" for each in found)
    if breaking:
        found = [each for each in found if each.severity == "breaking"]
    if output == "json":
        out.json(
            [
                {
                    "code": each.code,
                    "severity": each.severity,
                    "operation": each.operation,
                    "place": each.place,
                    "words": each.words,
                }
                for each in found
            ]
        )
    elif not found:
        click.echo("nothing that breaks has changed" if breaking else "nothing that counts has changed")
    else:
        for each in found:
            mark = "breaks" if each.severity == "breaking" else "fits  "
            click.echo(f"{mark}  {each}  [{each.code}]")
        count = sum(each.severity == "breaking" for each in found)
        click.echo(f"{out.count(len(found), 'change')}, of which {count} break")
    return ANSWER_IS_NO if breaks else DONE


@click.command("lint")
@click.argument("file", type=_FILE, required=False)
@click.option("--rules", is_flag=True, help="List the rules, each with its reason.")
@options.output_format
def lint_command(file: Path | None, *, rules: bool, output: str) -> int:
    """Say whether an OpenAPI document is a good contract, by rules that each have a reason.

    Exit status 1 where an error is among what is broken; warnings do not count.

    \b
    bridge apis lint contracts/rcm-2.1.0.yaml
    bridge apis lint --rules
    """
    from bridge.contracts.lint import RULES, lint

    if rules:
        if output == "json":
            out.json(
                [
                    {"code": each.code, "severity": each.severity, "text": each.text, "why": each.why}
                    for each in RULES.values()
                ]
            )
        else:
            rows = ((each.code, each.severity, each.text, each.why) for each in RULES.values())
            out.table("rules", ["rule", "", "broken where", "why"], rows)
        return DONE
    if file is None:
        raise click.UsageError("name a document, or say --rules")
    with _told_wrong_use("FILE"):
        found = lint(_read(file))
    if output == "json":
        out.json(
            [
                {
                    "rule": each.code,
                    "severity": each.rule.severity,
                    "operation": each.operation,
                    "place": each.place,
                    "text": each.rule.text,
                    "why": each.rule.why,
                }
                for each in found
            ]
        )
    elif not found:
        click.echo("no rule is broken")
    else:
        for each in found:
            click.echo(f"{each.rule.severity}: {each}  [{each.code}]")
    return ANSWER_IS_NO if any(each.rule.severity == "error" for each in found) else DONE


def _read(path: Path) -> OpenApi:
    """An OpenAPI document and what it refers to in its folder. Raises ContractRefused."""
    from bridge.config.contracts import documents_in
    from bridge.contracts.openapi import read_openapi

    return read_openapi(documents_in(path.parent.resolve(), path.name))


@contextmanager
def _told_wrong_use(argument: str) -> Iterator[None]:
    from bridge.contracts.documents import ContractRefused

    try:
        yield
    except ContractRefused as refused:
        raise click.BadParameter(str(refused), param_hint=argument) from None
