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
    from bridge.journal.batches import BatchRow
    from bridge.journal.reconciling import Account, Reconciled

WRONG = ("differs", "no-trailer")
SHOWN = ("delivered", "suppressed", "filtered", "ignored", "duplicate", "discarded", "quarantined", "open")
"""Entries with a column of their own; the rest stand together."""


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
    if output == "json":
        out.json([_as_json(each) for each in found])
    elif not found:
        click.echo("no batch is " + ("other than it says" if wrong else "known"))
    else:
        columns = ["batch", "received", "channel", "file", "kind", "control ID", "holds", "says", "balance"]
        rows = (
            (
                each.batch_id, out.moment(each.received_at_us), each.channel, each.file_name, each.kind,
                each.control_id, _totals(each.found), _totals(each.declared), each.balance,
            )
            for each in found
        )  # fmt: skip
        out.table("", columns, rows, right=("batch",))
        for each in found:
            for line in _report(each):
                click.echo(f"batch {each.batch_id}: {line}")
    return ANSWER_IS_NO if any(each.balance in WRONG for each in found) else DONE


def _totals(totals: Any) -> str:
    return ", ".join(f"{value} {name}" for name, value in totals.items())


def _report(batch: BatchRow) -> list[str]:
    lines = [
        f"{each['declared']} {each['what']} declared and {each['found']} found, {each['place']}"
        for each in batch.report
    ]
    if batch.balance == "no-trailer":
        lines.append("it has no trailer, and may be cut short")
    if batch.file_state == "QUARANTINED":
        release = f"`bridge files take {batch.file_id}` lets it go on, `discard` ends it"
        lines.append(f"file {batch.file_id} is held ({batch.file_reason}): {release}")
    return lines


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
    not fit is listed with its type: missing, extra, amount, duplicate, late, rerun, held, no-trailer,
    quarantined; of files that were sent unacknowledged and rejected. With a report of an API it is a
    three-way match: what came for it, what was sent, and what it says that it has. Exit status 1 where
    anything does not fit.

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
    window = {"channel": channel, "day_of": begins.strftime("%Y%m%d"), "now_us": int(time.time() * 1e6)}
    found = read(journal_url, reconcile, since_us, until_us, **window)
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
    columns = ["channel", "batch", "declared", "received", *SHOWN, "else"]
    rows = []
    for account in found.accounts:
        cells = _cells(account)
        other = sum(number for entry, number in account.entries.items() if entry not in SHOWN)
        batch = "" if cells["batch"] is None else f"{cells['batch']} {cells['control_id']}".strip()
        shown = [cells[entry] or "" for entry in SHOWN]
        rows.append((account.channel, batch, cells["declared"], account.received, *shown, other or ""))
    if rows:
        out.table(f"{begins:%Y-%m-%d}", columns, rows, right=("received", *SHOWN, "else"))
    for each in found.misfits:
        batch = "" if each.batch_id is None else f" batch {each.batch_id}"
        click.echo(f"{each.kind}: {each.channel}{batch}: {each.text}")
    if not found.misfits and rows:
        click.echo("all fits")


def _as_csv(found: Reconciled) -> str:
    rows = [_cells(account) for account in found.accounts]
    written = io.StringIO()
    known = {(row["channel"], row["batch"]) for row in rows}
    others = [each for each in found.misfits if (each.channel, each.batch_id) not in known]
    if rows or others:
        names = list(rows[0]) if rows else ["channel"]
        table = csv.DictWriter(written, [*names, "misfits"], restval="")
        table.writeheader()
        for row in rows:
            about = [
                each
                for each in found.misfits
                if (each.channel, each.batch_id) == (row["channel"], row["batch"])
            ]
            table.writerow({**row, "misfits": "; ".join(f"{each.kind}: {each.text}" for each in about)})
        for each in others:
            table.writerow({"channel": each.channel, "misfits": f"{each.kind}: {each.text}"})
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
