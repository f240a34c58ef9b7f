"""Who may agree to what: persons with their keys, and groups by what a file is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from bridge.audit.notes import Verifier

APPROVERS: Final = "approvers"
"""What a change of the persons themselves is about, beside the areas of files."""
RESTRICTED: Final = "restricted"
"""What a file is about, beside its domains, where it lets restricted data through."""
FINANCIAL: Final = "financial"
MONEY: Final = frozenset({"claim", "invoice", FINANCIAL})
"""The domains of APIs in which amounts move."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person. ``key`` is the line of the public half of a key that is this person's alone; one without
    groups may propose, and approves nothing."""

    name: str
    key: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class People:
    """All persons, and the rules.

    ``groups`` says by area whose group must agree; ``otherwise`` is for every other area. A change in one of
    the areas ``two`` needs two persons. ``emergency`` are groups of which one person may let a bundle run
    for a while, whatever it is about.
    """

    persons: Mapping[str, Person]
    otherwise: str
    groups: Mapping[str, str] = field(default_factory=dict)
    two: frozenset[str] = MONEY | {RESTRICTED, APPROVERS}
    emergency: frozenset[str] = frozenset()
    rules_tested: int = 0

    def group_for(self, area: str) -> str:
        """The group of which somebody must agree to a change in an area."""
        return self.groups.get(area, self.otherwise)

    def as_json(self) -> dict[str, Any]:
        """The same for a file that is signed."""
        return {
            "persons": {
                each.name: {"key": each.key, "groups": sorted(each.groups)} for each in self.persons.values()
            },
            "otherwise": self.otherwise,
            "groups": dict(self.groups),
            "two": sorted(self.two),
            "emergency": sorted(self.emergency),
            "rules_tested": self.rules_tested,
        }

    @classmethod
    def of_json(cls, value: Any) -> People:
        """What `as_json` gave. Raises ValueError where it is something else."""
        try:
            persons = {
                str(name): Person(str(name), str(each["key"]), tuple(map(str, each["groups"])))
                for name, each in value["persons"].items()
            }
            return cls(
                MappingProxyType(persons),
                str(value["otherwise"]),
                MappingProxyType({str(area): str(group) for area, group in value["groups"].items()}),
                frozenset(map(str, value["two"])),
                frozenset(map(str, value["emergency"])),
                int(value["rules_tested"]),
            )
        except (KeyError, TypeError, AttributeError) as wrong:
            raise ValueError(f"no list of persons: {type(wrong).__name__}") from None


def is_key_of(line: str, name: str) -> bool:
    """Whether a line is the public key of somebody of this name."""
    try:
        return Verifier.parse(line).name == name
    except ValueError:
        return False
