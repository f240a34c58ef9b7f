"""A folder to begin with works as it is; and what a shell is told of a folder's names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import bridge, bridge_process

from bridge.catalog import STANDARD
from bridge.config.load import check
from bridge.config.yaml_format import formatted


def test_what_is_begun_has_no_mistakes_and_not_even_a_warning(tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert bridge("init", site).status == 0
    checked = check(site, STANDARD)
    assert list(map(str, checked.problems)) == []
    assert checked.topology is not None
    for path in site.rglob("*.yaml"):
        if path.parent.name == "mappings":
            assert formatted(path.read_text(), path.name) == (path.read_text(), [])
    schema = json.loads((site / "schemas" / "mapping.schema.json").read_text())
    assert schema["properties"]["emit"]
    assert json.loads((site / ".vscode" / "settings.json").read_text())["yaml.schemas"]


def test_every_command_of_its_page_that_needs_no_node_does_what_it_says(tmp_path: Path) -> None:
    site = tmp_path / "site"
    bridge("init", site)
    tried = bridge_process("map", "try", "mappings/admissions.yaml", "samples/admission.hl7", cwd=site)
    assert (tried.status, "MARLOWE" in tried.out) == (0, True), tried.said
    binaries = Path(sys.executable).parent
    ended = subprocess.run(
        [site / "ci" / "check"],
        env={**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_nothing_that_is_there_is_touched(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "admissions.yaml").write_text("mine")
    ended = bridge("init", tmp_path)
    assert (ended.status, "mappings/admissions.yaml already" in ended.err) == (2, True)
    assert [path.name for path in tmp_path.rglob("*")] == ["mappings", "admissions.yaml"]
    (tmp_path / "file").write_text("")
    assert bridge("init", tmp_path / "file").status == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_ask(shell: str) -> None:
    ended = bridge("completion", shell)
    assert ended.status == 0
    assert "_BRIDGE_COMPLETE" in ended.out


COMPLETED = {
    "bridge com": ["compare", "completion"],
    "bridge pause ": ["admissions", "registry"],
    "bridge messages --channel ": ["admissions"],
    "bridge messages --channel x": [],
    "bridge messages --state REF": ["REFUSED"],
    "bridge files list --state S": ["SPLIT"],
    "bridge quarantine retry --problem no-": ["no-key", "no-route", "no-target"],
    "bridge explain C11": ["C110", "C111", "C112", "C113"],
    "bridge pause admissions/": ["admissions/patients"],
    "bridge resume nobody/": [],
    "bridge stage ": ["admissions"],
    "bridge stage admissions/": ["admissions/patients"],
    "bridge stage admissions c": ["canary", "complete"],
    "bridge parity show ": ["admissions"],
    "bridge parity accept admissions/": ["admissions/patients"],
    "bridge status --channel ": ["admissions"],
    "bridge cutover ": ["admissions"],
    "bridge apis try ": ["registry"],
    "bridge apis try registry ": ["putPatient"],
    "bridge apis accept nobody ": [],
    "bridge quarantine show ": [],
    "bridge map n": ["new"],
    "bridge completion ": ["bash", "zsh", "fish"],
}


@pytest.mark.parametrize("line", COMPLETED)
def test_a_line_is_completed(line: str, tmp_path: Path) -> None:
    bridge("init", tmp_path / "site")
    words = line.split(" ")
    ended = bridge_process(
        cwd=tmp_path / "site",
        _BRIDGE_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) - 1),
    )
    assert [each.partition(",")[2] for each in ended.out.split()] == COMPLETED[line]


def test_a_folder_that_is_not_there_completes_nothing(tmp_path: Path) -> None:
    ended = bridge_process(
        cwd=tmp_path, _BRIDGE_COMPLETE="bash_complete", COMP_WORDS="bridge pause ", COMP_CWORD="2"
    )
    assert (ended.out.strip(), ended.err) == ("", "")
