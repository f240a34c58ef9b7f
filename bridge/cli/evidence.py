"""``bridge evidence``: one signed file of what a journal can show of a time, and a look at one without it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE

if TYPE_CHECKING:
    from bridge.audit.notes import Signer


@click.group("evidence", invoke_without_command=True)
@options.journal
@click.option("--from", "since", help="From when on: 2026-11-23, or how long ago: 90d.")
@click.option("--to", "until", help="Before when.  [default: now]")
@click.option("--out", "path", type=click.Path(path_type=Path), help="The file.")
@click.pass_context
def evidence_command(
    ctx: click.Context, journal_url: str | None, since: str | None, until: str | None, path: Path | None
) -> int:
    """Write one signed file of what a journal can show of a time.

    The rows of the chain with what they cover, checkpoints with the proofs that each goes on from the one
    before, what was loaded and by whose approval, what policies said, who saw content, digests of mappings,
    and what came held against what became of it. No content of messages is in it. It is signed with the key
    that signs checkpoints, and reaches from the checkpoint before the time to the one after it.

    \b
    bridge evidence --from 2026-10-01 --to 2027-01-01 --out quarter.evidence
    bridge evidence verify quarter.evidence --key north.pub
    """
    if ctx.invoked_subcommand is not None:
        return DONE
    if since is None or path is None:
        raise click.UsageError("say --from and --out")
    from bridge.cli.moments import past_us
    from bridge.cli.new_files import new_file
    from bridge.cli.reading import database
    from bridge.evidence.sections import written
    from bridge.journal.database import check_version, told
    from bridge.journal.evidence import NothingToShow, evidence_of

    now_s = time.time()
    since_us, until_us = past_us(since, "--from", now_s), past_us(until, "--to", now_s)
    made_us = int(now_s * 1e6)
    until_us = made_us if until_us is None else until_us
    assert since_us is not None
    if since_us >= until_us:
        raise click.BadParameter("this is not before --to", param_hint="--from")
    signer = _signer()
    journal = database(journal_url)
    try:
        check_version(journal)
        with new_file(path, "--out") as file, told(journal), journal.reader.begin() as connection:
            size = 0
            for line in written(evidence_of(connection, signer, since_us, until_us, made_us), signer):
                size += file.write(line)
    except NothingToShow as nothing:
        click.echo(f"{nothing}", err=True)
        return ANSWER_IS_NO
    finally:
        journal.close()
    click.echo(f"{path}: {size} bytes, signed by {signer.name}")
    click.echo(
        f"whoever gets it verifies it with: bridge evidence verify {path} --key {signer.verifier.line}"
    )
    return DONE


def _signer() -> Signer:
    """The key that signs checkpoints. Raises JournalRefused where this machine has none."""
    from bridge.audit.notes import Signer
    from bridge.cli.audit import DEFAULT_KEY, VARIABLE
    from bridge.config.settings import settings
    from bridge.errors import JournalRefused, SecretUnavailable

    machine = settings(os.environ)
    reference = machine.audit.key or DEFAULT_KEY
    try:
        return Signer.parse(machine.secrets.resolve(reference))
    except SecretUnavailable as refused:
        raise JournalRefused(
            f"evidence is signed with the key of {VARIABLE}: {refused}; `bridge audit key new` makes one"
        ) from None
    except ValueError as wrong:
        raise JournalRefused(f"{reference}: {wrong}") from None


@evidence_command.command("verify")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--key", required=True, help="The public key of the node, as a line or the file that holds it.")
@click.option(
    "--anchors",
    "anchor_files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of checkpoints that were kept elsewhere, or a log that holds them.",
)
@options.output_format
def verify_command(file: Path, key: str, anchor_files: tuple[Path, ...], output: str) -> int:
    """Verify a FILE of evidence by itself: no journal and no configuration is needed.

    Get the public key on another way than the file. With --anchors it is also held against what was kept
    where the node could not change it. Exit status 1 where anything is wrong, and what.

    \b
    bridge evidence verify quarter.evidence --key north.pub
    bridge evidence verify q4.evidence --key north.pub --anchors worm.txt
    """
    from bridge.audit.checkpoints import notes_in
    from bridge.cli.public_keys import public_key
    from bridge.evidence.sections import LINE_MAX_BYTES, opened, values
    from bridge.evidence.verifying import verified

    verifier = public_key(key)

    def lines(offset: int = 0) -> Iterator[bytes]:
        with file.open("rb") as reading:
            reading.seek(offset)
            while line := reading.readline(LINE_MAX_BYTES):
                yield line

    found = opened(lines(), verifier)
    result = verified(
        found,
        lambda name: values(lines(found.offsets[name]), name) if name in found.offsets else iter(()),
        verifier,
        [note for each in anchor_files for note in notes_in(_anchors(each))],
    )
    if output == "json":
        out.json(
            {
                "good": not result.problems,
                "signed_by": found.signed_by,
                "head": result.head,
                "counts": result.counts,
                "problems": result.problems,
                "limits": result.limits,
            }
        )
        return ANSWER_IS_NO if result.problems else DONE
    for problem in result.problems:
        click.echo(f"WRONG: {problem}")
    if result.problems:
        click.echo(f"{file}: {out.count(len(result.problems), 'problem')}; do not rely on it", err=True)
        return ANSWER_IS_NO
    head = result.head
    click.echo(
        f"journal {head['journal']}, from {out.moment(head['from_us'])} to {out.moment(head['to_us'])}, "
        f"signed by {found.signed_by}"
    )
    out.table("", ["what", "lines"], ((name, count) for name, count in result.counts.items() if count))
    for limit in result.limits:
        click.echo(f"not shown: {limit}")
    click.echo(f"{file}: all of it is as it was signed, and the chain holds")
    return DONE


def _anchors(path: Path) -> str:
    """A file of anchors. Raises BadParameter where it cannot be read, or no checkpoint stands in it."""
    from bridge.audit.checkpoints import notes_in
    from bridge.cli.audit import ANCHORS_MAX_BYTES

    try:
        if path.stat().st_size > ANCHORS_MAX_BYTES:
            raise click.BadParameter(f"{path} is larger than 1 GiB; give the part that matters")
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be read: {error.strerror}", param_hint="--anchors") from None
    if not any(True for _ in notes_in(text)):
        raise click.BadParameter(f"{path}: no checkpoint stands in it", param_hint="--anchors")
    return text
