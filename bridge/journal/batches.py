"""Batches in the journal: noted with the file that brought them, and held against what became of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from bridge.formats.base import Batch
from bridge.journal.batch_schema import batches
from bridge.journal.file_schema import file_messages, taken_files
from bridge.journal.ledger import became
from bridge.journal.schema import messages
from bridge.journal.statements import insert_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

MESSAGES_AT_ONCE = 500
_INSERT = insert_rows(batches)


@dataclass(frozen=True, slots=True)
class FoundBatch:
    """A batch of a file, with the entry of an archive that it stands in."""

    entry: str
    batch: Batch


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as the journal has it, with its file. ``report`` says where it is not what it says."""

    batch_id: int
    channel: str
    file_id: int | None
    file_name: str
    file_state: str
    file_reason: str
    entry: str
    kind: str
    control_id: str
    made: str
    first: int
    last: int
    declared: Mapping[str, str]
    found: Mapping[str, str]
    balance: str
    report: Sequence[Mapping[str, str]]
    digest: bytes
    received_at_us: Microseconds
    of_a_day: bool = False
    """Whether its file has a business date, by which it is known whether it is late."""

    @property
    def messages(self) -> int:
        """How many it holds."""
        return max(0, self.last - self.first + 1)


def note_batches(
    tx: Transaction,
    channel: str,
    file_id: int | None,
    found: Sequence[FoundBatch],
    received_at_us: Microseconds,
) -> None:
    """Write the batches of a file, with the file."""
    rows = []
    for number, each in enumerate(found, 1):
        batch = each.batch
        rows.append(
            {
                "id": tx.next_id("batches"),
                "channel": channel,
                "file_id": file_id,
                "number": number,
                "entry": each.entry,
                "kind": batch.kind,
                "control_id": batch.control_id,
                "made": batch.made,
                "offset_bytes": batch.offset_bytes,
                "first_message": batch.first,
                "last_message": batch.last,
                "declared": json.dumps(dict(batch.declared)),
                "found": json.dumps(dict(batch.found)),
                "balance": batch.balance,
                "report": json.dumps(
                    [
                        {"what": d.what, "declared": d.declared, "found": d.found, "place": d.place}
                        for d in batch.differences
                    ]
                ),
                "digest": batch.digest,
                "received_at_us": received_at_us,
            }
        )
    if rows:
        _INSERT.many(tx.connection, rows)


@dataclass(frozen=True, slots=True)
class CameBatches:
    """Batches that came in no file."""

    channel: str
    batches: tuple[Batch, ...]
    received_at_us: Microseconds


def _note(tx: Transaction, items: Sequence[CameBatches]) -> list[None]:
    for each in items:
        found = [FoundBatch("", batch) for batch in each.batches]
        note_batches(tx, each.channel, None, found, each.received_at_us)
    return [None] * len(items)


NOTE_BATCHES: Work[CameBatches, None] = Work("note-batches", _note)
"""Note batches that came in a block, with what they say and what was found."""


def newest_batches(
    connection: Connection,
    *,
    channel: str | None = None,
    file_id: int | None = None,
    balance: Sequence[str] = (),
    since_us: Microseconds | None = None,
    until_us: Microseconds | None = None,
    limit: int,
) -> list[BatchRow]:
    """Batches that fit, the newest first. ``until_us`` is after the last one."""
    columns, files = batches.c, taken_files.c
    query = (
        select(batches, files.name, files.state, files.reason, files.business_date)
        .outerjoin(taken_files, files.id == columns.file_id)
        .order_by(columns.id.desc())
        .limit(limit)
    )
    if channel is not None:
        query = query.where(columns.channel == channel)
    if file_id is not None:
        query = query.where(columns.file_id == file_id)
    if balance:
        query = query.where(columns.balance.in_(balance))
    if since_us is not None:
        query = query.where(columns.received_at_us >= since_us)
    if until_us is not None:
        query = query.where(columns.received_at_us < until_us)
    return [_row(row) for row in connection.execute(query)]


def _row(row: Row[Any]) -> BatchRow:
    return BatchRow(
        batch_id=row.id,
        channel=row.channel,
        file_id=row.file_id,
        file_name=row.name or "",
        file_state=row.state or "",
        file_reason=row.reason or "",
        entry=row.entry,
        kind=row.kind,
        control_id=row.control_id,
        made=row.made,
        first=row.first_message,
        last=row.last_message,
        declared=json.loads(row.declared),
        found=json.loads(row.found),
        balance=row.balance,
        report=json.loads(row.report),
        digest=bytes(row.digest),
        received_at_us=row.received_at_us,
        of_a_day=bool(row.business_date),
    )


def became_of_batch(connection: Connection, batch: BatchRow) -> Counter[str]:
    """What became of the messages of a batch, by the ledger's entries. One replayed counts each time."""
    places, counts = file_messages.c, Counter[str]()
    if batch.file_id is None:
        return counts
    query = (
        select(messages.c.id, messages.c.state)
        .join(file_messages, places.message_id == messages.c.id)
        .where(places.file_id == batch.file_id, places.number.between(batch.first, batch.last))
        .order_by(messages.c.id)
    )
    for rows in connection.execute(query, execution_options={"yield_per": MESSAGES_AT_ONCE}).partitions():
        counts.update(became(connection, {row.id: row.state for row in rows}).values())
    return counts


def became_of_window(
    connection: Connection, channel: str, since_us: Microseconds, until_us: Microseconds
) -> Counter[str]:
    """What became of the messages of a channel that came in a while, by the ledger's entries."""
    columns, counts = messages.c, Counter[str]()
    query = (
        select(columns.id, columns.state)
        .where(
            columns.channel == channel,
            columns.received_at_us >= since_us,
            columns.received_at_us < until_us,
        )
        .order_by(columns.id)
    )
    for rows in connection.execute(query, execution_options={"yield_per": MESSAGES_AT_ONCE}).partitions():
        counts.update(became(connection, {row.id: row.state for row in rows}).values())
    return counts


def channels_of_window(
    connection: Connection, since_us: Microseconds, until_us: Microseconds
) -> dict[str, int]:
    """How many messages of each channel came in a while, as their numbers say."""
    columns = messages.c
    rows = connection.execute(
        select(columns.channel, columns.id)
        .where(columns.received_at_us >= since_us, columns.received_at_us < until_us)
        .order_by(columns.channel)
    )
    return dict(Counter(row.channel for row in rows))
