"""``bridge journal``: looking after the journal, its keys, its copies and its history."""

from __future__ import annotations

import os
import sys

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.keys import keys_command
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import database, read


@click.group("journal")
def journal_command() -> None:
    """Look after the journal."""


journal_command.add_command(keys_command)


@journal_command.command("upgrade")
@options.journal
def upgrade_command(journal_url: str | None) -> int:
    """Bring a journal's tables to this version. It only adds; stop the node first.

    \b
    bridge journal upgrade --journal sqlite:////var/lib/bridge/journal.db
    """
    from bridge.journal.database import upgrade

    journal = database(journal_url)
    ownership = journal.own()
    try:
        before, after = upgrade(journal, random_bytes=os.urandom)
    finally:
        ownership.release()
        journal.close()
    click.echo(
        f"{journal.name}: tables were of version {before}, are of version {after}"
        if before != after
        else f"{journal.name}: tables are of version {after} already"
    )
    return DONE


@journal_command.command("copy")
@click.argument("source")
@click.argument("target")
def copy_command(source: str, target: str) -> int:
    """Copy a journal to another database, SQLite to PostgreSQL or back, and go on there.

    Stop the node first. The target must be empty. Everything is compared afterwards; then no node starts at
    SOURCE any more, and the next one at TARGET goes on where it ended.

    \b
    bridge journal copy sqlite:///var/bridge.db postgresql://bridge@db/bridge
    """
    from bridge.journal.copying import copy, rows_of

    leaving = database(source)
    try:
        arriving = database(target, create=True)
        try:
            with click.progressbar(length=2 * rows_of(leaving), label="copying", file=sys.stderr) as bar:
                done = copy(
                    leaving,
                    arriving,
                    random_bytes=os.urandom,
                    progress=lambda _table, rows: bar.update(rows),
                )
        finally:
            arriving.close()
    finally:
        leaving.close()
    counts = ", ".join(f"{done.rows[name]} {name}" for name in ("messages", "deliveries", "transitions"))
    click.echo(f"{arriving.name}: {counts}, each row as it was")
    click.echo(f"{leaving.name}: no node starts here any more; start it with --journal at the new one")
    return DONE


@journal_command.command("verify")
@options.journal
@options.output_format
def verify_command(journal_url: str | None, output: str) -> int:
    """Hold the whole history against the rules that it must have kept: order, states, nothing lost.

    It only reads, and may run beside a node. Exit status 1 where a rule was broken.

    \b
    bridge journal verify
    """
    from bridge.journal.history import check

    found = read(journal_url, check)
    if output == "json":
        out.json(
            {
                "messages": found.messages,
                "deliveries": found.deliveries,
                "steps": found.steps,
                "violations": [
                    {"invariant": each.invariant, "where": each.where, "what": each.what}
                    for each in found.violations
                ],
            }
        )
    else:
        if found.violations:
            out.table(
                "",
                ["rule", "where", "what"],
                ((each.invariant, each.where, each.what) for each in found.violations),
            )
        counts = ", ".join(
            (
                out.count(found.messages, "message"),
                out.count(found.deliveries, "delivery", "deliveries"),
                out.count(found.steps, "step"),
            )
        )
        broken = out.count(len(found.violations), "violation")
        click.echo(f"{counts}: {broken if found.violations else 'every rule was kept'}")
    return ANSWER_IS_NO if found.violations else DONE
