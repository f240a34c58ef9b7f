"""A server that is cut off again and again, a bridge that is killed, and uploads that take their time: each
file is taken once, and none is left."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from file_drill import Dropper, FileDrill
from free_port import free_port
from sftp_servers import Fake, OpenSsh, Server

RULES = "finished: marker, poll: 200ms, claim: true"


@pytest.mark.live
def test_each_file_of_a_failing_server_is_taken_once(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, sshd = pytestconfig.getoption("--sftp-files"), pytestconfig.getoption("--sshd")
    chance = random.Random(files)
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    server: Server = (
        Fake(incoming) if sshd is None else OpenSsh(sshd, incoming, tmp_path / "ssh", free_port())
    )
    monkeypatch.setenv("SFTP_SECRET", server.secret())
    try:
        with FileDrill(tmp_path, source=server.source(RULES)) as drill:
            dropper = Dropper(incoming, files, rest_s=0.002)
            dropper.start()
            rounds = 2 if files <= 100 else 40
            for number in range(rounds):
                time.sleep(chance.uniform(0.1, 0.5 if files <= 100 else 4.0))
                server.cut()
                if number % 2:
                    drill.kill()
            dropper.join(600)
            [ledger] = drill.ended(files, at_most_s=max(60.0, files * 0.3))
            counts = ledger.channels["ehr-adt"]
            names = [f"adt-{number:05}.hl7" for number in range(1, files + 1)]
            assert drill.files() == [(name, "SPLIT") for name in names]
            assert drill.left() == []
            assert (counts["delivered"], counts["duplicate"]) == (2 * files, 0)
            for api in (drill.patients, drill.encounters):
                assert api.applied() == dropper.steps, f"{api.log.stem}: lost, reordered, or applied twice"
            kind = "the fake server" if sshd is None else "OpenSSH"
            print(f"{kind}: {server.cuts} cuts, {rounds // 2} kills, {files} files, each once and in order")
    finally:
        server.close()
