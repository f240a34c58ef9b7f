"""A file taken apart as its channel says: decoded within limits, split, and its batches judged. It blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final

from bridge.config.topology import Channel
from bridge.decoders.base import Budget, Decoder, Entry, Undecodable, through
from bridge.formats.base import Format, Opened, Piece, Unsplittable
from bridge.journal.batches import FoundBatch
from bridge.transports.base import printable
from bridge.units import SecretRef

READ_BYTES: Final = 1024**2
SPLIT_BYTES: Final = 64 * 1024
"""So much is taken apart at once: its messages are in memory together, and nobody else works meanwhile."""
ENTRY_MAX_CHARACTERS: Final = 400
OUT_OF_BALANCE, NO_TOTALS = "out-of-balance", "no-totals"

Found = tuple[int, str, Piece]
"""A message of a file: its number from 1, the entry of an archive or nothing, and its bytes with their
place."""


@dataclass(slots=True)
class Whole:
    """What is known of a file once all of it was taken apart; ``size_bytes`` is what it decoded to."""

    size_bytes: int = 0
    batches: list[FoundBatch] = field(default_factory=list)


def decoders_of(options: Any, secrets: Callable[[SecretRef], str]) -> tuple[Decoder, ...]:
    """What undoes what a source of files says. Raises SecretUnavailable."""
    return tuple(each.decoder(secrets) for each in getattr(options, "decode", ()))


@dataclass(frozen=True, slots=True)
class Apart:
    """How files of one channel are taken apart. ``options`` are those of its source, with their limits;
    ``scratch`` gives a file without a name."""

    format: Format
    options: Any
    decoders: tuple[Decoder, ...]
    scratch: Callable[[], BinaryIO]

    def pieces(self, content: Opened, came_bytes: int, whole: Whole) -> Iterator[Found]:
        """The messages of a file in order, with number and entry; it is closed at the end.

        Raises Unsplittable, though not because there is nothing at all, and what reading the content raises.
        """
        number, budget, of_nothing = 0, self._budget(came_bytes), None
        try:
            for entry in through(Entry("", content), self.decoders, budget):
                splitter = self.format.splitter(self.options.max_message)
                name, before = printable(entry.name)[:ENTRY_MAX_CHARACTERS], number
                while data := entry.stream.read(SPLIT_BYTES):
                    whole.size_bytes += len(data)
                    for piece in splitter.feed(data):
                        number += 1
                        yield number, name, piece
                try:
                    last = splitter.end()
                except Unsplittable as error:
                    if whole.size_bytes:
                        raise
                    last, of_nothing = (), error
                for piece in last:
                    number += 1
                    yield number, name, piece
                for each in splitter.batches:
                    placed = replace(each, first=before + each.first, last=before + each.last)
                    whole.batches.append(FoundBatch(name, placed))
            if of_nothing is not None and whole.size_bytes:
                raise of_nothing
        except Undecodable as error:
            raise Unsplittable(error.reason, 0, str(error)) from None
        finally:
            budget.close()
            content.close()

    def entry(self, content: Opened, came_bytes: int, name: str) -> Opened:
        """One entry of a file, by its name, as the format has it. Raises what `pieces` raises."""
        if not self.decoders:
            return content
        copied, budget = self.scratch(), self._budget(came_bytes)
        try:
            for each in through(Entry("", content), self.decoders, budget):
                if printable(each.name)[:ENTRY_MAX_CHARACTERS] == name:
                    while data := each.stream.read(READ_BYTES):
                        copied.write(data)
                    break
        except Undecodable as error:
            copied.close()
            raise Unsplittable(error.reason, 0, str(error)) from None
        finally:
            budget.close()
            content.close()
        copied.seek(0)
        return copied

    def _budget(self, came_bytes: int) -> Budget:
        return Budget(came_bytes, self.options.max_decoded, self.options.max_ratio, self.scratch)


def held_for(channel: Channel, batches: Sequence[FoundBatch]) -> tuple[str, str] | None:
    """Reason and place, where a batch is not as it says and the channel wants to be asked."""
    required = channel.batch_totals == "required"
    if channel.batch_release == "streaming":
        return None
    for each in batches:
        batch = each.batch
        if batch.differences:
            return OUT_OF_BALANCE, batch.differences[0].place
        if not batch.is_right or (batch.balance == "undeclared" and required):
            return NO_TOTALS, f"{batch.kind} at byte {batch.offset_bytes}"
    if not batches and required:
        return NO_TOTALS, "no batch"
    return None
