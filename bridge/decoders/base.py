"""What a decoder is: bytes of a file in, one or several streams of bytes out, within limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Protocol

from bridge.units import size_text

READ_BYTES: Final = 256 * 1024
ALLOWANCE_BYTES: Final = 1024**2
"""A small file may be compressed as well as it can: ratios count from here on."""


class Undecodable(Exception):
    """Bytes that cannot be decoded, or not within the limits. ``reason`` is a code; the text is for a person
    and holds nothing of the file."""

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


class Stream(Protocol):
    """Bytes that are read once, from their beginning."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end. Raises Undecodable."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A stream with its name, which is of an archive and decides nothing; empty where there is none."""

    name: str
    stream: Stream


@dataclass(slots=True)
class Budget:
    """What one file may come to, all its entries and decoders together.

    ``came_bytes`` is its size as it came, ``scratch`` gives a file without a name for bytes that must be
    looked at from both ends.
    """

    came_bytes: int
    total_max_bytes: int
    ratio_max: int
    scratch: Callable[[], BinaryIO]
    made_bytes: int = 0
    _made: list[BinaryIO] = field(default_factory=list)

    def file(self) -> BinaryIO:
        """A file without a name, which is there until `close`."""
        made = self.scratch()
        self._made.append(made)
        return made

    def close(self) -> None:
        """Let go of all files that were made."""
        while self._made:
            self._made.pop().close()

    def spend(self, size_bytes: int) -> None:
        """So many bytes more were made. Raises Undecodable where that is too many."""
        self.made_bytes += size_bytes
        if self.made_bytes > self.total_max_bytes:
            raise Undecodable(
                "decoded-too-large", f"It decodes to more than {size_text(self.total_max_bytes)}."
            )
        if self.made_bytes > ALLOWANCE_BYTES + self.came_bytes * self.ratio_max:
            text = f"It decodes to more than {self.ratio_max} times its size: nothing real is packed so well."
            raise Undecodable("decoded-ratio", text)


class Decoder(Protocol):
    """The options of one decoder, which do it."""

    def entries(self, source: Entry, budget: Budget) -> Iterator[Entry]:
        """What a stream decodes to; each is read to its end before the next is asked for. Raises
        Undecodable."""
        ...


def through(source: Entry, decoders: tuple[Decoder, ...], budget: Budget) -> Iterator[Entry]:
    """All that a stream comes to after several decoders, one after the other."""
    if not decoders:
        yield source
        return
    for entry in decoders[0].entries(source, budget):
        yield from through(entry, decoders[1:], budget)


def in_a_file(source: Entry, budget: Budget) -> BinaryIO:
    """A stream as a file that can be read anywhere: itself where it is one, else a copy."""
    file = getattr(source.stream, "file", None)
    if file is not None:
        anywhere: BinaryIO = file
        return anywhere
    copy = budget.file()
    while data := source.stream.read(READ_BYTES):
        copy.write(data)
    copy.seek(0)
    return copy
