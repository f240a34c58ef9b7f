"""Files arrive while the bridge is killed, and while two bridges take from one folder: each is taken once."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from file_drill import Dropper, FileDrill


def check(drill: FileDrill, dropper: Dropper, received: list[int], duplicates: int) -> None:
    """Every file is taken once and is put away, and the APIs saw each message once, in order."""
    names = [f"adt-{number:05}.hl7" for number in range(1, len(dropper.files) + 1)]
    assert drill.files() == [(name, "SPLIT") for name in names]
    assert drill.left() == []
    assert sum(received) == sum(map(len, dropper.files))
    assert duplicates == 0, "a message was taken twice, and known again only by its control ID"


@pytest.mark.live
def test_each_file_is_taken_once_whatever_kills_the_bridge(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills = pytestconfig.getoption("--kills")
    chance = random.Random(20_261_126)
    files = 40 if kills <= 3 else 200
    with FileDrill(tmp_path) as drill:
        dropper = Dropper(drill.incoming, files, rest_s=0.002 if kills <= 3 else kills * 1.2 / files / 2)
        dropper.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, 0.6))
            drill.kill()
        dropper.join(300)
        [ledger] = drill.ended(files)
        counts = ledger.channels["ehr-adt"]
        check(drill, dropper, [counts["delivered"]], counts["duplicate"])
        for api in (drill.patients, drill.encounters):
            assert api.applied() == dropper.steps, f"{api.log.stem}: lost, reordered, or applied twice"
        print(f"{kills} kills, {files} files, {counts['delivered']} messages, each once and in order")


@pytest.mark.live
def test_two_bridges_on_one_folder_take_each_file_once_and_leave_none(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills = pytestconfig.getoption("--kills")
    files = 40 if kills <= 3 else 400
    with FileDrill(tmp_path, nodes=2) as drill:
        dropper = Dropper(drill.incoming, files, rest_s=0.002)
        dropper.start()
        for number in range(0 if kills <= 3 else kills // 2):
            time.sleep(0.2)
            drill.kill(number % 2)
        dropper.join(300)
        ledgers = drill.ended(files)
        counts = [ledger.channels["ehr-adt"] for ledger in ledgers if ledger.channels]
        received = [each["delivered"] for each in counts]
        check(drill, dropper, received, sum(each["duplicate"] for each in counts))
        assert len(received) == 2, "one bridge took all: this shows nothing"
        print(f"two bridges, {files} files: {received} messages")
