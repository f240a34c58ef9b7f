"""One connection of HTTP/1.1 (RFC 9112): one call at a time, its answer read by httptools (llhttp).

Of an answer the final status, the headers and a bounded part of the body are kept. A connection is used again
only where the answer ended by itself, nothing followed it, and the server lets it be.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import httptools
from twisted.internet.defer import Deferred

from bridge.destinations.http_failures import CallTimeout, ConnectionLost

HEAD_MAX_BYTES: Final = 65_536
_SWITCHING: Final = 101
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [!-~](?:[ -~]*[!-~])?")


def head(method: str, target: str, common: bytes, headers: Mapping[str, str], size: int | None) -> bytes:
    """The head of a request (RFC 9112 §3): ``common`` are whole header lines, ``size`` is that of its body.

    Raises ValueError for a header that could be read as another (RFC 9110 §5.5).
    """
    lines = [f"{method} {target} HTTP/1.1\r\n".encode("ascii"), common]
    for name, value in headers.items():
        line = f"{name}: {value}"
        if not _HEADER.fullmatch(line):
            raise ValueError(f"the header {name} cannot be sent")
        lines.append(f"{line}\r\n".encode("ascii"))
    if size is not None:
        lines.append(b"Content-Length: %d\r\n" % size)
    lines.append(b"\r\n")
    return b"".join(lines)


class Response:
    """An answer: its ``status``, and its ``body`` so far as it came and was asked for.

    ``whole`` is False where it broke off after its head.
    """

    __slots__ = ("_headers", "_raw", "body", "status", "whole")

    def __init__(
        self, status: int, raw: list[tuple[bytes, bytes]], body: bytes, *, whole: bool = True
    ) -> None:
        self.status, self._raw, self.body, self.whole = status, raw, body, whole
        self._headers: Mapping[str, str] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by lower-case name; of several with one name, the first."""
        if self._headers is None:
            self._headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(self._raw)
            }
        return self._headers


class Connection(asyncio.Protocol):
    """A connection that is open. ``lost`` is told when it is no more."""

    def __init__(self, lost: Callable[[Connection], None], *, secured: bool) -> None:
        self._lost, self._secured = lost, secured
        self._answered: Deferred[Response] | None = None
        self._parser = self._new_parser()
        self.deadline_s = 0.0
        """When the call under way ends, by the loop's clock."""
        self.idle_since_s = 0.0
        self._calls = 0
        self._begin(0)

    def _new_parser(self) -> Any:
        parser = httptools.HttpResponseParser(self)
        # What servers get wrong harmlessly; who follows an answer with more bytes is not called again.
        parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        return parser

    def _begin(self, body_max_bytes: int) -> None:
        self._raw: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._status = self._body_bytes = self._head_bytes = 0
        self._body_max_bytes = body_max_bytes
        self._has_head = self._complete = self._keeps = self._follows = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    @property
    def usable(self) -> bool:
        """Whether another call may begin here."""
        return self._answered is None and not self._transport.is_closing()

    def call(self, request: bytes, *, body_max_bytes: int, deadline_s: float) -> Deferred[Response]:
        """Send a whole request, and give its answer. Fails with ConnectionLost or CallTimeout."""
        assert self._answered is None, "one call at a time"
        self._begin(body_max_bytes)
        self._calls += 1
        self.deadline_s = deadline_s
        answered: Deferred[Response] = Deferred(self._given_up)
        self._answered = answered
        self._transport.write(request)
        return answered

    def _given_up(self, _: Deferred[Response]) -> None:
        self._answered = None
        self._transport.abort()

    def close(self) -> None:
        """Close, in peace where nothing is under way."""
        if self._answered is None:
            self._transport.close()
        else:
            self._transport.abort()

    def expire(self) -> None:
        """The time of the call under way has come to its end. A status that is known counts."""
        self._break_off(CallTimeout(sent=True))

    def data_received(self, data: bytes) -> None:
        if self._answered is None:
            self._transport.abort()  # nothing was asked
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._complete, self._keeps = True, False
        except httptools.HttpParserError as error:
            self._break_off(self._broken(error))
            return
        if self._complete:
            if not self._keeps or self._follows:
                self._transport.close()
            self._end()
        elif self._has_head:
            if self._body_bytes > self._body_max_bytes:
                self._break_off()
        else:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_MAX_BYTES:
                self._break_off(self._broken(None))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None:
            self._end(self._broken(exc))
        self._lost(self)

    def _broken(self, cause: BaseException | None) -> ConnectionLost:
        lost = ConnectionLost(after_handshake=self._secured and self._calls == 1)
        lost.__cause__ = cause
        return lost

    def _break_off(self, failure: Exception | None = None) -> None:
        # Before anybody hears of it, so that nobody takes this connection for one that can be used again.
        self._transport.abort()
        self._end(failure)

    def _end(self, failure: Exception | None = None) -> None:
        """Give the answer; where it broke off after its status, that all the same."""
        answered, self._answered = self._answered, None
        if answered is None:
            return
        if failure is not None and not self._has_head:
            answered.errback(failure)
            return
        # The status line has said what happened; the rest of the body cannot change it.
        body = b"".join(self._body) if failure is None else b""
        answered.callback(Response(self._status, self._raw, body, whole=failure is None))

    # The parser calls these.

    def on_message_begin(self) -> None:
        self._follows = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._complete:
            self._raw.append((name, value))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        self._status = self._parser.get_status_code()
        # An interim answer (RFC 9110 §15.2) is not the one that is waited for.
        self._has_head = self._status >= 200 or self._status == _SWITCHING

    def on_body(self, body: bytes) -> None:
        if not self._complete and self._body_bytes <= self._body_max_bytes:
            self._body_bytes += len(body)
            self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._has_head:
            self._raw.clear()
        elif not self._complete:
            self._complete, self._keeps = True, self._parser.should_keep_alive()
