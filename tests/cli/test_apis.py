"""``bridge apis``: the catalogue, its traffic, and the answer no where a call did not pass every policy."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import bridge
from lane_messages import message
from nodes import Hospital
from reactor_tests import in_reactor
from sqlalchemy import update

from bridge.journal.schema import attempts


@in_reactor
async def test_the_catalogue_is_listed_with_its_calls_and_says_whether_all_policies_were_passed(
    tmp_path: Path,
) -> None:
    site = Hospital(tmp_path)
    await site.open()
    folder, journal = str(tmp_path / "site"), f"sqlite:///{tmp_path / 'journal.db'}"
    before = bridge("apis", "--config", folder, "--journal", journal)
    assert before.status == 0, before.said
    assert "there is no journal yet" in before.said
    file = tmp_path / "site" / "channels" / "apis" / "ehr.patients.yaml"
    file.write_text(
        file.read_text() + "owner: {team: mpi, oncall: '#mpi'}\ndomain: patient\ncarries: {phi: true}\n"
    )
    try:
        await site.start()
        site.patients.headers = {"Deprecation": "@1688169599"}
        await site.send(message(1, 1), message(2, 1))
        await site.settled()
    finally:
        await site.close()
    said = bridge("apis", "--config", folder, "--journal", journal)
    assert said.status == 0, said.said
    assert "each call of the last 24h has passed every policy" in said.said
    assert "ehr.patients says that putPatient is deprecated" in said.said
    found = json.loads(bridge("apis", "--config", folder, "--journal", journal, "--format", "json").out)
    patients = found["apis"]["ehr.patients"]
    assert (patients["team"], patients["domain"], patients["carries"]) == ("mpi", "patient", ["phi"])
    assert (patients["calls"], patients["failed"], patients["open"]) == (2, 0, 0)
    assert found["left_out"] == {}

    export = tmp_path / "old-engine.xml"
    export.write_text(
        "<channel xmlns='http://www.w3.org/x'><host>0.0.0.0</host><port>6661</port>"
        "<remoteAddress>lab.example</remoteAddress>\n <remotePort>6661</remotePort>"
        "<host>https://erp.example/api</host> http://127.0.0.1:80/x</channel>"
    )
    said = bridge("apis", "--config", folder, "--journal", journal, "--seen-in", str(export))
    assert said.status == 1
    assert "not in the catalogue" in said.said
    listed = bridge(
        "apis", "--config", folder, "--journal", journal, "--seen-in", str(export), "--format", "json"
    )
    assert json.loads(listed.out)["unmanaged"] == [["erp.example", 443], ["lab.example", 6661]]

    tapped = tmp_path / "site" / "channels" / "ehr-adt.yaml"
    before_taps = tapped.read_text()
    tapped.write_text(
        before_taps
        + 'legacy: {mllp: "tcp:127.0.0.1:6661", taps: [{route: patient, mllp: {listen: "tcp:2576", '
        + 'pass_to: "tcp:old-lab.example:2575"}}]}\n'
    )
    listed = bridge("apis", "--config", folder, "--journal", journal, "--format", "json")
    assert json.loads(listed.out)["unmanaged"] == [["old-lab.example", 2575]]
    tapped.write_text(before_taps)

    assert site.node is None
    from bridge.journal.database import Database

    database = Database(journal)
    with database.writer.begin() as connection:
        connection.execute(
            update(attempts).where(attempts.c.delivery_id == 1).values(verdicts="plmvLbkratiuson")
        )
    database.close()
    said = bridge("apis", "--config", folder, "--journal", journal)
    assert said.status == 1
    assert "1 calls of the last 24h did not pass: classify" in said.said
    shown = bridge("show", "1", "--journal", journal)
    assert "left out: classify" in shown.said
    assert "all 16 passed" in shown.said
