"""How resources are sent: known by their identifiers, created once, updated, named by each other. Pure.

A resource is known by its first identifier with a system and a value (FHIR R4, http.html: conditional create
§3.1.0.8.1, conditional update §3.1.0.5.1). A reference that has a type and an identifier, and no more, is
to a resource that must be there: in a transaction it becomes one to the entry that makes it, or one by
search (§3.1.0.11.2). A reference without a type stays as it is: the receiver may resolve it or not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote

Interaction = Literal["create", "update", "amend", "delete"]
_STATUS: Final = re.compile(r"[1-5][0-9]{2}(?![0-9])", re.ASCII)
"""What a status begins with; words may follow, as in `201 Created`."""
_TYPE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class NotToBeSent(Exception):
    """A resource cannot be sent as it is. The text names elements, never values."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a resource is known by at whoever keeps it."""

    type: str
    system: str
    value: str

    @property
    def search(self) -> str:
        """The query that finds it, percent-encoded.

        >>> Identity("Patient", "urn:oid:1.2", "A|7").search
        'identifier=urn%3Aoid%3A1.2%7CA%5C%7C7'
        """
        words = "|".join(_escaped(each) for each in (self.system, self.value))
        return "identifier=" + quote(words, safe="")

    @property
    def url(self) -> str:
        """The search as a reference, or as the address of a conditional call."""
        return f"{self.type}?{self.search}"

    @property
    def urn(self) -> str:
        """What an entry of a bundle is called that makes it: the same for the same identity."""
        digest = bytearray(hashlib.sha256(self.url.encode()).digest()[:16])
        # RFC 9562 §5.8: a version of one's own, 8, in the variant of the RFC.
        digest[6], digest[8] = (digest[6] & 0x0F) | 0x80, (digest[8] & 0x3F) | 0x80
        written = digest.hex()
        parts = (written[:8], written[8:12], written[12:16], written[16:20], written[20:])
        return f"urn:uuid:{'-'.join(parts)}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource and what is to be done with it.

    ``known_as`` and ``version`` are what the server says of it, where it was asked: then it is updated there,
    and only in that version.
    """

    interaction: Interaction
    resource: Mapping[str, Any]
    identity: Identity
    known_as: str = ""
    version: str = ""


def _escaped(text: str) -> str:
    """Text within a parameter of a search (FHIR R4, search.html §3.1.1.4.0.1)."""
    for character in ("\\", "$", ",", "|"):
        text = text.replace(character, "\\" + character)
    return text


def identity_of(resource: Mapping[str, Any]) -> Identity:
    """What a resource is known by. Raises NotToBeSent where it is by nothing."""
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not kind or not set(kind) <= _TYPE:
        raise NotToBeSent("resourceType: expected the type of a resource")
    identifiers = resource.get("identifier")
    for each in identifiers if isinstance(identifiers, list) else ():
        found = _identity(kind, each)
        if found is not None:
            return found
    raise NotToBeSent(f"{kind}.identifier: expected one with a system and a value")


def _identity(kind: str, identifier: Any) -> Identity | None:
    if not isinstance(identifier, dict):
        return None
    system, value = identifier.get("system"), identifier.get("value")
    if isinstance(system, str) and isinstance(value, str) and system and value:
        return Identity(kind, system, value)
    return None


def references_in(value: Any) -> Iterator[Identity]:
    """The resources that must be there, each as often as it is named."""
    if isinstance(value, dict):
        found = _referred(value)
        if found is not None:
            yield found
            return
        for each in value.values():
            yield from references_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from references_in(each)


def _referred(value: Mapping[str, Any]) -> Identity | None:
    kind = value.get("type")
    if isinstance(kind, str) and isinstance(value.get("identifier"), dict) and not value.get("reference"):
        return _identity(kind, value["identifier"]) if kind and set(kind) <= _TYPE else None
    return None


def with_references(value: Any, named: Mapping[Identity, str]) -> Any:
    """The same, with references as ``named`` has them, and else by search."""
    if isinstance(value, dict):
        found = _referred(value)
        if found is not None:
            return {"reference": named.get(found, found.url), **value}
        return {name: with_references(each, named) for name, each in value.items()}
    if isinstance(value, list):
        return [with_references(each, named) for each in value]
    return value


def without_nulls(value: Any) -> Any:
    """The same without what is null, and without objects and lists that have nothing else."""
    if isinstance(value, dict):
        kept = {name: without_nulls(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each not in (None, {}, [])}
    if isinstance(value, list):
        return [each for each in map(without_nulls, value) if each not in (None, {}, [])]
    return value


def transaction(entries: Sequence[Entry]) -> dict[str, Any]:
    """A bundle in which all entries are done, or none (FHIR R4, http.html §3.1.0.11)."""
    named = {each.identity: f"{each.identity.type}/{each.known_as}" for each in entries if each.known_as}
    named |= {each.identity: each.identity.urn for each in entries if not each.known_as and _makes(each)}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [_bundled(each, named) for each in entries],
    }


def _makes(entry: Entry) -> bool:
    return entry.interaction != "delete"


def _bundled(entry: Entry, named: Mapping[Identity, str]) -> dict[str, Any]:
    method, url, headers = request_of(entry)
    request = {"method": method, "url": url} | {_BUNDLED[name]: value for name, value in headers.items()}
    if not _makes(entry):
        return {"request": request}
    resource = with_references(without_nulls(entry.resource), named)
    if entry.known_as:
        return {"resource": {**resource, "id": entry.known_as}, "request": request}
    return {"fullUrl": entry.identity.urn, "resource": resource, "request": request}


_BUNDLED: Final = {"If-None-Exist": "ifNoneExist", "If-Match": "ifMatch"}


def request_of(entry: Entry) -> tuple[str, str, dict[str, str]]:
    """Method, address below the base URL, and headers of an entry that is sent by itself.

    One that is to be amended, and was not found, is created.
    """
    identity = entry.identity
    if entry.interaction == "delete":
        return "DELETE", identity.url, {}
    if entry.known_as:
        match = {"If-Match": f'W/"{entry.version}"'} if entry.version else {}
        return "PUT", f"{identity.type}/{entry.known_as}", match
    if entry.interaction == "update":
        return "PUT", identity.url, {}
    return "POST", identity.type, {"If-None-Exist": identity.search}


def found_in(bundle: Any, identity: Identity) -> list[Mapping[str, Any]]:
    """The resources of a type that a search gave. Raises ValueError where the answer is no result of one."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise ValueError("no bundle")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise ValueError("no entries")
    found = [each.get("resource") for each in entries if isinstance(each, dict)]
    return [each for each in found if isinstance(each, dict) and each.get("resourceType") == identity.type]


def answers_of(bundle: Any, count: int) -> list[tuple[int, Any]] | None:
    """What a transaction's answer has for each entry: its status, and its OperationOutcome or None. None
    where it is no such answer."""
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    if not isinstance(entries, list) or len(entries) != count:
        return None
    found = []
    for each in entries:
        match each:
            case {"response": {"status": str(status), **more}} if _STATUS.match(status):
                found.append((int(status[:3]), more.get("outcome")))
            case _:
                return None
    return found


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """The same, each behind those that it refers to; where they refer in a circle, as they came."""
    left, found = list(entries), []
    while left:
        about = {each.identity for each in left}
        free = [each for each in left if not (about - {each.identity}) & set(references_in(each.resource))]
        found += free or left
        left = [each for each in left if each not in found]
    return found
