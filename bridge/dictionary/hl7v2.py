"""What HL7 v2.1 to v2.8.2 call their segments, fields, components, structures and codes.

The data is made by `deploy/hl7_dictionary.py`; where it comes from stands in NOTICE. It is read when it is
first asked for, which takes about 20 ms, and never changes. What no version has is None, and not a guess.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path(__file__).with_name("hl7v2.json.gz")
_VARIES: Final = frozenset({"", "varies", "VARIES", "Varies", "-", "WD"})
EVENTS: Final = 3
"""The table of trigger events, as in ADT^A01."""
STRUCTURES: Final = 354
"""The table of message structures, each with the events that have it."""


@dataclass(frozen=True, slots=True)
class Element:
    """A field of a segment or a component of a data type, as one version has it.

    ``data_type`` is empty where it varies or was withdrawn, ``table`` 0 where codes come from none.
    ``versions`` are all that have the element, ``version`` the one this is from.
    """

    name: str
    data_type: str
    table: int
    required: bool
    repeats: bool
    version: str
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """A segment, a data type or a message structure, as one version has it.

    ``count`` is how many fields or components it has. Of a structure ``syntax`` says what it is made of: what
    stands in ``[ ]`` may be left out, what stands in ``{ }`` may repeat.
    """

    name: str
    version: str
    versions: tuple[str, ...]
    count: int = 0
    syntax: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The codes of an HL7 table with their meaning, which is empty where the source has none."""

    number: int
    name: str
    codes: dict[str, str]


class Dictionary:
    """The names, by version. Where a version lacks something, the newest that has it answers."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.versions: Final[tuple[str, ...]] = tuple(data["versions"])
        self._data = data

    @property
    def segments(self) -> Sequence[str]:
        """The names of all segments."""
        return sorted(self._data["segments"])

    @property
    def structures(self) -> Sequence[str]:
        """The names of all message structures."""
        return sorted(self._data["messages"])

    @property
    def tables(self) -> Sequence[int]:
        """The numbers of all tables."""
        return sorted(map(int, self._data["tables"]))

    def known_version(self, text: str) -> str | None:
        """The version that MSH-12 says; None where there is none such here."""
        return text.strip() if text.strip() in self.versions else None

    def segment(self, name: str, version: str | None = None) -> Definition | None:
        """A segment by its three letters."""
        return self._definition("segments", name, version)

    def data_type(self, name: str, version: str | None = None) -> Definition | None:
        """A data type by its letters, such as CX."""
        return self._definition("types", name, version)

    def structure(self, name: str, version: str | None = None) -> Definition | None:
        """A message structure by its name, such as ADT_A01."""
        return self._definition("messages", name, version)

    def structure_of(self, code: str, event: str, version: str | None = None) -> str | None:
        """The structure of a message type, such as ADT_A01 of ADT^A04."""
        table = self.table(STRUCTURES)
        for name, events in () if table is None else table.codes.items():
            if name.partition("_")[0] == code and event in re.split(r"[,\s]+", events):
                return name
        own = (f"{code}_{event}", code)
        return next((name for name in own if self.structure(name, version) is not None), None)

    def field(self, segment: str, number: int, version: str | None = None) -> Element | None:
        """A field by its segment and number, from 1."""
        return self._element("segments", segment, number, version)

    def component(self, data_type: str, number: int, version: str | None = None) -> Element | None:
        """A component (or a subcomponent, of the component's type) by number, from 1."""
        return self._element("types", data_type, number, version)

    def field_of_each_version(self, segment: str, number: int) -> list[Element]:
        """A field as each version has it, the oldest first."""
        return self._elements("segments", segment, number)

    def component_of_each_version(self, data_type: str, number: int) -> list[Element]:
        """A component of a data type as each version has it, the oldest first."""
        return self._elements("types", data_type, number)

    def largest(self, data_type: str) -> int:
        """How many components a data type has in the version where it has most; 0 for a simple one."""
        return max((len(parts) for _, _, parts in self._data["types"].get(data_type, ())), default=0)

    def table(self, number: int) -> Table | None:
        """A table by its number."""
        found = self._data["tables"].get(str(number))
        return None if found is None else Table(number, found[0], dict(found[1]))

    def component_of(
        self, segment: str, field: int, number: int, version: str | None, data_type: str = ""
    ) -> Element | None:
        """A component of a field: as the version has it, else as a newer one does.

        ``data_type`` is for a field whose type stands in the message, as OBX-5's does in OBX-2.
        """
        if data_type:
            return self.component(data_type, number, version)
        for element in self._from(self._elements("segments", segment, field), version):
            if element.data_type and (found := self.component(element.data_type, number, element.version)):
                return found
        return None

    def subcomponent_of(
        self, segment: str, field: int, component: int, number: int, version: str | None, data_type: str = ""
    ) -> Element | None:
        """A subcomponent of a field's component, also where a newer version has withdrawn the component."""
        types = (
            [data_type]
            if data_type
            else [each.data_type for each in self._from(self._elements("segments", segment, field), version)]
        )
        for owner in dict.fromkeys(types):
            for part in self._from(self._elements("types", owner, component), version):
                if found := self.component(part.data_type, number, version):
                    return found
        return None

    def simple(self, data_type: str, version: str | None = None) -> bool:
        """Whether a type has no components, or is one of those that vary."""
        found = self.data_type(data_type, version)
        return found is None or found.count == 0

    def _definition(self, kind: str, name: str, version: str | None) -> Definition | None:
        found = self._data[kind].get(name)
        if not found:
            return None
        places = sorted(place for definition in found for place in definition[0])
        versions = tuple(self.versions[place] for place in places)
        wanted = version if version is not None and version in versions else versions[-1]
        chosen = next(each for each in found if self.versions.index(wanted) in each[0])
        title: str = chosen[1] or next((each[1] for each in reversed(found) if each[1]), "")
        if isinstance(chosen[2], str):
            return Definition(title, wanted, versions, syntax=chosen[2])
        return Definition(title, wanted, versions, count=len(chosen[2]))

    def _element(self, kind: str, owner: str, number: int, version: str | None) -> Element | None:
        return next(self._from(self._elements(kind, owner, number), version), None)

    def _from(self, elements: list[Element], version: str | None) -> Iterator[Element]:
        """The version's own first, then the others from the newest on."""
        yield from (each for each in elements if each.version == version)
        yield from (each for each in reversed(elements) if each.version != version)

    def _elements(self, kind: str, owner: str, number: int) -> list[Element]:
        found = []
        for places, _, parts in self._data[kind].get(owner, ()):
            if not 0 < number <= len(parts):
                continue
            name, data_type, table, required, repeats = self._data["entries"][parts[number - 1]]
            if name:
                plain = "" if data_type in _VARIES else data_type
                found += [(place, name, plain, table, bool(required), bool(repeats)) for place in places]
        found.sort()
        versions = tuple(self.versions[each[0]] for each in found)
        return [Element(*each[1:], self.versions[each[0]], versions) for each in found]


@cache
def dictionary() -> Dictionary:
    """The one dictionary, read once."""
    return Dictionary(json.loads(gzip.decompress(_FILE.read_bytes())))


def versions_of(segment: str, field: int) -> tuple[str, tuple[str, ...]] | None:
    """The name of a field, and the versions that have it; None where no version here has it.

    >>> versions_of("EVN", 7)
    ('Event Facility', ('2.4', '2.5', '2.5.1', '2.6', '2.7', '2.7.1', '2.8', '2.8.1', '2.8.2'))
    """
    found = dictionary().field(segment, field)
    return None if found is None else (found.name, found.versions)
