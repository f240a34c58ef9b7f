"""Anchors: what a file, a syslog server over TLS and an HTTP server are given, and what is said if not."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from certificates import make

from bridge.audit.checkpoints import Checkpoint, notes_in
from bridge.audit.notes import Signer
from bridge.errors import PeerUnavailable
from bridge.observe.anchors import anchor, syslog_line

NOTE = Signer("north/bridge", bytes(32)).sign(Checkpoint("north/bridge/3f0a91cc/1", 17, bytes(32)).text)
AT_US = 1_800_000_000_123_456


def test_a_file_gets_one_note_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "anchors.txt"
    given = anchor(f"file:{path}")
    given.give(NOTE, AT_US)
    given.give(NOTE, AT_US)
    assert list(notes_in(path.read_text())) == [NOTE, NOTE]
    assert path.stat().st_mode & 0o007 == 0
    with pytest.raises(PeerUnavailable, match="cannot be written"):
        anchor(f"file:{tmp_path}/no/such/folder").give(NOTE, AT_US)


@contextmanager
def tls_server(folder: Path) -> Iterator[tuple[int, Callable[[], bytes]]]:
    """A server that takes one connection; its port, and what came."""
    made = make(folder, "server", ca=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.path, made.key_path)
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)

        def serve() -> None:
            plain, _ = listening.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    while data := connection.recv(65536):
                        came.append(data)
            except OSError:
                plain.close()

        thread = threading.Thread(target=serve)
        thread.start()

        def all_that_came() -> bytes:
            thread.join(30)
            return b"".join(came)

        yield listening.getsockname()[1], all_that_came
        thread.join(30)


def test_a_syslog_server_gets_a_line_in_its_frame_over_tls(tmp_path: Path) -> None:
    with tls_server(tmp_path) as (port, all_that_came):
        anchor(f"syslog+tls://localhost:{port}?ca={tmp_path / 'server.pem'}").give(NOTE, AT_US)
        came = all_that_came()
    size, _, line = came.partition(b" ")
    assert int(size) == len(line)
    assert line.startswith(b"<109>1 2027-01-15T08:00:00.123456Z - interface-bridge - checkpoint - {")
    assert list(notes_in(line.decode())) == [NOTE]
    assert came == syslog_line(NOTE, AT_US)


def test_a_syslog_server_whom_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    with tls_server(tmp_path) as (port, all_that_came):
        with pytest.raises(PeerUnavailable, match="tls-untrusted"):
            anchor(f"syslog+tls://localhost:{port}").give(NOTE, AT_US)
        assert all_that_came() == b""


@pytest.mark.parametrize(("status", "taken"), [(200, True), (204, True), (302, False), (500, False)])
def test_an_http_server_gets_the_note_and_only_a_yes_counts(status: int, taken: bool) -> None:
    came: list[bytes] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        given = anchor(f"http://127.0.0.1:{server.server_port}/anchors")
        if taken:
            given.give(NOTE, AT_US)
        else:
            with pytest.raises(PeerUnavailable, match=f"answered {status}"):
                given.give(NOTE, AT_US)
        thread.join(30)
    assert came == [NOTE.encode()]


@pytest.mark.parametrize(
    "url",
    ["", "anchors.txt", "file:", "http://log.example/x", "syslog://log.example", "https://user:x@log.example",
     "https://log.example/?key=x", "ftp://log.example/x"],
)  # fmt: skip
def test_a_place_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected file:PATH"):
        anchor(url)
