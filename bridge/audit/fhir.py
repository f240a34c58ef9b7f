"""Entries of the chain as FHIR R4 AuditEvents, in the shape of IHE Basic Audit Log Patterns (BALP).

What was disclosed has BALP's profile of a disclosure at its source: an agent that gave, one that got, the
patient, and what it was. It has room for one patient, so that what is about several, as a merge is, is told
of in as many events. All else is an AuditEvent without a profile, with the same codes. Whom it is about
is a keyed hash, as everywhere outside of messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from bridge.audit.entries import LOOKS

DISCLOSURE: Final = (
    "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure.Source"
)
_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_ENTITY: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
_OURS: Final = "urn:interface-bridge"
_FAILED: Final = frozenset({"QUARANTINED", "REFUSED", "AMBIGUOUS", "FAILED"})


class Delivered(NamedTuple):
    """Of a delivery: to where, as what, by which mapping, and the keyed hashes of whom it is about."""

    api: str = ""
    operation: str = ""
    mapping: str = ""
    patients: tuple[str, ...] = ()


def audit_events(text: str, *, journal_id: str, hashed: str, to: Delivered) -> Iterator[dict[str, Any]]:
    """The AuditEvents of an entry, which is its text as it was hashed, one for each patient. ``hashed`` is
    the hash, the id of the first, so that it can be found in the chain again."""
    entry: Mapping[str, Any] = json.loads(text)
    for number, patient in enumerate(to.patients or ("",)):
        event_id = sha256(f"{hashed} {patient}".encode()).hexdigest() if number else hashed
        yield _event(entry, journal_id, event_id, to, patient)


def _event(
    entry: Mapping[str, Any], journal_id: str, event_id: str, to: Delivered, patient: str
) -> dict[str, Any]:
    at = datetime.fromtimestamp(entry["at"] / 1_000_000, UTC).isoformat(timespec="milliseconds")
    bridge = {"identifier": {"system": f"{_OURS}:journal", "value": journal_id}}
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": event_id,
        "recorded": at.replace("+00:00", "Z"),
        "source": {"observer": bridge, "type": [_coding(_SOURCE, "4", "Application Server")]},
    }
    if entry["kind"] == "action":
        return event | _of_action(entry)
    sent = entry["kind"] == "step" and entry["delivery"] is not None and entry["to"] == "DELIVERED"
    if sent and patient:
        return event | _of_disclosure(entry, bridge, to, patient)
    return event | _of_step(entry, bridge, patient)


def _coding(system: str, code: str, display: str = "") -> dict[str, str]:
    return {"system": system, "code": code} | ({"display": display} if display else {})


def _person(patient: str) -> dict[str, Any]:
    return {
        "what": {"type": "Patient", "identifier": {"system": f"{_OURS}:patient-hash", "value": patient}},
        "type": _coding(_ENTITY, "1", "Person"),
        "role": _coding(_ROLE, "1", "Patient"),
    }


def _thing(what: str, value: object, details: Mapping[str, object]) -> dict[str, Any]:
    told = [
        {"type": name, "valueString": str(each)} for name, each in details.items() if each not in ("", None)
    ]
    return {
        "what": {"identifier": {"system": f"{_OURS}:{what}", "value": str(value)}},
        "type": _coding(_ENTITY, "2", "System Object"),
        "role": _coding(_ROLE, "4", "Domain Resource"),
        **({"detail": told} if told else {}),
    }


def _of_disclosure(
    entry: Mapping[str, Any], bridge: Mapping[str, Any], to: Delivered, patient: str
) -> dict[str, Any]:
    known = entry["detail"] or {}
    return {
        "meta": {"profile": [DISCLOSURE]},
        "type": _coding(_DICOM, "110106", "Export"),
        "subtype": [_coding(_LIFECYCLE, "disclose", "Disclose Record Lifecycle Event")],
        "action": "R",
        "outcome": "0",
        "agent": [
            {
                "type": {"coding": [_coding(_DICOM, "110153", "Source Role ID")]},
                "who": dict(bridge),
                "requestor": True,
                "network": {"address": "interface-bridge", "type": "1"},
            },
            {
                "type": {"coding": [_coding(_DICOM, "110152", "Destination Role ID")]},
                "who": {"identifier": {"system": f"{_OURS}:api", "value": to.api}},
                "requestor": False,
                "network": {"address": to.api, "type": "1"},
            },
        ],
        "entity": [
            _person(patient),
            _thing(
                "delivery",
                entry["delivery"],
                {
                    "message": entry["message"],
                    "operation": to.operation,
                    "mapping": to.mapping,
                    "attempt": known.get("attempt"),
                    "verdicts": known.get("verdicts"),
                },
            ),
        ],
    }


def _of_step(entry: Mapping[str, Any], bridge: Mapping[str, Any], patient: str) -> dict[str, Any]:
    person = entry["actor"].startswith(("user:", "person:"))
    details = {
        "from": entry["from"],
        "to": entry["to"],
        "reason": entry["reason"],
        **(entry.get("detail") or {}),
    }
    what = "file" if entry["kind"] == "file" else "message" if entry["delivery"] is None else "delivery"
    return {
        "type": _coding(_DICOM, "110100", "Application Activity"),
        "subtype": [_coding(f"{_OURS}:state", entry["to"])],
        "action": "C" if entry["from"] is None else "U",
        "outcome": "4" if entry["to"] in _FAILED else "0",
        "agent": [
            {
                "who": {"identifier": {"value": entry["actor"]}} if person else dict(bridge),
                "requestor": True,
            }
        ],
        "entity": [*([_person(patient)] if patient else []), _thing(what, entry[what], details)],
    }


def _of_action(entry: Mapping[str, Any]) -> dict[str, Any]:
    looked = entry["action"] in LOOKS
    return {
        "type": _coding(_DICOM, "110110", "Patient Record") if looked
        else _coding(_DICOM, "110100", "Application Activity"),
        "subtype": [_coding(f"{_OURS}:action", entry["action"])],
        "action": "R" if looked else "E",
        "outcome": "0",
        "purposeOfEvent": [{"text": entry["reason"]}],
        "agent": [{"who": {"identifier": {"value": entry["actor"]}}, "requestor": True}],
        "entity": [_thing("object", entry["object"], {})],
    }  # fmt: skip
