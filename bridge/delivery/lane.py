"""One lane: its entries, and how its head stands."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bridge.message import Microseconds

Position = tuple[int, int]
"""Where a delivery stands in its lanes: message id, delivery id."""
BEGINNING: Position = (0, 0)


class Entry(NamedTuple):
    """A delivery that waits for its turn in the lanes of its ``keys``. The names are for gates."""

    delivery_id: int
    message_id: int
    keys: tuple[bytes, ...]
    due_at_us: Microseconds
    channel: str = ""
    route: str = ""
    operation: str = ""

    @property
    def position(self) -> Position:
        """Its place in each of its lanes."""
        return self.message_id, self.delivery_id


State = Literal["idle", "ready", "busy", "waiting", "parked"]


class Lane:
    """What waits for one key, head first; the flags say how much of it is here. Only `Lanes` changes it."""

    __slots__ = ("entries", "gate", "missed", "reading", "spilled", "stale", "state", "tried")

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.state: State = "idle"  # of its head; idle: it waits for another lane, or there is none
        self.gate = ""  # parked: the gate it stands before; waiting: the one whose opening ends the wait
        self.tried = 0  # how often its head went through a gate and came back
        self.spilled = False  # the journal holds more of it after the last entry here
        self.reading = False  # more of it is being read
        self.missed = False  # something came while it was being read
        self.stale = False  # the journal may hold entries before these: read it from the beginning

    @property
    def asleep(self) -> bool:
        return self.state in ("waiting", "parked")


class Theirs:
    """Whose keys the journal told of, ``channel_of``; and of which ``channels`` something may come here, None
    for any. A message in quarantine bars its key everywhere, and that is no news where none of it comes."""

    def __init__(self) -> None:
        self.channel_of: dict[bytes, str] = {}
        self.channels: frozenset[str] | None = None

    def comes_here(self, key: bytes) -> bool:
        """Whether something of a key may; of one that nobody told of, it does."""
        return self.channels is None or key not in self.channel_of or self.channel_of[key] in self.channels


@dataclass(frozen=True, slots=True)
class Reload:
    """A lane whose further entries must be read from the journal, ``after`` that position."""

    lane: bytes
    after: Position
