"""HL7 v2 messages on a connection without any framing, as bytes in and messages out. No socket, no clock.

Nothing says where such a message ends. One is over where the next begins, with MSH at the start of a line.
The last one is over where its last segment is ended and nothing follows: how long is waited for that is the
caller's to know, who calls `end_now`.
"""

from __future__ import annotations

import re
from typing import Final

from bridge.formats.mllp_framing import HEAD_KEPT_MAX_BYTES, Block, Event, Oversized, Truncated

_START: Final = re.compile(rb"(?<=[\r\n\x0b\x1c\0])MSH(?=[^A-Za-z0-9\s])")
_START_MAX_BYTES: Final = 5
_LINE_END: Final = b"\n"
"""Stands for what was before the first byte, so that a message may begin with it."""
_ENDS: Final = b"\r\n\x1c"


class Unframed:
    """One direction of one connection, with the same methods as `MllpFraming`."""

    __slots__ = ("_block_max", "_buffer", "_dropped", "_head", "_inside", "_scanned", "skipped_bytes")

    def __init__(self, block_max_bytes: int) -> None:
        self._block_max = block_max_bytes
        self._buffer = bytearray(_LINE_END)
        self._inside = False
        self._scanned = 0
        self._head = b""
        self._dropped = 0
        self.skipped_bytes = 0
        """Bytes before the first message; those after it belong to it."""

    @property
    def buffered_bytes(self) -> int:
        """What is held of a message that has not ended."""
        return len(self._buffer) if self._inside else 0

    @property
    def inside_block(self) -> bool:
        """A message has begun and not ended."""
        return self._inside

    @property
    def may_end_now(self) -> bool:
        """The last segment is ended: unless more follows, the message is over."""
        return self._inside and self._buffer[-1] in _ENDS

    def feed(self, data: bytes) -> list[Event]:
        """Add bytes; return what became complete."""
        self._buffer += data
        events: list[Event] = []
        while (found := _START.search(self._buffer, self._scanned)) is not None:
            if self._inside:
                self._close(events, found.start())
            else:
                self.skipped_bytes += len(self._buffer[: found.start()].strip(b"\r\n\x0b\x1c\0"))
                del self._buffer[: found.start()]
                self._inside = True
            self._scanned = 1
        keep = _START_MAX_BYTES
        if not self._inside and len(self._buffer) > keep:
            self.skipped_bytes += len(self._buffer[:-keep].strip(b"\r\n\x0b\x1c\0"))
            del self._buffer[:-keep]
        elif len(self._buffer) > self._block_max + keep:
            self._head = self._head or bytes(self._buffer[:HEAD_KEPT_MAX_BYTES])
            self._dropped += len(self._buffer) - keep
            del self._buffer[:-keep]
        self._scanned = max(1, len(self._buffer) - keep)
        return events

    def end_now(self) -> list[Event]:
        """End the message here."""
        assert self.may_end_now
        events: list[Event] = []
        self._close(events, len(self._buffer))
        self._begin_anew()
        return events

    def at_end(self, *, clean: bool) -> list[Event]:
        """The connection has ended: what that makes of a message that was under way.

        One that is not ended may have been cut, and so may any where the end was not ``clean``.
        """
        if not self._inside:
            return []
        if clean and self.may_end_now:
            return self.end_now()
        events: list[Event] = [Truncated(self._head or bytes(self._buffer))]
        self._begin_anew()
        return events

    def _close(self, events: list[Event], end: int) -> None:
        size = self._dropped + end
        if self._dropped or size > self._block_max:
            events.append(Oversized(self._head or bytes(self._buffer[: min(end, HEAD_KEPT_MAX_BYTES)]), size))
        else:
            noticed = ("bytes-before-block",) if self.skipped_bytes else ()
            events.append(Block(bytes(self._buffer[:end]), noticed))
        self._restart(end)
        self.skipped_bytes = 0

    def _begin_anew(self) -> None:
        self._restart(len(self._buffer))
        self._buffer += _LINE_END
        self._inside = False

    def _restart(self, used_bytes: int) -> None:
        del self._buffer[:used_bytes]
        self._scanned = 0
        self._head = b""
        self._dropped = 0
