"""Anchors: where a checkpoint is kept by somebody who cannot be made to forget it. Blocking, for a thread.

A file, a syslog server over TLS (RFC 5424 in the frames of RFC 5425), or a server that takes it by HTTP POST.
A checkpoint holds no data of any message.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from bridge.audit.checkpoints import IN_LINE
from bridge.errors import BridgeError, PeerUnavailable
from bridge.message import Microseconds
from bridge.tls.client import Tls, context_or_why, untrusted

WAIT_S: Final = 10.0
SYSLOG_TLS_PORT: Final = 6514
AUDIT_NOTICE: Final = 13 * 8 + 5
"""Facility 13, log audit, severity 5, notice (RFC 5424 6.2.1)."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
EXPECTED: Final = (
    "expected file:PATH, syslog+tls://HOST:PORT or https://HOST/PATH, with ?ca=FILE for authorities of "
    "your own"
)

Give = Callable[[str, Microseconds], None]


@dataclass(frozen=True, slots=True)
class Anchor:
    """One anchor by its name, which is its URL; ``give`` hands it a note, and raises PeerUnavailable where it
    was not taken."""

    name: str
    give: Give


def anchor(text: str) -> Anchor:
    """The anchor that a URL names. Raises ValueError where it names none."""
    url = urlsplit(text)
    asked = parse_qs(url.query)
    tls = Tls.model_validate({"ca": asked["ca"][0]} if "ca" in asked else {})
    if url.scheme == "file" and not url.netloc and url.path:
        return Anchor(text, _to_file(Path(url.path)))
    if not url.hostname or url.username is not None or set(asked) - {"ca"}:
        raise ValueError(EXPECTED)
    shown = text.partition("?")[0]
    if url.scheme == "syslog+tls":
        return Anchor(shown, _to_syslog(url.hostname, url.port or SYSLOG_TLS_PORT, tls))
    if url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK):
        return Anchor(shown, _to_http(url, tls))
    raise ValueError(EXPECTED)


def _to_file(path: Path) -> Give:
    def give(note: str, at_us: Microseconds) -> None:  # noqa: ARG001 - a file has its own times
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            with open(file, "a", encoding="utf-8") as out_of:
                out_of.write(f"{note}\n")
                out_of.flush()
                os.fsync(out_of.fileno())
        except OSError as error:
            raise PeerUnavailable(f"{path} cannot be written: {error.strerror}") from None

    return give


def syslog_line(note: str, at_us: Microseconds) -> bytes:
    """A note as one message of RFC 5424, in the frame of RFC 5425: its size, a blank, and itself."""
    at = datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    content = json.dumps({IN_LINE: note})
    line = f"<{AUDIT_NOTICE}>1 {at} - interface-bridge - checkpoint - {content}".encode()
    return b"%d %s" % (len(line), line)


def _to_syslog(host: str, port: int, tls: Tls) -> Give:
    def give(note: str, at_us: Microseconds) -> None:
        try:
            context = context_or_why(tls)
            with (
                socket.create_connection((host, port), timeout=WAIT_S) as plain,
                context.wrap_socket(plain, server_hostname=host) as connection,
            ):
                connection.sendall(syslog_line(note, at_us))
        except (OSError, BridgeError) as error:
            raise PeerUnavailable(f"{host}:{port} was not reached: {_why(error)}") from None

    return give


def _to_http(url: SplitResult, tls: Tls) -> Give:
    assert url.hostname is not None
    host, port, path = url.hostname, url.port, url.path or "/"

    def connected() -> http.client.HTTPConnection:
        if url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=WAIT_S)
        return http.client.HTTPSConnection(host, port, timeout=WAIT_S, context=context_or_why(tls))

    def give(note: str, at_us: Microseconds) -> None:  # noqa: ARG001 - the answer has a time
        try:
            with closing(connected()) as connection:
                headers = {"Content-Type": "text/plain; charset=utf-8"}
                connection.request("POST", path, note.encode(), headers)
                status = connection.getresponse().status
        except (OSError, http.client.HTTPException, BridgeError) as error:
            raise PeerUnavailable(f"{host} was not reached: {_why(error)}") from None
        if status // 100 != 2:
            raise PeerUnavailable(f"{host} answered {status}")

    return give


def _why(error: Exception) -> str:
    reason = untrusted(error)
    if getattr(error, "verify_code", 0):
        return reason
    return (
        str(error)
        if isinstance(error, BridgeError)
        else getattr(error, "strerror", None) or type(error).__name__
    )
