"""`bridge deidentify`: files to test data."""

from __future__ import annotations

import json
from pathlib import Path

from code_reading import ROOT
from command_line import bridge

HL7 = ROOT / "legacy_fixtures" / "hl7v2"
NAMES = ("Marlow", "Ines", "Quarry", "100234", "Okafor", "5550142")


def test_deidentify_writes_a_file_for_each_and_nobody_is_in_them(tmp_path: Path) -> None:
    key = tmp_path / "site.key"
    key.write_bytes(b"0123456789abcdef")
    ended = bridge("deidentify", HL7, "--to", tmp_path / "out", "--key", key)
    assert (ended.status, ended.err) == (0, f"{tmp_path / 'out'}: 8 messages, 0 left out\n")
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"message-{number:06}.hl7" for number in range(1, 9)]
    text = "".join(file.read_text("latin-1") for file in files)
    assert not [name for name in NAMES if name in text]
    bridge("deidentify", HL7, "--to", tmp_path / "again", "--key", key)
    assert (tmp_path / "again" / files[0].name).read_bytes() == files[0].read_bytes()
    bridge("deidentify", HL7, "--to", tmp_path / "other")
    assert (tmp_path / "other" / files[1].name).read_bytes() != files[1].read_bytes()


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    bad = ROOT / "legacy_fixtures" / "quirks" / "refused_duplicate_delimiters.hl7"
    ended = bridge("deidentify", bad, HL7 / "adt_a01.hl7", "--to", tmp_path, "--format", "json")
    found = json.loads(ended.out)
    assert (ended.status, found["messages"], found["refused"]) == (1, 1, {"bad-delimiters": 1})


def test_a_file_without_a_message_is_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "noise.hl7").write_bytes(b"\x93\x07noise")
    ended = bridge("deidentify", tmp_path / "noise.hl7", HL7 / "adt_a01.hl7", "--to", tmp_path / "out")
    assert ended.status == 1
    assert ended.err.endswith(": 1 message, 1 left out\n  no-msh: 1\n")


def test_a_key_that_is_too_short_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "site.key"
    key.write_bytes(b"short")
    ended = bridge("deidentify", HL7, "--to", tmp_path / "out", "--key", key)
    assert ended.status == 2
    assert "16 bytes or more" in ended.err


def test_no_message_is_written_over_and_test_data_lie_apart(tmp_path: Path) -> None:
    feed, to = tmp_path / "feed", tmp_path / "out"
    feed.mkdir()
    (feed / "message-000001.hl7").write_bytes((HL7 / "adt_a01.hl7").read_bytes())
    for within in (feed, feed / "out"):
        ended = bridge("deidentify", feed, "--to", within)
        assert (ended.status, "choose a folder beside it" in ended.err) == (2, True), ended.said
    assert bridge("deidentify", feed / "message-000001.hl7", "--to", feed).status == 2
    assert [each.read_bytes() for each in feed.iterdir()] == [(HL7 / "adt_a01.hl7").read_bytes()]
    assert bridge("deidentify", feed, "--to", to).status == 0
    first = (to / "message-000001.hl7").read_bytes()
    again = bridge("deidentify", HL7, "--to", to)
    assert (again.status, "has message-000001.hl7 already; nothing was written" in again.err) == (2, True)
    assert [each.read_bytes() for each in to.iterdir()] == [first]
