"""A bridge whose files are acknowledged is killed again and again: each claim ends once, and as was said."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest
from acknowledged_site import API, CHANNEL, CLAIMS, TOLD, X12, answer_999, claims
from file_drill import FileDrill

FILES = 4
REJECTS_EACH = 10


class Receiver(threading.Thread):
    """Who receives claims: acknowledges each file that lies there, and rejects every tenth claim. Every other
    file it acknowledges twice."""

    def __init__(self, out: Path, told: Path) -> None:
        super().__init__(daemon=True)
        self._out, self._told = out, told
        self.rejected: set[str] = set()
        self.claims: list[str] = []
        self.names: set[str] = set()
        self.stopped = False

    def run(self) -> None:
        while not self.stopped:
            for path in sorted(self._out.glob(f"{CLAIMS}-*")):
                if path.name not in self.names:
                    self.names.add(path.name)
                    self._acknowledge(path)
            time.sleep(0.05)

    def _acknowledge(self, path: Path) -> None:
        segments = [line.split("*") for line in path.read_text().split("~\n")]
        [group] = [int(each[6]) for each in segments if each[0] == "GS"]
        names = [each[2] for each in segments if each[0] == "ST"]
        numbers = [each[3] for each in segments if each[0] == "BHT"]
        self.claims += numbers
        results = [
            (name, "R*5" if int(number) % REJECTS_EACH == 0 else "A")
            for name, number in zip(names, numbers, strict=True)
        ]
        self.rejected |= {number for number in numbers if int(number) % REJECTS_EACH == 0}
        for again in range(1 + len(self.names) % 2):
            content = answer_999(
                group, *results, says="P", found=len(names), number=len(self.names) * 2 + again
            )
            hidden = self._told / f".{path.name}-{again}.tmp"
            hidden.write_bytes(content)
            hidden.rename(self._told / f"{path.name}-{again}.999")


@pytest.mark.live
def test_each_claim_ends_once_and_as_its_receiver_said_whatever_kills_the_bridge(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    wanted, kills = pytestconfig.getoption("--batch-records"), pytestconfig.getoption("--kills")
    least = FILES * REJECTS_EACH
    records = least if wanted < 1000 else wanted // least * least
    chance, out, told = random.Random(records), tmp_path / "out", tmp_path / "told"
    out.mkdir()
    told.mkdir()

    def prepare(site: Path, incoming: Path) -> None:
        channels = site / "channels"
        rule = f"or_count: {records // FILES}"
        its = {"name": CLAIMS, "out": out, "rule": rule, "rules": "within: 1h", "form": X12}
        (channels / "apis" / f"{CLAIMS}.yaml").write_text(API.format(**its))
        (channels / "apis" / f"{CLAIMS}.told.yaml").write_text(TOLD.format(name=CLAIMS, not_found_for="1h"))
        taken = {"channel": "ehr-adt", "folder": incoming, "format": "x12", "accept": "[837]"}
        (channels / "ehr-adt.yaml").write_text(CHANNEL.format(**taken, to=CLAIMS, order="unordered"))
        heard = {"channel": "claims-told", "folder": told, "format": "x12", "accept": "[999]"}
        (channels / "claims-told.yaml").write_text(
            CHANNEL.format(**heard, to=f"{CLAIMS}.told", order="unordered")
        )

    with FileDrill(tmp_path, prepare=prepare) as drill:
        receiver = Receiver(out, told)
        receiver.start()
        hidden = drill.incoming / ".claims.tmp"
        hidden.write_bytes(claims(*range(1, records + 1)))
        hidden.rename(drill.incoming / "claims.x12")
        kills = 1 if records < 1000 else kills
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, 1.5 if records < 1000 else 6.0))
            drill.kill()
        [ledger] = drill.ended(1, at_most_s=max(120.0, records * 0.05), pattern="*.x12")
        receiver.stopped = True
    rejected = records // REJECTS_EACH
    counts = ledger.channels["ehr-adt"]
    ended = {"delivered": records - rejected, "quarantined": rejected, "open": 0}
    assert {name: counts[name] for name in ended} == ended
    assert len(receiver.names) == FILES
    assert sorted(map(int, receiver.claims)) == list(range(1, records + 1)), "a claim was lost, or sent twice"
    assert len(receiver.rejected) == rejected
    print(f"{kills} kills, {records} claims in {FILES} files: {ended}")
