"""Files in the journal: taken once, split into messages from where the last commit ended, and found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, select, update

from bridge.delivery.files import FileState
from bridge.journal.batches import FoundBatch, note_batches
from bridge.journal.feeding_files import owe_file
from bridge.journal.file_answers import owe_answer
from bridge.journal.file_schema import file_chunks, file_messages, taken_files
from bridge.journal.messages import Receipt, receive
from bridge.journal.repeats import Arrival
from bridge.journal.reruns import RERUN, Known, others_of_day
from bridge.journal.spool import GONE, Chunk, Spooled
from bridge.journal.statements import insert_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

Resent = Literal["refuse", "take", "quarantine"]
"""What becomes of a file that came before."""
SENT_BEFORE = "sent-before"
REPLAYED, RELEASED = "replayed", "released"
"""Reasons of a file that a person takes: once more, or for the first time, after it was held."""
Rerun = Literal["refuse", "delta", "replace"]
_TELLS_REPEATS = (FileState.TAKEN, FileState.SPLIT, FileState.QUARANTINED)
"""Of a file that failed, was refused or was thrown away, the same once more is no repeat."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A message with its place in its file: its number from 1, the entry of an archive, and the byte
    there."""

    arrival: Arrival
    number: int
    entry: str
    offset_bytes: int
    content: bytes | None = None
    """A hash of what a re-run would repeat of it, where its channel asks for that."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be taken, or refused for ``reason``.

    ``seen_as`` is how its folder showed it, ``claim`` a word that no other taking of this channel has, None
    where the transport has none. With ``messages`` all of them are journaled with the file; None leaves that
    to `SPLIT_FILE`. ``same_since_us`` is where the window of repeats begins, ``by_name`` whether a repeat has
    the same name too. ``settled`` tells that nothing is left to be done where the file lay.
    """

    channel: str
    name: str
    seen_as: str
    claim: str | None
    peer: str
    received_at_us: Microseconds
    spooled: Spooled
    resent: Resent
    same_since_us: Microseconds
    by_name: bool
    reason: str = ""
    messages: tuple[Placed, ...] | None = None
    settled: bool = False
    batches: tuple[FoundBatch, ...] = ()
    held: tuple[str, str] | None = None
    """Why a person must decide before any message of it goes on: a reason, and the place in the file."""
    to_engine: bool = False
    """Whether the old job gets it, whatever it is to the bridge."""
    business_date: str = ""
    """The day that it is of, YYYYMMDD."""
    rerun: Rerun | None = None
    """What becomes of it where a file of its day was taken before."""
    late: bool = False
    answered: bool = False
    """Whether its sender is owed an answer, once its messages are translated."""


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file as the journal has it. ``messages`` counts those that are journaled."""

    file_id: int
    channel: str
    name: str
    received_at_us: Microseconds
    size_bytes: int
    sha256: bytes
    kept: str
    state: FileState
    reason: str
    place: str
    same_as: int | None
    messages: int
    settled: bool
    peer: str
    business_date: str = ""
    rerun: str = ""
    rerun_of: int | None = None


@dataclass(frozen=True, slots=True)
class Took:
    """What the journal made of a file: its row, the receipts of its messages, and whether it is new."""

    file: TakenFile
    receipts: tuple[Receipt, ...] = ()
    known: bool = False


@dataclass(frozen=True, slots=True)
class FilePart:
    """Further messages of a file, after the first ``after``; with ``last`` there are no more."""

    file_id: int
    after: int
    messages: tuple[Placed, ...]
    last: bool
    at_us: Microseconds
    answered: bool = False


@dataclass(frozen=True, slots=True)
class FileStep:
    """Another state of a file, and why. ``place`` is where in the file it failed."""

    file_id: int
    state: FileState
    reason: str
    at_us: Microseconds
    place: str = ""
    actor: str = "bridge"


