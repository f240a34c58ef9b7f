"""How blocks stand on a connection: in MLLP's frame, in one of other bytes, or without any."""

from __future__ import annotations

from typing import Literal, Protocol

from bridge.formats.mllp_block import BlockBytes
from bridge.formats.mllp_framing import Event, MllpFraming, frame
from bridge.formats.mllp_unframed import Unframed

FramingKind = Literal["mllp", "none"]


class Framing(Protocol):
    """One direction of a connection: bytes in, blocks out."""

    skipped_bytes: int

    @property
    def buffered_bytes(self) -> int:
        """What is held of a block that has not ended."""
        ...

    @property
    def inside_block(self) -> bool:
        """A block has begun and not ended."""
        ...

    @property
    def may_end_now(self) -> bool:
        """Whether the block is over unless more follows soon."""
        ...

    def feed(self, data: bytes) -> list[Event]:
        """Add bytes; return what became complete."""
        ...

    def end_now(self) -> list[Event]:
        """End the block that may end now."""
        ...

    def at_end(self, *, clean: bool) -> list[Event]:
        """What the end of the connection makes of a block under way."""
        ...


def framing_for(kind: FramingKind, block: BlockBytes, block_max_bytes: int) -> Framing:
    """The framing of one new connection."""
    if kind == "none":
        return Unframed(block_max_bytes)
    return MllpFraming(block_max_bytes, start=block.start_mark, end=block.end_mark, after=block.after_mark)


def framed(kind: FramingKind, block: BlockBytes, body: bytes) -> bytes:
    """An answer as it goes back."""
    if kind == "none":
        return body
    return frame(body, block.start_mark, block.end_mark + block.after_mark)
