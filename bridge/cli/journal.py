"""``bridge journal``: looking after the journal, its keys, its copies and its history."""

from __future__ import annotations

import os
import sys
from functools import partial

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.backup import backup_command, restore_command, verify_backup_command
from bridge.cli.keys import keys_command
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import database, read


@click.group("journal")
def journal_command() -> None:
    """Look after the journal.

    \b
    bridge journal verify
    bridge journal backup /backup/monday.db
    """


for command in (keys_command, backup_command, verify_backup_command, restore_command):
    journal_command.add_command(command)


@journal_command.command("upgrade")
@options.journal
def upgrade_command(journal_url: str | None) -> int:
    """Bring a journal's tables to this version. It only adds; stop the node first.

    A backup that an older version made is put back once it has been upgraded so; its .sha256 follows.

    \b
    bridge journal upgrade --journal sqlite:////var/lib/bridge/journal.db
    bridge journal upgrade --journal sqlite:////backup/monday.db
    """
    from bridge.errors import JournalRefused
    from bridge.journal.backup import is_changed, note_bytes
    from bridge.journal.database import check_version, upgrade
    from bridge.journal.sqlite import SqliteFile

    journal = database(journal_url)
    if isinstance(journal.kind, SqliteFile) and (changed := is_changed(journal.kind.file)):
        raise JournalRefused(f"{changed}: it is no backup any more, or another one")
    try:
        if journal.is_new():
            check_version(journal)  # says that there is none
        ownership = journal.own()
        try:
            before, after = upgrade(journal, random_bytes=os.urandom)
        finally:
            ownership.release()
    finally:
        journal.close()
    if isinstance(journal.kind, SqliteFile):
        note_bytes(journal.kind.file)
    click.echo(
        f"{journal.name}: tables were of version {before}, are of version {after}"
        if before != after
        else f"{journal.name}: tables are of version {after} already"
    )
    return DONE


@journal_command.command("compact")
@options.journal
def compact_command(journal_url: str | None) -> int:
    """Write a journal anew without free space, and so that it can give back more by itself.

    Stop the node first. It needs as much space again for a while. Retention gives space of a SQLite journal
    back by itself where the journal was made by this version, or compacted once; PostgreSQL uses it again.

    \b
    bridge journal compact
    """
    from bridge.journal.database import check_version
    from bridge.journal.space import compact

    journal = database(journal_url)
    try:
        check_version(journal)
        ownership = journal.own()
        try:
            compact(journal, ownership)
        finally:
            ownership.release()
    finally:
        journal.close()
    click.echo(f"{journal.name}: written anew")
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
    from bridge.journal.database import check_version

    leaving = database(source)
    try:
        check_version(leaving)  # before anything is made at the other side
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

    The bytes of large files beside the journal are held against its digests too. It only reads, and may run
    beside a node. Exit status 1 where a rule was broken.

    \b
    bridge journal verify
    """
    from bridge.journal.history import check

    found = read(journal_url, check)
    violations = [(each.invariant, each.where, each.what) for each in found.violations]
    violations += [("spool", where, what) for where, _, what in _spoiled(journal_url)]
    if output == "json":
        out.json(
            {
                "messages": found.messages,
                "deliveries": found.deliveries,
                "steps": found.steps,
                "violations": [
                    {"invariant": rule, "where": where, "what": what} for rule, where, what in violations
                ],
            }
        )
    else:
        if violations:
            out.table("", ["rule", "where", "what"], violations)
        counts = ", ".join(
            (
                out.count(found.messages, "message"),
                out.count(found.deliveries, "delivery", "deliveries"),
                out.count(found.steps, "step"),
            )
        )
        broken = out.count(len(violations), "violation")
        click.echo(f"{counts}: {broken if violations else 'every rule was kept'}")
    return ANSWER_IS_NO if violations else DONE


def _spoiled(journal_url: str | None) -> list[tuple[str, str, str]]:
    """What is wrong with the bytes of files beside the journal.

    A node may let go of some meanwhile: looked at once more, these are not named any more.
    """
    from bridge.journal.spool import Spool
    from bridge.journal.spool_copying import look_at_spool

    journal = database(journal_url)
    spool = Spool(journal.beside, journal.seals)
    journal.close()

    look = partial(look_at_spool, spool=spool, progress=lambda _: None)
    found = read(journal_url, look)
    again = read(journal_url, look) if found else []
    return [each.partition(": ") for each in found if each in again]