_INSERT_FILE = insert_rows(taken_files)
_INSERT_CHUNK = insert_rows(file_chunks)
_INSERT_PLACE = insert_rows(file_messages)
_BEFORE_PART = select(
    *(taken_files.c[name] for name in ("messages", "state", "reason", "channel", "business_date", "rerun"))
)


def _take(tx: Transaction, items: Sequence[NewFile]) -> list[Took]:
    return [_take_one(tx, item) for item in items]


def _take_one(tx: Transaction, new: NewFile) -> Took:
    if new.claim is not None:
        known = file_of_claim(tx.connection, new.channel, new.claim)
        if known is not None:
            return Took(known, known=True)
    same = None if new.reason else _same(tx.connection, new)
    state, reason = FileState.REFUSED if new.reason else FileState.TAKEN, new.reason
    if same is not None and new.resent == "refuse":
        state, reason = FileState.REFUSED, SENT_BEFORE
    elif same is not None and new.resent == "quarantine":
        state, reason = FileState.QUARANTINED, SENT_BEFORE
    place = ""
    if state is FileState.TAKEN and new.held is not None:
        state, (reason, place) = FileState.QUARANTINED, new.held
    rerun, before = _rerun(tx.connection, new) if state is FileState.TAKEN else ("", None)
    if rerun == "refuse":
        state, reason = FileState.REFUSED, RERUN
    owed = new.to_engine and new.spooled.kept != GONE
    keeps = state is not FileState.REFUSED or owed
    row: dict[str, Any] = {
        "id": tx.next_id("taken_files"),
        "channel": new.channel,
        "name": new.name,
        "seen_as": new.seen_as,
        "claim": new.claim,
        "peer": new.peer,
        "received_at_us": new.received_at_us,
        "size_bytes": new.spooled.size_bytes,
        "sha256": new.spooled.sha256,
        "kept": new.spooled.kept if keeps else GONE,
        "state": state,
        "reason": reason,
        "place": place,
        "same_as": same,
        "messages": 0,
        "settled": int(new.settled),
        "business_date": new.business_date,
        "rerun": rerun,
        "rerun_of": before,
        "late": int(new.late),
    }
    _INSERT_FILE.many(tx.connection, [row])
    if keeps:
        _INSERT_CHUNK.many(tx.connection, _chunk_rows(row["id"], new.spooled.chunks))
        note_batches(tx, new.channel, row["id"], new.batches, new.received_at_us)
    if owed:
        owe_file(tx, row["id"], new.channel, new.name, new.received_at_us)
    _step(tx, row["id"], None, state, new.received_at_us, reason)
    receipts: tuple[Receipt, ...] = ()
    if state is FileState.TAKEN and new.messages is not None:
        part = FilePart(row["id"], 0, new.messages, True, new.received_at_us, new.answered)
        receipts = _split_one(tx, part)
    found = file_of_id(tx.connection, row["id"])
    assert found is not None
    return Took(found, receipts)


