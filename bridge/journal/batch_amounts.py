"""What the messages of a batch come to, by what became of them: the ledger's equation in amounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, select

from bridge.formats.base import Share
from bridge.journal.batches import BatchRow
from bridge.journal.file_schema import file_messages
from bridge.journal.ledger import became
from bridge.journal.schema import bodies, messages

MESSAGES_AT_ONCE: Final = 500
Shares = Callable[[bytes], Mapping[str, Share]]
"""What a message adds to the totals of its batch, by their names."""


@dataclass(slots=True)
class Amounts:
    """One total of a batch: of its messages by the ledger's entries, and of all of them as the file had them.

    A message that was taken once more counts each time in the entries, and once in the file.
    """

    entries: dict[str, Share] = field(default_factory=dict)
    in_file: Share = field(default_factory=lambda: Share(Decimal(0)))

    @property
    def received(self) -> Decimal:
        """What all its messages come to."""
        found = Share(Decimal(0), self.in_file.digits)
        for each in self.entries.values():
            found = found.plus(each)
        return found.amount


def amounts_of_batch(connection: Connection, batch: BatchRow, shares: Shares) -> dict[str, Amounts] | None:
    """The totals of a batch that its messages have shares in; None where content of one is gone."""
    places, found, last = file_messages.c, dict[str, Amounts](), 0
    query = (
        select(messages.c.id, messages.c.state, places.number, bodies.c.body)
        .join(file_messages, places.message_id == messages.c.id)
        .outerjoin(bodies, bodies.c.message_id == messages.c.id)
        .where(places.file_id == batch.file_id, places.number.between(batch.first, batch.last))
        .order_by(messages.c.id)
    )
    for rows in connection.execute(query, execution_options={"yield_per": MESSAGES_AT_ONCE}).partitions():
        entries = became(connection, {row.id: row.state for row in rows})
        for row in rows:
            if row.body is None:
                return None
            is_first, last = row.number > last, max(row.number, last)
            for name, share in shares(row.body).items():
                if name not in batch.found:
                    continue
                amounts, entry = found.setdefault(name, Amounts()), entries[row.id]
                before = amounts.entries.get(entry)
                amounts.entries[entry] = share if before is None else before.plus(share)
                if is_first:
                    amounts.in_file = amounts.in_file.plus(share)
    return found
