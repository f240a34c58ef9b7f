"""Tables of keys for the README files of the folders, made from the models that check the files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bridge.config.validate import model_in
from bridge.units import parse_duration, parse_size

_BAR = "\\|"
_SECONDS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))
_BYTES = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a file: its path, its default as a file would say it, what it means, what it takes."""

    path: str
    default: str
    text: str
    takes: str


def keys_table(model: type[BaseModel], but: type[BaseModel] | None = None) -> str:
    """A Markdown table of a file's keys: each with its default and what it means; without those that it has
    from ``but`` as they are."""
    known = set() if but is None else set(keys(but))
    rows = [
        f"| `{key.path}` | {key.default} | {key.text.replace('|', _BAR)} |"
        for key in keys(model)
        if key not in known
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[Key]:
    """The keys of a model, those inside of others after them; ``prefix`` stands before each path."""
    schema = _schema(model)
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        inner = model_in(field.annotation)
        assert field.description or inner, "every key says what it means"
        text = (field.description or (inner.__doc__ if inner else "") or "").replace("\n", " ")
        takes = "" if inner else _takes(schema["properties"][field.alias or name])
        yield Key(key, _default(field, inner), text, takes)
        if inner is not None:
            many = "tuple" in str(field.annotation)
            yield from keys(inner, f"{key}[]." if many else f"{key}.")


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    # Many models stand inside of others, and pydantic takes milliseconds for each.
    return model.model_json_schema(by_alias=True)


def _default(field: FieldInfo, inner: type[BaseModel] | None) -> str:
    if field.is_required():
        return "needed"
    if inner is not None or field.default_factory is not None:
        return ""
    value: Any = field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    validators = [getattr(each, "func", None) for each in field.metadata]
    if isinstance(value, float) and parse_duration in validators:
        return next(
            (f"`{value / size:g}{unit}`" for size, unit in _SECONDS if value and value % size == 0),
            f"`{value:g}s`",
        )
    if isinstance(value, int) and parse_size in validators:
        return next((f"`{value // size}{unit}`" for size, unit in _BYTES if value % size == 0), f"`{value}B`")
    if isinstance(value, frozenset | tuple):
        return (
            f"`[{', '.join(map(str, sorted(value) if isinstance(value, frozenset) else value))}]`"
            if value
            else ""
        )
    if isinstance(value, str) and value.isspace():
        return f"`'{value}'`"
    return "" if value in (None, "") else f"`{value}`"


def _takes(schema: dict[str, Any]) -> str:
    """What a value must be, in words, as far as its JSON Schema tells."""
    if branches := [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]:
        return " or ".join(dict.fromkeys(filter(None, map(_takes, branches))))
    if words := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return "one of: " + ", ".join(map(str, words))
    if examples := schema.get("examples"):
        return "as in " + ", ".join(map(str, examples))
    match schema.get("type"):
        case "integer" | "number" as kind:
            word = "a whole number" if kind == "integer" else "a number"
            least = schema.get("minimum", schema.get("exclusiveMinimum"))
            most = schema.get("maximum", schema.get("exclusiveMaximum"))
            limits = [f"from {least}" if least is not None else "", f"to {most}" if most is not None else ""]
            return " ".join(filter(None, [word, *limits]))
        case "boolean":
            return "true or false"
        case "array":
            return " ".join(filter(None, ["a list", _takes(schema.get("items", {}))]))
        case "object":
            return "keys with values"
        case "string":
            return "text"
    return ""
