"""What a script made of objects, as the `set:` of an entry that makes JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_objects import under
from bridge.migration.mirth.js_scope import Each, Items, Maybe, Record, Value
from bridge.migration.mirth.text import item, scalar

_WORDS: Final = frozenset({"from", "const", "for_each", "when", "set"})
_INDENT: Final = "  "
TEMPLATE_LEVELS_MAX: Final = 16


def from_template(text: str) -> Record:
    """The object of an outbound template, all of whose values are fixed. Raises NotConverted."""
    try:
        found = (
            _of_json(json.loads(text, parse_int=_number, parse_float=_number), 1)
            if text.strip()
            else Record({})
        )
    except (ValueError, RecursionError):
        raise NotConverted("the outbound template is no JSON") from None
    if not isinstance(found, Record):
        raise NotConverted("the outbound template is no object")
    return found


def _number(text: str) -> Expr:
    return ex.number(text)


def _of_json(node: Any, level: int) -> Value:
    if level > TEMPLATE_LEVELS_MAX:
        raise NotConverted("the outbound template is nested too deep")
    if isinstance(node, dict):
        return Record({str(name): _of_json(each, level + 1) for name, each in node.items()})
    if isinstance(node, list):
        return Items(tuple(_of_json(each, level + 1) for each in node))
    if isinstance(node, bool):
        return ex.TRUE if node else ex.FALSE
    return node if isinstance(node, Expr) else ex.NOTHING if node is None else ex.literal(str(node))


def json_set(record: Record, indent: str) -> list[str]:
    """The lines of its names, without those that never have a value."""
    lines: list[str] = []
    for name, each in record.entries.items():
        value = under(each.when, each.value) if isinstance(each, Maybe) else each
        lines += _member(scalar(name), value, indent)
    return lines


def _member(name: str, value: Value, indent: str) -> list[str]:
    match value:
        case Record():
            inner = json_set(value, indent + 2 * _INDENT)
            return [f"{indent}{name}:", f"{indent}{_INDENT}object:", *inner] if inner else []
        case Items():
            items = [line for each in value.items for line in _item(each, indent + 2 * _INDENT)]
            return [f"{indent}{name}:", f"{indent}{_INDENT}list:", *items] if items else []
        case Expr():
            return [] if value.constant == "" else [f"{indent}{name}: {value_text(value)}"]
    raise NotConverted("something in JSON that is no text, number, object or array")


def _item(each: Value | Each, indent: str) -> Iterator[str]:
    value = each.value if isinstance(each, Each) else each
    if isinstance(each, Each) and each.place:
        yield f"{indent}- for_each: {each.place}"
        if each.when is not None:
            yield f"{indent}  when: {scalar(each.when.flat)}"
        if isinstance(value, Expr):
            yield f"{indent}  set: {value_text(value)}"
            return
        yield f"{indent}  set:"
        yield from _object(value, indent + 2 * _INDENT)
        return
    if isinstance(each, Each) and each.when is not None:
        value = under(each.when, value)
    if isinstance(value, Expr):
        if value.constant != "":
            yield f"{indent}- {value_text(value)}"
        return
    lines = _object(value, indent + _INDENT)
    yield f"{indent}- {lines[0].lstrip()}"
    yield from lines[1:]


def _object(value: Value, indent: str) -> list[str]:
    if not isinstance(value, Record):
        raise NotConverted("an array in an array")
    lines = json_set(value, indent)
    if not lines or _WORDS & set(value.entries):
        raise NotConverted("an object in an array that is empty, or has a name that the language has")
    return lines


def value_text(value: Expr) -> str:
    """The rule of a value; within an array or object no let is read, so it stands by itself."""
    if isinstance(value.constant, str) and value.constant and value.type == "text":
        return f"{{const: {item(value.constant)}}}"
    return "'null'" if value.flat == "null" else scalar(value.flat)
