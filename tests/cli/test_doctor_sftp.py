"""The doctor says of SFTP servers who they are, or why they cannot be used and what to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

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
        [finding, of_api] = findings(topology, lambda _reference: PASSWORD)
    finally:
        server.close()
    assert (of_api.about, of_api.grade) == ("server of payer", grade)
    assert finding.grade == grade
    assert found in finding.found
    assert advice in finding.advice
    if "another key" in found:
        assert server.fingerprint in finding.found, "who it is must be said, so that it can be pinned"
