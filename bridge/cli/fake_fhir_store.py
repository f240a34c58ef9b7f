"""What the FHIR server that is not there keeps: resources, with versions, found by their identifiers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

Resource = dict[str, Any]


class Refused(Exception):
    """A call is answered with a status and an OperationOutcome."""

    def __init__(self, status: int, code: str, expression: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.expression = status, code, expression


class Store:
    """Resources by type and id, with the number of their version. What is kept is never changed in place."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], tuple[int, Resource]] = {}
        self.writes = 0
        self._named: dict[tuple[str, str, str], dict[str, None]] = {}
        self._next = 1

    def all_of(self, kind: str) -> list[Resource]:
        """The resources of a type, as they are now."""
        return [resource for (of, _), (_, resource) in self.kept.items() if of == kind]

    def find(self, kind: str, query: str) -> list[Resource]:
        """Those that a search by identifier finds."""
        wanted = parse_qs(query).get("identifier", [""])[0]
        system, _, value = wanted.replace("\\|", "\0").partition("|")
        value = value.replace("\0", "|").replace("\\,", ",").replace("\\$", "$").replace("\\\\", "\\")
        return self.known_as(kind, system, value)

    def known_as(self, kind: str, system: str, value: str) -> list[Resource]:
        """Those that have an identifier."""
        found = [self.kept.get((kind, name)) for name in self._named.get((kind, system, value), ())]
        return [
            each[1]
            for each in found
            if each is not None
            and any((it.get("system"), it.get("value")) == (system, value) for it in each[1]["identifier"])
        ]

    def put(self, kind: str, name: str | None, resource: Resource) -> tuple[int, str]:
        """Keep it, as a new version or a new resource: the status, and its id."""
        created = name is None or (kind, name) not in self.kept
        if name is None:
            name, self._next = str(self._next), self._next + 1
        version = 1 if created else self.kept[kind, name][0] + 1
        self.writes += 1
        told = {**resource, "id": name, "meta": {**resource.get("meta", {}), "versionId": str(version)}}
        self.kept[kind, name] = version, told
        for each in told.get("identifier", ()):
            self._named.setdefault((kind, each.get("system", ""), each.get("value", "")), {})[name] = None
        return (201 if created else 200), name

    def delete(self, kind: str, name: str) -> None:
        """Take it away. Raises Refused where others refer to it."""
        there = f"{kind}/{name}"
        if any(there in _references(each) for _, each in self.kept.values()):
            raise Refused(409, "conflict")
        self.kept.pop((kind, name), None)
        self.writes += 1


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
