"""The page that leads from an export to a bridge in front of the old engine: its commands are run."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from code_reading import ROOT

PAGE = ROOT / "deploy" / "migration.md"
EXPORT = ROOT / "legacy_fixtures" / "mirth" / "v3.4_adt.xml"
PORTS = ("6660", "6661", "6664", "6674")
WAIT_MAX_S = 90.0

MESSAGE = (
    "MSH|^~\\&|EHR|N|HUB|OLD|20240102031500||ADT^A01|Q1|P|2.5.1\r"
    "PID|1||100234^^^NORTH^MR||Okafor^Maren||19800229|F|||||||||||900-11-2233\r"
    "PV1|1|I|3W||||||||||||||||V-77\r"
)
# What the steps of the export make of it, by hand: a name in capitals, and the visit in PV1-50.
BY_THE_OLD_ENGINE = MESSAGE.replace("Okafor", "OKAFOR").replace("V-77", "V-77" + "|" * 31 + "77")


@contextmanager
def old_engine(port: int) -> Iterator[list[bytes]]:
    """An engine that takes messages over MLLP and answers AA."""
    taken: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while not data.endswith(b"\x1c\r") and (more := connection.recv(65536)):
                    data += more
                taken.append(data[1:-2])
                connection.sendall(
                    b"\x0bMSH|^~\\&|OLD|||||| ACK|A1|P|2.5.1\rMSA|AA|Q1\r\x1c\r".replace(b"| ACK", b"|ACK")
                )

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield taken
    finally:
        # An accept that waits is ended by a connection, not by closing its socket.
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            listener.close()
        thread.join(5)


def _with_free_ports(*texts: str) -> tuple[list[str], dict[str, str]]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    free = {port: str(probe.getsockname()[1]) for port, probe in zip(PORTS, probes, strict=True)}
    for probe in probes:
        probe.close()
    return [re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: free[found[1]], text) for text in texts], free


def _listens(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def _until_it_listens(port: str, process: subprocess.Popen[bytes]) -> None:
    give_up_s = time.monotonic() + WAIT_MAX_S
    while not _listens(port):
        assert process.poll() is None, "it ended before it listened"
        assert time.monotonic() < give_up_s, "it does not listen"
        time.sleep(0.1)


@pytest.mark.live
def test_the_ten_commands_lead_from_an_export_to_equal_messages(tmp_path: Path) -> None:
    (page, export), ports = _with_free_ports(PAGE.read_text(), EXPORT.read_text())
    (tmp_path / "export.xml").write_text(export)
    (tmp_path / "adt.hl7").write_text(MESSAGE)
    (tmp_path / "old-engine.hl7").write_text(BY_THE_OLD_ENGINE)
    for name, text in re.findall(r"^`(front/[^`]+)`\n\n```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    shown = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    commands = [line for block in shown for line in block.splitlines()]
    assert len(commands) == 10
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    running: list[subprocess.Popen[bytes]] = []
    listening = iter((ports["6660"], ports["6674"], ports["6664"]))
    try:
        with old_engine(int(ports["6661"])) as taken:
            for command in commands:
                words = shlex.split(command.removesuffix(" &"))
                if command.endswith(" &"):
                    process = subprocess.Popen(
                        words, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
                    )
                    running.append(process)
                    port = next(listening)
                    if "capture" not in words:
                        _until_it_listens(port, process)
                    continue
                done = subprocess.run(
                    words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=WAIT_MAX_S,
                    check=False,
                )  # fmt: skip
                assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            assert taken == [MESSAGE.encode()]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(WAIT_MAX_S)
    assert (tmp_path / "assessment.html").read_text().startswith("<!doctype html>")
