"""What the files' format foresees and this version does not do: refused with a sentence, never ignored.

A key that is read and has no effect is a promise broken in silence. Whoever builds one of these deletes
its row. `prune` takes such keys out, so that they bring no further problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bridge.component import Kind
from bridge.config.validate import select
from bridge.located import Mapping as Tree
from bridge.located import Node, Place, Problem, Scalar, Sequence

FileKind = Literal["channel", "api"]


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """A key, by its path; ``*`` stands for any key or list item.

    ``built`` are the values that may be given all the same; with none, the key itself is refused.
    """

    file: FileKind
    path: tuple[str, ...]
    text: str
    built: frozenset[str] = frozenset()
    severity: Literal["error", "warning"] = "error"


def _row(file: FileKind, path: str, text: str, *built: str) -> NotBuilt:
    return NotBuilt(file, tuple(path.split(".")), text, frozenset(built))


def _no_effect(file: FileKind, path: str, text: str) -> NotBuilt:
    return NotBuilt(file, tuple(path.split(".")), text, severity="warning")


NOT_BUILT: Final[tuple[NotBuilt, ...]] = (
    _no_effect("channel", "slo", "latency and silence are not watched yet: this has no effect"),
)
"""Keys and values, file by file."""

COMPONENTS_NOT_BUILT: Final[Mapping[Kind, Mapping[str, str]]] = {
    "transport": {
        "http": "what takes posts is `http_in`",
    },
    "format": {
        "hl7v2_batch": "messages are read as `hl7v2`",
        "fixed_width": "rows of fixed width are `fixed`",
        "json_lines": "lines of JSON are `json: {records: lines}`",
    },
    "credential": {
        "mtls": "write `tls: {certificate: ..., key: ...}`, and no `auth`",
    },
}
"""Components by kind and name."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A tree without what is not built. ``gone`` names each key taken out, by its mapping's place."""

    tree: Tree
    problems: tuple[Problem, ...]
    gone: frozenset[tuple[Place, str]]


def prune(tree: Tree, file: FileKind) -> Pruned:
    """Take out of a file's tree all that is not built, with a problem for each."""
    problems: list[Problem] = []
    gone: set[tuple[Place, str]] = set()
    for row in NOT_BUILT:
        if row.file != file:
            continue
        for parent, key, value in select(tree, row.path):
            if isinstance(value, Scalar) and value.text in row.built:
                continue
            if row.severity == "warning":
                problems.append(Problem(key.place, "C191", f"`{key.text}`: {row.text}", severity="warning"))
                continue
            place = value.place if row.built else key.place
            problems.append(not_built(place, key.text, row.text))
            gone.add((parent.place, key.text))
    return Pruned(_without(tree, gone), tuple(problems), frozenset(gone))


def not_built(place: Place, name: str, text: str) -> Problem:
    """The problem for something that is designed but not built."""
    return Problem(place, "C190", f"`{name}` is not built in this version", text)


def _without(node: Tree, gone: set[tuple[Place, str]]) -> Tree:
    if not gone:
        return node
    return Tree(
        tuple(
            (key, _any_without(value, gone))
            for key, value in node.entries
            if (node.place, key.text) not in gone
        ),
        node.place,
    )


def _any_without(node: Node, gone: set[tuple[Place, str]]) -> Node:
    if isinstance(node, Tree):
        return _without(node, gone)
    if isinstance(node, Sequence):
        return Sequence(tuple(_any_without(item, gone) for item in node.items), node.place)
    return node
