"""What a file's sender is told of it: which of its messages were taken."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from bridge.delivery.state import MessageState
from bridge.journal.file_schema import file_messages
from bridge.journal.schema import bodies, messages

MESSAGES_MAX_COUNT = 100_000
_NOT_TAKEN = frozenset({MessageState.QUARANTINED, MessageState.REFUSED, MessageState.DISCARDED})


@dataclass(frozen=True, slots=True)
class FileMessage:
    """A message of a file; ``body`` is None where retention has let it go."""

    number: int
    body: bytes | None
    taken: bool
    reason: str = ""
    issues: str = ""
    entry: str = ""
    tolerated: str = ""


def messages_of_file(connection: Connection, file_id: int) -> list[FileMessage]:
    """The messages of a file in their order, as they were first taken, `MESSAGES_MAX_COUNT` at most."""
    places = file_messages.c
    rows = connection.execute(
        select(
            places.number,
            places.entry,
            messages.c.state,
            messages.c.reason,
            messages.c.issues,
            messages.c.tolerated,
            bodies.c.body,
        )
        .join(messages, messages.c.id == places.message_id)
        .outerjoin(bodies, bodies.c.message_id == messages.c.id)
        .where(places.file_id == file_id)
        .order_by(places.number, messages.c.id)
        .limit(MESSAGES_MAX_COUNT)
    )
    found: dict[int, FileMessage] = {}
    for row in rows:
        # Of one that was taken once more, what became of the last counts.
        is_taken = row.state not in _NOT_TAKEN
        found[row.number] = FileMessage(
            row.number, row.body, is_taken, row.reason, row.issues, row.entry, row.tolerated
        )
    return list(found.values())
