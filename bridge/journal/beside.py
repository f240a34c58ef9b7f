"""What a node keeps beside its journal, so that it notices when an older copy of the journal was put back.

The journal counts its starts and its rows, and so does a small file beside it. A journal that knows less than
the file was restored, or copied from elsewhere: since that copy was made, calls may have happened that it
does not know of. Such a journal is *in doubt*: see `journal.restored`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select, update

from bridge.journal.database import BACKUP, DOUBTFUL_FILES, EPOCHS, IN_DOUBT, KEPT_BESIDE, Facts
from bridge.journal.file_schema import file_steps
from bridge.journal.schema import deliveries, facts, messages, transitions

SIZE_MAX_BYTES = 4096
ENDING = ".state"


@dataclass(frozen=True, slots=True)
class Beside:
    """How far a journal was: which one, how often it was started, and its highest ids."""

    journal_id: str
    starts: int
    messages: int
    deliveries: int
    transitions: int


def path_of(beside: Path) -> Path:
    """The file that belongs to a journal; ``beside`` is as of `Database`."""
    return beside.with_name(beside.name + ENDING)


def read_beside(path: Path) -> Beside | None:
    """What stands in the file; None where there is none, or it is none of ours. Raises OSError."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(SIZE_MAX_BYTES))
        return Beside(str(found.pop("journal_id")), **{name: int(value) for name, value in found.items()})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def write_beside(path: Path, now: Beside) -> None:
    """Write the file, whole or not at all. Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(file, "w", encoding="utf-8") as out_of:
            json.dump(asdict(now), out_of)
            out_of.flush()
            os.fsync(out_of.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # a power cut must not leave a journal whose file is gone
    finally:
        os.close(folder)


def keep(connection: Connection, path: Path) -> None:
    """Write down how far the journal is. Raises OSError."""
    write_beside(path, how_far(connection))


def how_far(connection: Connection) -> Beside:
    """How far the journal is now."""
    known = Facts(connection)
    newest = [
        connection.execute(select(func.max(table.c.id))).scalar() or 0
        for table in (messages, deliveries, transitions)
    ]
    return Beside(known.journal_id, known.starts, *newest)


def doubt(known: Facts, now: Beside, kept: Beside | None) -> str:
    """Why a journal may be an older copy of itself, in words for a person; empty where nothing says so.

    ``known`` and ``now`` are of the journal as the last process left it.
    """
    if known.backup:
        return known.backup
    if not now.starts:  # a journal that is made now
        if kept is None or not kept.messages:
            return ""
        return f"the journal that held messages up to number {kept.messages} was gone, and this one made"
    if kept is None:
        if not known.kept_beside:
            return ""
        return "the file that a node keeps beside its journal is missing: it was copied or restored here"
    if kept.journal_id != now.journal_id:
        return "the file beside the journal belongs to another one: this journal was put in its place"
    if kept.starts > now.starts:
        return f"the journal was started {now.starts} times, and this node has started it {kept.starts} times"
    for name in ("messages", "deliveries", "transitions"):
        here, there = getattr(now, name), getattr(kept, name)
        if here < there:
            return f"the journal holds {name} up to number {here}, and this node has seen number {there}"
    return ""


def begin(connection: Connection, why: str, word: str) -> None:
    """Note, in the transaction that counts a start, that a file is kept beside.

    Where ``why`` says that the journal is an older copy, it is in doubt, and what is made from now on is sent
    under the ``word``, with how often that has happened before it.
    """
    _put(connection, KEPT_BESIDE, b"1")
    if not why:
        return
    now = how_far(connection)
    before = Facts(connection)
    epoch = f"{now.deliveries + 1}:{now.messages}:{before.epoch}x{word}"
    _put(connection, EPOCHS, ",".join(filter(None, (before.epochs, epoch))).encode())
    step = connection.execute(select(func.max(file_steps.c.id))).scalar() or 0
    _put(connection, DOUBTFUL_FILES, str(step).encode())
    _put(connection, IN_DOUBT, why.encode())
    connection.execute(delete(facts).where(facts.c.name == BACKUP))


def _put(connection: Connection, name: str, value: bytes) -> None:
    done = connection.execute(update(facts).where(facts.c.name == name).values(value=value))
    if not done.rowcount:
        connection.execute(insert(facts).values(name=name, value=value))
