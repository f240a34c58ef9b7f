"""Synthetic messages: the same for the same seed, well formed, and odd where that is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import bridge

from bridge.cli.generate import FILES
from bridge.cli.generate import TYPES as OFFERED
from bridge.cli.generated import TYPES, message, messages
from bridge.cli.generated_files import TYPES as FILE_TYPES
from bridge.cli.generated_files import batch_of_results, whole_file
from bridge.cli.invented import chance_of
from bridge.cli.oddities import ODDITIES
from bridge.cli.oddities import odd as made_odd
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_check import check_file, split_messages

COUNT = 40


def made(kind: str, seed: int, count: int) -> bytes:
    if kind == "results":
        return b"".join(batch_of_results(seed, count))
    return "".join(whole_file(kind, seed, count)).encode()


def test_every_type_that_is_offered_is_made() -> None:
    assert tuple(TYPES) == OFFERED


@pytest.mark.parametrize("kind", TYPES)
def test_a_synthetic_message_is_well_formed(kind: str) -> None:
    for body in messages(kind, 3, COUNT):
        read = Hl7Message.read(body)
        assert read.refused is None
        assert [problem.code for problem in read.problems] == []
        assert read.message_type.startswith(f"{kind}^")
        assert read.control_id
        assert read.serialise() == body
        assert all(len(segment.name) == 3 for segment in read.segments)


@pytest.mark.parametrize("kind", TYPES)
def test_the_same_seed_gives_the_same_messages_and_another_others(kind: str) -> None:
    assert list(messages(kind, 5, COUNT)) == list(messages(kind, 5, COUNT))
    assert message(kind, 5, COUNT - 1) == list(messages(kind, 5, COUNT))[-1], "more of them change none"
    assert message(kind, 5, 0) != message(kind, 6, 0)


@pytest.mark.parametrize("kind", FILES)
def test_the_same_seed_gives_the_same_file_and_more_entries_change_none(tmp_path: Path, kind: str) -> None:
    assert tuple(FILE_TYPES) == FILES
    said = bridge("generate", kind, "--count", "3", "--seed", "4", "--to", tmp_path)
    assert said.status == 0
    (written,) = tmp_path.iterdir()
    short, longer = written.read_bytes(), made(kind, 4, 9)
    assert short == made(kind, 4, 3)
    entries = short.splitlines()[4:-3] if kind.isdigit() else short.splitlines()
    trailers = (b"T", b"BTS", b"UNZ", b"  <Trailer")
    assert all(line in longer for line in entries if not line.startswith(trailers))
    assert short != made(kind, 5, 3)


def test_synthetic_messages_are_various() -> None:
    read = [Hl7Message.read(body) for kind in TYPES for body in messages(kind, 1, 60)]
    assert len({each.version for each in read}) > 4
    assert {each.encoding for each in read} >= {"utf-8", "iso8859-1"}
    assert any(each.named("ZPV") for each in read)
    assert any(len(each.named("PID")[0].repetitions(3)) > 2 for each in read if each.named("PID"))
    assert any(b"\\T\\" in each.raw for each in read)
    lengths = {len(str(each.value("PID", 7) or "")) for each in read}
    assert lengths >= {4, 6, 8}


@pytest.mark.parametrize("name", ODDITIES)
def test_every_oddity_changes_some_message(name: str) -> None:
    changed = [
        ODDITIES[name](message("ADT", 1, n), chance_of(f"{n}")) != message("ADT", 1, n) for n in range(60)
    ]
    assert any(changed)


def test_odd_messages_are_noticed_or_refused() -> None:
    noticed = []
    for number in range(100):
        body, _ = made_odd(message("ADT", 1, number), chance_of(f"odd/{number}"))
        found = check_file(body)
        noticed.append(bool(found.problems or found.refused))
    assert sum(noticed) > 40


def test_generate_writes_files(tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    ended = bridge("generate", "all", "--count", "18", "--seed", "4", "--to", folder)
    assert (ended.status, ended.err) == (0, f"{folder}: 18 messages\n")
    files = sorted(folder.iterdir())
    assert len(files) == 18
    assert files[0].read_bytes() == message("ADT", 4, 0)


@pytest.mark.parametrize("kind", ["adt", "charges"])
def test_generate_writes_over_no_file_that_is_there(kind: str, tmp_path: Path) -> None:
    assert bridge("generate", kind, "--count", 2, "--to", tmp_path).status == 0
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    again = bridge("generate", kind, "--count", 5, "--to", tmp_path)
    assert (again.status, "already; nothing was written" in again.err) == (2, True), again.said
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_generate_writes_to_standard_output() -> None:
    command = [sys.executable, "-m", "bridge.cli.main", "generate", "adt", "--count", "3"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    assert list(split_messages(done.stdout)) == list(messages("ADT", 1, 3))


def test_generate_of_an_unknown_type_names_those_there_are() -> None:
    ended = bridge("generate", "XYZ")
    assert ended.status == 2
    assert "ADT" in ended.err.upper()
