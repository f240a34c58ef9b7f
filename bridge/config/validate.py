"""A located tree against an options model: the value, or every mistake at its place, in our words.

What pydantic says names its own types and may repeat the value, which may be a secret. So only the kind
of each error and its location are taken, and the sentence is made here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as AbstractMapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.located import Mapping, Node, Place, Problem, Scalar, Sequence, did_you_mean, plain

M = TypeVar("M", bound=BaseModel)
Location = tuple[int | str, ...]
Gone = AbstractSet[tuple[Place, str]]

_LIST = "expected a list: `[first, second]`, or a line `- item` for each"
_KEYS = "expected keys with values: `key: value`"
_WHOLE, _NUMBER, _TRUTH = "expected a whole number", "expected a number", "expected true or false"

_WORDS: Final[AbstractMapping[str, str]] = {
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "expected a smaller whole number",
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "bool_parsing": _TRUTH,
    "bool_type": _TRUTH,
    "string_type": "expected text",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _KEYS,
    "mapping_type": _KEYS,
    "model_type": _KEYS,
    "model_attributes_type": _KEYS,
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected {ge} or more",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected {le} or less",
    "too_short": "expected at least {min_length} of these",
    "too_long": "expected at most {max_length} of these",
    "string_too_short": "expected at least {min_length} characters",
    "string_too_long": "expected at most {max_length} characters",
    "string_pattern_mismatch": "expected text of the form {pattern}",
}
_QUOTES: Final = frozenset("\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb")
"""Those that word processors type, and that are none for YAML."""
_ANY_OTHER = "this value cannot be used here"


class WrongAt(ValueError):
    """What only a model as a whole can find, of the key that ``at`` leads to."""

    def __init__(self, at: tuple[str, ...], text: str) -> None:
        super().__init__(text)
        self.at = at


def validate(
    model: type[M],
    tree: Node,
    *,
    gone: Gone = frozenset(),
    more_names: Iterable[str] = (),
    folder: Path | None = None,
) -> tuple[M | None, list[Problem]]:
    """The model's value, or None with every problem.

    ``gone`` are keys that were taken out with a problem of their own: that they are missing is not said
    again. ``more_names`` are further keys that may stand beside the model's own, for the hints. ``folder``
    is the configuration's, which relative paths begin at.
    """
    if not isinstance(tree, Mapping):
        return None, [Problem(tree.place, "C122", _KEYS)]
    try:
        return model.model_validate(plain(tree), context={"folder": folder}), []
    except ValidationError as refused:
        errors = refused.errors(include_url=False, include_input=False)
        problems = [
            problem
            for error in errors
            if not _follows(error, errors)
            if (problem := _problem(model, tree, error, gone, tuple(more_names))) is not None
        ]
    return None, list(dict.fromkeys(problems))


def locate(tree: Node, location: Location) -> tuple[Node, Location]:
    """The deepest node on the way to ``location``, and what of the way is left."""
    node = tree
    for index, step in enumerate(location):
        inner: Node | None = None
        if isinstance(node, Mapping) and isinstance(step, str):
            inner = node.get(step)
        elif isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
            inner = node.items[step]
        if inner is None:
            return node, location[index:]
        node = inner
    return node, ()


def place_of(tree: Node, *location: int | str) -> Place:
    """The place of the value at ``location``, or of the nearest thing around it."""
    return locate(tree, location)[0].place


def select(node: Node, path: tuple[str, ...]) -> Iterator[tuple[Mapping, Scalar, Node]]:
    """Each key that ``path`` leads to, with its mapping and its value; ``*`` is any key or list item."""
    step, rest = path[0], path[1:]
    if isinstance(node, Sequence) and step == "*" and rest:
        for item in node.items:
            yield from select(item, rest)
    elif isinstance(node, Mapping):
        for key, value in node.entries:
            if step not in ("*", key.text):
                continue
            if rest:
                yield from select(value, rest)
            else:
                yield node, key, value


def _follows(error: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """Whether a list is called too short only because what it holds has problems of its own."""
    location = error["loc"]
    return error["type"] == "too_short" and any(
        other["loc"][: len(location)] == location and len(other["loc"]) > len(location) for other in errors
    )


def _problem(
    model: type[BaseModel], tree: Mapping, error: ErrorDetails, gone: Gone, more_names: tuple[str, ...]
) -> Problem | None:
    found = error.get("ctx", {}).get("error")
    location, kind = error["loc"] + (found.at if isinstance(found, WrongAt) else ()), error["type"]
    parent, last = locate(tree, location[:-1])[0], str(location[-1]) if location else ""
    if kind == "missing":
        if (parent.place, last) in gone:
            return None
        hint = _description(model, location)
        return Problem(parent.place, "C121", f"the key `{last}` is missing", hint)
    if kind == "extra_forbidden":
        key = parent.key(last) if isinstance(parent, Mapping) else None
        names = _names(_at(model, location[:-1])) | (set(more_names) if len(location) == 1 else set())
        place = parent.place if key is None else key.place
        return Problem(place, "C120", f"unknown key `{_short(last)}`", did_you_mean(last, names))
    node = _culprit(tree, location)
    text, hint = _words(node, kind, error.get("ctx", {}))
    return Problem(node.place, "C122", text, _not_as_it_looks(node) or hint or _description(model, location))


def _not_as_it_looks(node: Node) -> str | None:
    """What of a value cannot be seen from its line, where it was typed without YAML's quotes."""
    if not isinstance(node, Scalar) or node.style != "plain":
        return None
    if node.text[:1] in _QUOTES or node.text[-1:] in _QUOTES:
        return "curly quotes are part of a value: type straight ones, ' or \", in their place"
    if node.text != node.text.strip():
        return "the value ends with a character that looks like a space: delete it"
    return None


