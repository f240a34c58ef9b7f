"""What every format says about content that is not as it should be, and what the spine asks of a format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ReadProblem:
    """One thing noticed while reading: a short code, where (``MSH-2``, ``line 4``), and a sentence.

    The text is for a person and never holds a value of the message.
    """

    code: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a file, and the byte of the file at which it begins."""

    offset_bytes: int
    body: bytes = field(repr=False)


class Unsplittable(Exception):
    """Bytes that are no file of this format. ``reason`` is a code, ``offset_bytes`` where that was seen.

    The text is for a person, and holds nothing of the file.
    """

    def __init__(self, reason: str, offset_bytes: int, text: str) -> None:
        self.reason, self.offset_bytes = reason, offset_bytes
        super().__init__(text)


class Splitter(Protocol):
    """One file, read once from its beginning. What it holds is bounded by the size of a message."""

    def feed(self, data: bytes) -> Sequence[Piece]:
        """Add bytes; the messages that are complete. Raises Unsplittable."""
        ...

    def end(self) -> Sequence[Piece]:
        """The file has ended; the rest of its messages. Raises Unsplittable."""
        ...


class Format(Protocol):
    """How the bytes of a channel are read. Pure, and for any number of messages."""

    @property
    def strict(self) -> bool:
        """Whether nothing is tolerated."""
        ...

    def header(self, body: bytes) -> Any:
        """What intake decides from, read from the beginning alone; never raises on content."""
        ...

    def read(self, body: bytes) -> Any:
        """The message as mappings read it; never raises on content, and says what it noticed."""
        ...

    def objection(self, body: bytes, tolerated: Sequence[str]) -> ReadProblem | None:
        """Why a channel that is strict takes no message like this; None where it does, or is not strict."""
        ...

    def splitter(self, message_max_bytes: int) -> Splitter:
        """What takes a file of several messages apart."""
        ...
