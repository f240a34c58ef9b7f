"""What the places of X12 and EDIFACT are called, by a table for each, read when it is first asked."""

from __future__ import annotations

from functools import cache
from typing import Final

from bridge.dictionary import edifact_names, x12_names

_TABLES: Final = {"x12": x12_names.SEGMENTS, "edifact": edifact_names.SEGMENTS}
FORMS: Final = frozenset(_TABLES)

_Segments = dict[str, tuple[str, tuple[tuple[str, ...], ...]]]


@cache
def _names(form: str) -> _Segments:
    found = {}
    for line in _TABLES[form].strip().splitlines():
        head, _, elements = line.partition(": ")
        segment, _, name = head.partition(" ")
        parts = (tuple(part.strip() for part in each.split("|")) for each in elements.split(";"))
        found[segment] = (name, tuple(parts))
    return found


def segment_name(form: str, segment: str) -> str:
    """What a segment is for, '' where it is not known here.

    >>> segment_name("x12", "CLP"), segment_name("edifact", "MOA"), segment_name("x12", "XYZ")
    ('claim payment', 'amount', '')
    """
    return _names(form).get(segment, ("", ()))[0]


def element_name(form: str, segment: str, element: int, component: int | None = None) -> str:
    """What an element or one of its components holds, '' where it is not known here.

    >>> element_name("x12", "SVC", 1, 2), element_name("x12", "CLP", 3), element_name("x12", "CLP", 99)
    ('service: procedure, code', 'claim payment: charged', '')
    >>> element_name("edifact", "DTM", 1, 2)
    'date: date, value'
    """
    name, elements = _names(form).get(segment, ("", ()))
    if not 0 < element <= len(elements) or not elements[element - 1][0]:
        return ""
    whole, *components = elements[element - 1]
    of_component = ""
    if component is not None and 0 < component <= len(components) and components[component - 1]:
        of_component = f", {components[component - 1]}"
    return f"{name}: {whole}{of_component}"
