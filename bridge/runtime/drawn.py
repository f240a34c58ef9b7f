"""Random bytes of the operating system, drawn many at a time."""

from __future__ import annotations

import os
from collections import deque

DRAWN_PIECES = 256


class Drawn:
    """Random bytes of the operating system, fetched many at a time, since each fetching is a system call.

    Threads may ask at the same time: no piece is given twice.
    """

    def __init__(self) -> None:
        self._pieces: dict[int, deque[bytes]] = {}

    def __call__(self, size: int) -> bytes:
        pieces = self._pieces.setdefault(size, deque())
        try:
            return pieces.popleft()
        except IndexError:
            drawn = os.urandom(size * DRAWN_PIECES)
            pieces.extend(drawn[at : at + size] for at in range(size, len(drawn), size))
            return drawn[:size]
