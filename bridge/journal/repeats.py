"""Repeats: whether a block came before, asked once for all blocks of a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, LargeBinary, Text, bindparam, column, literal_column, select, values

from bridge.delivery.state import MessageState
from bridge.journal.flags import RESENT
from bridge.journal.owed_answers import Owed
from bridge.journal.schema import bodies, messages
from bridge.journal.statements import Prepared
from bridge.message import Microseconds

ASKED_MAX = 256
"""Blocks that one query asks about."""
BEGINNING = "substr({}.control_id, 1, 32)"
"""What the index of repeats begins with. Senders count: the place of what comes next is beside that of what
came last, where by a hash alone each message writes, and of a large journal first reads, a page of its own.
It is an expression, so that no planner takes the index of control IDs, of which one may have come a million
times. A server compares it by its bytes (`text_pattern_ops`): by the rules of a language that takes longer,
and what a new version of its system sorts otherwise would not be found any more."""


class Arrival(NamedTuple):
    """A block with what was decided about it, ready to be journaled.

    ``repeat_hash`` stands for channel and control ID, and is None where a repeat cannot be told or must be
    processed all the same; ``repeats_since_us`` is where the window of repeats begins. With
    ``control_ids_unique`` another body under a used control ID is flagged as a conflict. ``replay_of`` is the
    message that is sent once more. ``owed`` is the application acknowledgement that its sender asks for.
    ``tolerated`` are codes of what the transport forgave, with blanks between. ``feed_line`` is whose order
    it stands in before the old engine, None where that does not get it. ``same_as`` is the message of another
    file of the day that says the same, so that nothing is done about this one.
    """

    channel: str
    received_at_us: Microseconds
    peer: str
    message_type: str
    control_id: str
    body: bytes
    fingerprint: bytes
    repeat_hash: bytes | None
    repeats_since_us: Microseconds
    state: MessageState
    reason: str
    flags: str
    trace_id: bytes
    answer: bytes | None
    answer_code: str
    control_ids_unique: bool = False
    replay_of: int | None = None
    owed: Owed | None = None
    tolerated: str = ""
    feed_line: str | None = None
    same_as: int | None = None


@cache
def _asking(size: int) -> Prepared:
    """Of control IDs with their hash and fingerprint those that are known: the newest message with all three,
    if there is one, and whether one has the first two.

    Each costs two look-ups in one index, however many messages a sender gave the same control ID. Most are
    new and give no row: at each row the driver gives up the interpreter and must win it back.
    """
    names = column("control_id", Text), column("hash", LargeBinary), column("fingerprint", LargeBinary)
    asked = (
        values(*names, name="asked")
        .data([tuple(bindparam(f"{each.name}{n}") for each in names) for n in range(size)])
        .cte("asked")
    )
    begins = literal_column(BEGINNING.format("messages")) == literal_column(BEGINNING.format("asked"))
    has_hash = begins & (messages.c.repeat_hash == asked.c.hash)
    newest = (
        select(messages.c.id)
        .where(has_hash, messages.c.fingerprint == asked.c.fingerprint)
        .order_by(messages.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    # Not by EXISTS: PostgreSQL would rather read all messages into a hash at each commit than look up each.
    used = (
        select(messages.c.id)
        .where(has_hash, messages.c.state != MessageState.REFUSED)
        .limit(1)
        .scalar_subquery()
    )
    found = select(asked.c.hash, asked.c.fingerprint, newest.label("newest"), used.label("used")).subquery()
    return Prepared(select(found).where(found.c.newest.is_not(None) | found.c.used.is_not(None)))


class Repeats:
    """What the journal, and the transaction itself so far, know of the control IDs of arrivals."""

    def __init__(self, connection: Connection, arrivals: Sequence[Arrival]) -> None:
        self._used: set[bytes] = set()
        self._first: dict[tuple[bytes, bytes], Mapping[str, Any]] = {}
        known = list(
            {
                (arrival.control_id, arrival.repeat_hash, arrival.fingerprint): None
                for arrival in arrivals
                if arrival.repeat_hash is not None
            }
        )
        newest: list[int] = []
        for start in range(0, len(known), ASKED_MAX):
            newest += self._ask(connection, known[start : start + ASKED_MAX])
        if newest:
            self._read(connection, newest)

    def _ask(self, connection: Connection, known: Sequence[tuple[str, bytes, bytes]]) -> list[int]:
        # Sizes are powers of two, so that few statements serve all; the last one fills up.
        size = 1 << (len(known) - 1).bit_length()
        asked: dict[str, str | bytes] = {}
        for number in range(size):
            control_id, hashed, fingerprint = known[min(number, len(known) - 1)]
            asked[f"control_id{number}"] = control_id
            asked[f"hash{number}"], asked[f"fingerprint{number}"] = hashed, fingerprint
        newest = []
        for hashed, _, first, used in _asking(size).rows(connection, asked):
            if used is not None:
                self._used.add(hashed)
            if first is not None:
                newest.append(first)
        return newest

    def _read(self, connection: Connection, ids: Sequence[int]) -> None:
        found = connection.execute(
            select(
                messages.c.id,
                messages.c.repeat_hash,
                messages.c.fingerprint,
                messages.c.received_at_us,
                messages.c.state,
                messages.c.answer_code,
                bodies.c.answer,
            )
            .join(bodies, bodies.c.message_id == messages.c.id)
            .where(messages.c.id.in_(ids))
        )
        for row in found.mappings():
            self._first[row["repeat_hash"], row["fingerprint"]] = dict(row)

    def first(self, arrival: Arrival) -> Mapping[str, Any] | None:
        """The message that an arrival repeats, or None where it is new or the window has passed.

        One that is REFUSED was given back to its sender, which has now sent it again.
        """
        assert arrival.repeat_hash is not None
        first = self._first.get((arrival.repeat_hash, arrival.fingerprint))
        return first if first is not None and first["received_at_us"] >= arrival.repeats_since_us else None

    def flags_of(self, arrival: Arrival) -> str:
        """The flags of an arrival: it is resent only where the same came before, however long ago."""
        if RESENT not in arrival.flags:
            return arrival.flags
        known = (arrival.repeat_hash or b"", arrival.fingerprint) in self._first
        return " ".join(each for each in arrival.flags.split() if known or each != RESENT)

    def control_id_used(self, arrival: Arrival) -> bool:
        """Whether the sender has used this control ID before, for a message that it was not given back, and
        that this one is not once more because it may send it again."""
        return arrival.repeat_hash in self._used and RESENT not in self.flags_of(arrival)

    def note(self, row: Mapping[str, Any]) -> None:
        """Remember a row of this very transaction; it is not in the table yet."""
        if row["repeat_hash"] is not None:
            self._used.add(row["repeat_hash"])
            self._first[row["repeat_hash"], row["fingerprint"]] = row
