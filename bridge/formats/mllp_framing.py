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


def holds(body: bytes, mark: bytes) -> bool:
    """Whether the mark of a frame stands in the body, at a whole character."""
    return find_mark(body, mark) >= 0


def find_mark(body: bytes | bytearray, mark: bytes, start: int = 0, until: int | None = None) -> int:
    """Where the mark of a frame stands first, at a whole character of as many bytes; or -1."""
    found = body.find(mark, start, until)
    while found >= 0 and found % len(mark):
        found = body.find(mark, found + 1, until)
    return found


class MllpFraming:
    """One direction of one connection.

    `feed` takes whatever arrived and returns what became complete, in order. An FS ends a block where a CR
    or the next VT follows. Where it is the last byte so far, `may_end_now` is true, and the
    caller decides with `end_now` when it has waited long enough. An FS amid text is text. ``start`` and
    ``end`` are for peers that use others than VT and FS, ``after`` is the CR behind; where it is empty the
    end alone ends a block. All three are one byte, or two where frames are UTF-16 as the text is: then an
    end is looked for at whole characters only.
    """

    __slots__ = (
        "_after",
        "_block_max",
        "_buffer",
        "_dropped",
        "_end",
        "_head",
        "_inside",
        "_scanned",
        "_start",
        "_unit",
        "skipped_bytes",
    )

    def __init__(
        self, block_max_bytes: int, *, start: bytes = START, end: bytes = END, after: bytes = CARRIAGE_RETURN
    ) -> None:
        assert len(start) == len(end) in {1, 2}
        self._start, self._end, self._after, self._unit = start, end, after, len(end)
        self._block_max = block_max_bytes
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
        return self._inside and self._ends_with_end()

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
            and self._unit == 1
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
        self._close(events, len(self._buffer) - self._unit, self._unit)
        return events

    def at_end(self, *, clean: bool) -> list[Event]:  # noqa: ARG002 - an FS says that the block is whole
        """The connection has ended: a block that lacks its CR alone is over."""
        return self.end_now() if self.may_end_now else []

    def _find_start(self) -> bool:
        start = self._buffer.find(self._start)
        # Half of a two-byte start may be all that has come of it.
        kept = 0 if start >= 0 or self._unit == 1 else self._buffer.endswith(self._start[:1])
        until = start if start >= 0 else len(self._buffer) - kept
        self.skipped_bytes += len(self._buffer[:until].strip(b"\r\n" if self._unit == 1 else b"\r\n\0"))
        if start < 0:
            del self._buffer[:until]
            return False
        del self._buffer[: start + self._unit]
        self._inside = True
        self._scanned = 0
        return True

    def _read_block(self, events: list[Event]) -> bool:
        buffer, unit = self._buffer, self._unit
        end = find_mark(buffer, self._end, self._scanned)
        while self._after and 0 <= end <= len(buffer) - 2 * unit and not self._may_follow(end + unit):
            end = find_mark(buffer, self._end, end + unit)
        restart = find_mark(buffer, self._start, self._scanned, end if end >= 0 else len(buffer))
        if restart >= 0:
            events.append(Truncated(self._head if self._dropped else bytes(buffer[:restart])))
            self._restart(restart + unit)
            return True
        if 0 <= end <= len(buffer) - unit - len(self._after):
            returned = bool(self._after) and buffer.startswith(self._after, end + unit)
            self._close(events, end, unit + len(self._after) * returned)
            return True
        self._scanned = end if end >= 0 else len(buffer) - len(buffer) % unit
        # An FS at the end may be the frame's, and a block of just the largest size is whole.
        if len(buffer) - unit * self._ends_with_end() > self._block_max:
            self._let_go(buffer)
        return False

    def _may_follow(self, at: int) -> bool:
        return self._buffer.startswith(self._after, at) or self._buffer.startswith(self._start, at)

    def _ends_with_end(self) -> bool:
        return self._buffer.endswith(self._end) and len(self._buffer) % self._unit == 0

    def _close(self, events: list[Event], end: int, frame_bytes: int) -> None:
        size = self._dropped + end
        if self._dropped or size > self._block_max:
            events.append(Oversized(self._head or bytes(self._buffer[: min(end, HEAD_KEPT_MAX_BYTES)]), size))
        else:
            noticed = [JUNK_BEFORE_BLOCK] if self.skipped_bytes else []
            if frame_bytes == self._unit and self._after:
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
        keep = self._unit if self._ends_with_end() else len(buffer) % self._unit
        self._head = self._head or bytes(buffer[: min(len(buffer) - keep, HEAD_KEPT_MAX_BYTES)])
        self._dropped += len(buffer) - keep
        del buffer[: len(buffer) - keep]
        self._scanned = 0
