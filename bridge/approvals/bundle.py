"""A bundle: exactly these files, by what is in them.

Its digest is over the path and the SHA-256 of each file, so one changed byte is another bundle. With each
file stand the areas that it is about, the domains of the APIs that it reaches; who must agree follows from
the areas of the files that differ from ``base``, the bundle that it was made from.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from bridge.approvals.people import APPROVERS, People
from bridge.audit.canonical import canonical

Kind = Literal["files", "approvers"]
APPROVERS_FILE: Final = "approvals/approvers.yaml"
SHOWN_CHARACTERS: Final = 12
"""So much of a digest is shown to people, and taken from them."""
_DIGEST: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths that came, went, or hold other bytes; each sorted."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.added, *self.removed, *self.changed)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files of one environment, or the file of persons by itself (``kind`` approvers).

    ``people`` are the persons of that file, None for other files. ``base`` is the digest of the bundle that
    this one was made from; with None all of it is new.
    """

    kind: Kind
    environment: str
    base: str | None
    files: Mapping[str, str]
    areas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    people: People | None = None

    @classmethod
    def of_people(cls, people: People, base: str | None) -> Bundle:
        """The file of persons as a bundle of its own: it is the same in every environment.

        Its digest is over what it means, so that a comment in it needs nobody's approval.
        """
        sha256 = hashlib.sha256(canonical(people.as_json()).encode()).hexdigest()
        files, areas = {APPROVERS_FILE: sha256}, {APPROVERS_FILE: (APPROVERS,)}
        return cls("approvers", "", base, MappingProxyType(files), MappingProxyType(areas), people)

    def as_json(self) -> dict[str, Any]:
        """The manifest."""
        return {
            "bundle": 1,
            "kind": self.kind,
            "environment": self.environment,
            "base": self.base,
            # In pairs, since a path may be any text and the name of a value in canonical JSON may not.
            "files": sorted([path, sha256] for path, sha256 in self.files.items()),
            "areas": sorted([path, sorted(areas)] for path, areas in self.areas.items()),
            "people": None if self.people is None else self.people.as_json(),
        }

    @property
    def text(self) -> str:
        """The manifest in its canonical form."""
        return canonical(self.as_json())

    @property
    def digest(self) -> str:
        """What is signed, in hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @classmethod
    def of_text(cls, text: str | bytes) -> Bundle:
        """What `text` gave. Raises ValueError where it is something else."""
        value = json.loads(text)
        try:
            if value["bundle"] != 1 or value["kind"] not in ("files", "approvers"):
                raise ValueError("a manifest of another version")
            people = value["people"]
            found = cls(
                value["kind"],
                str(value["environment"]),
                None if value["base"] is None else str(value["base"]),
                MappingProxyType({str(path): str(sha256) for path, sha256 in value["files"]}),
                MappingProxyType({str(path): tuple(map(str, areas)) for path, areas in value["areas"]}),
                None if people is None else People.of_json(people),
            )
        except (KeyError, TypeError, AttributeError) as wrong:
            raise ValueError(f"no manifest: {type(wrong).__name__}") from None
        if not all(_DIGEST.fullmatch(each) for each in found.files.values()):
            raise ValueError("no manifest: a digest is none")
        return found

    def same_content(self, other: Bundle) -> bool:
        """Whether both are the same files with the same meaning, whatever they were made from."""
        mine, theirs = self.as_json(), other.as_json()
        return {**mine, "base": None} == {**theirs, "base": None}

    def changes(self, base: Bundle | None) -> Changes:
        """What differs from the bundle that it was made from."""
        before = {} if base is None else base.files
        both = self.files.keys() & before.keys()
        return Changes(
            tuple(sorted(self.files.keys() - before.keys())),
            tuple(sorted(before.keys() - self.files.keys())),
            tuple(sorted(path for path in both if self.files[path] != before[path])),
        )

    def touched(self, base: Bundle | None) -> frozenset[str]:
        """The areas of all that differs, as it was and as it is: who a file is taken from must agree too."""
        found: set[str] = set()
        for path in self.changes(base).paths:
            found.update(self.areas.get(path, ()))
            found.update(() if base is None else base.areas.get(path, ()))
        return frozenset(found)


def shown(digest: str) -> str:
    """A digest for people.

    >>> shown("ab" * 32)
    'abababababab'
    """
    return digest[:SHOWN_CHARACTERS]
