"""The name of each place of a message, for whoever looks at one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bridge.dictionary.hl7v2 import Dictionary, dictionary

UNKNOWN: Final = "unknown to HL7 v2.1 to v2.8.2"
SITE: Final = "the site's own"


@dataclass(frozen=True, slots=True)
class Name:
    """What a place is called. ``known`` is False where no version has it, and ``text`` then says so."""

    text: str
    known: bool = True


class Names:
    """The names of one message, in the version that its MSH-12 says."""

    def __init__(self, version: str, names: Dictionary | None = None) -> None:
        self._all = names or dictionary()
        self._version = self._all.known_version(version)

    def segment(self, name: str) -> Name:
        """Of a segment."""
        if name.startswith("Z"):
            return Name(f"{SITE} segment", known=False)
        found = self._all.segment(name, self._version)
        return Name(UNKNOWN, known=False) if found is None else Name(found.name + self._later(found.versions))

    def field(self, segment: str, number: int) -> Name:
        """Of a field."""
        if segment.startswith("Z"):
            return Name(f"{SITE} field", known=False)
        found = self._all.field(segment, number, self._version)
        return Name(UNKNOWN, known=False) if found is None else Name(found.name + self._later(found.versions))

    def leaf(self, segment: str, field: int, component: int, subcomponent: int = 1, told: str = "") -> Name:
        """Of a component, and of a subcomponent below it; ``told`` is the type of a field whose type varies.

        Of a field without components the first one is the field.
        """
        of_field = self.field(segment, field)
        if not of_field.known:
            return of_field
        element = self._all.field(segment, field, self._version)
        assert element is not None, "a known field"
        told = "" if element.data_type else told
        found = self._all.component_of(segment, field, component, self._version, told)
        if found is not None:
            text = f"{of_field.text}: {found.name}"
            below = self._all.subcomponent_of(segment, field, component, subcomponent, self._version, told)
        elif component == 1 and self._all.simple(element.data_type or told, self._version):
            text, below = of_field.text, None
        else:
            return Name(f"{of_field.text}: component {UNKNOWN}", known=False)
        if below is not None:
            return Name(f"{text}, {below.name}")
        if subcomponent == 1:
            return Name(text)
        return Name(f"{text}: subcomponent {UNKNOWN}", known=False)

    def _later(self, versions: tuple[str, ...]) -> str:
        """Where a version does not have what was sent in it, the reader hears which does."""
        if self._version is None or self._version in versions:
            return ""
        order = self._all.versions
        newer = [each for each in versions if order.index(each) > order.index(self._version)]
        return f" (from v{newer[0]})" if newer else f" (until v{versions[-1]})"
