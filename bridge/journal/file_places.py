"""Where messages stood in the files that brought them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from bridge.journal.file_schema import file_messages, taken_files

AT_ONCE: Final = 500


class FilePlace(NamedTuple):
    """A message's file by number and name, its number there from 1, the entry of an archive that it is in, or
    '', and at which byte of that it begins."""

    file_id: int
    name: str
    record: int
    entry: str
    offset_bytes: int

    def __str__(self) -> str:
        """In words, as for a person who has the file open."""
        entry = f", {self.entry}" if self.entry else ""
        return f"{self.name}{entry}, record {self.record}"


def places_in_files(connection: Connection, message_ids: Iterable[int]) -> dict[int, FilePlace]:
    """The places of those messages that came in files, by message."""
    places, files = file_messages.c, taken_files.c
    wanted, found = list(message_ids), dict[int, FilePlace]()
    for first in range(0, len(wanted), AT_ONCE):
        query = (
            select(
                places.message_id,
                places.file_id,
                files.name,
                places.number,
                places.entry,
                places.offset_bytes,
            )
            .join(taken_files, files.id == places.file_id)
            .where(places.message_id.in_(wanted[first : first + AT_ONCE]))
        )
        found |= {message_id: FilePlace(*place) for message_id, *place in connection.execute(query)}
    return found
