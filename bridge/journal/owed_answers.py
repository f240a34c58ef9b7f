"""Application acknowledgements of enhanced mode: what senders are owed, kept until it was said.

Each message whose sender wants one has one row. What goes to a listener of the sender's has a place in the
order in which it came to be owed, and goes in that order, also after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select, text, update

from bridge.journal.schema import IS_OWED, IS_WAITING, bodies, owed_answers
from bridge.journal.statements import insert_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

T = TypeVar("T")

PAGE_MAX_BYTES = 8 * 1024**2
_PLACES = "places of owed answers"


class OwedState(StrEnum):
    """Where an application acknowledgement stands."""

    WAITING = "WAITING"
    """What becomes of the message is not known yet."""
    OWED = "OWED"
    SAID = "SAID"
    """Written to the sender's open connection, or confirmed by its listener."""
    UNREACHED = "UNREACHED"
    """The sender's connection was gone."""
    SILENT = "SILENT"
    """The sender does not want to hear of what became of the message."""
    GIVEN_UP = "GIVEN_UP"
    """The sender's listener refused it, or did not confirm it however often it was sent."""


@dataclass(frozen=True, slots=True)
class Owed:
    """An application acknowledgement as it is known when a message arrives or when its fate is.

    ``asks`` is MSH-16 (HL7 table 0155), ``control_id`` the acknowledgement's own. ``code`` is empty and
    ``answer`` None while nothing is known; ``final`` tells the last word from one that was said because it
    took too long. With ``to_listener`` it goes to the sender's listener, else on the sender's connection.
    """

    asks: str
    to_listener: bool
    code: str = ""
    control_id: str = ""
    answer: bytes | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class ToSend:
    """What a sender's listener is owed next. ``attempts`` were made before a restart."""

    message_id: int
    place: int
    code: str
    control_id: str
    answer: bytes
    owed_at_us: Microseconds
    attempts: int


@dataclass(frozen=True, slots=True)
class Said:
    """What came of sending an application acknowledgement."""

    message_id: int
    state: OwedState
    attempts: int = 0
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """A message came again: what was owed for it is owed again, ``to_listener`` or on its connection."""

    message_id: int
    to_listener: bool
    at_us: Microseconds


_INSERT = insert_rows(owed_answers)


def owe(tx: Transaction, items: Sequence[tuple[int, str, Microseconds, Owed]]) -> None:
    """Note what is owed for messages that have just arrived: id, channel, time, and what."""
    rows = [
        {
            "message_id": message_id,
            "channel": channel,
            "asks": owed.asks,
            "owed_at_us": at_us,
            "attempts": 0,
            **_known(tx, owed),
        }
        for message_id, channel, at_us, owed in items
    ]
    _INSERT.many(tx.connection, rows)


def know(tx: Transaction, message_id: int, at_us: Microseconds, owed: Owed) -> None:
    """Note what becomes of a message whose application acknowledgement waited for it.

    Later words do not replace the last one.
    """
    tx.connection.execute(
        update(owed_answers)
        .where(owed_answers.c.message_id == message_id, owed_answers.c.final == 0)
        .values(owed_at_us=at_us, attempts=0, **_known(tx, owed))
    )


def _known(tx: Transaction, owed: Owed) -> dict[str, Any]:
    if owed.answer is not None:
        state = OwedState.OWED
    else:
        state = OwedState.SILENT if owed.final else OwedState.WAITING
    return {
        "state": state,
        "code": owed.code,
        "final": int(owed.final),
        "control_id": owed.control_id,
        "answer": owed.answer,
        "place": _next_place(tx) if owed.to_listener and owed.answer is not None else None,
    }


def _next_place(tx: Transaction) -> int:
    if _PLACES not in tx.counters:
        newest = tx.connection.execute(select(func.max(owed_answers.c.place))).scalar()
        tx.counters[_PLACES] = newest or 0
    return tx.next_id(_PLACES)


def _said(tx: Transaction, items: Sequence[Said]) -> list[None]:
    for each in items:
        this = owed_answers.c.message_id == each.message_id
        if each.place is not None:
            # Where the sender has sent the message again meanwhile, it is owed once more.
            this &= owed_answers.c.place == each.place
        tx.connection.execute(
            update(owed_answers)
            .where(this, owed_answers.c.state == OwedState.OWED)
            .values(state=each.state, attempts=each.attempts)
        )
    return [None] * len(items)


def _again(tx: Transaction, items: Sequence[Again]) -> list[Owed | None]:
    return [_again_one(tx, each) for each in items]


def _again_one(tx: Transaction, again: Again) -> Owed | None:
    this = owed_answers.c.message_id == again.message_id
    row = tx.connection.execute(select(owed_answers).where(this)).first()
    if row is None:
        return None
    waits_to_go = row.state == OwedState.OWED and row.place is not None
    if again.to_listener and row.final and row.answer is not None and not waits_to_go:
        tx.connection.execute(
            update(owed_answers)
            .where(this)
            .values(state=OwedState.OWED, place=_next_place(tx), attempts=0, owed_at_us=again.at_us)
        )
    return Owed(row.asks, again.to_listener, row.code, row.control_id, row.answer, bool(row.final))


SAID: Work[Said, None] = Work("said", _said)
"""Note what came of sending application acknowledgements."""
OWE_AGAIN: Work[Again, Owed | None] = Work("owe-again", _again)
"""What was owed for messages that came again; None where nothing was."""


def to_send(connection: Connection, channel: str, after_place: int, limit: int) -> list[ToSend]:
    """The next acknowledgements that a channel owes its sender's listener, in order; empty where none is."""
    rows = connection.execute(
        select(
            owed_answers.c.message_id,
            owed_answers.c.place,
            owed_answers.c.code,
            owed_answers.c.control_id,
            owed_answers.c.answer,
            owed_answers.c.owed_at_us,
            owed_answers.c.attempts,
        )
        .where(owed_answers.c.channel == channel, owed_answers.c.place > after_place, IS_OWED)
        .order_by(owed_answers.c.place)
        .limit(limit)
    )
    return _page((ToSend(*row) for row in rows), lambda each: len(each.answer))


def waiting(connection: Connection, channel: str, after_id: int, limit: int) -> list[tuple[int, str, bytes]]:
    """The next messages of a channel whose sender is owed word of them: id, MSH-16, bytes; in order."""
    rows = connection.execute(
        select(owed_answers.c.message_id, owed_answers.c.asks, bodies.c.body)
        .join(bodies, bodies.c.message_id == owed_answers.c.message_id)
        .where(
            owed_answers.c.channel == channel,
            owed_answers.c.message_id > after_id,
            bodies.c.body.is_not(None),
            text(f"owed_answers.{IS_WAITING.text}"),
        )
        .order_by(owed_answers.c.message_id)
        .limit(limit)
    )
    return _page(((row.message_id, row.asks, row.body) for row in rows), lambda each: len(each[2]))


def _page(rows: Iterator[T], size_bytes: Callable[[T], int]) -> list[T]:
    """As many rows as fit into a page, and at least one."""
    page: list[T] = []
    size = 0
    for row in rows:
        page.append(row)
        size += size_bytes(row)
        if size > PAGE_MAX_BYTES:
            break
    return page


def owed_counts(connection: Connection) -> dict[str, int]:
    """How many application acknowledgements each channel still has to send to a listener."""
    rows = connection.execute(
        select(owed_answers.c.channel, func.count()).where(IS_OWED).group_by(owed_answers.c.channel)
    )
    return {row[0]: row[1] for row in rows}
