"""Which components and subcomponents the fields of HL7 v2 have, in whatever version has most of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridge.dictionary.hl7v2 import Dictionary, dictionary

_COMPOSITE: Final = "CM"
"""The type of old versions whose components stand nowhere here."""


def beyond(segment: str, field: int, component: int, subcomponent: int) -> tuple[str, str] | None:
    """What of a place no version has, and what there is instead; None where it may be there.

    Of a segment of a site's own, and of a field whose type varies or is told in the message, any part may be.

    >>> beyond("PV1", 3, 99, 1), beyond("MSH", 4, 1, 7)
    (('PV1-3 has no component 99', 'it has 11'), ('MSH-4.1 has no subcomponent 7', 'it has none'))
    >>> beyond("PV1", 3, 9, 1), beyond("OBX", 5, 99, 1), beyond("ZPV", 3, 99, 1)
    (None, None, None)
    """
    names = dictionary()
    types = {each.data_type for each in names.field_of_each_version(segment, field)}
    components = _parts(names, types)
    if components is None:
        return None
    if component > components:
        return f"{segment}-{field} has no component {component}", _it_has(components)
    below = {
        each.data_type for name in types for each in names.component_of_each_version(name, component)
    } or types  # of a field without components the first one is the field
    parts = _parts(names, below)
    if parts is None or subcomponent <= parts:
        return None
    return f"{segment}-{field}.{component} has no subcomponent {subcomponent}", _it_has(parts)


def _it_has(count: int) -> str:
    return "it has none" if count == 1 else f"it has {count}"


def _parts(names: Dictionary, types: Iterable[str]) -> int | None:
    """How many parts the largest of these types has, 1 where all are simple; None where one is not known."""
    most = 0
    for name in types:
        if name in ("", _COMPOSITE) or names.data_type(name) is None:
            return None
        most = max(most, 1, names.largest(name))
    return most or None
