"""Resources that are amended: what is there, with what a message says in its place. Pure.

A message of HL7 v2 says what has changed and no more, while an update of FHIR replaces the whole resource. So
what is there is read, amended, and updated in the version that was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bridge.fhir.check import Element, elements_of
from bridge.fhir.digits import write_json
from bridge.fhir.exchange import Entry, NotToBeSent, without_nulls


def amended(there: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """What is there, with what is told put into its place; what is null in it is taken away.

    What says only that nothing is known replaces nothing that is known. Of identifiers, extensions, links,
    results and profiles those of others stay: they are told apart by their systems, URLs and targets. Of a
    period, and of other parts that are R4's own, each element is amended by itself.
    """
    return _amended(there, told, str(told.get("resourceType", "")))


def _amended(there: Mapping[str, Any], told: Mapping[str, Any], kind: str) -> dict[str, Any]:
    kept, elements = dict(there), elements_of(kind)
    for name, value in told.items():
        if value is None:
            kept.pop(name, None)
        elif name == "meta":
            kept["meta"] = _with_profiles(kept.get("meta"), value)
        elif name in _JOINED and isinstance(value, list):
            kept[name] = _joined(name, kept.get(name), value)
        elif isinstance(value, dict) and _in_parts(elements.get(name)) and isinstance(kept.get(name), dict):
            kept[name] = _amended(kept[name], value, elements[name].type)
        elif name not in kept or not says_nothing(value):
            for other in _choices_of(name, told, kept):
                kept.pop(other, None)
            kept[name] = without_nulls(value)
    return {name: value for name, value in kept.items() if value not in (None, {}, [])}


def _in_parts(element: Element | None) -> bool:
    return element is not None and not element.many and (element.type == "Period" or "." in element.type)


_JOINED: Final[Mapping[str, tuple[str, ...]]] = {
    "identifier": ("system", "type"),
    "extension": ("url",),
    "link": ("type", "other"),
    "result": (),
}
_CHOICES: Final = ("deceased", "multipleBirth", "value", "effective", "occurrence", "onset", "serviced")


def _choices_of(name: str, told: Mapping[str, Any], kept: Mapping[str, Any]) -> list[str]:
    """Elements of the same choice, which this one takes the place of."""
    stem = next((each for each in _CHOICES if name.startswith(each) and name[len(each) :][:1].isupper()), "")
    return [each for each in kept if stem and each.startswith(stem) and each not in told]


def _joined(name: str, there: Any, told: Sequence[Any]) -> list[Any]:
    marks = [_mark(name, each) for each in told]
    others = [each for each in there if _mark(name, each) not in marks] if isinstance(there, list) else []
    return [*(without_nulls(each) for each in told), *others]


def _mark(name: str, item: Any) -> bytes:
    """What tells apart those of a list."""
    if not isinstance(item, dict):
        return b""
    if name == "identifier" and item.get("system"):
        return write_json(item["system"])
    if name in ("link", "result"):
        other = item.get("other") if name == "link" else item
        of = other.get("identifier") if isinstance(other, dict) else None
        return write_json([item.get("type"), of or other])
    return write_json([item.get(each) for each in _JOINED[name]])


def _with_profiles(there: Any, told: Any) -> Any:
    if not isinstance(there, dict) or not isinstance(told, dict):
        return told
    both = [*_texts(there.get("profile")), *_texts(told.get("profile"))]
    return {**there, **told, **({"profile": list(dict.fromkeys(both))} if both else {})}


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


_UNKNOWN_SYSTEMS: Final = frozenset(
    {
        "http://terminology.hl7.org/CodeSystem/data-absent-reason",
        "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    }
)
_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def says_nothing(value: Any) -> bool:
    """Whether a value says only that nothing is known: the code `unknown`, or why there is no value."""
    match value:
        case "unknown" | {"system": _, "code": "unknown"}:
            return True
        case {"coding": [*codings]}:
            return bool(codings) and all(map(says_nothing, codings))
        case {"system": str(system)} if system in _UNKNOWN_SYSTEMS:
            return True
        case {"extension": [{"url": url}]}:
            return isinstance(url, str) and url == _ABSENT
        case [*items]:
            return bool(items) and all(map(says_nothing, items))
    return False


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two resources say the same, beside what the server itself notes of them."""
    return bool(_bare(one) == _bare(other))


def _bare(resource: Mapping[str, Any]) -> Any:
    meta = resource.get("meta")
    left = {name: value for name, value in resource.items() if name not in ("id", "meta", "text")}
    profiles = sorted(_texts(meta.get("profile"))) if isinstance(meta, dict) else []
    return _plain({**left, "profile": profiles})


def _plain(value: Any) -> Any:
    """References as they are known by what they name, since a server writes them its own way."""
    if isinstance(value, dict):
        drop = isinstance(value.get("identifier"), dict) and "reference" in value
        return {name: _plain(each) for name, each in value.items() if not (drop and name == "reference")}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def known(entry: Entry, found: Mapping[str, Any]) -> Entry:
    """An entry that is amended, as it is updated where it was found. Raises NotToBeSent without an id."""
    name, meta = found.get("id"), found.get("meta")
    if not isinstance(name, str) or not name or len(name) > 64 or not _is_id(name):
        raise NotToBeSent(f"{entry.identity.type}.id: the server gave none")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    usable = isinstance(version, str) and _is_id(version)
    return replace(
        entry,
        resource=amended(found, entry.resource),
        known_as=name,
        version=version if usable and isinstance(version, str) else "",
    )


def _is_id(text: str) -> bool:
    return text.isascii() and all(each.isalnum() or each in "-." for each in text)


def unchanged(entry: Entry, found: Mapping[str, Any]) -> bool:
    """Whether an entry would leave what was found as it is."""
    return same(amended(found, entry.resource), found)
