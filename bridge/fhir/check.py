"""Whether a resource is one of FHIR R4 (4.0.1): its elements, their types, the codes that are bound. Pure.

What is wrong is told by a code, the place within the resource, and a text, in which no value of it stands.
What a profile asks beyond R4, as US Core does, is not looked at, nor what is within `contained`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from bridge.fhir.r4_billing import BILLING
from bridge.fhir.r4_clinical import CLINICAL
from bridge.fhir.r4_types import DATATYPES
from bridge.fhir.value_sets import PATTERNS, VALUE_SETS

LEVELS_MAX: Final = 24
CODES: Final[Mapping[str, str]] = {
    "F201": "This is no resource of FHIR R4 that the bridge makes.",
    "F202": "A resource of FHIR R4 has no such element.",
    "F203": "An element is missing that FHIR R4 needs.",
    "F204": "FHIR R4 has a list here, or one and no list.",
    "F205": "A value is not written as its type in FHIR R4 asks.",
    "F206": "A code is not of the value set that FHIR R4 requires here.",
    "F207": "FHIR R4 takes one of several here, and there are two.",
    "F208": "An invariant of FHIR R4 does not hold.",
}
"""What can be wrong."""

_DATE: Final = r"[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?"
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DAY: Final = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "base64Binary": re.compile(r"(?:\s*[0-9A-Za-z+/=]){4,}\s*"),
    "canonical": re.compile(r"\S+"),
    "code": re.compile(r"[^\s]+(?: [^\s]+)*"),
    "date": re.compile(_DATE),
    "dateTime": re.compile(rf"{_DATE}|{_DAY}T{_CLOCK}{_ZONE}"),
    "id": re.compile(r"[A-Za-z0-9.-]{1,64}"),
    "instant": re.compile(rf"{_DAY}T{_CLOCK}{_ZONE}"),
    "markdown": re.compile(r"[\s\S]*\S[\s\S]*"),
    "oid": re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+"),
    "string": re.compile(r"[\s\S]*\S[\s\S]*"),
    "time": re.compile(_CLOCK),
    "uri": re.compile(r"\S+"),
    "url": re.compile(r"\S+"),
    "uuid": re.compile(r"urn:uuid:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"),
    "xhtml": re.compile(r"<div[\s\S]*</div>"),
}
_LEAST: Final[Mapping[str, int | None]] = {"integer": None, "unsignedInt": 0, "positiveInt": 1}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: what kind, where within the resource, and what was expected there."""

    code: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.code}: {self.text}"


@dataclass(frozen=True, slots=True)
class Element:
    """What a type has by one name. ``of`` is the name that choices share, where it is one of several."""

    name: str
    type: str
    needed: bool = False
    many: bool = False
    bound: str = ""
    of: str = ""


def _parsed(text: str) -> dict[str, dict[str, Element]]:
    types: dict[str, dict[str, Element]] = {}
    for line in text.strip().replace("\n  ", " ").splitlines():
        name, _, words = line.partition(" = ")
        types[name] = {each.name: each for word in words.split() for each in _elements(word)}
    return types


def _elements(word: str) -> Iterator[Element]:
    name, _, kind = word.partition(":")
    needed, many = "!" in name, "*" in name
    plain = name.rstrip("!*")
    if not plain.endswith("[x]"):
        type_, _, bound = kind.partition("/")
        yield Element(plain, type_, needed, many, bound)
        return
    stem = plain.removesuffix("[x]")
    if kind == "any":
        yield Element(stem, "any", of=stem)
        return
    for each in kind.split("|"):
        yield Element(stem + each[0].upper() + each[1:], each, needed, of=stem)


_KINDS: Final = {**_parsed(CLINICAL), **_parsed(BILLING)}
_TYPES: Final = {**_parsed(DATATYPES), **_KINDS}
_EVERYWHERE: Final = {
    each.name: each for each in (Element("id", "string"), Element("extension", "Extension", many=True))
}
_BESIDE: Final = {
    each.name: each
    for each in (
        Element("id", "id"),
        Element("meta", "Meta"),
        Element("implicitRules", "uri"),
        Element("language", "code"),
        Element("text", "Narrative"),
        Element("contained", "any", many=True),
        Element("extension", "Extension", many=True),
        Element("modifierExtension", "Extension", many=True),
    )
}
RESOURCES: Final = tuple(name for name in _KINDS if "." not in name)
"""The resources that are known here."""


def elements_of(name: str) -> Mapping[str, Element]:
    """What a type has, by name; nothing for one that is not known."""
    return _TYPES.get(name, {})


