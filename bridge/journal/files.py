"""Files kept by their digest, as long as something in the journal names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from bridge.journal.schema import deliveries, kept_files, messages
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A mapping file as it was when it was used."""

    digest: str
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """Files to keep."""

    files: tuple[KeptFile, ...]
    at_us: Microseconds


def keep_files(connection: Connection, files: Sequence[KeptFile], at_us: Microseconds) -> None:
    """Keep each file that is not kept yet."""
    known = set(connection.execute(select(kept_files.c.digest)).scalars())
    rows = [
        {"digest": file.digest, "name": file.name, "content": file.content, "kept_at_us": at_us}
        for file in files
        if file.digest not in known
    ]
    if rows:
        connection.execute(insert(kept_files), rows)


def used_by(connection: Connection, message_id: int) -> list[KeptFile]:
    """The mapping files that made the deliveries of one message, as they were then."""
    digests = select(deliveries.c.mapping_digest).where(deliveries.c.message_id == message_id).distinct()
    rows = connection.execute(
        select(kept_files.c.digest, kept_files.c.name, kept_files.c.content)
        .where(kept_files.c.digest.in_(digests))
        .order_by(kept_files.c.name)
    )
    return [KeptFile(row.digest, row.name, row.content) for row in rows]


def used_between(
    connection: Connection, since_us: Microseconds, until_us: Microseconds
) -> list[tuple[str, str]]:
    """Name and digest of each mapping file that made a delivery of a message that came in this time."""
    digests = (
        select(deliveries.c.mapping_digest)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(messages.c.received_at_us >= since_us, messages.c.received_at_us < until_us)
        .distinct()
    )
    rows = connection.execute(
        select(kept_files.c.name, kept_files.c.digest)
        .where(kept_files.c.digest.in_(digests))
        .order_by(kept_files.c.name, kept_files.c.digest)
    )
    return [(row.name, row.digest) for row in rows]


def content_of(connection: Connection, digest: str) -> bytes | None:
    """A file by its digest, as one that a kept mapping names: a table, a fragment."""
    found: bytes | None = connection.execute(
        select(kept_files.c.content).where(kept_files.c.digest == digest)
    ).scalar()
    return found


def _keep(tx: Transaction, items: Sequence[Kept]) -> list[None]:
    for each in items:
        keep_files(tx.connection, each.files, each.at_us)
    return [None] * len(items)


KEEP: Work[Kept, None] = Work("keep-files", _keep)
"""Keep each file that is not kept yet."""
