"""MLLP blocks, as bytes in and blocks out. No socket, no clock.

The Minimal Lower Layer Protocol (HL7 v2 transport specification, release 1) wraps each message as
``<VT> message <FS><CR>``. Senders in the field leave out the CR, send bytes between blocks, split a
block anywhere, or start a new one without having ended the last; none of it may lose a message.
"""

from __future__ import annotations

from dataclasses import dataclass

START = b"\x0b"  # VT
END = b"\x1c"  # FS
CARRIAGE_RETURN = b"\r"

JUNK_BEFORE_BLOCK = "bytes-before-block"
NO_CARRIAGE_RETURN = "no-return-after-block"

HEAD_KEPT_MAX_BYTES = 4096
"""Of a block that is too large only this much is kept: enough for its MSH, so that it can be answered."""


@dataclass(frozen=True, slots=True)
class Block:
    """One whole block, without its frame. ``noticed`` are codes of what its frame was forgiven."""

    body: bytes
    noticed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Oversized:
    """A block above the limit. ``head`` is its beginning; the rest was let go."""

    head: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Truncated:
    """A block that never ended: the sender started another one inside it."""

    body: bytes


Event = Block | Oversized | Truncated


def frame(body: bytes, start: bytes = START, end: bytes = END + CARRIAGE_RETURN) -> bytes:
    """The body as one block."""
    return start + body + end


class MllpFraming:
    """One direction of one connection.

    `feed` takes whatever arrived and returns what became complete, in order. An FS ends a block where a CR
    or the next VT follows. Where it is the last byte so far, `may_end_now` is true, and the
    caller decides with `end_now` when it has waited long enough. An FS amid text is text. ``start`` and
    ``end`` are the two bytes for peers that use others than VT and FS; without ``carriage_return`` the end
    byte alone ends a block.
    """

    __slots__ = (
        "_after_end",
        "_block_max",
        "_buffer",
        "_dropped",
        "_end",
        "_head",
        "_inside",
        "_returns",
        "_scanned",
        "_start",
        "skipped_bytes",
    )

    def __init__(
        self, block_max_bytes: int, *, start: bytes = START, end: bytes = END, carriage_return: bool = True
    ) -> None:
        self._start, self._end, self._after_end = start, end, CARRIAGE_RETURN + start
        self._block_max, self._returns = block_max_bytes, carriage_return
        self._buffer = bytearray()
        self._inside = False
        self._scanned = 0
        self._head = b""
        self._dropped = 0
        self.skipped_bytes = 0
        """Bytes outside blocks since the last block; CR and LF between blocks do not count."""

    @property
    def buffered_bytes(self) -> int:
        """What is held of a block that has not ended."""
        return len(self._buffer)

    @property
    def inside_block(self) -> bool:
        """A block has begun and not ended."""
        return self._inside

    @property
    def may_end_now(self) -> bool:
        """All that is missing of the current block is the CR, which some senders never send."""
        return self._inside and self._buffer.endswith(self._end)

    def feed(self, data: bytes) -> list[Event]:
        """Add bytes; return what became complete."""
        # Nearly always a read is one whole block; that case needs no buffer.
        size = len(data) - 3
        if (
            not self._buffer
            and not self._inside
            and 0 <= size <= self._block_max
            and data.find(self._end) == size + 1
            and data[-1] == 0x0D
            and data.rfind(self._start) == 0
            and not self.skipped_bytes
        ):
            return [Block(data[1:-2])]
        self._buffer += data
        events: list[Event] = []
        while self._buffer and (self._read_block(events) if self._inside else self._find_start()):
            pass
        return events

    def end_now(self) -> list[Event]:
        """End the current block at its FS, without the CR."""
        assert self.may_end_now
        events: list[Event] = []
        self._close(events, len(self._buffer) - 1, 1)
        return events

    def at_end(self, *, clean: bool) -> list[Event]:  # noqa: ARG002 - an FS says that the block is whole
        """The connection has ended: a block that lacks its CR alone is over."""
        return self.end_now() if self.may_end_now else []

    def _find_start(self) -> bool:
        start = self._buffer.find(self._start)
        junk = self._buffer if start < 0 else self._buffer[:start]
        self.skipped_bytes += len(junk.strip(b"\r\n"))
        if start < 0:
            self._buffer.clear()
            return False
        del self._buffer[: start + 1]
        self._inside = True
        self._scanned = 0
        return True

    def _read_block(self, events: list[Event]) -> bool:
        buffer = self._buffer
        end = buffer.find(self._end, self._scanned)
        while self._returns and 0 <= end < len(buffer) - 1 and buffer[end + 1] not in self._after_end:
            end = buffer.find(self._end, end + 1)
        restart = buffer.find(self._start, self._scanned, end if end >= 0 else len(buffer))
        if restart >= 0:
            events.append(Truncated(self._head if self._dropped else bytes(buffer[:restart])))
            self._restart(restart + 1)
            return True
        if 0 <= end < len(buffer) - self._returns:
            self._close(events, end, 2 if buffer[end + 1 : end + 2] == CARRIAGE_RETURN else 1)
            return True
        self._scanned = end if end >= 0 else len(buffer)
        # An FS at the end may be the frame's, and a block of just the largest size is whole.
        if len(buffer) - buffer.endswith(self._end) > self._block_max:
            self._let_go(buffer)
        return False

    def _close(self, events: list[Event], end: int, frame_bytes: int) -> None:
        size = self._dropped + end
        if self._dropped or size > self._block_max:
            events.append(Oversized(self._head or bytes(self._buffer[: min(end, HEAD_KEPT_MAX_BYTES)]), size))
        else:
            noticed = [JUNK_BEFORE_BLOCK] if self.skipped_bytes else []
            if frame_bytes == 1 and self._returns:
                noticed.append(NO_CARRIAGE_RETURN)
            events.append(Block(bytes(self._buffer[:end]), tuple(noticed)))
        self._restart(end + frame_bytes)
        self._inside = False
        self.skipped_bytes = 0

    def _restart(self, used_bytes: int) -> None:
        del self._buffer[:used_bytes]
        self._scanned = 0
        self._head = b""
        self._dropped = 0

    def _let_go(self, buffer: bytearray) -> None:
        keep = 1 if buffer.endswith(self._end) else 0
        self._head = self._head or bytes(buffer[: min(len(buffer) - keep, HEAD_KEPT_MAX_BYTES)])
        self._dropped += len(buffer) - keep
        del buffer[: len(buffer) - keep]
        self._scanned = 0
