"""Tables of keys for the README files of the folders, made from the models that check the files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bridge.config.validate import model_in
from bridge.units import parse_duration, parse_size

_SECONDS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))
_BYTES = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def keys_table(model: type[BaseModel]) -> str:
    """A Markdown table of a file's keys: each with its default and what it means."""
    rows = [f"| `{name}` | {default} | {text} |" for name, default, text in _rows(model, "")]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        inner = model_in(field.annotation)
        assert field.description or inner, "every key says what it means"
        text = (field.description or (inner.__doc__ if inner else "") or "").replace("\n", " ")
        yield key, _default(field, inner), text.replace("|", "\\|")
        if inner is not None:
            many = "tuple" in str(field.annotation)
            yield from _rows(inner, f"{key}[]." if many else f"{key}.")


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
    return "" if value in (None, "") else f"`{value}`"
