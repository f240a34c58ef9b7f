"""Answers that senders of files are owed: noted as a file's last message is journaled, made once all of them
are translated, and done with once they are where the sender looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, exists, insert, select, update

from bridge.delivery.files import FileState
from bridge.delivery.state import MessageState
from bridge.journal.file_schema import IS_UNPUT, file_answers, file_messages, taken_files
from bridge.journal.schema import messages
from bridge.journal.transaction import Transaction
from bridge.journal.writer import Work
from bridge.message import Microseconds


def owe_answer(tx: Transaction, file_id: int, channel: str) -> None:
    """Owe the sender of a file an answer; once, however often its messages are taken."""
    answered = file_answers.c
    if tx.connection.execute(select(answered.file_id).where(answered.file_id == file_id)).first() is None:
        tx.connection.execute(insert(file_answers).values(file_id=file_id, channel=channel))


class OwedAnswer(NamedTuple):
    """An answer that is owed. ``made_at_us`` is when it was first made, by which the same is made again."""

    file_id: int
    name: str
    made_at_us: Microseconds | None


def next_owed(connection: Connection, channel: str) -> OwedAnswer | None:
    """The oldest answer of a channel that can be made: all messages of its file are translated."""
    answered, files, places = file_answers.c, taken_files.c, file_messages.c
    untranslated = exists().where(
        places.file_id == files.id,
        messages.c.id == places.message_id,
        messages.c.state == MessageState.RECEIVED,
    )
    row = connection.execute(
        select(files.id, files.name, answered.made_at_us)
        .join(file_answers, answered.file_id == files.id)
        .where(answered.channel == channel, IS_UNPUT, files.state == FileState.SPLIT, ~untranslated)
        .order_by(files.id)
        .limit(1)
    ).first()
    return None if row is None else OwedAnswer(*row)


class MadeAnswer(NamedTuple):
    """When an answer was made, and how many records it says were taken and not."""

    file_id: int
    at_us: Microseconds
    taken: int
    rejected: int


class PutAnswer(NamedTuple):
    """An answer is where its sender looks."""

    file_id: int
    at_us: Microseconds


def _made(tx: Transaction, items: Sequence[MadeAnswer]) -> list[None]:
    for each in items:
        values = {"made_at_us": each.at_us, "taken": each.taken, "rejected": each.rejected}
        tx.connection.execute(
            update(file_answers).where(file_answers.c.file_id == each.file_id).values(values)
        )
    return [None] * len(items)


def _put(tx: Transaction, items: Sequence[PutAnswer]) -> list[None]:
    for each in items:
        tx.connection.execute(
            update(file_answers).where(file_answers.c.file_id == each.file_id).values(put_at_us=each.at_us)
        )
    return [None] * len(items)


MADE_ANSWER: Work[MadeAnswer, None] = Work("made-answer", _made)
"""Note when an answer was made: after a crash the same bytes are made, and put under the same name."""
PUT_ANSWER: Work[PutAnswer, None] = Work("put-answer", _put)
"""Note that an answer is where its sender looks."""
