"""`bridge send`: messages of files and folders to a listener."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from command_line import bridge

from bridge.cli.generated import messages
from bridge.formats.hl7v2_ack import AckCode, acknowledge, peek
from bridge.formats.mllp_framing import Block, MllpFraming, frame

READ_MAX_BYTES = 65536
BLOCK_MAX_BYTES = 1024**2


@pytest.fixture
def address() -> Iterator[str]:
    """A listener that takes all that one connection sends."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            framing = MllpFraming(BLOCK_MAX_BYTES)
            with connection:
                while data := connection.recv(READ_MAX_BYTES):
                    for event in framing.feed(data):
                        assert isinstance(event, Block)
                        answer = acknowledge(peek(event.body), AckCode.AA, control_id="L-1", at_us=0)
                        connection.sendall(frame(answer))

        thread = Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_a_folder_stands_for_its_files_in_the_order_of_their_names(tmp_path: Path, address: str) -> None:
    feed = tmp_path / "feed"
    (feed / "later").mkdir(parents=True)
    names = ["b.hl7", "a.hl7", "later/c.hl7"]
    for name, body in zip(names, messages("ADT", 1, len(names)), strict=True):
        (feed / name).write_bytes(body)
    ended = bridge("send", feed, address)
    assert (ended.status, "3 sent, 3 accepted" in ended.err) == (0, True), ended.said
    assert [line.split()[2] for line in ended.out.splitlines()] == ["a.hl7", "b.hl7", "c.hl7"]
