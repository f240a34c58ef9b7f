"""Re-runs: a file of a business date of which another was taken. What of it is the same, and what the other
one still has to do is withdrawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, Select, func, select

from bridge.delivery.files import FileState
from bridge.delivery.state import DeliveryState, MessageState
from bridge.journal.file_schema import file_messages, taken_files
from bridge.journal.schema import deliveries, messages
from bridge.journal.stages import known_unsent
from bridge.journal.statements import update_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

RERUN, REPLACED = "rerun", "replaced"
"""Reasons: of a file that is refused, and of what another file replaces."""
LATE = "late-record"
"""What is flagged of a message: its record is of a day long before its file's."""
WINDOW_MAX_COUNT: Final = 10_000
FILES_MAX_COUNT: Final = 50
"""So many files of one day are held against each other, the newest."""
AT_ONCE: Final = 256
_OVER = (MessageState.DISCARDED, MessageState.REFUSED)
"""Of what was thrown away, the same once more is nothing that is there already."""
_STEP = update_rows(deliveries, "state", "reason")
_D = DeliveryState


def others_of_day(
    connection: Connection, channel: str, business_date: str, file_id: int, states: Sequence[FileState]
) -> list[int]:
    """The files of the same day in these states, the newest first."""
    files = taken_files.c
    query = select(files.id).where(
        files.channel == channel,
        files.business_date == business_date,
        files.business_date != "",
        files.id != file_id,
        files.state.in_(states),
    )
    return list(connection.execute(query.order_by(files.id.desc()).limit(FILES_MAX_COUNT)).scalars())


class Known:
    """Which records of a part of a file are in other files of its day, each as often as it is there."""

    def __init__(
        self, connection: Connection, file_id: int, others: Sequence[int], contents: Sequence[bytes]
    ) -> None:
        places = file_messages.c
        query = (
            select(places.file_id, places.content, func.count(), func.min(places.message_id))
            .join(messages, messages.c.id == places.message_id)
            .where(
                places.file_id.in_([file_id, *others]),
                places.content.in_(list(dict.fromkeys(contents))),
                places.content.is_not(None),
                messages.c.state.not_in(_OVER) | (places.file_id == file_id),
            )
            .group_by(places.file_id, places.content)
        )
        self._mine: Counter[bytes] = Counter()
        self._theirs: dict[bytes, tuple[int, int]] = {}
        for its_file, content, count, first in connection.execute(query):
            if its_file == file_id:
                self._mine[bytes(content)] = count
            else:
                most, message_id = self._theirs.get(bytes(content), (0, first))
                self._theirs[bytes(content)] = max(most, count), min(message_id, first)

    def same_as(self, content: bytes) -> int | None:
        """The message that the next record with this content is once more; None where it is new.

        The third of three equal rows is new where the other file had two of them.
        """
        count, message_id = self._theirs.get(content, (0, 0))
        self._mine[content] += 1
        return message_id if self._mine[content] <= count else None


class Withdraw(NamedTuple):
    """What these files still have to send need not be sent, of deliveries after ``after_id``."""

    file_ids: tuple[int, ...]
    after_id: int
    at_us: Microseconds


class Withdrawn(NamedTuple):
    """How many deliveries were withdrawn, and after which to go on; None where there are no more."""

    withdrawn: int
    next_id: int | None


def _withdraw(tx: Transaction, items: Sequence[Withdraw]) -> list[Withdrawn]:
    return [_withdraw_one(tx, each) for each in items]


def _withdraw_one(tx: Transaction, each: Withdraw) -> Withdrawn:
    columns = deliveries.c
    rows = tx.connection.execute(
        select(columns.id, columns.message_id, columns.state, columns.attempts)
        .join(file_messages, file_messages.c.message_id == columns.message_id)
        .where(
            file_messages.c.file_id.in_(each.file_ids),
            columns.id > each.after_id,
            columns.state.in_([_D.READY, _D.RETRY_WAIT, _D.HELD]),
        )
        .order_by(columns.id)
        .limit(AT_ONCE)
    ).all()
    unsent = known_unsent(tx.connection, [row.id for row in rows if row.attempts])
    steps: list[tuple[int, DeliveryState]] = []
    for row in rows:
        if row.attempts and row.id not in unsent:
            continue  # it may have happened, and goes on
        state = _D(row.state)
        path = [_D.READY, _D.SUPERSEDED] if state is _D.RETRY_WAIT else [_D.SUPERSEDED]
        for following in path:
            tx.transition(row.message_id, row.id, state, following, each.at_us, REPLACED)
            steps.append((row.id, following))
            state = following
    for wanted in (_D.READY, _D.SUPERSEDED):
        _STEP.many(
            tx.connection,
            [{"id": number, "state": str(to), "reason": REPLACED} for number, to in steps if to is wanted],
        )
    withdrawn = sum(to is _D.SUPERSEDED for _, to in steps)
    return Withdrawn(withdrawn, rows[-1].id if len(rows) == AT_ONCE else None)


