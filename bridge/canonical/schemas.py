"""The records as JSON Schema, one document for a version, and what a version may still change.

A version may gain fields that can be left out, values of an enumeration, and records. It loses nothing, makes
nothing needed that was not, changes no kind, no pattern and no limit, and lowers no tag: that takes a new
version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bridge.canonical.base import Part, Tag
from bridge.canonical.records import MODEL, RECORDS

Schema = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
CLASSIFICATION: Final = "x-classification"


def whole_schema(records: Mapping[str, type[BaseModel]] = RECORDS, version: str = MODEL) -> Schema:
    """All records of a version: each under its name in ``$defs``, with the parts that they share."""
    _, made = models_json_schema([(model, "validation") for model in records.values()], by_alias=True)
    definitions = made["$defs"]
    for model in _models(records.values()):
        properties = definitions[model.__name__]["properties"]
        for name, info in model.model_fields.items():
            tag = next(each for each in info.metadata if isinstance(each, Tag))
            properties[info.alias or name][CLASSIFICATION] = tag.name
    named = {name: {"$ref": f"#/$defs/{model.__name__}"} for name, model in records.items()}
    return {"$schema": DRAFT, "$id": version, "properties": named, "$defs": _tidy(definitions)}


def record_schema(name: str) -> Schema:
    """One record, with the parts that it is made of. KeyError where there is no such record."""
    return whole_schema({name: RECORDS[name]}) | {
        "$id": f"{MODEL}/{name}",
        "$ref": f"#/$defs/{RECORDS[name].__name__}",
        "properties": {},
    }


def _models(found: Any) -> Iterator[type[BaseModel]]:
    seen: set[type[BaseModel]] = set()
    waiting = list(found)
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        yield model
        for info in model.model_fields.values():
            waiting += _parts(info.annotation)


def _parts(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for each in get_args(annotation):
        yield from _parts(each)


def _tidy(node: Any) -> Any:
    """Without titles, which repeat the names."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {key: _tidy(value) for key, value in node.items() if key != "title" or not isinstance(value, str)}


# What a version may change


def broken_promises(before: Schema, now: Schema) -> list[str]:
    """What a later state of a version does that it must not, each with its place."""
    return [
        *(f"{name}: the record is gone" for name in before["properties"] if name not in now["properties"]),
        *(
            f"{name}: another record stands under the name"
            for name, was in before["properties"].items()
            if name in now["properties"] and now["properties"][name] != was
        ),
        *(
            broken
            for name, definition in before["$defs"].items()
            for broken in (
                _of_definition(name, definition, now["$defs"][name])
                if name in now["$defs"]
                else [f"{name}: the part is gone"]
            )
        ),
    ]


def _of_definition(name: str, before: Schema, now: Schema) -> Iterator[str]:
    needed = set(before.get("required", ()))
    for field in now.get("required", ()):
        if field not in needed:
            yield f"{name}.{field}: is needed now"
    for field, was in before["properties"].items():
        if field not in now["properties"]:
            yield f"{name}.{field}: the field is gone"
            continue
        yield from _of_field(f"{name}.{field}", was, now["properties"][field])


def _of_field(place: str, before: Schema, now: Schema) -> Iterator[str]:
    if Tag[now[CLASSIFICATION]].rank < Tag[before[CLASSIFICATION]].rank:
        yield f"{place}: its tag is lower"
    lost = set(_values(before)) - set(_values(now))
    if lost:
        yield f"{place}: values are gone: {', '.join(sorted(lost))}"
    if _shape(before) != _shape(now):
        yield f"{place}: is of another kind"


def _values(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _values(each)
    elif isinstance(node, dict):
        yield from node.get("enum", ())
        for key in ("anyOf", "items"):
            yield from _values(node.get(key, []))


def _shape(node: Any) -> Any:
    """A field's schema without what may change: words, tags and the values of an enumeration."""
    if isinstance(node, list):
        return [_shape(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _shape(value)
        for key, value in node.items()
        if key not in ("description", CLASSIFICATION, "enum")
    } | ({"enum": ...} if "enum" in node else {})
