"""What a FHIR server says that it can do, and what of it an API file needs that it cannot. Pure.

After FHIR R4, capabilitystatement.html. A server may be able to more than it says, so what is missing is
told, and nothing is refused for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

VERSION: Final = "4.0"


@dataclass(frozen=True, slots=True)
class Need:
    """What is done with a type of resource: one of the interactions of an operation."""

    type: str
    interaction: str


def statement_of(read: Any) -> Mapping[str, Any] | None:
    """The CapabilityStatement that was read, or None where it is none."""
    if isinstance(read, dict) and read.get("resourceType") == "CapabilityStatement":
        return read
    return None


def version_of(statement: Mapping[str, Any]) -> str:
    """The version of FHIR that the server speaks, or ``""``."""
    version = statement.get("fhirVersion")
    return version if isinstance(version, str) and len(version) <= 20 else ""


def merges(statement: Mapping[str, Any]) -> bool:
    """Whether the server has an operation that merges patients."""
    return "merge" in _operations(_resources(statement).get("Patient", {}))


def missing(statement: Mapping[str, Any], needs: Iterable[Need], *, transactions: bool) -> list[str]:
    """What is needed and not told of, in words; empty where nothing is missing."""
    found: list[str] = []
    if not version_of(statement).startswith(VERSION):
        found.append(f"FHIR {VERSION} (R4), it says {version_of(statement) or 'nothing'}")
    rest, resources = _rest(statement), _resources(statement)
    if transactions and "transaction" not in _codes(rest.get("interaction")):
        found.append("transactions (else write `transactions: never`)")
    for need in sorted(set(needs), key=lambda each: (each.type, each.interaction)):
        resource = resources.get(need.type)
        if resource is None:
            found.append(f"the resource {need.type}")
            continue
        found += [f"{words} of {need.type}" for words in _missing(resource, need.interaction)]
    return list(dict.fromkeys(found))


def _missing(resource: Mapping[str, Any], interaction: str) -> Iterator[str]:
    codes = _codes(resource.get("interaction"))
    if interaction == "merge":
        if "merge" not in _operations(resource):
            yield "the operation $merge"
        return
    if interaction in ("create", "amend"):
        if "create" not in codes:
            yield "create"
        if resource.get("conditionalCreate") is not True:
            yield "conditional create"
    if interaction in ("update", "amend") and "update" not in codes:
        yield "update"
    if interaction == "update" and resource.get("conditionalUpdate") is not True:
        yield "conditional update"
    if interaction == "amend":
        if "search-type" not in codes:
            yield "search"
        if resource.get("versioning") not in ("versioned", "versioned-update"):
            yield "versions"
    if interaction == "delete" and resource.get("conditionalDelete") not in ("single", "multiple"):
        yield "conditional delete"


def _rest(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    found = statement.get("rest")
    return next((each for each in found if isinstance(each, dict)), {}) if isinstance(found, list) else {}


def _resources(statement: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = _rest(statement).get("resource")
    return {
        str(each.get("type")): each
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict)
    }


def _codes(interactions: Any) -> set[str]:
    return {
        str(each.get("code"))
        for each in (interactions if isinstance(interactions, list) else ())
        if isinstance(each, dict)
    }


def _operations(resource: Mapping[str, Any]) -> set[str]:
    found = resource.get("operation")
    return {
        str(each.get("name")).removeprefix("$").rpartition("-")[2]
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict)
    }
