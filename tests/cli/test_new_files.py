"""Files that commands make: what is there is kept, and where a command fails nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from code_reading import ROOT
from command_line import bridge

HL7 = ROOT / "legacy_fixtures" / "hl7v2"
COMMANDS = {
    "export": ("export", "FILE"),
    "audit export": ("audit", "export", "FILE"),
    "evidence": ("evidence", "--from", "1h", "--out", "FILE"),
}


def words(command: str, file: Path, folder: Path) -> list[object]:
    """A command that writes a file, of a journal in a folder."""
    given = [file if word == "FILE" else word for word in COMMANDS[command]]
    return [*given, "--journal", f"sqlite:///{folder / 'journal.db'}"]


@pytest.fixture(autouse=True)
def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_SECRETS", str(tmp_path / "secrets"))
    monkeypatch.delenv("BRIDGE_AUDIT_KEY", raising=False)
    assert bridge("audit", "key", "new", "north/bridge").status == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_journal_nothing_is_left_and_what_is_there_is_kept(command: str, tmp_path: Path) -> None:
    file = tmp_path / "made"
    ended = bridge(*words(command, file, tmp_path))
    assert (ended.status, "no journal" in ended.err) == (3, True), ended.said
    assert [each.name for each in tmp_path.iterdir()] == ["secrets"]
    file.write_text("of yesterday")
    assert bridge(*words(command, file, tmp_path)).status in (2, 3)
    assert file.read_text() == "of yesterday"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("there", [True, False])
def test_a_mistyped_option_touches_no_file(command: str, *, there: bool, tmp_path: Path) -> None:
    file = tmp_path / "made"
    if there:
        file.write_text("of yesterday")
    mistyped = "--from" if command == "evidence" else "--since"
    assert bridge(*words(command, file, tmp_path), mistyped, "nonsense").status == 2
    assert (file.read_text() if there else file.exists()) == ("of yesterday" if there else False)


def test_test_data_of_which_a_part_cannot_be_read_are_not_begun(tmp_path: Path) -> None:
    sound, missing, to = HL7 / "adt_a01.hl7", tmp_path / "missing.hl7", tmp_path / "out"
    assert bridge("deidentify", sound, missing, "--to", to).status == 2
    assert list(to.iterdir()) == []
    assert bridge("deidentify", sound, "--to", to).status == 0
