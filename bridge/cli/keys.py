"""``bridge journal keys``: the keys that bodies in the journal are encrypted with."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import database, read
from bridge.config.settings import settings
from bridge.errors import JournalRefused, SecretUnavailable
from bridge.units import SecretRef

DEFAULT = SecretRef("file", "journal-keys")
VARIABLE = "BRIDGE_JOURNAL_KEYS"


@click.group("keys")
def keys_command() -> None:
    """The keys that bodies in the journal are encrypted with.

    \b
    bridge journal keys new                                     make a key
    export BRIDGE_JOURNAL_KEYS=secret://file/journal-keys       for the node and for commands
    bridge journal keys list                                    what is encrypted with which
    """


@keys_command.command("new")
@click.option("--name", help="The key's name.  [default: today's date]")
def new_command(name: str | None) -> int:
    """Make a key, and put it first in the secret that holds the keys, so that it is the current one.

    Keys that were there stay: they open what they have sealed. A running node takes the new one with
    `bridge reload`; nothing is written anew.

    \b
    bridge journal keys new
    bridge reload
    """
    from bridge.journal.sealing import KEY_BYTES, Key, Keyring

    machine = settings(os.environ)
    reference = machine.journal_keys or DEFAULT
    key = Key.made(name or time.strftime("%Y-%m-%d"), os.urandom(KEY_BYTES))
    if reference.source == "env":
        click.echo(key.line)
        click.echo(f"put this line first in the variable {reference.name}, before the lines there", err=True)
        return DONE
    folder = machine.secrets.directory
    path = folder / reference.name
    try:
        before = machine.secrets.resolve(reference) if path.exists() else ""
    except SecretUnavailable as refused:
        raise JournalRefused(str(refused)) from None
    if any(line.split()[:1] == [key.name] for line in before.splitlines()):
        raise JournalRefused(
            f"{path} has a key of the name {key.name} already: give this one another with --name"
        )
    text = "\n".join(filter(None, (key.line, before))) + "\n"
    Keyring.read(text, str(reference))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_secret(path, text)
    click.echo(f"{path}: the key {key.name} ({key.id.hex()}) is the current one")
    click.echo("keep a copy of this file in a safe place: without it, no body in the journal can be read")
    if machine.journal_keys is None:
        click.echo(f"let the node and your commands know of it: export {VARIABLE}={reference}")
    else:
        click.echo("a running node takes it with `bridge reload`")
    return DONE


def replace_secret(path: Path, text: str) -> None:
    """Write a secret, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(file, "w", encoding="utf-8") as out_of:
        out_of.write(text)
        out_of.flush()
        os.fsync(out_of.fileno())
    partial.replace(path)


@keys_command.command("list")
@options.journal
@options.output_format
def list_command(journal_url: str | None, output: str) -> int:
    """Show which keys there are, and how much is encrypted with each. It looks at every body.

    Exit status 1 where something is not encrypted, or a key is missing.

    \b
    bridge journal keys list
    """
    from bridge.journal.copying import rows_of
    from bridge.journal.keys import in_use, sealed_rows
    from bridge.journal.spool import Spool
    from bridge.journal.spool_copying import sealed_files

    journal = database(journal_url)
    keyring = journal.read_keys()
    with click.progressbar(length=rows_of(journal), label="looking", file=sys.stderr) as bar:
        counts = read(journal_url, sealed_rows, bar.update)
    counts += read(journal_url, sealed_files, Spool(journal.beside))
    used = read(journal_url, in_use)
    journal.close()
    keys = () if keyring is None else keyring.keys
    known = {key.id for key in keys}
    rows = [
        {
            "name": key.name,
            "id": key.id.hex(),
            "is": "retired" if place else "current",
            "values": counts[key.id],
            "in_use": key.id in used,
        }
        for place, key in enumerate(keys)
    ]
    lost = {each for each in {*used, *counts} if each is not None and each not in known}
    rows += [
        {"name": "", "id": each.hex(), "is": "missing", "values": counts[each], "in_use": True}
        for each in sorted(lost)
    ]
    if output == "json":
        out.json({"keys": rows, "not_encrypted": counts[None]})
    else:
        columns = ("name", "id", "is", "values")
        out.table("", columns, ([row[each] for each in columns] for row in rows), right=("values",))
        click.echo(f"not encrypted: {out.count(counts[None], 'value')}")
        if counts[None] and keys:
            click.echo(
                "what was there before the first key stays as it was: `bridge journal copy` encrypts all"
            )
    return ANSWER_IS_NO if lost or counts[None] else DONE


@keys_command.command("forget")
@click.argument("key")
@options.journal
def forget_command(key: str, journal_url: str | None) -> int:
    """Let the journal do without a retired KEY (its name or id), once nothing is encrypted with it.

    Stop the node first. Then the key may be taken out of the secret. Backups that were made before need it
    still: keep it elsewhere until the last of them is gone, and destroy it only then.

    \b
    bridge journal keys forget 2025-11-30
    """
    from bridge.journal.keys import forget
    from bridge.journal.spool import Spool

    journal = database(journal_url)
    ownership = journal.own()
    try:
        keyring = journal.read_keys()
        names = {} if keyring is None else {each.name: each.id for each in keyring.keys}
        try:
            key_id = names[key] if key in names else bytes.fromhex(key)
        except ValueError:
            raise click.BadParameter(f"no key {key!r} in {VARIABLE}", param_hint="KEY") from None
        if keyring is not None and key_id == keyring.keys[0].id:
            raise click.BadParameter(f"{key} is the current key, and no retired one", param_hint="KEY")
        with ownership.connect().begin() as writing:
            left = forget(writing.connection, key_id, Spool(journal.beside))
    finally:
        ownership.release()
        journal.close()
    if left:
        click.echo(f"{out.count(left, 'value')} are encrypted with {key} still: it must stay", err=True)
        return ANSWER_IS_NO
    click.echo(
        f"the journal needs {key} no more: take its line out of the secret, and keep it elsewhere as long "
        "as there are backups that were made before, which cannot be read without it"
    )
    return DONE
