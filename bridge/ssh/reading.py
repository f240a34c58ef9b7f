"""A file on a server, read in order with many requests on their way.

The library can ask ahead too, from a thread of its own, and spins where an answer overtakes that thread: 3
MiB a second on a busy machine, where asking and reading in one thread gives ten times as much. So this asks
through the library's own requests, and holds no more than a window.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from paramiko.sftp import CMD_DATA, CMD_READ, CMD_STATUS, int64

ASK_BYTES: Final = 32_768
"""What servers give in answer to one request."""
ASKED_MAX: Final = 64
"""Requests on their way: 2 MiB, so 100 MiB/s over a line of 20 ms."""


class Ahead:
    """One open file, from ``at`` to ``end``. Raises what the library does where the connection breaks."""

    def __init__(self, sftp: Any, handle: bytes, at: int, end: int) -> None:
        self._sftp, self._handle, self._next, self._end = sftp, handle, at, end
        self._asked: deque[tuple[int, int, int]] = deque()
        """Number, place and length of each request that was not used yet, in order."""
        self._wanted: set[int] = set()
        self._got: dict[int, bytes] = {}
        self._failed: Exception | None = None

    def next(self) -> bytes:
        """The next bytes, at most `ASK_BYTES`; none at the end, or where the server has no more."""
        self._ask()
        if not self._asked:
            return b""
        number, at, length = self._asked.popleft()
        while number not in self._got:
            self._sftp._read_response()
            if self._failed is not None:
                raise self._failed
        data = self._got.pop(number)
        if len(data) < length:
            # The server gave less than was asked for: what was asked after it does not join on.
            self._asked.clear()
            self._wanted.clear()
            self._got.clear()
            self._next = at + len(data) if data else self._end
        return data

    def _ask(self) -> None:
        while len(self._asked) < ASKED_MAX and self._next < self._end:
            length = min(ASK_BYTES, self._end - self._next)
            number = self._sftp._async_request(self, CMD_READ, self._handle, int64(self._next), length)
            self._asked.append((number, self._next, length))
            self._wanted.add(number)
            self._next += length

    def _async_response(self, kind: int, message: Any, number: int) -> None:
        """The library's name: an answer has come."""
        if number not in self._wanted:
            return  # to what was asked before the server gave less
        self._wanted.discard(number)
        if kind == CMD_DATA:
            self._got[number] = message.get_string()
        elif kind == CMD_STATUS:
            try:
                self._sftp._convert_status(message)
            except EOFError:
                self._got[number] = b""
            except OSError as error:
                self._failed = error
