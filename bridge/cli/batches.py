"""``bridge batches`` and ``reconcile``: what batches said of themselves, and what became of all that came."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.moments import past_us
from bridge.cli.reading import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.journal.batches import BatchRow
    from bridge.journal.reconciling import Account, Reconciled

WRONG = ("differs", "no-trailer")
SHOWN = ("delivered", "suppressed", "filtered", "ignored", "duplicate", "discarded", "quarantined", "open")
"""Entries with a column of their own, where there are any; the rest stand together."""
_NOT_TAKEN = {
    "QUARANTINED": "held",
    "DISCARDED": "discarded",
    "REFUSED": "refused",
    "FAILED": "failed",
    "TAKEN": "being read",
}
_COUNTED = ("rows", "messages")
"""What is counted of every batch."""


@click.command("batches")
@options.journal
@click.option("--channel", help="Only this channel.")
@click.option("--file", "file_id", type=int, help="Only those of this file, by its number.")
@click.option("--wrong", is_flag=True, help="Only those that are not as they say.")
@click.option("--sent", is_flag=True, help="Instead, files that were collected and sent, and what waits.")
@click.option("--api", help="With --sent: only those of this API.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
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
    written.

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
    if output == "json":
        out.json([_as_json(each) for each in found])
    elif not found:
        click.echo("no batch is " + ("other than it says" if wrong else "known"))
    else:
        rows = (
            (
                each.batch_id,
                f"{each.channel}\n{out.minute(each.received_at_us)}",
                f"{_name(each)}\n{each.file_name}".strip(),
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


def _name(batch: BatchRow) -> str:
    """What a batch is called: its kind, the number that its sender gave it, and its entry of an archive."""
    return " ".join(filter(None, (batch.kind, batch.control_id, batch.entry and f"in {batch.entry}")))


def _totals(totals: Any) -> str:
    return ", ".join(_total(name, value) for name, value in totals.items())


def _total(name: str, value: str) -> str:
    one = {"batches": "batch"}.get(name, name.removesuffix("s")) if value == "1" else name
    return f"{out.figure(value)} {one}"


def _holds(batch: BatchRow) -> str:
    """What was found, in a line for each total, and what its trailer says where that is something else."""
    lines = []
    for name, value in batch.found.items():
        declared = batch.declared.get(name)
        if declared is None and batch.declared and name in _COUNTED:
            continue  # the trailer counts the same under a name of its own
        says = "" if declared in (None, value) else f", not {out.figure(str(declared))}"
        lines.append(f"{_total(name, value)}{says}")
    return "\n".join(lines)


def _report(batch: BatchRow) -> list[str]:
    lines = [
        f"{out.figure(each['declared'])} {each['what']} declared and {out.figure(each['found'])} found, "
        f"{each['place']}"
        for each in batch.report
    ]
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


@click.command("reconcile")
@options.journal
@click.option("--day", help="Of this day: 2026-11-23, in local time.  [default: today]")
@click.option("--since", help="Instead of a day: from then on, 2h or 2026-11-23T06:00 (local time).")
@click.option("--until", help="With --since: until before then.  [default: now]")
@click.option("--channel", help="Only this channel.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What an API says that it has: CSV with names in its first line, or lines of JSON.",
)
@click.option("--api", help="With --report: whose report it is.")
@click.option("--by", help="With --report: FIELD=COLUMN, by which what was sent and a row are matched.")
@click.option("--amount", help="With --report: FIELD=COLUMN of amounts that must be the same.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="For a person, or for a program. CSV is for spreadsheets.",
)
def reconcile_command(
    journal_url: str | None, channel: str | None, report: Path | None, output: str, **given: str | None
) -> int:
    """Hold what came on a day against what became of it, by channel and batch.

    Each line balances: what was received is delivered, suppressed, in quarantine, open, and so on. What does
    not fit is listed with its type: missing, extra, amount, duplicate, late, rerun, held, failed, refused,
    no-trailer, quarantined. With a report of an API it is a three-way match: what came for it, what was sent,
    and what it says that it has. Exit status 1 where anything does not fit.

    \b
    bridge reconcile
    bridge reconcile --day 2026-11-23 --format csv > monday.csv
    bridge reconcile --report posted.csv --api billing --by key=charge_id
    """
    from bridge.journal.reconciling import reconcile

    begins, since_us, until_us = _window(given["day"], given["since"], given["until"])
    api, by, amount = given["api"], given["by"], given["amount"]
    if report is not None:
        from bridge.cli.reconcile_report import columns_of, tell_match

        if api is None or by is None:
            raise click.UsageError(
                "--report needs --api and --by: whose it is, and by what records are matched"
            )
        columns = columns_of(by, amount)
        return tell_match(journal_url, report, api, columns, (since_us, until_us), output)
    if api is not None or by is not None or amount is not None:
        raise click.UsageError("--api, --by and --amount are for --report")
    found = read(
        journal_url, reconcile, since_us, until_us, channel=channel, day_of=begins.strftime("%Y%m%d")
    )
    match output:
        case "json":
            out.json(_reconciled_as_json(begins, found))
        case "csv":
            click.echo(_as_csv(found), nl=False)
        case _:
            _show(begins, found)
    return ANSWER_IS_NO if found.misfits else DONE


def _window(day: str | None, since: str | None, until: str | None) -> tuple[datetime, int, int]:
    """The day that a window begins on, and the window."""
    if since is None:
        if until is not None:
            raise click.UsageError("--until is for --since")
        begins = _day(day)
        first_us, last_us = (int((begins + timedelta(days=more)).timestamp() * 1e6) for more in (0, 1))
        return begins, first_us, last_us
    if day is not None:
        raise click.UsageError("--day and --since are two ways to say which window: give one")
    now_s = time.time()
    since_us, until_us = past_us(since, "--since", now_s), past_us(until, "--until", now_s)
    assert since_us is not None
    until_us = int(now_s * 1e6) if until_us is None else until_us
    if until_us <= since_us:
        raise click.BadParameter("expected a time after --since", param_hint="--until")
    return datetime.fromtimestamp(since_us / 1e6, UTC).astimezone(), since_us, until_us


def _day(text: str | None) -> datetime:
    if text is None:
        return datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        return datetime.strptime(text, "%Y-%m-%d").astimezone()
    except ValueError:
        raise click.BadParameter("expected a day, 2026-11-23", param_hint="--day") from None


def _cells(account: Account) -> dict[str, Any]:
    batch = account.batch
    return {
        "channel": account.channel,
        "batch": None if batch is None else batch.batch_id,
        "control_id": "" if batch is None else batch.control_id,
        "declared": "" if batch is None else _totals(batch.declared),
        "received": account.received,
        **account.entries,
    }


def _show(begins: datetime, found: Reconciled) -> None:
    if not found.accounts:
        click.echo(f"nothing came on {begins:%Y-%m-%d}")
        return
    used = [name for name in SHOWN if name == "delivered" or any(a.entries[name] for a in found.accounts)]
    rest = [name for name in found.accounts[0].entries if name not in SHOWN]
    others = any(account.entries[name] for account in found.accounts for name in rest)
    numbers = ["received", *used, *(["else"] if others else [])]
    rows, shown = [], list(_innermost(found.accounts))
    for account in sorted(shown, key=lambda each: (each.channel, each.batch is not None)):
        counts = [account.received, *(account.entries[entry] for entry in used)]
        counts += [sum(account.entries[entry] for entry in rest)] if others else []
        rows.append((_account(account), *(f"{count:,}" for count in counts)))
    out.table(f"{begins:%Y-%m-%d}", ["", *numbers], rows, right=numbers)
    if all(each.balanced for each in found.accounts if not _not_taken(each)):
        click.echo(f"in every line: received = {' + '.join(numbers[1:])}")
    for each in found.misfits:
        batch = "" if each.batch_id is None else f" batch {each.batch_id}"
        click.echo(f"{each.kind}: {each.channel}{batch}: {each.text}")
    if not found.misfits:
        click.echo("all fits")


def _innermost(accounts: Sequence[Account]) -> Iterator[Account]:
    """The accounts of channels, and of the batches that hold no others: what is in a batch of transactions
    is told with these."""
    files: dict[int | None, list[BatchRow]] = {}
    for account in accounts:
        if account.batch is not None:
            files.setdefault(account.batch.file_id, []).append(account.batch)
    for account in accounts:
        batch = account.batch
        if batch is None or not any(_is_within(each, batch) for each in files[batch.file_id]):
            yield account


def _is_within(inner: BatchRow, outer: BatchRow) -> bool:
    """Whether a batch of the same file is in another one. One that ends first is noted first."""
    return inner.batch_id < outer.batch_id and outer.first <= inner.first and inner.last <= outer.last


def _account(account: Account) -> str:
    """Whose account it is; of a batch also what its trailer says, and what became of its file."""
    batch = account.batch
    if batch is None:
        return account.channel
    name = batch.file_name if batch.kind == "rows" and not batch.entry else _name(batch)
    lines = [_total(*declared) for declared in batch.declared.items()]
    lines += [_not_taken(account)] if _not_taken(account) else []
    return "\n".join([f"  {batch.batch_id} {name}", *(f"    {line}" for line in lines)])


def _not_taken(account: Account) -> str:
    """What a file is that was not taken; '' of all else."""
    return "" if account.batch is None else _NOT_TAKEN.get(account.batch.file_state, "")


def _as_csv(found: Reconciled) -> str:
    rows = [_cells(account) for account in found.accounts]
    written = io.StringIO()
    if rows:
        table = csv.DictWriter(written, [*rows[0], "misfits"])
        table.writeheader()
        for row in rows:
            about = [
                each
                for each in found.misfits
                if (each.channel, each.batch_id) == (row["channel"], row["batch"])
            ]
            table.writerow({**row, "misfits": "; ".join(f"{each.kind}: {each.text}" for each in about)})
    return written.getvalue()


def _reconciled_as_json(begins: datetime, found: Reconciled) -> dict[str, Any]:
    return {
        "day": begins.strftime("%Y-%m-%d"),
        "accounts": [{**_cells(each), "balanced": each.balanced} for each in found.accounts],
        "misfits": [
            {"type": each.kind, "channel": each.channel, "batch": each.batch_id, "text": each.text}
            for each in found.misfits
        ],
    }
