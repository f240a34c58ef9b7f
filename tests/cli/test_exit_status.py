"""Exit status: 0 done, 1 the answer is no, 2 wrong use, 3 could not run; and words with each."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from code_reading import ROOT
from command_line import Ended, bridge, bridge_process
from free_port import free_port

import bridge.cli.main as console
from bridge.cli.demo_site import write_site
from bridge.journal.database import Database

HL7 = ROOT / "legacy_fixtures" / "hl7v2"
QUIRKS = ROOT / "legacy_fixtures" / "quirks"
ADMIT = ROOT / "mappings" / "adt-admit.yaml"
CANARY = "ZANDERKANARI"


def good_site(folder: Path) -> Path:
    return write_site(folder / "site", patients_url="http://127.0.0.1:9", encounters_url="http://127.0.0.1:9")


def broken_site(folder: Path) -> Path:
    site = good_site(folder)
    channel = site / "channels" / "ehr-adt.yaml"
    channel.write_text(channel.read_text().replace("order_by:", "ordr_by:").replace("adt-admit", "adt-admti"))
    return site


WRONG_USE: dict[str, tuple[tuple[str, ...], str]] = {
    "command": (("chekc",), "did you mean 'check'?"),
    "command below another": (("map", "tri"), "Did you mean 'try'?"),
    "journal command": (("journal", "upgrad"), "Did you mean 'upgrade'?"),
    "option": (("check", "--confg", "x"), "Did you mean '--config'?"),
    "state": (("messages", "--state", "QUARANTINE"), "did you mean 'QUARANTINED'?"),
    "state like no other": (("messages", "--state", "zzz"), "one of: "),
    "format": (("check", "--format", "jsn"), "'json'"),
    "number": (("show", "seventeen"), "'seventeen' is not a valid integer"),
    "range": (("bench", "--rounds", "0"), "1<=x<=100"),
    "address": (("send", str(HL7 / "adt_a01.hl7"), "localhost"), "expected HOST:PORT, as in localhost:2575"),
    "port": (("send", str(HL7 / "adt_a01.hl7"), "localhost:99999"), "expected HOST:PORT"),
    "file": (("parse", "no-such-file.hl7"), "no-such-file.hl7: No such file or directory"),
    "file to send": (("send", "no-such-file.hl7", "localhost:1"), "No such file or directory"),
    "file without messages": (("send", str(ADMIT), "localhost:1"), "no HL7 v2 message in it"),
    "file missing": (("parse",), "Missing argument 'FILES...'"),
}


@pytest.mark.parametrize("case", WRONG_USE)
def test_wrong_use_is_2_with_the_nearest_right_word(case: str, tmp_path: Path) -> None:
    arguments, words = WRONG_USE[case]
    ended = bridge(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert words in ended.err
    assert "Usage: bridge" in ended.err


CLOSED_TO = {
    "a table": ("apis", "--config", "SITE"),
    "a table of two columns": ("records",),
    "lines": ("explain", "AE"),
    "help": ("--help",),
    "help of a command": ("status", "--help"),
    "the version": ("--version",),
}


@pytest.mark.parametrize("case", CLOSED_TO)
def test_a_reader_that_has_seen_enough_is_no_answer_of_no(case: str, tmp_path: Path) -> None:
    words = [str(good_site(tmp_path)) if word == "SITE" else word for word in CLOSED_TO[case]]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "bridge", *words], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize(("words", "status"), [(["chekc"], 2), (["run", "--config", "none"], 3)])
def test_what_keeps_a_command_from_its_work_is_its_status_though_nobody_reads_why(
    words: list[str], status: int, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "bridge", *words], stderr=writing, cwd=tmp_path, check=False
        )
    finally:
        os.close(writing)
    assert ended.returncode == status


def test_a_node_runs_whatever_its_parent_has_closed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    words: list[object] = [
        "run",
        "--config",
        good_site(tmp_path),
        "--journal",
        f"sqlite:///{tmp_path / 'journal.db'}",
    ]
    words += ["--admin-port", "0", "--ready-file", ready]
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "bridge"]
    with subprocess.Popen([*closed, *map(str, words)]) as node:
        while node.poll() is None and not ready.exists():
            time.sleep(0.05)
        node.terminate()
    assert node.returncode == 0


def _no_journal(folder: Path) -> Ended:
    return bridge("status", "--journal", f"sqlite:///{folder / 'none.db'}")


STATUS: dict[str, tuple[int, Callable[[Path], Ended]]] = {
    "check of good files": (0, lambda folder: bridge("check", "--config", good_site(folder))),
    "check of broken files": (1, lambda folder: bridge("check", "--config", broken_site(folder))),
    "check of no files": (1, lambda folder: bridge("check", "--config", folder)),
    "run of no files": (3, lambda folder: bridge("run", "--config", folder)),
    "parse": (0, lambda _: bridge("parse", HL7 / "adt_a01.hl7")),
    "parse of what is no message": (1, lambda _: bridge("parse", QUIRKS / "refused_not_hl7.hl7")),
    "parse check": (0, lambda _: bridge("parse", "--check", HL7 / "adt_a01.hl7")),
    "parse check refused": (1, lambda _: bridge("parse", "--check", QUIRKS / "refused_not_hl7.hl7")),
    "map try": (0, lambda _: bridge("map", "try", ADMIT, HL7 / "adt_a01.hl7")),
    "map try of a type not taken": (1, lambda _: bridge("map", "try", ADMIT, HL7 / "oru_r01.hl7")),
    "map try of no mapping": (3, lambda _: bridge("map", "try", "no.yaml", HL7 / "adt_a01.hl7")),
    "map try of no message": (2, lambda _: bridge("map", "try", ADMIT, QUIRKS / "refused_not_hl7.hl7")),
    "schema": (0, lambda folder: bridge("schema", folder / "schemas")),
    "status without a journal": (3, _no_journal),
    "send to nobody": (3, lambda _: bridge("send", HL7 / "adt_a01.hl7", f"127.0.0.1:{free_port()}")),
    "help": (0, lambda _: bridge("--help")),
    "nothing": (2, lambda _: bridge()),
}


@pytest.mark.parametrize("case", STATUS)
def test_the_exit_status_is(case: str, tmp_path: Path) -> None:
    status, run = STATUS[case]
    ended = run(tmp_path)
    assert ended.status == status, ended.said
    assert "Traceback" not in ended.said
    assert ended.said


def test_send_to_nobody_says_who_was_not_there(tmp_path: Path) -> None:
    port = free_port()
    ended = bridge("send", HL7 / "adt_a01.hl7", f"127.0.0.1:{port}")
    assert ended.err == f"bridge: cannot connect to 127.0.0.1:{port}: Connection refused\n"


def test_broken_files_are_shown_with_their_places_by_check_and_by_run(tmp_path: Path) -> None:
    site = broken_site(tmp_path)
    checked, run = bridge("check", "--config", site), bridge("run", "--config", site)
    assert (checked.status, run.status) == (1, 3)
    lines = checked.out.splitlines()
    assert len(lines) >= 2
    assert any(line.startswith("channels/ehr-adt.yaml:8:1: ") and "'order_by'" in line for line in lines)
    assert any(line.startswith("channels/ehr-adt.yaml:11:14: ") and "adt-admit" in line for line in lines)
    mistakes = sum(not line.startswith("warning: ") for line in lines)
    assert 1 < mistakes < len(lines)
    assert run.err.splitlines() == [*lines, f"{mistakes} mistakes"]
    assert checked.err == f"{mistakes} mistakes\n"
    assert "Traceback" not in checked.said + run.said


def test_run_on_a_journal_that_has_an_owner_is_refused(tmp_path: Path) -> None:
    site, journal = good_site(tmp_path), tmp_path / "journal.db"
    owner = Database(f"sqlite:///{journal}", create=True).own()
    try:
        ended = bridge_process("run", "--config", site, "--journal", f"sqlite:///{journal}", "--admin-port=0")
    finally:
        owner.release()
    assert (ended.status, ended.out) == (3, "")
    assert "another process runs on the journal" in ended.err
    assert "Traceback" not in ended.err


def test_run_on_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        site = write_site(
            tmp_path / "site",
            patients_url="http://127.0.0.1:9",
            encounters_url="http://127.0.0.1:9",
            port=port,
        )
        ended = bridge_process(
            "run", "--config", site, "--journal", f"sqlite:///{tmp_path / 'j.db'}", "--admin-port=0"
        )
    assert ended.status == 3
    assert "channel ehr-adt cannot listen on" in ended.err
    assert "Traceback" not in ended.err


def test_a_fault_of_the_bridge_is_3_and_shows_its_place_and_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.delenv("BRIDGE_TRACEBACK", raising=False)
    monkeypatch.setattr(console.bridge, "main", fails)
    ended = bridge("status")
    assert (ended.status, ended.out) == (3, "")
    assert CANARY not in ended.err
    assert "ValueError in fails, test_exit_status.py line" in ended.err


@pytest.mark.parametrize(
    "words",
    [("generate", "ADT"), ("parse", HL7 / "adt_a01.hl7"), ("schema", "schemas"), ("records",), ("--help",)],
    ids=lambda words: words[0],
)
def test_a_full_disk_is_told_as_that(tmp_path: Path, words: tuple[object, ...]) -> None:
    command = [sys.executable, "-m", "bridge.cli.main", *map(str, words)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, text=True, check=False, timeout=60
        )
    told = "bridge: what it makes cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (3, told)


def test_with_bridge_traceback_a_fault_shows_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.setenv("BRIDGE_TRACEBACK", "1")
    monkeypatch.setattr(console.bridge, "main", fails)
    with pytest.raises(ValueError, match=CANARY):
        bridge("status")


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    files = [str(path) for path in sorted(HL7.glob("*.hl7"))] * 20
    with subprocess.Popen(
        [sys.executable, "-m", "bridge.cli.main", "parse", *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert (process.wait(20), said) == (0, b"")
