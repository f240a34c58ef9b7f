"""``bridge deidentify``: messages to test data."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.author import files_in, read_file
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.new_files import new_files


@click.command("deidentify")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), required=True, help="A folder, made if need be."
)
@click.option(
    "--key", "key_file", type=click.Path(path_type=Path), help="A file with a secret of 16 bytes or more."
)
@options.output_format
def deidentify_command(files: tuple[Path, ...], folder: Path, key_file: Path | None, output: str) -> int:
    """Make test data of messages: nobody in them is who they were.

    Names, numbers, addresses and telephones become pseudonyms of the same shape, dates move by so many days
    for each patient, free text becomes x and 9, codes and results stay. With the same key the same patient
    stays the same patient, also in files that are made later; without --key one is drawn and forgotten. Who
    has the key can tell who is who by trying, so keep it as you keep the messages. Facilities, wards and
    applications stay. Exit status 1 where a message cannot be read: it is left out. No file that is there is
    written over, and --to is no folder of FILES.

    \b
    bridge deidentify feed/ --to test-feed/ --key site.key
    """
    from bridge.cli.deidentifying import KEY_MIN_BYTES, deidentify
    from bridge.formats.hl7v2 import Hl7Message
    from bridge.formats.hl7v2_check import split_messages

    key = os.urandom(32) if key_file is None else read_file(key_file)
    if len(key) < KEY_MIN_BYTES:
        raise click.BadParameter(f"{key_file}: a key has {KEY_MIN_BYTES} bytes or more", param_hint="--key")
    paths = list(files_in(files))
    # Names of files may hold what messages hold.
    names = [f"message-{number:06}.hl7" for number in range(1, len(paths) + 1)]
    _refuse_inputs(folder, files)
    written = 0
    refused: dict[str, int] = {}
    progress = out.progress("making test data", paths, len(paths))
    with new_files(folder, names, "--to") as put, progress as each:
        for name, path in zip(names, each, strict=True):
            bodies = []
            data = read_file(path)
            # A file without any is left out as a message is that cannot be read.
            for body in list(split_messages(data)) or [data]:
                made = deidentify(Hl7Message.read(body), key)
                if made.refused is None:
                    bodies.append(made.body)
                else:
                    refused[made.refused.code] = refused.get(made.refused.code, 0) + 1
            if bodies:
                put(name, b"\n".join(bodies))
                written += len(bodies)
    if output == "json":
        out.json({"messages": written, "refused": refused, "folder": str(folder)})
    else:
        click.echo(f"{folder}: {out.count(written, 'message')}, {sum(refused.values())} left out", err=True)
        for code, count in sorted(refused.items()):
            click.echo(f"  {code}: {count}", err=True)
    return ANSWER_IS_NO if refused or not written else DONE


def _refuse_inputs(folder: Path, files: Iterable[Path]) -> None:
    """Messages and test data lie apart: nobody could tell any more which of them are of real people."""
    for path in files:
        if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            said = f"test data do not go into {path}, which is read; choose a folder beside it"
            raise click.BadParameter(said, param_hint="--to")
