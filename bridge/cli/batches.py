"""``bridge batches``: what batches said of themselves, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.known import refuse_unknown
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import read
from bridge.formats.hl7v2_batch_totals import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.journal.batches import BatchRow

WRONG = ("differs", "no-trailer")
_COUNTED = ("rows", "messages")
"""What is counted of every batch."""


@click.command("batches")
@options.journal
@click.option("--channel", help="Only this channel.")
@click.option("--file", "file_id", type=options.ID, help="Only those of this file, by its number.")
@click.option("--wrong", is_flag=True, help="Only those that are not as they say.")
@click.option("--sent", is_flag=True, help="Instead, files that were collected and sent, and what waits.")
@click.option("--api", help="With --sent: only those of this API.")
@options.newest
@options.output_format
def batches_command(
    journal_url: str | None,
    channel: str | None,
    file_id: int | None,
    api: str | None,
    *,
    wrong: bool,
    sent: bool,
    limit: int,
    output: str,
) -> int:
    """List batches: what each says of itself, and what was found.

    The newest first. Exit status 1 where one of them is not as it says, or one that was collected is not
    written, not acknowledged in time, or not taken by its receiver.

    \b
    bridge batches
    bridge batches --wrong
    bridge batches --sent --api billing.charges
    """
    if sent:
        from bridge.cli.batches_sent import tell_sent

        return tell_sent(journal_url, api, limit, output)
    from bridge.journal.batches import newest_batches

    found = read(
        journal_url,
        newest_batches,
        channel=channel,
        file_id=file_id,
        balance=WRONG if wrong else (),
        limit=limit,
    )
    if not found:
        refuse_unknown(journal_url, channel=channel)
    if output == "json":
        out.json([_as_json(each) for each in found])
    elif not found:
        click.echo("no batch is " + ("other than it says" if wrong else "known"))
    else:
        rows = (
            (
                each.batch_id,
                f"{each.channel}\n{out.minute(each.received_at_us)}",
                f"{name_of(each)}\n{each.file_name}".strip(),
                _holds(each),
                each.balance,
            )
            for each in found
        )
        out.table("", ["batch", "channel", "what", "holds", "balance"], rows, right=("batch",))
        for each in found:
            for line in _report(each):
                click.echo(f"batch {each.batch_id}: {line}")
        for number, reason in dict(_held(found)).items():
            release = f"`bridge files take {number}` lets it go on, `discard` ends it"
            click.echo(f"file {number} is held ({reason}): {release}")
    return ANSWER_IS_NO if any(each.balance in WRONG for each in found) else DONE


def name_of(batch: BatchRow) -> str:
    """What a batch is called: its kind, the number that its sender gave it, and its entry of an archive."""
    return " ".join(filter(None, (batch.kind, batch.control_id, batch.entry and f"in {batch.entry}")))


def total(name: str, value: str) -> str:
    """A total with its name, as in ``1 message`` and ``12,345.67 amount``."""
    one = {"batches": "batch"}.get(name, name.removesuffix("s")) if value == "1" else name
    return f"{out.figure(value)} {one}"


def _holds(batch: BatchRow) -> str:
    """What was found, in a line for each total, and what its trailer says where that is something else."""
    lines = []
    for name, value in batch.found.items():
        declared = batch.declared.get(name)
        if declared is None and batch.declared and name in _COUNTED:
            continue  # the trailer counts the same under a name of its own
        says = "" if declared in (None, value, UNREADABLE) else f", not {out.figure(str(declared))}"
        lines.append(f"{total(name, value)}{says}")
    return "\n".join(lines)


def difference(what: str, declared: str, found: str, place: str) -> str:
    """Where a batch is not what it says, in words."""
    if declared == UNREADABLE:
        return f"what it declares of {what} is no number, {place}"
    return f"{out.figure(declared)} {what} declared and {out.figure(found)} found, {place}"


def _report(batch: BatchRow) -> list[str]:
    lines = [difference(**each) for each in batch.report]
    if batch.balance == "no-trailer":
        lines.append("it has no trailer, and may be cut short")
    return lines


def _held(found: Sequence[BatchRow]) -> Iterator[tuple[int, str]]:
    """The files in quarantine, each with its reason."""
    for batch in found:
        if batch.file_state == "QUARANTINED" and batch.file_id is not None:
            yield batch.file_id, batch.file_reason


def _as_json(batch: BatchRow) -> dict[str, Any]:
    return {
        "batch": batch.batch_id,
        "received": out.moment(batch.received_at_us),
        "channel": batch.channel,
        "file": batch.file_id,
        "name": batch.file_name,
        "state": batch.file_state,
        "entry": batch.entry,
        "kind": batch.kind,
        "control_id": batch.control_id,
        "made": batch.made,
        "first": batch.first,
        "last": batch.last,
        "declared": dict(batch.declared),
        "found": dict(batch.found),
        "balance": batch.balance,
        "report": [dict(each) for each in batch.report],
    }
