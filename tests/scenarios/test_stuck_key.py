"""Promise 3: a patient whose request the API refuses waits for a person, and nobody else waits for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drill import Drill, entries, until

STUCK = "100003"
REST_S = 0.04


@pytest.mark.live
@pytest.mark.both_databases
def test_a_stuck_key_blocks_itself_and_no_other_until_a_person_decides(tmp_path: Path) -> None:
    with Drill(tmp_path, patients=(f"--reject=NORTH:{STUCK}",), rest_s=REST_S) as drill:
        drill.send()
        until(lambda: all(len(steps) >= 4 for steps in drill.acknowledged.values()), "senders send")
        drill.end_sending()
        drill.still()
        assert drill.encounters.applied() == drill.acknowledged, "the other API took all"
        others = {patient: steps for patient, steps in drill.acknowledged.items() if patient != STUCK}
        assert drill.patients.applied() == others, "and the other patients went"
        said = drill.command("why", STUCK, status=1)
        assert "in quarantine (unprocessable)" in said
        assert "behind it" in said
        assert drill.command("why", "100004") == "nothing of this key waits\n"
        drill.kill()
        assert drill.patients.applied() == others, "it waits for a person after a restart too"

        drill.patients.kill()
        drill.patients.options = ()
        drill.patients.start()
        (row,) = json.loads(drill.command("quarantine", "list", "--format=json"))
        drill.command("quarantine", "retry", f"d{row['id']}", "--reason=the API has mended its rule")
        counts = drill.drained()
        drill.stop()
        assert entries(counts) == {"delivered": sum(map(len, drill.acknowledged.values()))}
        assert drill.patients.applied() == drill.acknowledged
        assert drill.checked(patients="header", encounters="header").violations == ()
        drill.assert_log_tells_nothing()
