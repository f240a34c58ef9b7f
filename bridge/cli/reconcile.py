"""``bridge reconcile``: what came on a day or in a batch, held against what became of it."""

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
from bridge.cli.batches import name_of, total
from bridge.cli.known import refuse_unknown
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.moments import past_us
from bridge.cli.reading import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.formats.base import Share
    from bridge.journal.batch_amounts import Shares
    from bridge.journal.batches import BatchRow
    from bridge.journal.reconciling import Account, Reconciled

SHOWN = ("delivered", "suppressed", "filtered", "ignored", "duplicate", "discarded", "quarantined", "open")
"""Entries with a column of their own, where there are any; the rest stand together."""
_NOT_TAKEN = {
    "QUARANTINED": "held",
    "DISCARDED": "discarded",
    "REFUSED": "refused",
    "FAILED": "failed",
    "TAKEN": "being read",
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
    "--amounts",
    is_flag=True,
    help="Hold sums and hash totals against what became of them too, as the files of --config read them.",
)
@options.config
@options.environment
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="For a person, or for a program. CSV is for spreadsheets.",
)
def reconcile_command(
    journal_url: str | None,
    channel: str | None,
    report: Path | None,
    output: str,
    directory: Path,
    environment: str | None,
    *,
    amounts: bool,
    **given: str | None,
) -> int:
    """Hold what came on a day against what became of it, by channel and batch.

    Each line balances: what was received is delivered, suppressed, in quarantine, open, and so on. What does
    not fit is listed with its type: missing, extra, amount, duplicate, late, rerun, held, failed, refused,
    no-trailer, quarantined; of files that were sent, unacknowledged and rejected. With a report of an API it
    is a three-way match: what came for it, what was sent, and what it says that it has. With --amounts each
    line balances in money as well. Exit status 1 where anything does not fit.

    \b
    bridge reconcile
    bridge reconcile --day 2026-11-23 --format csv > monday.csv
    bridge reconcile --amounts --config /etc/bridge --environment prod
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
        if amounts:
            raise click.UsageError("--amounts is for a day's batches; with --report, --amount names fields")
        columns = columns_of(by, amount)
        return tell_match(journal_url, report, api, columns, (since_us, until_us), output)
    if api is not None or by is not None or amount is not None:
        raise click.UsageError("--api, --by and --amount are for --report")
    found = read(
        journal_url,
        reconcile,
        since_us,
        until_us,
        channel=channel,
        day_of=begins.strftime("%Y%m%d"),
        now_us=int(time.time() * 1e6),
        shares=_shares(directory, environment) if amounts else None,
    )
    if not found.accounts:
        refuse_unknown(journal_url, channel=channel)
    match output:
        case "json":
            out.json(_reconciled_as_json(begins, found))
        case "csv":
            click.echo(_as_csv(found), nl=False)
        case _:
            _show(begins, found)
    return ANSWER_IS_NO if found.misfits else DONE


def _shares(directory: Path, environment: str | None) -> dict[str, Shares]:
    """What a message adds to the totals of its batch, by channel; of those whose files have totals."""
    from bridge.catalog import STANDARD
    from bridge.config.load import load
    from bridge.formats.base import SharesInTotals

    channels = load(directory, STANDARD, environment=environment).channels
    formats = {name: each.reads() for name, each in channels.items()}
    return {name: each.shares for name, each in formats.items() if isinstance(each, SharesInTotals)}


def _window(day: str | None, since: str | None, until: str | None) -> tuple[datetime, int, int]:
    """The day that a window begins on, and the window."""
    if since is None:
        if until is not None:
            raise click.UsageError("--until is for --since")
        begins = _day(day)
        try:
            first_us, last_us = (int((begins + timedelta(days=more)).timestamp() * 1e6) for more in (0, 1))
        except OverflowError:
            raise click.BadParameter("no day comes after it", param_hint="--day") from None
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
        "declared": "" if batch is None else ", ".join(f"{n} {name}" for name, n in batch.declared.items()),
        "received": account.received,
        **account.entries,
    }


def _amounts(accounts: Iterable[Account], entries: Iterable[str]) -> dict[str, dict[str, str]]:
    """Of each total what was received, and what of that became what; of several batches together."""
    found: dict[str, dict[str, Share]] = {}
    for account in accounts:
        for name, amounts in account.amounts.items():
            sums = found.setdefault(name, {})
            for entry, share in amounts.entries.items():
                for each in ("received", entry):
                    sums[each] = sums[each].plus(share) if each in sums else share
    names = ["received", *entries]
    return {
        total: {name: f"{sums[name].amount:f}" if name in sums else "0" for name in names}
        for total, sums in found.items()
    }


def _show(begins: datetime, found: Reconciled) -> None:
    if found.accounts:
        _table(begins, found.accounts)
    else:
        click.echo(f"nothing came on {begins:%Y-%m-%d}")
    for each in found.misfits:
        batch = "" if each.batch_id is None else f" batch {each.batch_id}"
        click.echo(f"{each.kind}: {each.channel}{batch}: {each.text}")
    if found.accounts and not found.misfits:
        click.echo("all fits")


def _table(begins: datetime, accounts: Sequence[Account]) -> None:
    entries = [*accounts[0].entries]
    used = [name for name in entries if name == "delivered" or any(each.entries[name] for each in accounts)]
    used.sort(key=lambda name: SHOWN.index(name) if name in SHOWN else len(SHOWN))
    numbers, rows = ["received", *used], []
    for account in sorted(told_apart(accounts), key=lambda each: (each.channel, each.batch is not None)):
        counts = [account.received, *(account.entries[entry] for entry in used)]
        rows.append((_account(account), *(f"{count:,}" for count in counts)))
        of_channel = (each for each in accounts if each.channel == account.channel)
        amounts = _amounts(without_parts(of_channel) if account.batch is None else [account], used)
        indent = " " * (2 if account.batch is None else 4)
        rows += [(indent + total, *map(out.figure, each.values())) for total, each in amounts.items()]
    out.table(f"{begins:%Y-%m-%d}", ["", *numbers], rows, right=numbers)
    if all(each.balanced for each in accounts if not _not_taken(each)):
        click.echo(f"in every line: received = {' + '.join(used)}")


def told_apart(accounts: Sequence[Account]) -> list[Account]:
    """The accounts of channels, and of batches but for those of which all is told with batches within.

    A batch that ends first is noted first, so that those within come before what they are in.
    """
    hidden: set[int] = set()
    ended: dict[int | None, list[BatchRow]] = {}
    for batch in _by_number(accounts):
        before, within = ended.setdefault(batch.file_id, []), 0
        while before and batch.first <= before[-1].first and before[-1].last <= batch.last:
            within += before.pop().messages
        if within and within == batch.messages:
            hidden.add(batch.batch_id)
        before.append(batch)
    return [each for each in accounts if each.batch is None or each.batch.batch_id not in hidden]


def without_parts(accounts: Iterable[Account]) -> list[Account]:
    """Those with amounts, but for batches within others with amounts: nothing is in two of them."""
    found: list[Account] = []
    last: dict[int | None, BatchRow] = {}
    with_amounts = {each.batch.batch_id: each for each in accounts if each.batch is not None and each.amounts}
    for batch in reversed(_by_number(with_amounts.values())):
        outer = last.get(batch.file_id)
        if outer is None or not (outer.first <= batch.first and batch.last <= outer.last):
            found.append(with_amounts[batch.batch_id])
            last[batch.file_id] = batch
    return found


def _by_number(accounts: Iterable[Account]) -> list[BatchRow]:
    batches = [each.batch for each in accounts if each.batch is not None]
    return sorted(batches, key=lambda batch: batch.batch_id)


def _account(account: Account) -> str:
    """Whose account it is; of a batch also what its trailer says, and what became of its file."""
    batch = account.batch
    if batch is None:
        return account.channel
    name = batch.file_name if batch.kind == "rows" and not batch.entry else name_of(batch)
    lines = [total(*said) for said in batch.declared.items() if said[0] not in account.amounts]
    lines += [_not_taken(account)] if _not_taken(account) else []
    return "\n".join([f"  {batch.batch_id} {name}", *(f"    {line}" for line in lines)])


def _not_taken(account: Account) -> str:
    """What a file is that was not taken; '' of all else."""
    return "" if account.batch is None else _NOT_TAKEN.get(account.batch.file_state, "")


def _as_csv(found: Reconciled) -> str:
    written = io.StringIO()
    known = {(each.channel, each.batch and each.batch.batch_id) for each in found.accounts}
    others = [each for each in found.misfits if (each.channel, each.batch_id) not in known]
    if not found.accounts and not others:
        return ""
    first = _cells(found.accounts[0]) if found.accounts else {"channel": ""}
    table = csv.DictWriter(written, [*first, "of", "misfits"], restval="")
    table.writeheader()
    for account in found.accounts:
        row = _cells(account)
        about = [
            f"{each.kind}: {each.text}"
            for each in found.misfits
            if (each.channel, each.batch_id) == (row["channel"], row["batch"])
        ]
        table.writerow({**row, "of": "records", "misfits": "; ".join(about)})
        for name, amounts in _amounts([account], account.entries).items():
            table.writerow({**row, **amounts, "of": name})
    for each in others:  # of what was sent, which is no channel's
        table.writerow({"channel": each.channel, "misfits": f"{each.kind}: {each.text}"})
    return written.getvalue()


def _reconciled_as_json(begins: datetime, found: Reconciled) -> dict[str, Any]:
    return {
        "day": begins.strftime("%Y-%m-%d"),
        "accounts": [
            {**_cells(each), "balanced": each.balanced, "amounts": _amounts([each], each.entries)}
            for each in found.accounts
        ],
        "misfits": [
            {"type": each.kind, "channel": each.channel, "batch": each.batch_id, "text": each.text}
            for each in found.misfits
        ],
    }
