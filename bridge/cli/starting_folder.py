"""The files of a folder to begin with. A test checks, formats and runs them."""

from __future__ import annotations

from typing import Final

_CHANNEL: Final = """\
# yaml-language-server: $schema=../schemas/channel.schema.json
# One feed: who sends, what of it is taken, and where it goes. `bridge explain KEY` says what a key means.
channel: admissions
owner: to-be-named
description: Admissions from the registration desk.

source:
  # Where the senders connect. One port for each channel.
  mllp: {listen: "tcp:2575:interface=127.0.0.1"}

# Anything else is answered AR: the sender hears of it, and nothing is taken by mistake.
accept: [ADT^A01, ADT^A03, ADT^A08]

# Messages of one patient stay in order; those of others need not wait for them.
order_by: PID-3.1

routes:
  - route: patients
    mapping: admissions
    record: patient
    to: {api: registry, operation: putPatient}
"""
_API: Final = """\
# yaml-language-server: $schema=../../schemas/api.schema.json
# One API: the only place in which a target can be named. Nothing but what `send_only` lists ever leaves.
api: registry
owner: {team: to-be-named}
# The address differs between test and production: it stands in channels/environments/.
base_url: value://registry
# A credential is a reference, never the secret itself, as in
#   auth: {api_key: {secret: secret://env/REGISTRY_KEY}}
# What makes it harmless to send a call once more: the API knows `Idempotency-Key`.
repeat_safety: header

operations:
  putPatient:
    method: PUT
    path: /patients/{key}
    send_only: [key, family, given, birth_date, sex]
"""
_ENVIRONMENT: Final = """\
# yaml-language-server: $schema=../../schemas/environment.schema.json
# What differs between environments. Name one at the start: bridge run --environment test
environment: test
production: false
values:
  # Plain HTTP is for this machine alone.
  registry: http://127.0.0.1:8081
"""
_MAPPING: Final = """\
# yaml-language-server: $schema=../schemas/mapping.schema.json
# What becomes of a message. Its tests stand below; `bridge check` runs them, and so does every reload.
mapping: admissions
version: 0.1.0
owner: to-be-named
target: canonical/1

source:
  format: hl7v2
  accept: [ADT^A01, ADT^A03, ADT^A08]
  timezone: Etc/UTC   # of senders that give no offset

tables:
  sex: {F: female, M: male, O: other, U: unknown}

let:
  mrn:       PID-3(5=MR).1
  authority: [PID-3(5=MR).4.1, MSH-4.1]

emit:
  - record: patient
    key: join(':', authority, mrn)
    on_reject: fail_message
    set:
      identifiers:
        list:
          - {system: authority, value: mrn, type: {const: MR}}
      family:     PID-5.1
      given:      PID-5.2
      birth_date: {from: PID-7, on_error: null}
      sex:        {from: PID-8, translate: sex, unmapped: null}

# What is left out on purpose, with its reason: `bridge map coverage` counts the rest.
ignore:
  - {path: "MSH-*", because: envelope}
  - {path: "EVN-*", because: who recorded the event is in the sender's own audit}
  - {path: "PV1-*", because: stays come later}
  - {path: PID-1, because: set id}

tests:
  - name: an admission
    input: |
      MSH|^~\\&|DESK|NORTH|BRIDGE|HUB|20260302091500||ADT^A01|Q1|P|2.5.1
      EVN|A01|20260302091500
      PID|1||100777^^^NORTH^MR||MARLOWE^JUNE||19711105|F
      PV1|1|I|4E^012^B
    expect:
      patient:
        key: NORTH:100777
        identifiers: [{system: NORTH, value: "100777", type: MR}]
        family: MARLOWE
        given: JUNE
        birth_date: 1971-11-05
        sex: female
      issues: []

  - name: a number of another authority, a date that does not exist, and a code that the table does not know
    input: |
      MSH|^~\\&|DESK|NORTH|BRIDGE|HUB|20260302091500||ADT^A08|Q3|P|2.5.1
      PID|1||100777^^^EAST^MR||MARLOWE^JUNE||19710230|X
    expect:
      patient: {key: EAST:100777, given: JUNE, birth_date: "", sex: ""}
      issues: [R020 birth_date, R030 sex]

  - name: a number without an authority is of the sender
    input: |
      MSH|^~\\&|DESK|NORTH|BRIDGE|HUB|20260302091500||ADT^A03|Q4|P|2.5.1
      PID|1||100777^^^^MR||MARLOWE^JUNE
    expect:
      patient: {key: NORTH:100777}

  - name: without a type of number nobody is guessed
    input: |
      MSH|^~\\&|DESK|NORTH|BRIDGE|HUB|20260302091500||ADT^A08|Q2|P|2.5.1
      PID|1||100777||MARLOWE^JUNE
    expect:
      failed: true
"""
_SAMPLE: Final = (
    "MSH|^~\\&|DESK|NORTH|BRIDGE|HUB|20260302091500||ADT^A01|Q1|P|2.5.1\n"
    "EVN|A01|20260302091500\n"
    "PID|1||100777^^^NORTH^MR||MARLOWE^JUNE||19711105|F\n"
    "PV1|1|I|4E^012^B\n"
)
_CI: Final = """\
#!/bin/sh
# For a CI: every mistake in the files, their form, and whether the tests would notice a change.
set -eu
cd "$(dirname "$0")/.."
bridge check
bridge map fmt --check mappings
bridge map test mappings/*.yaml --mutate --score-at-least 80
"""
_EDITOR: Final = """\
{
  "yaml.schemas": {
    "./schemas/channel.schema.json": "channels/*.yaml",
    "./schemas/api.schema.json": "channels/apis/*.yaml",
    "./schemas/environment.schema.json": "channels/environments/*.yaml",
    "./schemas/approvers.schema.json": "approvals/approvers.yaml",
    "./schemas/mapping.schema.json": "mappings/*.yaml"
  },
  "files.eol": "\\n",
  "editor.tabSize": 2
}
"""
_PAGE: Final = """\
# Our feeds

```sh
bridge check                                                      # every mistake in all files
bridge map try mappings/admissions.yaml samples/admission.hl7     # what becomes of one message
bridge map test mappings/*.yaml                                   # the tests in the mappings
bridge map new labs --from FILES                                  # a first mapping from messages of your own
bridge run --environment test                                     # listens on port 2575
bridge send samples/admission.hl7 127.0.0.1:2575                  # in another terminal
```

| folder | |
|---|---|
| `channels/` | one file for each feed |
| `channels/apis/` | one file for each API, the only place in which a target is named |
| `channels/environments/` | what differs between test and production |
| `mappings/` | one file for each mapping, with its tests |
| `samples/` | messages to try things on; nobody in them is real |
| `schemas/` | for editors; written by `bridge schema`, anew with each version |
| `ci/check` | what a CI runs before a change is merged |
"""

FILES: Final[dict[str, str]] = {
    "README.md": _PAGE,
    "channels/admissions.yaml": _CHANNEL,
    "channels/apis/registry.yaml": _API,
    "channels/environments/test.yaml": _ENVIRONMENT,
    "mappings/admissions.yaml": _MAPPING,
    "samples/admission.hl7": _SAMPLE,
    "ci/check": _CI,
    ".vscode/settings.json": _EDITOR,
}
"""Path below the folder, and text."""
