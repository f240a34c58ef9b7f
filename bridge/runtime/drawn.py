"""Random bytes, drawn many at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

DRAWN_PIECES = 256


class Drawn:
    """Random bytes of a source, fetched many at a time, since each fetching is a system call.

    Threads may ask at the same time: no piece is given twice.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """``random_bytes`` gives so many of them."""
        self._random_bytes = random_bytes
        self._pieces: dict[int, deque[bytes]] = {}

    def __call__(self, size: int) -> bytes:
        pieces = self._pieces.setdefault(size, deque())
        try:
            return pieces.popleft()
        except IndexError:
            drawn = self._random_bytes(size * DRAWN_PIECES)
            pieces.extend(drawn[at : at + size] for at in range(size, len(drawn), size))
            return drawn[:size]