def _chunk_rows(file_id: int, chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
    return [
        {
            "file_id": file_id,
            "number": number,
            "size_bytes": chunk.size_bytes,
            "sha256": chunk.sha256,
            "content": chunk.content,
        }
        for number, chunk in enumerate(chunks, 1)
    ]


def _same(connection: Connection, new: NewFile) -> int | None:
    """The newest file of the window that this one repeats."""
    files = taken_files.c
    query = select(files.id).where(
        files.channel == new.channel,
        files.sha256 == new.spooled.sha256,
        files.size_bytes == new.spooled.size_bytes,
        files.received_at_us >= new.same_since_us,
        files.state.in_(_TELLS_REPEATS),
    )
    if new.by_name:
        query = query.where(files.name == new.name)
    return connection.execute(query.order_by(files.id.desc()).limit(1)).scalar()


def _rerun(connection: Connection, new: NewFile) -> tuple[str, int | None]:
    """What a file is to one of its day that came before, and to which; nothing where it is the first."""
    if new.rerun is None:
        return "", None
    # What is held is not in use: the file that comes in its place is the first.
    states = (FileState.TAKEN, FileState.SPLIT)
    before = others_of_day(connection, new.channel, new.business_date, 0, states)
    return (new.rerun, before[0]) if before else ("", None)


def _split(tx: Transaction, items: Sequence[FilePart]) -> list[tuple[Receipt, ...]]:
    return [_split_one(tx, item) for item in items]


def _split_one(tx: Transaction, part: FilePart) -> tuple[Receipt, ...]:
    files = taken_files.c
    before = tx.connection.execute(_BEFORE_PART.where(files.id == part.file_id)).one()
    assert (before.messages, before.state) == (part.after, FileState.TAKEN), "a file is split in order"
    receipts = receive(tx, _unless_unchanged(tx.connection, part, before))
    _INSERT_PLACE.many(
        tx.connection,
        [
            {
                "message_id": receipt.message_id,
                "file_id": part.file_id,
                "number": each.number,
                "entry": each.entry,
                "offset_bytes": each.offset_bytes,
                "content": each.content,
            }
            for each, receipt in zip(part.messages, receipts, strict=True)
        ],
    )
    values: dict[str, Any] = {"messages": part.after + len(part.messages)}
    if part.last:
        values["state"] = FileState.SPLIT
        if part.answered and part.after + len(part.messages):
            owe_answer(tx, part.file_id, before.channel)
        _step(tx, part.file_id, FileState.TAKEN, FileState.SPLIT, part.at_us, "")
    tx.connection.execute(update(taken_files).where(files.id == part.file_id).values(values))
    return tuple(receipts)


def _unless_unchanged(connection: Connection, part: FilePart, file: Row[Any]) -> list[Arrival]:
    """The messages of a part; those that a delta has in common with other files of its day say so."""
    arrivals = [each.arrival for each in part.messages]
    if file.rerun != "delta" or file.reason == REPLAYED:
        return arrivals
    states = (FileState.TAKEN, FileState.SPLIT)
    others = others_of_day(connection, file.channel, file.business_date, part.file_id, states)
    contents = [each.content or b"" for each in part.messages]
    known = Known(connection, part.file_id, others, contents)
    return [
        each._replace(same_as=known.same_as(content)) if content else each
        for each, content in zip(arrivals, contents, strict=True)
    ]


def _end(tx: Transaction, items: Sequence[FileStep]) -> list[bool]:
    return [_end_one(tx, item) for item in items]


def _end_one(tx: Transaction, step: FileStep) -> bool:
    files = taken_files.c
    before = tx.connection.execute(select(files.state).where(files.id == step.file_id)).scalar()
    if before is None or before == step.state:
        return False
    values: dict[str, Any] = {"state": step.state, "reason": step.reason, "place": step.place}
    if step.state is FileState.TAKEN:
        values["messages"] = 0
    tx.connection.execute(update(taken_files).where(files.id == step.file_id).values(values))
    _step(tx, step.file_id, before, step.state, step.at_us, step.reason, step.actor)
    return True


def _step(
    tx: Transaction,
    file_id: int,
    before: str | None,
    after: FileState,
    at_us: Microseconds,
    reason: str,
    actor: str = "bridge",
) -> None:
    tx.file_step(
        {
            "file_id": file_id,
            "from_state": before,
            "to_state": after,
            "at_us": at_us,
            "actor": actor,
            "reason": reason,
        }
    )


def _settle(tx: Transaction, items: Sequence[int]) -> list[None]:
    tx.connection.execute(update(taken_files).where(taken_files.c.id.in_(items)).values(settled=1))
    return [None] * len(items)


def _forget(tx: Transaction, items: Sequence[int]) -> list[None]:
    chunks = file_chunks.c
    tx.connection.execute(
        update(file_chunks).where(chunks.file_id.in_(items), chunks.content.is_not(None)).values(content=None)
    )
    tx.connection.execute(update(taken_files).where(taken_files.c.id.in_(items)).values(kept=GONE))
    return [None] * len(items)


TAKE_FILE: Work[NewFile, Took] = Work("take-file", _take)
"""Journal files; one that came before becomes what its channel says. A claim is taken once."""
SPLIT_FILE: Work[FilePart, tuple[Receipt, ...]] = Work("split-file", _split)
"""Journal messages of a file with their places, and how far the file is."""
END_FILE: Work[FileStep, bool] = Work("end-file", _end)
"""Give a file another state; False where there is no such file or it has it already."""
SETTLE_FILE: Work[int, None] = Work("settle-file", _settle)
"""Note that nothing is left to be done where a file lay."""
FORGET_FILE: Work[int, None] = Work("forget-file", _forget)
"""Let go of a file's bytes; its row stays."""


def file_of_id(connection: Connection, file_id: int) -> TakenFile | None:
    """A file by its id."""
    return _one(connection, _files().where(taken_files.c.id == file_id))


def file_of_claim(connection: Connection, channel: str, *claims: str) -> TakenFile | None:
    """A file by its claim, under whichever of these words it was taken."""
    files = taken_files.c
    return _one(connection, _files().where(files.channel == channel, files.claim.in_(claims)))


def file_as_seen(
    connection: Connection, channel: str, name: str, seen_as: str, *, settled: bool
) -> TakenFile | None:
    """The file that was taken as its folder shows it now; with ``settled`` also one that is done with."""
    files = taken_files.c
    query = _files().where(files.channel == channel, files.name == name, files.seen_as == seen_as)
    if not settled:
        query = query.where(files.settled == 0)
    return _one(connection, query.order_by(files.id.desc()).limit(1))


def unsplit(connection: Connection, channel: str) -> list[TakenFile]:
    """Files of a channel whose messages are not all journaled, in order."""
    files = taken_files.c
    query = _files().where(files.channel == channel, files.state == FileState.TAKEN).order_by(files.id)
    return [_file(row) for row in connection.execute(query)]


def newest_files(
    connection: Connection, *, channel: str | None, state: str | None, limit: int
) -> list[TakenFile]:
    """Files of a channel, or of all, the newest first."""
    files = taken_files.c
    query = _files().order_by(files.id.desc()).limit(limit)
    if channel is not None:
        query = query.where(files.channel == channel)
    if state is not None:
        query = query.where(files.state == state)
    return [_file(row) for row in connection.execute(query)]


def chunks_of(connection: Connection, file_id: int) -> tuple[Chunk, ...]:
    """The chunks of a file, in order."""
    chunks = file_chunks.c
    rows = connection.execute(
        select(chunks.size_bytes, chunks.sha256, chunks.content)
        .where(chunks.file_id == file_id)
        .order_by(chunks.number)
    )
    return tuple(Chunk(row.size_bytes, row.sha256, row.content) for row in rows)


_COLUMNS = tuple(taken_files.c[name] for name in (
    "id", "channel", "name", "received_at_us", "size_bytes", "sha256", "kept", "state", "reason", "place",
    "same_as", "messages", "settled", "peer", "business_date", "rerun", "rerun_of",
))  # fmt: skip


def _files() -> Select[Any]:
    return select(*_COLUMNS)


def _one(connection: Connection, query: Select[Any]) -> TakenFile | None:
    row = connection.execute(query).first()
    return None if row is None else _file(row)


def _file(row: Row[Any]) -> TakenFile:
    return TakenFile(
        row.id,
        row.channel,
        row.name,
        row.received_at_us,
        row.size_bytes,
        row.sha256,
        row.kept,
        FileState(row.state),
        row.reason,
        row.place,
        row.same_as,
        row.messages,
        bool(row.settled),
        row.peer,
        row.business_date,
        row.rerun,
        row.rerun_of,
    )
