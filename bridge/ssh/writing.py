"""A file on a server, written with many requests on their way, each of whose answers is looked at.

The library can write ahead too, and then never looks at what the server said of most of it: a disk that is
full would go unnoticed. So this asks through the library's own requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from paramiko.sftp import CMD_EXTENDED, CMD_STATUS, CMD_WRITE, int64

WRITE_BYTES: Final = 32_768
"""What every server takes in one request (draft-ietf-secsh-filexfer-02 section 3)."""
UNANSWERED_MAX: Final = 64
_FSYNC: Final = "fsync@openssh.com"


class Behind:
    """One open file, written from its beginning.

    Raises what the library does where the connection breaks, and OSError where the server could not write.
    """

    def __init__(self, sftp: Any, handle: bytes, moved: Callable[[], None] = lambda: None) -> None:
        """``moved`` is called with each answer."""
        self._moved = moved
        self._sftp, self._handle, self._at = sftp, handle, 0
        self._unanswered = 0
        self._failed: OSError | None = None

    def write(self, data: bytes) -> None:
        """Send all of it; some answers are waited for."""
        for start in range(0, len(data), WRITE_BYTES):
            part = data[start : start + WRITE_BYTES]
            self._sftp._async_request(self, CMD_WRITE, self._handle, int64(self._at), part)
            self._at += len(part)
            self._unanswered += 1
            self._answers(UNANSWERED_MAX)

    def finish(self, *, sync: bool) -> None:
        """Wait for all answers, and with ``sync`` for the server's disk, as far as the server can say."""
        self._answers(0)
        if sync:
            try:
                self._sftp._request(CMD_EXTENDED, _FSYNC, self._handle)
            except OSError as error:
                # A server that cannot has no number for it.
                if error.errno is not None:
                    raise

    def _answers(self, left_max: int) -> None:
        while self._unanswered > left_max:
            self._sftp._read_response()
            if self._failed is not None:
                raise self._failed

    def _async_response(self, kind: int, message: Any, number: int) -> None:  # noqa: ARG002
        """The library's name: an answer has come."""
        self._unanswered -= 1
        self._moved()
        try:
            if kind != CMD_STATUS:
                raise OSError("the server answers something else than was asked")
            self._sftp._convert_status(message)
        except EOFError:
            self._failed = OSError("the server says that a file ended that is written")
        except OSError as error:
            self._failed = self._failed or error
