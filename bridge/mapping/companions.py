"""Files that stand beside a mapping and belong to it: code tables and fragments, by name and by digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping as Dict
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from typing import Final

from bridge.located import Mapping, Node, Scalar, Sequence

COMPANIONS_MAX_COUNT: Final = 200
"""Of one mapping."""
_TABLE: Final = re.compile(r"tables/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.csv")
_FRAGMENT: Final = re.compile(r"[a-z][a-z0-9-]{0,99}")
_PINNED: Final = re.compile(rb"(?m)^# ((?:tables|fragments)/[A-Za-z0-9._-]{1,120}) sha256:([0-9a-f]{64})$")
_PINNED_MAX_BYTES: Final = COMPANIONS_MAX_COUNT * 220


@dataclass(frozen=True, slots=True)
class Companion:
    """One file beside a mapping. ``shown`` is its path for people; ``tree`` is that of a fragment, None where
    it has none; ``digest`` is empty where the file cannot be read."""

    shown: str
    digest: str
    content: bytes = field(repr=False)
    tree: Mapping | None = None


Companions = Dict[str, Companion]
"""By the name under which mappings refer to them: `tables/sex.csv`, `fragments/patient.yaml`."""


def is_table_file(text: str) -> bool:
    """Whether a text names a table's file."""
    return _TABLE.fullmatch(text) is not None


def fragment_file(name: str) -> str | None:
    """The file of a fragment; None where it cannot be the name of one."""
    return f"fragments/{name}.yaml" if _FRAGMENT.fullmatch(name) else None


def pinned(content: bytes, tree: Node | None, companions: Companions) -> tuple[bytes, str]:
    """A mapping file as it is kept, and its digest: with a line for each file that it refers to.

    So the digest of a mapping changes with its tables, and names what it was made of; the lines are comments.
    """
    names: dict[str, None] = {}
    _referred(tree, names)
    waiting = list(names)
    while waiting:
        found = companions.get(waiting.pop())
        if found is not None and found.tree is not None:
            inner: dict[str, None] = {}
            _referred(found.tree, inner)
            waiting += [name for name in inner if name not in names]
            names |= inner
    lines = [f"# {name} sha256:{companions[name].digest}\n" for name in sorted(names) if name in companions]
    if lines:
        content = content.rstrip(b"\n") + b"\n" + "".join(lines).encode()
    return content, hashlib.sha256(content).hexdigest()


def named_in(content: bytes) -> dict[str, str]:
    """The digests of the files that a kept mapping (`pinned`) names, by their names."""
    return {match[1].decode(): match[2].decode() for match in _PINNED.finditer(content[-_PINNED_MAX_BYTES:])}


def _referred(node: Node | None, names: dict[str, None]) -> None:
    match node:
        case Scalar(text=text) if is_table_file(text):
            names[text] = None
        case Sequence(items=items):
            for item in items:
                _referred(item, names)
        case Mapping(entries=entries):
            for key, value in entries:
                if key.text == "include":
                    for each in included(value):
                        if (file := fragment_file(each.text)) is not None:
                            names[file] = None
                else:
                    _referred(value, names)
        case _:
            pass


def included(node: Node) -> Items[Scalar]:
    """The names after `include`: one, or a list."""
    if isinstance(node, Scalar):
        return (node,)
    return [each for each in node.items if isinstance(each, Scalar)] if isinstance(node, Sequence) else ()
