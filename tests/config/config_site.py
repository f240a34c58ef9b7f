"""A small site that is right, and a catalog of three small components, for tests that break it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bridge.component import Catalog, Component, OperationOptions, Options
from bridge.governance import classify, contract, lifecycle, minimum_necessary
from bridge.units import LINE, DurationS, SecretRef


class Listener(Options):
    """Options of a listener."""

    listen: str = Field(description="Where to listen.")
    acknowledge: Literal["journaled"] = Field("journaled", description="When.")
    idle: DurationS = Field(60.0, gt=0, description="How long.")


class Reader(Options):
    """Options of a format."""

    charset: str = Field("from-message", description="Which.")


class Target(Options):
    """Options of a destination."""

    base_url: str = Field(description="Where the API is.")


class Question(Options):
    """Options of a question."""

    path: str = Field(description="Below the base URL.")


class Call(OperationOptions):
    """Options of an operation."""

    method: Literal["PUT", "POST"] = Field(description="The method.")
    path: str = Field(description="Below the base URL.")
    send_only: tuple[str, ...] = Field((), description="Fields.")
    query: Question | None = Field(None, description="How to ask.")


class Key(Options):
    """Options of a credential."""

    key: Annotated[SecretRef, LINE] = Field(description="Where the key is kept.")


CATALOG = Catalog(
    (
        Component("transport", "mllp", "A listener.", Listener, "listen: tcp:2575"),
        Component("format", "hl7v2", "A format.", Reader, "charset: utf-8"),
        Component(
            "destination",
            "http_api",
            "An API.",
            Target,
            "base_url: https://api.example",
            marker="base_url",
            operation=Call,
        ),
        Component("credential", "api_key", "A key.", Key, "key: secret://env/KEY"),
        lifecycle.COMPONENT,
        classify.COMPONENT,
        minimum_necessary.COMPONENT,
        contract.COMPONENT,
    )
)

CHANNEL = """\
channel: adt
source:
  mllp:
    listen: tcp:2575
format: {hl7v2: {charset: utf-8}}
accept: [ADT^A01, ADT^A08]
order_by: PID-3.1
routes:
  - route: patient
    when: PID-8.1 in ['F', 'M']
    mapping: adt-admit
    record: patient
    to: {api: ehr.patients, operations: {upsert: putPatient}}
"""
API = """\
api: ehr.patients
base_url: https://ehr.example
auth: {api_key: {key: secret://env/EHR_KEY}}
repeat_safety: header
operations:
  putPatient:
    method: PUT
    path: /patients/{key}
    send_only: [key, family]
owner: {team: ehr, oncall: "#ehr"}
carries: {phi: true}
"""
MAPPING = """\
mapping: adt-admit
version: 1.0.0
owner: interfaces
target: canonical/1
source:
  format: hl7v2
  accept: [ADT^A01, ADT^A08]
emit:
  - record: patient
    key: PID-3.1
    set:
      identifiers:
        required: true
        list:
          - {value: PID-3.1}
      family: PID-5.1
ignore:
  - {path: "MSH-*", because: envelope}
"""
FILES = {
    "channels/adt.yaml": CHANNEL,
    "channels/apis/ehr.patients.yaml": API,
    "mappings/adt-admit.yaml": MAPPING,
}


def write_site(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """The site as files below ``folder``."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def edited(path: str, old: str, new: str) -> dict[str, str | bytes]:
    """The site's files with one piece of one file written otherwise."""
    assert FILES[path].count(old) == 1, f"{old!r} stands {FILES[path].count(old)} times in {path}"
    return {**FILES, path: FILES[path].replace(old, new)}