def faults(resource: Any) -> Iterator[Fault]:
    """Everything that is wrong with a resource. A value that is null counts as one that is not there."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind not in RESOURCES:
        yield Fault("F201", "resourceType", f"expected one of: {', '.join(RESOURCES)}")
        return
    told = {name: value for name, value in resource.items() if name != "resourceType"}
    yield from _of_type(told, kind, kind, _BESIDE, 1)


def is_known(place: str) -> bool:
    """Whether a place, as in ``Patient.name.use``, is one of R4: without numbers in brackets."""
    kind, *names = place.split(".")
    if kind not in RESOURCES:
        return False
    for at, name in enumerate(names):
        element = _TYPES.get(kind, {}).get(name) or (_BESIDE if at == 0 else _EVERYWHERE).get(name)
        choice = [each for each in _TYPES.get(kind, {}).values() if each.of == name]
        if element is None and not choice:
            return False
        kind = element.type if element is not None else ""
    return True


def _of_type(
    value: Mapping[str, Any], kind: str, place: str, beside: Mapping[str, Element], level: int
) -> Iterator[Fault]:
    known = _TYPES[kind]
    if level > LEVELS_MAX:
        yield Fault("F202", place, f"nested deeper than {LEVELS_MAX} levels")
        return
    there: dict[str, str] = {}
    for name, each in value.items():
        if each is None or (name.startswith("_") and isinstance(each, dict | list)):
            continue
        element = known.get(name) or beside.get(name) or _any_value(known, name)
        if element is None:
            yield Fault("F202", f"{place}.{name[:64]}", f"{kind} has no such element")
            continue
        if element.of and there.setdefault(element.of, name) != name:
            yield Fault("F207", f"{place}.{name}", f"{there[element.of]} is there too")
        yield from _of_element(each, element, f"{place}.{name}", level)
    for element in known.values():
        if element.needed and element.of not in there and value.get(element.name) is None:
            of = f"{element.of}[x]" if element.of else element.name
            yield Fault("F203", f"{place}.{of}", f"{kind} needs it")
            if element.of:
                there[element.of] = ""
    rule = _RULES.get(kind)
    if rule is not None and (text := rule(value)):
        yield Fault("F208", place, text)


def _any_value(known: Mapping[str, Element], name: str) -> Element | None:
    """What `Extension.value[x]` may be: any type, by the end of its name."""
    open_ = next((each for each in known.values() if each.type == "any" and name.startswith(each.of)), None)
    if open_ is None or name == open_.of:
        return None
    end = name.removeprefix(open_.of)
    primitive = end[0].lower() + end[1:]
    simple = primitive in _FORMS or primitive in _LEAST or primitive in {"boolean", "decimal"}
    if not simple and end not in _TYPES:
        return None
    return Element(name, primitive if simple else end, of=open_.of)


def _of_element(value: Any, element: Element, place: str, level: int) -> Iterator[Fault]:
    if element.many is not isinstance(value, list):
        yield Fault("F204", place, "expected a list" if element.many else "expected one, and no list")
        return
    if element.many and not value:
        yield Fault("F204", place, "expected a list that is not empty")
    for at, each in enumerate(value if element.many else [value]):
        yield from _of_one(each, element, f"{place}[{at}]" if element.many else place, level)


def _of_one(value: Any, element: Element, place: str, level: int) -> Iterator[Fault]:
    if element.type == "any":
        return
    if element.type in _TYPES:
        if not isinstance(value, dict) or not value:
            yield Fault("F205", place, f"expected elements of {element.type}")
            return
        yield from _of_type(value, element.type, place, _EVERYWHERE | _modifier(element), level + 1)
        return
    if not _is_written(value, element.type):
        yield Fault("F205", place, f"expected {element.type}")
    elif element.bound and not _is_of(value, element.bound):
        words = ", ".join(sorted(VALUE_SETS.get(element.bound, ())))
        yield Fault("F206", place, f"expected a code of {element.bound}" + (f": {words}" if words else ""))


def _modifier(element: Element) -> dict[str, Element]:
    return {"modifierExtension": _BESIDE["modifierExtension"]} if "." in element.type else {}


def _is_written(value: Any, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "decimal":
        return isinstance(value, int | Decimal | float) and not isinstance(value, bool)
    if kind in _LEAST:
        least = _LEAST[kind]
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and -(2**31) <= value < 2**31
            and (least is None or value >= least)
        )
    form = _FORMS.get(kind)
    return isinstance(value, str) and form is not None and form.fullmatch(value) is not None


def _is_of(code: str, name: str) -> bool:
    words = VALUE_SETS.get(name)
    return code in words if words is not None else PATTERNS[name].fullmatch(code) is not None


def _any_of(value: Mapping[str, Any], *names: str) -> bool:
    return any(value.get(name) for name in names)


def _starts_with(value: Mapping[str, Any], prefix: str) -> bool:
    return any(name.startswith(prefix) and each is not None for name, each in value.items())


_RULES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "ContactPoint": lambda it: "cpt-2: a value needs a system" * ("value" in it and "system" not in it),
    "Quantity": lambda it: "qty-3: a code needs its system" * ("code" in it and "system" not in it),
    "Organization": lambda it: "org-1: a name or an identifier" * (not _any_of(it, "name", "identifier")),
    "Observation": lambda it: (
        "obs-6: a value, or why there is none"
        * (_any_of(it, "dataAbsentReason") and _starts_with(it, "value"))
    ),
    "Extension": lambda it: (
        "ext-1: a value, or extensions" * (_any_of(it, "extension") is _starts_with(it, "value"))
    ),
    "Appointment": lambda it: (
        "app-2: both a start and an end, or neither" * (_any_of(it, "start") is not _any_of(it, "end"))
    ),
    "Patient.contact": lambda it: (
        "pat-1: who they are, or how they are reached"
        * (not _any_of(it, "name", "telecom", "address", "organization"))
    ),
}
"""Invariants of R4 that a mapping breaks easily, by the type that they are of: what is expected, or ''."""
