"""What a server said, taken from the library's buffer all at once.

The library keeps what came in one piece, and moves all of it for each few bytes that are asked for: with some
MiB on their way, a packet of 32 KiB costs as much as a hundred.
"""

from __future__ import annotations

from typing import Any, Final

TAKEN_BYTES: Final = 1024**2


class Drained:
    """A channel whose bytes are asked for in large pieces, and given in whatever pieces are wanted."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._held, self._at = b"", 0

    def recv(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end. Raises as the channel does."""
        if self._at == len(self._held):
            self._held, self._at = self._channel.recv(max(size, TAKEN_BYTES)), 0
        part: bytes = self._held[self._at : self._at + size]
        self._at += len(part)
        return part

    def recv_ready(self) -> bool:
        """Whether some are there already."""
        return self._at < len(self._held) or bool(self._channel.recv_ready())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)
