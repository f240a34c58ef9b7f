"""How blocks stand on a connection: in MLLP's frame, in one of other bytes, or without any."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options
from bridge.formats.mllp_framing import Event, MllpFraming, frame
from bridge.formats.mllp_unframed import Unframed

FramingKind = Literal["mllp", "none"]


def _control_byte(text: str) -> str:
    """A byte that no message holds, as ``0x0B``."""
    try:
        value = int(text, 16) if text[:2].lower() == "0x" else -1
    except ValueError:
        value = -1
    if not 0 <= value < 0x20 or value in (0x0A, 0x0D):
        raise ValueError("expected a control byte, as in 0x02; CR and LF end segments")
    return f"0x{value:02X}"


ControlByte = Annotated[str, AfterValidator(_control_byte)]


class BlockBytes(Options):
    """The bytes around a block, both ways, for senders that use others than MLLP's."""

    start: ControlByte = Field("0x0B", description="What begins a block: MLLP's VT.")
    end: ControlByte = Field("0x1C", description="What ends it: MLLP's FS.")
    carriage_return: bool = Field(
        True,
        description="Whether CR follows. Where it does not, the end byte may stand nowhere in a message.",
    )

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.start == self.end:
            raise ValueError("`start` and `end` must be two different bytes")
        return self

    @property
    def start_byte(self) -> bytes:
        """What begins a block."""
        return bytes([int(self.start, 16)])

    @property
    def end_byte(self) -> bytes:
        """What ends it, without the CR."""
        return bytes([int(self.end, 16)])


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


def framing_for(kind: FramingKind, block_bytes: BlockBytes, block_max_bytes: int) -> Framing:
    """The framing of one new connection."""
    if kind == "none":
        return Unframed(block_max_bytes)
    return MllpFraming(
        block_max_bytes,
        start=block_bytes.start_byte,
        end=block_bytes.end_byte,
        carriage_return=block_bytes.carriage_return,
    )


def framed(kind: FramingKind, block_bytes: BlockBytes, body: bytes) -> bytes:
    """An answer as it goes back."""
    if kind == "none":
        return body
    end = block_bytes.end_byte + (b"\r" if block_bytes.carriage_return else b"")
    return frame(body, block_bytes.start_byte, end)
