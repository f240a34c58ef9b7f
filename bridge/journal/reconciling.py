"""Reconciliation: what came in a while or a batch held against what became of it, and what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import Connection, select

from bridge.delivery.files import FileState
from bridge.journal.acknowledging import overdue_files, refused_files
from bridge.journal.batch_amounts import Amounts, Shares, amounts_of_batch
from bridge.journal.batch_schema import batches
from bridge.journal.batches import (
    BatchRow,
    became_of_batch,
    became_of_window,
    channels_of_window,
    newest_batches,
)
from bridge.journal.files_not_taken import files_not_taken
from bridge.journal.ledger import ENTRIES
from bridge.journal.reruns import (
    RERUN,
    compared,
    files_of_window,
    late_of_window,
)
from bridge.journal.taken_files import SENT_BEFORE
from bridge.message import Microseconds

BATCHES_MAX_COUNT = 10_000
"""So many batches of a window are looked at."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that does not fit: of a type that has its name, with its batch where it is one's."""

    kind: str
    channel: str
    text: str
    batch_id: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """What came, and what became of it by the ledger's entries. ``batch`` is None for all of a channel."""

    channel: str
    batch: BatchRow | None
    received: int
    entries: Mapping[str, int]
    amounts: Mapping[str, Amounts] = field(default_factory=dict)
    """What its messages come to, by the names of its batch's totals; where that was asked for."""

    @property
    def balanced(self) -> bool:
        """Whether everything is accounted for."""
        return self.received == sum(self.entries.values())


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The accounts of a window, and all that does not fit."""

    accounts: Sequence[Account]
    misfits: Sequence[Misfit]


def reconcile(
    connection: Connection,
    since_us: Microseconds,
    until_us: Microseconds,
    *,
    channel: str | None,
    day_of: str,
    now_us: Microseconds | None = None,
    shares: Mapping[str, Shares] | None = None,
) -> Reconciled:
    """Hold what came from ``since_us`` to before ``until_us`` against what became of it.

    ``day_of`` is the first day of the window as YYYYMMDD: a batch that was made before it is late. What is
    due after ``now_us`` may still come; without it, the window is over. With the
    ``shares`` of a channel, what its messages add to totals, batches are held against amounts too.
    """
    accounts: list[Account] = []
    misfits: list[Misfit] = []
    for name, received in channels_of_window(connection, since_us, until_us).items():
        if channel is not None and name != channel:
            continue
        counts = became_of_window(connection, name, since_us, until_us)
        accounts.append(Account(name, None, received, {entry: counts[entry] for entry in ENTRIES}))
        if counts["duplicate"]:
            misfits.append(Misfit("duplicate", name, _came(counts["duplicate"], "before")))
        if counts["quarantined"]:
            text = _waits(counts["quarantined"])
            misfits.append(Misfit("quarantined", name, text))
    found = newest_batches(
        connection, channel=channel, since_us=since_us, until_us=until_us, limit=BATCHES_MAX_COUNT
    )
    for batch in reversed(found):
        counts = became_of_batch(connection, batch)
        split = batch.file_state == FileState.SPLIT
        received = batch.messages if split else sum(counts.values())
        amounts = None
        if split and shares is not None and batch.channel in shares:
            amounts = amounts_of_batch(connection, batch, shares[batch.channel])
        entries = {entry: counts[entry] for entry in ENTRIES}
        account = Account(batch.channel, batch, received, entries, amounts or {})
        if batch.file_id is not None:  # what came in a block is in its channel's account
            accounts.append(account)
        misfits += _of_batch(connection, account, batch, day_of)
    misfits += _of_files(connection, channel, since_us, until_us)
    misfits += _of_days(connection, channel, since_us, until_us)
    if channel is None:
        ended_us = until_us if now_us is None else min(until_us, now_us)
        misfits += _of_sent_files(connection, since_us, ended_us)
    misfits += [
        Misfit("unaccounted", each.channel, f"{each.received} came, {sum(each.entries.values())} are known")
        for each in accounts
        if each.batch is None and not each.balanced
    ]
    return Reconciled(accounts, misfits)


def _came(count: int, when: str) -> str:
    return f"{count} message{'s' if count != 1 else ''} came {when}"


def _waits(count: int) -> str:
    return f"{count} messages wait for a person" if count != 1 else "1 message waits for a person"


def _of_batch(connection: Connection, account: Account, batch: BatchRow, day_of: str) -> list[Misfit]:
    def misfit(kind: str, text: str) -> Misfit:
        return Misfit(kind, batch.channel, text, batch.batch_id)

    found = []
    for each in batch.report:
        words = f"{each['what']}: {each['declared']} declared, {each['found']} found ({each['place']})"
        found.append(misfit(_kind(each), words))
    if batch.balance == "no-trailer":
        found.append(misfit("no-trailer", "it has no trailer, and may be cut short"))
    if not account.balanced and batch.file_state == FileState.SPLIT:
        known = sum(account.entries.values())
        found.append(misfit("unaccounted", f"{account.received} came, {known} are known"))
    for name, amounts in account.amounts.items():
        if amounts.in_file.amount != Decimal(batch.found[name]):
            words = f"{name}: {batch.found[name]} found, {amounts.in_file.amount:f} in its messages"
            found.append(misfit("unaccounted", words))
    if batch.kind == "batch" and batch.messages and (same := _same(connection, batch)) is not None:
        found.append(misfit("duplicate", f"it holds what batch {same} held"))
    made = "" if batch.of_a_day else batch.made[:8]
    if made.isdigit() and len(made) >= len(day_of) and made < day_of:
        found.append(misfit("late", f"it was made on {made}"))
    return found


_NOT_TAKEN = {
    FileState.QUARANTINED: ("held", "is held"),
    FileState.FAILED: ("failed", "has failed"),
    FileState.REFUSED: ("refused", "is refused"),
}


def _of_files(
    connection: Connection, channel: str | None, since_us: Microseconds, until_us: Microseconds
) -> list[Misfit]:
    """Files of which nothing went on. One that came before is a duplicate."""
    found = []
    for file in files_not_taken(connection, channel, since_us, until_us):
        if file.reason == RERUN:
            continue  # told with its day
        kind, word = _NOT_TAKEN[file.state]
        why = f"{file.reason}, {file.place}" if file.place else file.reason
        if file.reason == SENT_BEFORE:
            kind = "duplicate"
        found.append(Misfit(kind, file.channel, f"file {file.file_id}, {file.name}, {word}: {why}"))
    return found


def _of_days(
    connection: Connection, channel: str | None, since_us: Microseconds, until_us: Microseconds
) -> list[Misfit]:
    """What does not fit of files that are of a day: they or their records are late, or they are re-runs."""
    found: list[Misfit] = []
    for file in files_of_window(connection, channel, since_us, until_us):
        if file.late:
            found.append(Misfit("late", file.channel, f"file {file.file_id} is of {file.business_date}"))
        if file.reason == RERUN:
            text = f"file {file.file_id} is refused: file {file.rerun_of} is of {file.business_date} too"
            found.append(Misfit("rerun", file.channel, text))
        if (both := compared(connection, file.file_id)) is None:
            continue
        words = f"file {both.file_id} after file {both.other_id} of {file.business_date} ({both.rerun})"
        said = f"{both.same} records are the same, {both.new} are new"
        found.append(Misfit("rerun", file.channel, f"{words}: {said}"))
        if both.missing:
            shown = [str(number) for number in both.missing_first]
            more = ["…"] if both.missing > len(shown) else []
            lacks = f"{both.missing} records of file {both.other_id} are not in file {both.file_id}"
            text = f"{lacks}: {', '.join(shown + more)}"
            found.append(Misfit("missing", file.channel, text))
    for name, count in late_of_window(connection, channel, since_us, until_us).items():
        found.append(Misfit("late", name, f"{count} records are of a day long before"))
    return found


def _of_sent_files(connection: Connection, since_us: Microseconds, until_us: Microseconds) -> list[Misfit]:
    """What does not fit of files that were sent: not acknowledged in time, or not taken by their receivers.
    They are of an API, which stands where that of other misfits is a channel."""
    late = [
        Misfit("unacknowledged", each.api, f"nobody has said what became of all of file {each.number}")
        for each in overdue_files(connection, until_us)
        if since_us <= (each.due_at_us or 0)
    ]
    refused = [
        Misfit("rejected", each.api, f"file {each.number} is {each.acknowledged} ({each.codes})")
        for each in refused_files(connection, since_us, until_us)
    ]
    return late + refused


def _kind(report: Mapping[str, str]) -> str:
    """What a difference of a total is called: more was found than declared, or less, or another amount."""
    declared, found = report["declared"], report["found"]
    if report["what"] not in ("messages", "batches", "records") or not declared.isdigit():
        return "amount" if declared != "unreadable" else "unreadable"
    return "missing" if int(declared) > int(found) else "extra"


def _same(connection: Connection, batch: BatchRow) -> int | None:
    """The newest batch before this one that holds the same."""
    columns = batches.c
    query = select(columns.id).where(
        columns.channel == batch.channel,
        columns.digest == batch.digest,
        columns.kind == batch.kind,
        columns.id < batch.batch_id,
    )
    return connection.execute(query.order_by(columns.id.desc()).limit(1)).scalar()
