"""The site of a migration, for the demonstration and for drills: an old engine, taps, and a mistake."""

from __future__ import annotations

from pathlib import Path

from bridge.cli.demo_site import write_site
from bridge.cli.fake_legacy import CONTROL_ID_HEADER

CHANNEL = "ehr-adt"
ROUTES = ("patient", "encounter")
RIGHT, WRONG = "room:                  PV1-3.2", "room:                  PV1-3.1"
"""A mistake that reads well: the ward again, where the room should be."""

LEGACY = """\
legacy:
  mllp: "tcp:127.0.0.1:{engine}"
  settle: {settle}
  pair_within: 5m
  taps:
    - route: patient
      http:
        listen: "tcp:{patient}:interface=127.0.0.1"
        pass_to: "{patient_url}"
        control_id: {header}
    - route: encounter
      http:
        listen: "tcp:{encounter}:interface=127.0.0.1"
        pass_to: "{encounter_url}"
        control_id: {header}
parity:
  rules:
    - {{path: ward, rule: fold, owner: clinical-integration, expires: "2099-12-31"}}
gates:
{gates}
"""

GATE = """\
  {stage}:
    messages: {messages}
    of_each_type: 1
    days: 0
    approvals: 0
    ignored_percent: 100
    rollback_drill: {drill}
"""


def write_migration(
    folder: Path, *, ports: dict[str, int], urls: dict[str, str], messages: int, settle: str = "500ms"
) -> tuple[Path, Path]:
    """Write the bridge's site, with its mistake, and that of the old engine; ``ports`` are those of the old
    engine, of the channel and of the taps, ``urls`` those of the APIs, by route."""
    gates = "".join(
        GATE.format(stage=stage, messages=messages, drill="true" if stage == "complete" else "false")
        for stage in ("canary", "primary", "complete")
    )
    legacy = LEGACY.format(
        engine=ports["engine"],
        patient=ports["patient"],
        encounter=ports["encounter"],
        patient_url=urls["patient"],
        encounter_url=urls["encounter"],
        header=CONTROL_ID_HEADER,
        settle=settle,
        gates=gates,
    )
    made = []
    for name in ("site", "old"):
        site = write_site(
            folder / name,
            patients_url=urls["patient"],
            encounters_url=urls["encounter"],
            port=ports["channel"],
        )
        made.append(site)
    site = made[0]
    channel = site / "channels" / f"{CHANNEL}.yaml"
    text = channel.read_text().replace('{listen: "', '{acknowledge: relayed, listen: "')
    channel.write_text(text.replace("routes:", legacy + "routes:", 1))
    mapping = site / "mappings" / "adt-admit.yaml"
    assert mapping.read_text().count(RIGHT) == 1, "the mistake is planted in one place"
    # The mapping's own tests would tell of it, so they are wrong in the same way.
    text = mapping.read_text().replace(RIGHT, WRONG)
    mapping.write_text(text[: text.index("\ntests:")] + "\n" if "\ntests:" in text else text)
    return site, made[1]


def correct_mapping(site: Path, old: Path) -> None:
    """Take the mistake out of the bridge's mapping."""
    right = old / "mappings" / "adt-admit.yaml"
    (site / "mappings" / "adt-admit.yaml").write_text(right.read_text())
