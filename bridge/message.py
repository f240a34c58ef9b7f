"""Values that travel along the spine: what arrived, and what was made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

Operation = Literal["upsert", "replace", "cancel", "delete", "merge"]
OPERATIONS: tuple[Operation, ...] = ("upsert", "replace", "cancel", "delete", "merge")

EXT: Final = "ext."
"""How a field of a site's own is told from a record's own in `send_only`, in tags and in lineage."""
ADDS: Final = "adds"
"""How `send_only`, and the mapping of a body, call the lists whose entries are further ones."""
NO_EXT: Final[Mapping[str, str | None]] = {}

Microseconds = int
"""Microseconds since 1970-01-01 UTC. SQLite drops time zones; a number cannot lose one."""


class Received(NamedTuple):
    """One block as a transport took it, before anything is known about its content.

    ``peer`` is an address for the operator, never used to decide anything. ``tolerated`` are codes of what
    the transport forgave: words of ours. ``connection`` tells its connection from others of this process.
    """

    channel: str
    body: bytes
    received_at_us: Microseconds
    peer: str
    tolerated: tuple[str, ...] = ()
    connection: int = 0


CONTROL_ID_MAX_CHARACTERS: Final = 199
"""So much of a control ID is kept of it, and found by: what HL7 v2.7 lets MSH-10 have; before it was 20."""


@dataclass(frozen=True, slots=True)
class Record:
    """One canonical record that a mapping made.

    A field that the message did not carry is absent from ``fields``; one that the sender asked to
    delete (the HL7 null ``""``) is None. Dates and times are ISO 8601 text, numbers decimal text. ``ext`` are
    fields of the site's own, which its mapping declares with their tags. Of the lists that ``adds`` names the
    entries are further ones (`mode: add`); any other list is all there is.
    """

    record: str
    key: str
    operation: Operation
    fields: Mapping[str, Any]
    ext: Mapping[str, str | None] = field(default_factory=lambda: NO_EXT)
    adds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shaped:
    """A record, and the JSON that leaves in the place of its fields; ``more`` are further documents of it."""

    record: Record
    body: bytes = field(repr=False)
    more: tuple[bytes, ...] = field(default=(), repr=False)


Content = Record | Shaped | bytes
"""What becomes a request: a record by its fields, one in another shape, or a whole message."""


@dataclass(frozen=True, slots=True)
class Issue:
    """Something a mapping noticed. It names places, never values."""

    code: str
    record: str
    field: str
    text: str
    source: str = ""
    table: str = ""
    """The table that has not the code, where it is about one."""


@dataclass(frozen=True, slots=True)
class MadeMessage:
    """One message that a mapping made: the bytes that are sent. ``changes`` are told where lineage is."""

    format: str
    body: bytes = field(repr=False)
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule did at one place of a made message, and the source paths of what it set there."""

    place: str
    what: Literal["set", "emptied", "removed", "added"]
    rule: str
    sources: tuple[str, ...] = ()
    leaves: tuple[SourceLeaf, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapped:
    """What one mapping made of one message. ``failed`` tells that the message must not go on."""

    records: tuple[Record, ...]
    issues: tuple[Issue, ...] = ()
    failed: bool = False
    lineage: tuple[Lineage, ...] = ()
    messages: tuple[MadeMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceLeaf:
    """One value of a message that was read: its place, and its bytes in the message as it came.

    ``start`` None: the character set does not let it be told.
    """

    place: str
    start: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where one value of a record came from.

    ``rule`` is its rule in the mapping file, ``sources`` the paths that gave something, ``taken`` what came
    from the file itself: a constant, a default, a row of a table. ``leaves`` are the values that were read
    for it, those of conditions among them; they are told where the message was one that notes them.
    """

    record: str
    key: str
    field: str
    rule: str
    sources: tuple[str, ...]
    leaves: tuple[SourceLeaf, ...] = ()
    taken: tuple[str, ...] = ()
