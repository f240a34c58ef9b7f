"""The file of persons, ``approvals/approvers.yaml``: whose key is whose, and who must agree to what."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Final, get_args

from pydantic import Field

from bridge.approvals.bundle import APPROVERS_FILE
from bridge.approvals.people import APPROVERS, MONEY, RESTRICTED, People, Person, is_key_of
from bridge.component import Options
from bridge.config.api import Domain
from bridge.config.areas import OTHER
from bridge.config.names import Name
from bridge.config.validate import validate
from bridge.config.yaml_tree import read_tree_bytes
from bridge.located import Mapping, Place, Problem, Scalar, did_you_mean

PERSONS_MAX_COUNT: Final = 1000
AREAS: Final = frozenset({*get_args(Domain), RESTRICTED, APPROVERS, OTHER})


class PersonFile(Options):
    """One person."""

    key: str = Field(description="The public key, as `bridge bundle key NAME` shows it.")
    groups: tuple[Name, ...] = Field(
        (),
        description="The groups that this person is in; with none this person proposes and approves nothing.",
    )


class ApproversFile(Options):
    """Who may agree to what."""

    people: Annotated[dict[Name, PersonFile], Field(min_length=1, max_length=PERSONS_MAX_COUNT)] = Field(
        description="Each person by name, with the public half of a key that nobody else has."
    )
    groups: dict[Name, tuple[str, ...]] = Field(
        default_factory=dict,
        description="By group what it must agree to: domains of APIs, as in [patient, encounter]; also "
        "financial and restricted, for APIs that may carry such data, other, for what has no domain, and "
        "approvers, for this file.",
    )
    otherwise: Name = Field(description="The group that must agree to everything else.")
    two: tuple[str, ...] = Field(
        tuple(sorted({*MONEY, RESTRICTED, APPROVERS})),
        description="What needs two persons: domains, financial, restricted, other, approvers.",
    )
    emergency: tuple[Name, ...] = Field(
        (), description="Groups of which one person may let a change run for a day at most, to be reviewed."
    )
    rules_tested: int = Field(
        95,
        ge=0,
        le=100,
        description="So many percent of the rules of a changed mapping must be gone through by its tests, "
        "or `bridge approve` takes no approval.",
    )


def read_people(content: bytes) -> tuple[People | None, list[Problem]]:
    """The persons of a file's bytes, or None with every mistake."""
    tree, problems = read_tree_bytes(content, APPROVERS_FILE)
    if tree is None or problems:
        return None, problems
    file, problems = validate(ApproversFile, tree)
    if file is None or not isinstance(tree, Mapping):
        return None, problems
    problems = [*_keys(file, tree), *_areas(file, tree), *_groups(file, tree)]
    if problems:
        return None, problems
    persons = {name: Person(name, each.key, each.groups) for name, each in file.people.items()}
    areas = {area: group for group, found in file.groups.items() for area in found}
    return People(
        MappingProxyType(persons),
        file.otherwise,
        MappingProxyType(areas),
        frozenset(file.two),
        frozenset(file.emergency),
        file.rules_tested,
    ), []


def _at(tree: Mapping, *names: str) -> Place:
    """The place of a key, or of the nearest one around it."""
    place, node = tree.place, tree
    for name in names:
        key, value = node.key(name), node.get(name)
        place = place if key is None else key.place
        if not isinstance(value, Mapping):
            return value.place if isinstance(value, Scalar) else place
        node = value
    return place


def _keys(file: ApproversFile, tree: Mapping) -> list[Problem]:
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for name, person in file.people.items():
        place = _at(tree, "people", name, "key")
        if not is_key_of(person.key, name):
            text = f"this is not the public key of somebody called {name}, or it was cut off"
            problems.append(Problem(place, "C122", text, f"`bridge bundle key {name}` makes and shows one"))
            continue
        material = person.key.rpartition("+")[2]
        if (other := seen.setdefault(material, name)) != name:
            text = f"{name} has the key of {other}: with one key they are one person"
            problems.append(Problem(place, "C122", text, "each has a key that nobody else has"))
    return problems


def _areas(file: ApproversFile, tree: Mapping) -> list[Problem]:
    problems: list[Problem] = []
    whose: dict[str, str] = {}
    named = [(area, "groups", group) for group, areas in file.groups.items() for area in areas]
    for area, *path in (*named, *((area, "two") for area in file.two)):
        if area not in AREAS:
            text = f"there is nothing called {area[:60]!r} to agree to"
            problems.append(Problem(_at(tree, *path), "C122", text, did_you_mean(area, AREAS)))
        elif len(path) == 2 and (other := whose.setdefault(area, path[1])) != path[1]:
            text = f"{area} stands with {other} and with {path[1]}"
            problems.append(Problem(_at(tree, *path), "C122", text, "one group agrees to each"))
    return problems


def _groups(file: ApproversFile, tree: Mapping) -> list[Problem]:
    """Groups without a person: what they must agree to could never run."""
    known = {group for person in file.people.values() for group in person.groups}
    wanted: list[tuple[str, tuple[str, ...]]] = [(file.otherwise, ("otherwise",))]
    wanted += [(group, ("emergency",)) for group in file.emergency]
    wanted += [(group, ("groups", group)) for group in file.groups]
    return [
        Problem(_at(tree, *path), "C122", f"nobody is of the group {group}", did_you_mean(group, known))
        for group, path in wanted
        if group not in known
    ]
