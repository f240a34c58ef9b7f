"""The names that a schema knows, so that fields which it allows and does not know are seen. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.contracts.findings import shown_pointer

NEW_FIELDS_MAX_COUNT: Final = 10
ITEMS_MAX_COUNT: Final = 100
"""Of a list no more items than these are looked at."""


@dataclass(slots=True)
class Shape:
    """The fields of an object, what its list holds, and whether its names are data and not fields."""

    fields: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    is_map: bool = False


def shape_of(schema: Mapping[str, Any]) -> Shape:
    """The shape of a schema of `Bundle`; alternatives count together."""
    shape = Shape()
    _add(shape, schema, schema.get("$defs", {}), {}, frozenset())
    return shape


def _add(
    shape: Shape,
    schema: Any,
    definitions: Mapping[str, Any],
    made: dict[str, Shape],
    within: frozenset[str],
) -> None:
    """Add to a shape what a schema says. ``made`` are shapes of definitions, so that a circle ends;
    ``within`` are those that are added just now."""
    if not isinstance(schema, Mapping):
        return
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions and name not in within:
        _add(shape, definitions[name], definitions, made, within | {name})
    for word in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(word, ()):
            _add(shape, each, definitions, made, within)
    for word in ("then", "else", "if"):
        _add(shape, schema.get(word), definitions, made, within)
    more = schema.get("additionalProperties")
    shape.is_map |= isinstance(more, Mapping) or "patternProperties" in schema
    for field_name, each in schema.get("properties", {}).items():
        shape.fields[field_name] = _below(shape.fields.get(field_name), each, definitions, made)
    items = schema.get("items")
    if isinstance(items, Mapping):
        shape.items = _below(shape.items, items, definitions, made)


def _below(
    before: Shape | None, schema: Any, definitions: Mapping[str, Any], made: dict[str, Shape]
) -> Shape:
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/") if isinstance(schema, Mapping) else ""
    if before is None and name in made:
        return made[name]
    shape = Shape() if before is None else before
    if before is None and name in definitions and len(schema) == 1:
        made[name] = shape
    _add(shape, schema, definitions, made, frozenset())
    return shape


def new_fields(shape: Shape, value: Any, names: frozenset[str]) -> list[tuple[str, str]]:
    """Fields of a value that its shape does not know: the pointer of their object, and their name."""
    found: dict[tuple[str, str], None] = {}
    waiting: list[tuple[Shape, Any, list[str | int]]] = [(shape, value, [])]
    while waiting and len(found) < NEW_FIELDS_MAX_COUNT:
        shape, value, path = waiting.pop()
        if isinstance(value, dict):
            for name, each in value.items():
                if (below := shape.fields.get(name)) is not None:
                    waiting.append((below, each, [*path, name]))
                elif shape.fields and not shape.is_map:
                    found[shown_pointer(path, names), name] = None
        elif isinstance(value, list) and shape.items is not None:
            waiting += [(shape.items, each, [*path, 0]) for each in value[:ITEMS_MAX_COUNT]]
    return list(found)[:NEW_FIELDS_MAX_COUNT]