def _culprit(tree: Mapping, location: Location) -> Node:
    if location and location[-1] == "[key]" and len(location) >= 2:
        parent = locate(tree, location[:-2])[0]
        if isinstance(parent, Mapping) and (key := parent.key(str(location[-2]))) is not None:
            return key
    return locate(tree, location)[0]


def _words(node: Node, kind: str, context: dict[str, Any]) -> tuple[str, str | None]:
    if kind == "value_error":
        # Our own validators raise these; their texts say what is expected and hold no value.
        return str(context.get("error", _ANY_OTHER)), None
    if kind in ("literal_error", "enum"):
        names = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        written = node.text if isinstance(node, Scalar) else ""
        hint = did_you_mean(written, names)
        return "expected one of: " + ", ".join(names), hint if hint and hint.startswith("did") else None
    words = _WORDS.get(kind, _ANY_OTHER)
    if not isinstance(node, Scalar) and kind.endswith(("_parsing", "_type")) and words not in (_LIST, _KEYS):
        return f"{words}, not a list or keys", None
    return words.format_map(context), None


def _at(model: Any, location: Location) -> type[BaseModel] | None:
    """The model that stands at a location."""
    current: Any = model
    for step in location:
        inner = model_in(current)
        if inner is None:
            return None
        fields = _fields(inner)
        current = fields.get(step, inner)
    return model_in(current)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, or holds a list or mapping of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := model_in(each)) is not None), None)


def _fields(model: type[BaseModel]) -> dict[int | str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _names(model: type[BaseModel] | None) -> set[str]:
    return set() if model is None else {str(name) for name in _fields(model)}


def _description(model: type[BaseModel], location: Location) -> str | None:
    owner = _at(model, location[:-1])
    if owner is None or not location:
        return None
    for name, field in owner.model_fields.items():
        if (field.alias or name) == location[-1]:
            return field.description
    return None


def _short(word: str) -> str:
    return word if len(word) <= 60 else word[:57] + "..."
