"""Requests to a FHIR server, as they are journaled: resources, and what is to be done with each. Pure.

A request is compact JSON: ``body`` with its ``entries``, each an ``interaction`` and a ``resource`` digit for
digit, ``operation``, and ``method`` and ``path``, which say for people what it is about. How it is sent, in a
bundle or by itself, is decided at each attempt from these bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from bridge.destinations.base import RequestRefused
from bridge.fhir.check import faults
from bridge.fhir.digits import read_json, write_json
from bridge.fhir.exchange import Entry, Identity, Interaction, NotToBeSent, identity_of, without_nulls

ENTRIES_MAX_COUNT: Final = 100
Task = Literal["exchange", "merge"]


@dataclass(frozen=True, slots=True)
class FhirRequest:
    """A journaled request, read again. In a `merge` the first resource stays, and the second ends in it."""

    operation: str
    task: Task
    entries: tuple[Entry, ...]
    size_bytes: int


def entry_of(document: bytes, interaction: Interaction, *, checked: bool) -> Entry:
    """What is done with a document that a mapping made. Raises RequestRefused where it is no resource."""
    try:
        resource = read_json(document)
    except ValueError:
        raise RequestRefused("the mapping made a document that cannot be read") from None
    if checked:
        for fault in faults(without_nulls(resource)):
            raise RequestRefused(str(fault), f"{fault.code} {_without_numbers(fault.place)}")
    try:
        return Entry(interaction, resource, identity_of(resource))
    except NotToBeSent as error:
        raise RequestRefused(str(error), str(error).partition(":")[0]) from None


def _without_numbers(place: str) -> str:
    kept = [part.partition("]")[2] if at else part for at, part in enumerate(place.split("["))]
    return "".join(kept)


def write_fhir_request(operation: str, task: Task, entries: Sequence[Entry]) -> bytes:
    """The bytes to journal. Raises RequestRefused where they cannot be one request."""
    if len(entries) > ENTRIES_MAX_COUNT:
        raise RequestRefused(f"a request has more than {ENTRIES_MAX_COUNT} resources")
    if len({each.identity for each in entries}) < len(entries):
        # FHIR R4, http.html §3.1.0.11.2: a transaction in which one resource is changed twice fails.
        raise RequestRefused("two resources of one request have one identifier", "identifier")
    first = entries[0].identity.type
    told = [{"interaction": each.interaction, "resource": each.resource} for each in entries]
    path = f"/{first}/$merge" if task == "merge" else f"/{first}"
    try:
        return write_json(
            {"body": {"entries": told}, "method": "POST", "operation": operation, "path": path, "task": task}
        )
    except ValueError:
        raise RequestRefused("the resources cannot be written as JSON") from None


def read_fhir_request(request: bytes) -> FhirRequest | None:
    """The request of `write_fhir_request`, or None where the bytes are none."""
    try:
        read = read_json(request)
        match read:
            case {"body": {"entries": [*entries]}, "operation": str(operation), "task": str(task)}:
                found = tuple(_entry(each) for each in entries)
                if _is_right(task, len(found)):
                    return FhirRequest(operation, task, found, len(request))  # type: ignore[arg-type]
    except (ValueError, NotToBeSent):
        return None
    return None


def _is_right(task: str, count: int) -> bool:
    return count == 2 if task == "merge" else task == "exchange" and 1 <= count <= ENTRIES_MAX_COUNT


def _entry(value: Any) -> Entry:
    match value:
        case {"interaction": str(interaction), "resource": dict(resource)} if interaction in get_args(
            Interaction
        ):
            return Entry(interaction, resource, identity_of(resource))  # type: ignore[arg-type]
    raise NotToBeSent("an entry")


def merge_parameters(stays: Identity, ends: Identity) -> dict[str, Any]:
    """What `Patient/$merge` takes (FHIR, patient-operation-merge): whom, and into whom."""

    def named(name: str, identity: Identity) -> dict[str, Any]:
        return {"name": name, "valueIdentifier": {"system": identity.system, "value": identity.value}}

    return {
        "resourceType": "Parameters",
        "parameter": [named("source-patient-identifier", ends), named("target-patient-identifier", stays)],
    }
