"""A bridge that collects records into files is killed again and again: each record is in one file, once."""

from __future__ import annotations

import csv
import random
import time
from decimal import Decimal
from pathlib import Path

import pytest
from charge_files import FIXED, fixed, write_charges
from file_drill import FileDrill

FILES = 8
API = """\
api: billing.files
file:
  directory: FOLDER
  name: "charges-{number}.csv"
  collect: {or_count: COUNT, as: {csv: {columns: [key, amount], trailer: [TRL, "{count}", "{sum.amount}"]}}}
repeat_safety: natural_key
carries: {phi: true, financial: true}
operations:
  writeCharge: {send_only: [key, account, code, amount]}
"""


@pytest.mark.live
def test_each_record_stands_in_one_file_whatever_kills_the_bridge(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    wanted, kills = pytestconfig.getoption("--batch-records"), pytestconfig.getoption("--kills")
    records = max(FILES, wanted // FILES * FILES)
    chance, out = random.Random(records), tmp_path / "out"
    out.mkdir()

    def prepare(site: Path, incoming: Path) -> None:
        write_charges(site, incoming, FIXED)
        api = API.replace("FOLDER", str(out)).replace("COUNT", str(records // FILES))
        (site / "channels" / "apis" / "billing.files.yaml").write_text(api)
        channel = site / "channels" / "ehr-adt.yaml"
        text = channel.read_text()
        assert "{api: ehr.encounters, operation: putCharge}" in text
        to = "{api: billing.files, operation: writeCharge}"
        channel.write_text(text.replace("{api: ehr.encounters, operation: putCharge}", to))

    with FileDrill(tmp_path, mark="amount", prepare=prepare) as drill:
        hidden = drill.incoming / ".charges.tmp"
        hidden.write_bytes(fixed(records))
        hidden.rename(drill.incoming / "charges.txt")
        kills = 1 if records < 1000 else kills
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, 1.0 if records < 1000 else 6.0))
            drill.kill()
        [ledger] = drill.ended(1, at_most_s=max(120.0, records * 0.05), pattern="*.txt")
    counts = ledger.channels["ehr-adt"]
    assert (counts["delivered"], counts["open"], counts["quarantined"]) == (records, 0, 0)
    found = [list(csv.reader(path.read_text().splitlines())) for path in out.glob("charges-*.csv")]
    assert len(found) == FILES
    keys = [row[0] for rows in found for row in rows[1:-1]]
    assert len(keys) == len(set(keys)) == records, "a record was lost, or stands in two files"
    for rows in found:
        paid = sum((Decimal(row[1]) for row in rows[1:-1]), Decimal(0))
        assert rows[-1] == ["TRL", str(records // FILES), f"{paid:f}"], "a trailer says what is not so"
    total = sum(Decimal(rows[-1][2]) for rows in found)
    assert total == sum(number % 1000 for number in range(records))
    print(f"{kills} kills, {records} records in {FILES} files, each once; {total} in all trailers together")
