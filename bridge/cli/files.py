"""``bridge files``: what was taken from folders and servers, and what a person decides about it."""

from __future__ import annotations

import time
from pathlib import Path

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.file_check import check_command
from bridge.cli.known import a_state, refuse_unknown
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.new_files import new_file
from bridge.cli.reading import ask, read

NAME_SHOWN_CHARACTERS = 60


@click.group("files")
def files_command() -> None:
    """What was taken from folders and servers: list it, take it once more, or throw it away.

    \b
    bridge files list
    bridge files take 17 --reason "the mapping is corrected"
    """


files_command.add_command(check_command)


@files_command.command("list")
@options.journal
@click.option("--channel", help="Only this channel.")
@click.option("--state", help="Only this state: TAKEN, SPLIT, FAILED, QUARANTINED, REFUSED, DISCARDED.")
@options.newest
@options.output_format
def list_command(
    journal_url: str | None, channel: str | None, state: str | None, *, limit: int, output: str
) -> int:
    """List files, newest first.

    \b
    bridge files list --state FAILED
    """
    from bridge.delivery.files import FileState
    from bridge.journal.taken_files import newest_files

    state = a_state(state, FileState)
    found = read(journal_url, newest_files, channel=channel, state=state, limit=limit)
    if not found:
        refuse_unknown(journal_url, channel=channel)
    rows = [
        {
            "file": file.file_id,
            "received": out.moment(file.received_at_us),
            "channel": file.channel,
            "name": file.name,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256.hex(),
            "state": str(file.state),
            "reason": file.reason,
            "place": file.place,
            "messages": file.messages,
            "business_date": file.business_date,
            "rerun": f"{file.rerun} of {file.rerun_of}" if file.rerun_of is not None else "",
            "kept": file.kept != "gone",
        }
        for file in found
    ]
    if output == "json":
        out.json(rows)
        return DONE
    if not rows:
        click.echo("no files were taken")
        return DONE
    out.table(
        "",
        ["file", "channel", "name", "state", "messages"],
        (
            (
                file.file_id,
                f"{file.channel}\n{out.minute(file.received_at_us)}",
                _lines(
                    _shown(file.name),
                    f"{file.size_bytes:,} bytes",
                    file.business_date and f"of {file.business_date}",
                ),
                _lines(str(file.state), file.reason, file.place, str(row["rerun"])),
                f"{file.messages:,}",
            )
            for file, row in zip(found, rows, strict=True)
        ),
        right=("file", "messages"),
        folds=("state",),
    )
    return DONE


def _shown(name: str) -> str:
    """A name, with a sign where its end is left out; `--format json` has it whole."""
    return name if len(name) <= NAME_SHOWN_CHARACTERS else name[: NAME_SHOWN_CHARACTERS - 1] + "…"


def _lines(*parts: str) -> str:
    return "\n".join(filter(None, parts))


@files_command.command("answer")
@click.argument("file_id", type=options.ID)
@options.journal
@click.option(
    "--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="A new file; without it, shown."
)
def answer_command(file_id: int, journal_url: str | None, target: Path | None) -> int:
    """Make the answer to a file, as its sender understands it: what of it was taken.

    Of X12 it is an interchange with a 999 for each group, and TA1 where it was asked for; of EDIFACT a CONTRL
    for each interchange; of HL7 v2 a batch of acknowledgements, of all else a receipt in JSON. It holds
    numbers and codes, and no content. Exit status 1 where not all was taken.

    \b
    bridge files answer 17 --to /var/spool/out/answer-17.999
    """
    from bridge.runtime.answers_to_files import NoAnswer, answer_of

    try:
        content, all_taken = read(journal_url, answer_of, file_id, int(time.time() * 1e6))
    except NoAnswer as why:
        raise click.ClickException(str(why)) from None
    if target is None:
        click.echo(content.replace(b"\r", b"\n") if content.startswith(b"BHS") else content)
    else:
        with new_file(target, "--to") as file:
            file.write(content)
    return DONE if all_taken else ANSWER_IS_NO


@files_command.command("take")
@click.argument("file_ids", nargs=-1, type=options.ID, required=True)
@options.journal
@options.reason
@options.output_format
def take_command(file_ids: tuple[int, ...], journal_url: str | None, *, reason: str, output: str) -> int:
    """Take the messages of kept files once more, as new ones.

    One in quarantine is taken for the first time; one that failed is tried again; one that was taken is
    replayed.

    \b
    bridge files take 17 --reason "it was sent twice on purpose"
    """
    return _asked(journal_url, file_ids, reason, output, discard=False)


@files_command.command("discard")
@click.argument("file_ids", nargs=-1, type=options.ID, required=True)
@options.journal
@options.reason
@options.output_format
def discard_command(file_ids: tuple[int, ...], journal_url: str | None, *, reason: str, output: str) -> int:
    """Let files end that are in quarantine, or that could not be taken apart.

    \b
    bridge files discard 18 --reason "it was sent twice by mistake"
    bridge files discard 21 --reason "no file of ours; its sender knows"
    """
    return _asked(journal_url, file_ids, reason, output, discard=True)


@files_command.command("settle")
@click.argument("api")
@click.argument("number", type=options.ID)
@options.journal
@click.option("--accepted", "word", flag_value="A", help="It has taken what it has not spoken of.")
@click.option("--rejected", "word", flag_value="R", help="It has not: that waits for a person from then on.")
@options.reason
@options.output_format
def settle_command(
    api: str, number: int, journal_url: str | None, *, word: str | None, reason: str, output: str
) -> int:
    """Say what the receiver of a file has said otherwise than by an acknowledgement.

    The file is one that `bridge batches --sent` shows as awaited, by its API and its number there. What was
    said of single messages of it stays.

    \b
    bridge files settle payer.claims 17 --accepted --reason "said by telephone"
    """
    if word is None:
        raise click.UsageError("say what became of it: --accepted or --rejected")
    said = ask(journal_url, "settle-file", api=api, number=number, word=word, reason=reason)
    if output == "json":
        out.json(said)
    else:
        click.echo("\n".join(said["done"]))
    return DONE


def _asked(
    journal_url: str | None, file_ids: tuple[int, ...], reason: str, output: str, *, discard: bool
) -> int:
    said = ask(journal_url, "files", ids=list(file_ids), discard=discard, reason=reason)
    if output == "json":
        out.json(said)
    else:
        for line in said["done"]:
            click.echo(line)
    return DONE
