"""A bridge is killed again and again in the middle of a file: each record is delivered once, to the cent."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from pathlib import Path

import pytest
from charge_files import FIXED, fixed, write_charges
from file_drill import FileDrill


@pytest.mark.live
def test_each_record_of_a_file_is_delivered_once_whatever_kills_the_bridge(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    records, kills = pytestconfig.getoption("--batch-records"), pytestconfig.getoption("--kills")
    chance = random.Random(records)
    content = fixed(records)
    with FileDrill(
        tmp_path, mark="amount", prepare=lambda site, incoming: write_charges(site, incoming, FIXED)
    ) as drill:
        hidden = drill.incoming / ".charges.tmp"
        hidden.write_bytes(content)
        hidden.rename(drill.incoming / "charges.txt")
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, 1.0 if records < 1000 else 8.0))
            drill.kill()
        [ledger] = drill.ended(1, at_most_s=max(120.0, records * 0.05), pattern="*.txt")
        counts = ledger.channels["ehr-adt"]
        assert (counts["delivered"], counts["open"], counts["quarantined"]) == (records, 0, 0)
        calls = drill.encounters.calls()
        paths = [call["path"] for call in calls]
        assert len(paths) == len(set(paths)) == records, "a record was lost, or applied twice"
        paid = sum(Decimal(call["mark"]) for call in calls)
        assert paid == sum(number % 1000 for number in range(records))
        print(f"{kills} kills, {records} records, each once; {paid} in all, as the trailer says")
