"""The configuration that the demonstration, drills and measurements run on."""

from __future__ import annotations

import shutil
from pathlib import Path

from bridge.shipped import shipped

CHANNEL = """\
channel: {name}
owner: demonstration
description: Admissions of an invented hospital.
source:
  mllp: {{listen: "tcp:{port}:interface=127.0.0.1"}}
accept: [ADT^A01, ADT^A03, ADT^A08]
otherwise: {otherwise}
order_by: PID-3(5=MR)
routes:
  - route: patient
    mapping: adt-admit
    record: patient
    to: {{api: ehr.patients, operations: {{upsert: putPatient, merge: mergePatients}}}}
  - route: encounter
    mapping: adt-admit
    record: encounter
    to: {{api: ehr.encounters, operations: {{upsert: putEncounter, cancel: cancelEncounter}}}}
"""

PATIENTS = """\
api: ehr.patients
base_url: {url}
auth: none
repeat_safety: header
limits: {{in_flight: {in_flight}}}
retry: {{base: 100ms, cap: 1s}}
breaker: {{open: 1s, open_max: 5s}}
operations:
  putPatient:
    method: PUT
    path: /patients/{{key}}
    send_only: [key, identifiers, family, given, birth_date, sex, line1, city, state, postal_code]
  mergePatients:
    method: POST
    path: /patients/{{key}}/merge
    send_only: [key, replaces]
"""

ENCOUNTERS = """\
api: ehr.encounters
base_url: {url}
auth: none
repeat_safety: header
limits: {{in_flight: {in_flight}}}
retry: {{base: 100ms, cap: 1s}}
breaker: {{open: 1s, open_max: 5s}}
operations:
  putEncounter:
    method: PUT
    path: /encounters/{{key}}
    send_only: [key, patient, class, status, start, end, ward, room, bed]
  cancelEncounter:
    method: POST
    path: /encounters/{{key}}/cancel
    send_only: [key]
"""


def write_site(
    folder: Path,
    *,
    patients_url: str,
    encounters_url: str,
    name: str = "ehr-adt",
    port: int = 0,
    otherwise: str = "reject",
    in_flight: int = 8,
) -> Path:
    """Write a configuration folder with one channel, two APIs and the shipped ADT mapping; returns it."""
    apis = folder / "channels" / "apis"
    apis.mkdir(parents=True)
    (folder / "mappings").mkdir()
    (folder / "channels" / f"{name}.yaml").write_text(
        CHANNEL.format(name=name, port=port, otherwise=otherwise)
    )
    (apis / "ehr.patients.yaml").write_text(PATIENTS.format(url=patients_url, in_flight=in_flight))
    (apis / "ehr.encounters.yaml").write_text(ENCOUNTERS.format(url=encounters_url, in_flight=in_flight))
    shutil.copy(shipped("mappings", "adt-admit.yaml"), folder / "mappings" / "adt-admit.yaml")
    return folder
