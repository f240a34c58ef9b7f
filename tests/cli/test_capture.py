"""`bridge capture`, as a process with real senders: what it writes, answers and leaves out."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import bridge, bridge_process

from bridge.cli.synthetic import admission
from bridge.formats.mllp_framing import frame

BODY = admission(1, 1, "A01", control_id="CAP1").body
ODD = b"junk" + frame(BODY.replace(b"\r", b"\n"))[:-1]
WITHIN_S = 60.0


@contextmanager
def capturing(folder: Path, *options: str) -> Iterator[tuple[int, Path]]:
    """A capture under way: its port and its folder; it has ended after the block."""
    ready, captured = folder / "ready.json", folder / "captured"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "bridge.cli.main", "capture", "tcp:0:interface=127.0.0.1", str(captured),
            "--ready-file", str(ready), "--for", "30s", *options,
        ],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        ends_s = time.monotonic() + WITHIN_S
        while not ready.exists():
            assert time.monotonic() < ends_s, "it does not listen"
            assert process.poll() is None
            time.sleep(0.02)
        yield json.loads(ready.read_text())["port"], captured
        assert process.wait(WITHIN_S) == 0
    finally:
        process.kill()
        process.communicate()


def exchange(port: int, data: bytes, answer_ends: bytes = b"\x1c\r") -> bytes:
    """What is answered to these bytes, up to an end."""
    with socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as connection:
        connection.sendall(data)
        said = b""
        while answer_ends and not said.endswith(answer_ends):
            received = connection.recv(65536)
            assert received
            said += received
        return said


def events(folder: Path, what: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [row for row in rows if row["event"] == what]


@pytest.mark.live
def test_what_came_is_written_down_with_its_oddities(tmp_path: Path) -> None:
    with capturing(tmp_path, "--messages", "2") as (port, folder):
        assert b"\rMSA|AA|CAP1" in exchange(port, frame(BODY)).replace(b"\n", b"\r")
        exchange(port, ODD)
    assert (folder / "000001.hl7").read_bytes() == BODY
    assert (folder / "000002.hl7").read_bytes() == BODY.replace(b"\r", b"\n")
    assert (folder / "connection-0002.bytes").read_bytes() == ODD
    first, second = events(folder, "message")
    assert (first["tolerated"], first["charset"], first["control_id"]) == ([], "utf-8 msh-18", "CAP1")
    assert second["tolerated"] == ["bytes-before-block", "no-return-after-block", "lf-line-ends"]
    assert first["segments"][:2] == ["MSH", "EVN"]
    assert sum(row["size_bytes"] for row in events(folder, "read")) == len(frame(BODY)) + len(ODD)
    assert [row["after_us"] for row in events(folder, "closed")] != []
    assert all(row["reached_socket"] for row in events(folder, "answered"))
    assert (folder.stat().st_mode & 0o777, (folder / "000001.hl7").stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.live
def test_masked_it_writes_no_content(tmp_path: Path) -> None:
    with capturing(tmp_path, "--messages", "2", "--mask") as (port, folder):
        exchange(port, ODD)
        exchange(port, frame(BODY))
    written = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"CAP1" in written
    assert not list(folder.glob("*.bytes"))
    header, rest = BODY.split(b"\r", 1)
    values = {value for value in re.split(rb"[|^~&\r]", rest) if len(value) > 3 and value not in header}
    assert len(values) > 10
    assert [value for value in values if value in written] == []
    assert (folder / "000002.hl7").stat().st_size == len(BODY)


@pytest.mark.live
def test_answers_may_come_from_a_file(tmp_path: Path) -> None:
    answers = b"".join(
        b"MSH|^~\\&|B||A||||ACK|%d|P|2.5\rMSA|%b|nobody|because\r" % row for row in ((1, b"AE"), (2, b"AR"))
    )
    (tmp_path / "answers.hl7").write_bytes(answers)
    with capturing(tmp_path, "--messages", "3", "--answer", str(tmp_path / "answers.hl7")) as (port, _):
        said = [exchange(port, frame(BODY)) for _ in range(3)]
    codes = [re.search(rb"MSA\|(..)\|CAP1\|because", each) for each in said]
    assert [each and each[1] for each in codes] == [b"AE", b"AR", b"AR"]


@pytest.mark.live
def test_it_may_answer_nothing_and_take_messages_without_frames(tmp_path: Path) -> None:
    with capturing(tmp_path, "--messages", "1", "--answer", "none", "--framing", "none") as (port, folder):
        exchange(port, BODY, answer_ends=b"")
    assert (folder / "000001.hl7").read_bytes() == BODY
    assert events(folder, "answered") == []


@pytest.mark.live
def test_who_speaks_http_is_told_by_name(tmp_path: Path) -> None:
    with capturing(tmp_path, "--messages", "1") as (port, folder):
        with socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        exchange(port, frame(BODY))
    assert [row["reason"] for row in events(folder, "refused")] == ["http-on-mllp-port"]


def test_wrong_use_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    for arguments, words in (
        (("udp:1", tmp_path / "new"), "expected tcp:PORT"),
        (("tcp:0", tmp_path), "name a new one"),
        (("tcp:0", tmp_path / "new", "--for", "soon"), "expected a duration"),
        (("tcp:0", tmp_path / "new", "--answer", tmp_path / "none.hl7"), "none.hl7"),
    ):
        ended = bridge("capture", *arguments)
        assert (ended.status, words in ended.err) == (2, True), ended.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        ended = bridge_process("capture", where, tmp_path / "new")
        assert (ended.status, "cannot listen on" in ended.err) == (3, True), ended.err
    # What captured nothing leaves nothing: the same command can be given again.
    assert not (tmp_path / "new").exists()
