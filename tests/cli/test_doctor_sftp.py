"""The doctor says of SFTP servers who they are, or why they cannot be used and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.cli.doctor import Finding
from bridge.cli.doctor_sftp import findings
from bridge.cli.fake_sftp import PASSWORD, USER, FakeSftp
from bridge.destinations.sftp_out import SftpOutOptions
from bridge.transports.sftp_options import SftpOptions

CASES = [
    ({}, "good", "lets bridge in", ""),
    ({"host_keys": ["SHA256:" + "A" * 43]}, "bad", "another key", "ask its owner"),
    ({"user": "somebody"}, "bad", "refuses the login", "user"),
]


@pytest.mark.parametrize(("wrong", "grade", "found", "advice"), CASES, ids=["good", "host-key", "login"])
def test_a_server_is_looked_at(
    tmp_path: Path, wrong: dict[str, Any], grade: str, found: str, advice: str
) -> None:
    server = FakeSftp(tmp_path)
    chosen: dict[str, Any] = {
        "host": "127.0.0.1", "port": server.port, "user": USER, "password": "secret://env/SFTP",
        "host_keys": [server.fingerprint], "directory": "/", **wrong,
    }  # fmt: skip
    options = SftpOptions.model_validate(chosen)
    channel = SimpleNamespace(name="lab", source=SimpleNamespace(options=options))
    out = SftpOutOptions.model_validate({"sftp": {**chosen, "name": "{delivery}"}})
    api = SimpleNamespace(name="payer", destination=SimpleNamespace(options=out))
    topology: Any = SimpleNamespace(channels={"lab": channel}, apis={"payer": api})
    try:
        finding, *folders, of_api = findings(topology, lambda _reference: PASSWORD)
    finally:
        server.close()
    assert (of_api.about, of_api.grade) == ("server of payer", grade)
    assert finding.grade == grade
    assert len(folders) == (grade == "good"), "where it does not let us in, nothing is known of them"
    assert found in finding.found
    assert advice in finding.advice
    if "another key" in found:
        assert server.fingerprint in finding.found, "who it is must be said, so that it can be pinned"


def folder_of(server: FakeSftp, **rules: Any) -> Finding:
    """What is found of the folder of a channel that takes files from there."""
    options = SftpOptions.model_validate(
        {
            "host": "127.0.0.1", "port": server.port, "user": USER, "password": "secret://env/SFTP",
            "host_keys": [server.fingerprint], "directory": "/out", **rules,
        }
    )  # fmt: skip
    channel = SimpleNamespace(name="lab", source=SimpleNamespace(options=options))
    topology: Any = SimpleNamespace(channels={"lab": channel}, apis={})
    [_, finding] = findings(topology, lambda _reference: PASSWORD)
    assert finding.about == "folder of lab"
    return finding


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeSftp]:
    (tmp_path / "out").mkdir()
    made = FakeSftp(tmp_path)
    try:
        yield made
    finally:
        made.close()


RULES = [
    ({}, "/out can be listed, and files be put into done, errors"),
    (
        {"claim": True, "answers": "/answers"},
        "/out can be listed, and files be put into done, errors, /answers",
    ),
    ({"after": "delete"}, "/out can be listed, and files be put into errors"),
    ({"after": "keep"}, "/out can be listed"),
]


@pytest.mark.parametrize(("rules", "found"), RULES, ids=["move", "claim", "delete", "keep"])
@pytest.mark.parametrize("there", [False, True], ids=["made for it", "there already"])
def test_folders_into_which_files_are_put_are_tried_and_nothing_is_left_in_them(
    server: FakeSftp, rules: dict[str, Any], found: str, there: bool
) -> None:
    (server.root / "out" / "a.hl7").write_text("somebody's")
    for name in ("out/done", "out/errors", "out/.bridge-claims", "answers") if there else ():
        (server.root / name).mkdir()
        (server.root / name / "b.hl7").write_text("somebody's")
    before = sorted(server.root.rglob("*"))
    finding = folder_of(server, **rules)
    assert (finding.grade, finding.found, finding.advice) == ("good", found, "")
    assert sorted(server.root.rglob("*")) == before


def test_no_file_of_the_doctor_lies_where_files_are_taken_from(server: FakeSftp) -> None:
    seen: list[list[str]] = []
    server.faults.holds = lambda _step, _name: seen.append(sorted(os.listdir(server.root / "out")))
    for claim in (False, True):
        folder_of(server, claim=claim)
    assert seen == [["done"], ["errors"], [".bridge-claims", "done"], [".bridge-claims", "errors"]]


WRONG: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"directory": "/other"}, {}, "/other cannot be listed: ", "name it in `directory`"),
    ({"done": "/nowhere/done"}, {}, "/nowhere/done is no folder, and cannot be made: ", "have it made"),
    ({"errors": "taken"}, {}, "/out/taken is no folder, and cannot be made: ", "name another"),
    ({}, {"not_renamed": True}, "/out/done takes no file that is renamed into it: ", "give bridge the right"),
    (
        {"claim": True},
        {"not_renamed": True},
        "/out/done takes no file that is renamed",
        "give bridge the right",
    ),
    ({"after": "delete"}, {"full": True}, "/out/errors takes no file: ", "and room"),
    ({}, {"not_listed": True}, "/out cannot be listed: Permission denied", "may list"),
]


@pytest.mark.parametrize(("rules", "faults", "found", "advice"), WRONG, ids=[each[2] for each in WRONG])
def test_a_folder_into_which_no_file_can_be_put_is_told_with_what_to_do(
    server: FakeSftp, rules: dict[str, Any], faults: dict[str, Any], found: str, advice: str
) -> None:
    (server.root / "out" / "taken").write_text("a file")
    before = sorted(server.root.rglob("*"))
    for name, value in faults.items():
        setattr(server.faults, name, value)
    finding = folder_of(server, **rules)
    assert finding.grade == "bad"
    assert f"on 127.0.0.1:{server.port}, {found}" in finding.found
    assert advice in finding.advice
    assert sorted(server.root.rglob("*")) == before
