"""A journal in doubt: what it holds as open may have been sent since it was copied, and nobody knows.

Its node starts with every channel paused, for a person to look. Nothing is deleted of a channel that nobody
has resumed since: legal holds of after the copy are not in it, see `legal_holds.held`.

Each open delivery becomes AMBIGUOUS: where the API makes repeats harmless, or can be asked, it goes on under
the idempotency key that it had; elsewhere a person decides. What its API has accepted is asked about as
before. What was not yet translated goes into quarantine when it is, since its deliveries may have been made
and sent already, under keys that are not known any more. So does the rest of a file whose messages were not
all there: it is flagged `FILE_RESTORED`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from bridge.delivery.files import FileState
from bridge.delivery.state import DeliveryState, after_crash
from bridge.journal.controls import Control, keep_not_resumed, pause
from bridge.journal.database import DOUBTFUL_FILES, IN_DOUBT
from bridge.journal.file_schema import file_steps
from bridge.journal.schema import IS_OPEN, deliveries, facts
from bridge.journal.statements import update_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

ROWS_AT_ONCE = 2000
RESTORED = "restored"
"""The reason of what is in doubt because an older copy of the journal was put back."""
_STEP = update_rows(deliveries, "state", "reason", "due_at_us")


@dataclass(frozen=True, slots=True)
class Doubted:
    """The next open deliveries after an id; ``repeat_safety`` by API says where a repeat does no harm."""

    repeat_safety: Mapping[str, str]
    at_us: Microseconds
    after_id: int


def _doubt(tx: Transaction, items: Sequence[Doubted]) -> list[int | None]:
    return [_doubt_some(tx, each) for each in items]


def _doubt_some(tx: Transaction, each: Doubted) -> int | None:
    rows = tx.connection.execute(
        select(deliveries.c.id, deliveries.c.message_id, deliveries.c.api, deliveries.c.state)
        .where(IS_OPEN, deliveries.c.id > each.after_id, deliveries.c.state != DeliveryState.ACCEPTED)
        .order_by(deliveries.c.id)
        .limit(ROWS_AT_ONCE)
    ).all()
    passing, resting = [], []
    for row in rows:
        following = after_crash(each.repeat_safety.get(row.api, "none"))
        last = following.states[-1]
        reason = RESTORED if last == DeliveryState.READY else following.reason
        state = row.state
        for step in following.states:
            tx.transition(row.message_id, row.id, state, step, each.at_us, RESTORED)
            state = step
        row_of = {"id": row.id, "due_at_us": each.at_us}
        passing.append({**row_of, "state": DeliveryState.AMBIGUOUS, "reason": RESTORED})
        resting.append({**row_of, "state": last, "reason": reason})
    _STEP.many(tx.connection, passing)
    _STEP.many(tx.connection, resting)
    return rows[-1].id if len(rows) == ROWS_AT_ONCE else None


DOUBT: Work[Doubted, int | None] = Work("doubt", _doubt)
"""Let open deliveries pass through AMBIGUOUS; the result is the id to go on after, or None."""


def _paused(tx: Transaction, items: Sequence[Sequence[Control]]) -> list[None]:
    for controls in items:
        pause(tx, controls)
        keep_not_resumed(tx.connection, [each.name for each in controls])
        tx.connection.execute(delete(facts).where(facts.c.name == IN_DOUBT))
    return [None] * len(items)


PAUSED: Work[Sequence[Control], None] = Work("paused-in-doubt", _paused)
"""Pause the channels that are named, whose old engines are given nothing either and of which nothing is
deleted, and note that the doubt was dealt with: a person has it from here."""


def in_doubt(connection: Connection) -> str:
    """Why the journal is in doubt; empty where it is not, or a person has it."""
    found = connection.execute(select(facts.c.value).where(facts.c.name == IN_DOUBT)).scalar()
    return "" if found is None else found.decode()


def is_rest_doubtful(connection: Connection, file_id: int) -> bool:
    """Whether a file was being taken apart when an older copy of the journal was put back: further messages
    of it may have been made and sent since the copy. Not where a person has it taken once more after that."""
    before = connection.execute(select(facts.c.value).where(facts.c.name == DOUBTFUL_FILES)).scalar()
    if before is None:
        return False
    steps = file_steps.c
    began = select(func.max(steps.id)).where(steps.file_id == file_id, steps.to_state == FileState.TAKEN)
    return (connection.execute(began).scalar() or 0) <= int(before)
