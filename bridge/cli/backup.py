"""``bridge journal backup``, ``verify-backup`` and ``restore``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import database

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("backup")
@click.argument("file", type=FILE)
@options.journal
def backup_command(file: Path, journal_url: str | None) -> int:
    """Write the journal as it is now to a file; a node may run on it meanwhile.

    FILE becomes a SQLite journal, whichever database it comes from, and FILE.sha256 says what its bytes come
    to. What is encrypted stays so, and the keys are not in it: keep them elsewhere.

    \b
    bridge journal backup /backup/monday.db
    bridge journal verify-backup /backup/monday.db
    """
    from bridge.journal.backup import back_up

    source = database(journal_url)
    try:
        with out.counting("copied") as progress:
            made = back_up(
                source,
                file,
                at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                opened=lambda url: database(url, create=True),
                random_bytes=os.urandom,
                progress=progress,
            )
    finally:
        source.close()
    click.echo(f"{file}: {out.count(made.messages, 'message')}, {made.size_bytes:,} bytes")
    return DONE


@click.command("verify-backup")
@click.argument("file", type=FILE)
@options.output_format
def verify_backup_command(file: Path, output: str) -> int:
    """Look at a backup: its bytes, its history and ledger, and that every body opens.

    Exit status 1 where anything is wrong with it.

    \b
    bridge journal verify-backup /backup/monday.db
    """
    from bridge.journal.backup import look

    backup = database(f"sqlite:///{file}")
    try:
        with out.counting("opened") as progress:
            found = look(backup, file, progress)
    finally:
        backup.close()
    broken = (
        [] if found.history is None else [f"{each.where}: {each.what}" for each in found.history.violations]
    )
    wrong = [*found.wrong, *broken]
    held = 0 if found.history is None else found.history.messages
    if output == "json":
        out.json({"messages": held, "opened": found.opened, "wrong": wrong})
    else:
        for words in wrong:
            click.echo(words)
        click.echo(
            f"{file}: {out.count(held, 'message')}, {out.count(found.opened, 'body', 'bodies')} opened, "
            + (f"{out.count(len(wrong), 'thing')} wrong" if wrong else "all as it should be")
        )
    return ANSWER_IS_NO if wrong else DONE


@click.command("restore")
@click.argument("file", type=FILE)
@click.argument("target")
def restore_command(file: Path, target: str) -> int:
    """Put a backup into an empty database of either kind, and compare.

    The node that starts on it pauses every channel until you have looked: what came and went after the backup
    was made is not in it, and what was open then may have been sent since. Nothing of a channel is deleted
    before it is resumed: make legal holds of after the backup again until then.

    \b
    bridge journal restore /backup/monday.db sqlite:////var/lib/bridge/journal.db
    bridge journal restore /backup/monday.db postgresql://bridge@db/bridge
    """
    from bridge.errors import JournalRefused
    from bridge.journal.backup import is_changed, restore

    if changed := is_changed(file):
        raise JournalRefused(f"{changed}: put back another backup")
    backup, arriving = database(f"sqlite:///{file}"), database(target, create=True)
    try:
        with out.counting("copied") as progress:
            held = restore(backup, arriving, random_bytes=os.urandom, progress=progress)
    finally:
        backup.close()
        arriving.close()
    click.echo(f"{arriving.name}: {out.count(held.messages, 'message')}, each row as it was in {file.name}")
    if held.files_lost:
        lost = out.count(held.files_lost, "file")
        click.echo(f"the bytes of {lost} are not beside {file.name}: they cannot be replayed", err=True)
    click.echo(
        "its node starts with every channel paused, and deletes nothing of one before it is resumed: look, "
        "make legal holds of after the backup again, then `bridge resume --all --reason …`"
    )
    return DONE
