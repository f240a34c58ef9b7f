"""The files of one contract as plain values, and what their references lead to. Pure.

A reference leads to another place of the same file or to a file beside it; never to another machine, and
never out of the folder of contracts. Sizes and depths are bounded, since documents come from outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

NESTING_MAX_LEVELS: Final = 100
FILES_MAX_COUNT: Final = 64
REFERENCES_MAX_COUNT: Final = 32
"""So many references may lead from one to the next."""
_SHOWN_MAX_CHARACTERS: Final = 120


class ContractRefused(Exception):
    """A contract that cannot be used. ``place`` is the file and the JSON pointer where that shows."""

    def __init__(self, place: str, text: str) -> None:
        super().__init__(f"{place}: {text}")
        self.place, self.text = place, text


class Part(NamedTuple):
    """A value of a contract, with the file that it stands in and its JSON pointer there (RFC 6901)."""

    file: str
    pointer: str
    value: Any

    def get(self, *names: str) -> Part:
        """What is below it under these names; the value None where there is no such thing."""
        value, pointer = self.value, self.pointer
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
            pointer = f"{pointer}/{escaped(name)}"
        return Part(self.file, pointer, value)

    def entries(self) -> Iterator[tuple[str, Part]]:
        """What is below it by name, where it is an object."""
        if isinstance(self.value, Mapping):
            for name, value in self.value.items():
                yield str(name), Part(self.file, f"{self.pointer}/{escaped(str(name))}", value)

    def items(self) -> Iterator[Part]:
        """What is in it, where it is a list."""
        if isinstance(self.value, list):
            for number, value in enumerate(self.value):
                yield Part(self.file, f"{self.pointer}/{number}", value)

    @property
    def place(self) -> str:
        """File and pointer, for people."""
        return f"{self.file}#{self.pointer}" if self.pointer else self.file

    def text(self, name: str, default: str = "") -> str:
        """The text below it under a name."""
        found = self.get(name).value
        return found if isinstance(found, str) else default


@dataclass(frozen=True, slots=True)
class Documents:
    """The files of one contract by name; ``root`` is the one that was named first.

    Names are paths with slashes below the folder of contracts.
    """

    root: str
    files: Mapping[str, Any]

    @property
    def whole(self) -> Part:
        """The root's value."""
        return Part(self.root, "", self.files[self.root])

    def resolved(self, part: Part) -> Part:
        """What a part stands for: itself, or what its ``$ref`` leads to. Raises ContractRefused."""
        for _ in range(REFERENCES_MAX_COUNT):
            reference = part.value.get("$ref") if isinstance(part.value, Mapping) else None
            if not isinstance(reference, str):
                return part
            part = self.find(part, reference)
        raise ContractRefused(part.place, "references lead to each other in a circle")

    def find(self, at: Part, reference: str) -> Part:
        """The place that a reference at a part leads to. Raises ContractRefused."""
        named, _, fragment = reference.partition("#")
        file = self._file(at, named)
        if file not in self.files:
            raise ContractRefused(at.place, f"there is no file {_shown(file)} beside this contract")
        found = Part(file, "", self.files[file])
        if not fragment:
            return found
        if not fragment.startswith("/"):
            raise ContractRefused(
                at.place, f"the reference {_shown(reference)} names an anchor: write a JSON pointer, #/..."
            )
        for raw in fragment[1:].split("/"):
            name = unquote(raw).replace("~1", "/").replace("~0", "~")
            below = found.get(name)
            if isinstance(found.value, list) and name.isascii() and name.isdigit():
                place = int(name)
                value = found.value[place] if place < len(found.value) else None
                below = Part(found.file, f"{found.pointer}/{place}", value)
            if below.value is None:
                raise ContractRefused(at.place, f"the reference {_shown(reference)} leads to nothing")
            found = below
        return found

    def _file(self, at: Part, named: str) -> str:
        if not named:
            return at.file
        own = self.files[at.file].get("$id") if isinstance(self.files[at.file], Mapping) else None
        if isinstance(own, str) and named == own.rstrip("#"):
            return at.file
        return file_named(at.file, named, at.place)


def escaped(name: str) -> str:
    """A name as a part of a JSON pointer.

    >>> escaped("/patients/{id}")
    '~1patients~1{id}'
    """
    return name.replace("~", "~0").replace("/", "~1")


def file_named(base: str, named: str, place: str) -> str:
    """The file that a reference in ``base`` names, below the folder of contracts. Raises ContractRefused.

    >>> file_named("rcm/api.yaml", "../common/types.yaml", "")
    'common/types.yaml'
    """
    if ":" in named or named.startswith(("/", "\\\\")) or "\\" in named:
        text = f"the reference {_shown(named)} leads out of the folder of contracts, and nothing is fetched"
        raise ContractRefused(place, f"{text}: keep a copy of the file beside this one")
    parts = base.split("/")[:-1]
    for part in unquote(named).split("/"):
        if part == "..":
            if not parts:
                raise ContractRefused(place, f"the reference {_shown(named)} leads out of the folder")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def files_named(name: str, value: Any) -> Iterator[str]:
    """The files that references in a value name, as far as they lie in the folder; each may come twice.

    Raises ContractRefused for a value that is nested too deep.
    """
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        found, depth = waiting.pop()
        if depth > NESTING_MAX_LEVELS:
            raise ContractRefused(name, f"nested more than {NESTING_MAX_LEVELS} levels deep")
        if isinstance(found, Mapping):
            reference = found.get("$ref")
            if isinstance(reference, str) and (file := reference.partition("#")[0]) and ":" not in file:
                with suppress(ContractRefused):  # whoever follows it is told
                    yield file_named(name, file, name)
            waiting += [(each, depth + 1) for each in found.values()]
        elif isinstance(found, list):
            waiting += [(each, depth + 1) for each in found]


def _shown(text: str) -> str:
    shown = "".join(each if each.isprintable() else "?" for each in text[:_SHOWN_MAX_CHARACTERS])
    return repr(shown)