WITHDRAW: Work[Withdraw, Withdrawn] = Work("withdraw-file", _withdraw)
"""Let what a file has not sent end as SUPERSEDED, a piece at a time. What may have happened goes on."""


def _of_files(file_ids: Sequence[int]) -> Select[tuple[int]]:
    return select(file_messages.c.message_id).where(file_messages.c.file_id.in_(file_ids))


def is_untranslated(connection: Connection, file_ids: Sequence[int]) -> bool:
    """Whether a message of these files still waits to be translated."""
    query = _of_files(file_ids).join(messages, messages.c.id == file_messages.c.message_id)
    return (
        connection.execute(query.where(messages.c.state == MessageState.RECEIVED).limit(1)).first()
        is not None
    )


def waiting_for_a_person(connection: Connection, file_ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Messages and deliveries of these files in quarantine, `AT_ONCE` of each at most."""
    of_files, found = _of_files(file_ids), messages.c
    query = select(found.id).where(found.id.in_(of_files), found.state == MessageState.QUARANTINED)
    message_ids = connection.execute(query.order_by(found.id).limit(AT_ONCE)).scalars().all()
    columns = deliveries.c
    query = select(columns.id).where(columns.message_id.in_(of_files), columns.state == _D.QUARANTINED)
    return list(message_ids), list(connection.execute(query.order_by(columns.id).limit(AT_ONCE)).scalars())


class Compared(NamedTuple):
    """A re-run beside the file that it followed: records that are in both, new ones, and those that it lacks,
    with the numbers of the first of these in the other file."""

    file_id: int
    other_id: int
    rerun: str
    same: int
    new: int
    missing: int
    missing_first: tuple[int, ...]


SHOWN_MAX_COUNT: Final = 5


def compared(connection: Connection, file_id: int) -> Compared | None:
    """A re-run beside the file that it followed, by what their records say; None for any other file."""
    files = taken_files.c
    row = connection.execute(
        select(files.rerun, files.rerun_of).where(files.id == file_id, files.state == FileState.SPLIT)
    ).first()
    if row is None or row.rerun_of is None:
        return None
    mine, theirs = _contents(connection, file_id), _contents(connection, row.rerun_of)
    same = sum(min(count, theirs.get(content, (0, 0))[0]) for content, (count, _) in mine.items())
    total, before = (sum(count for count, _ in each.values()) for each in (mine, theirs))
    lacking = sorted(
        number for content, (count, number) in theirs.items() if count > mine.get(content, (0, 0))[0]
    )
    return Compared(
        file_id, row.rerun_of, row.rerun, same, total - same, before - same, tuple(lacking[:SHOWN_MAX_COUNT])
    )


def _contents(connection: Connection, file_id: int) -> Mapping[bytes, tuple[int, int]]:
    """How often each content stands in a file, and the number of its last record that has it."""
    places = file_messages.c
    query = (
        select(places.content, func.count(places.number.distinct()), func.max(places.number))
        .where(places.file_id == file_id, places.content.is_not(None))
        .group_by(places.content)
    )
    return {bytes(content): (count, number) for content, count, number in connection.execute(query)}


class DayFile(NamedTuple):
    """A file that is of a day, and what was said of it as it came."""

    file_id: int
    channel: str
    business_date: str
    reason: str
    late: bool
    rerun_of: int | None


def files_of_window(
    connection: Connection, channel: str | None, since_us: Microseconds, until_us: Microseconds
) -> list[DayFile]:
    """Files with a business date that came in a while, in order, `WINDOW_MAX_COUNT` at most."""
    files = taken_files.c
    query = (
        select(files.id, files.channel, files.business_date, files.reason, files.late, files.rerun_of)
        .where(files.business_date != "", files.received_at_us >= since_us, files.received_at_us < until_us)
        .order_by(files.id)
        .limit(WINDOW_MAX_COUNT)
    )
    if channel is not None:
        query = query.where(files.channel == channel)
    return [DayFile(*row[:4], bool(row.late), row.rerun_of) for row in connection.execute(query)]


def late_of_window(
    connection: Connection, channel: str | None, since_us: Microseconds, until_us: Microseconds
) -> dict[str, int]:
    """How many messages that came in a while are late records, by channel."""
    columns = messages.c
    query = (
        select(columns.channel, func.count().label("number"))
        .where(
            columns.received_at_us >= since_us,
            columns.received_at_us < until_us,
            columns.flags.contains(LATE),
        )
        .group_by(columns.channel)
    )
    if channel is not None:
        query = query.where(columns.channel == channel)
    return {row.channel: row.number for row in connection.execute(query)}
