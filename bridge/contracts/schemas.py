"""Schemas of a contract made one by themselves: JSON Schema 2020-12 that refers to nothing outside. Pure.

The schemas of OpenAPI 3.0 are nearly JSON Schema; what differs is said in its words here: ``nullable``,
bounds that exclude, and properties that are for one direction only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from jsonschema_rs import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
    FancyRegexOptions,
    RegexOptions,
    ValidationError,
)

from bridge.contracts.documents import ContractRefused, Documents, Part

Direction = Literal["request", "answer"]
Validator = Draft4Validator | Draft6Validator | Draft7Validator | Draft201909Validator | Draft202012Validator
Validators = (
    type[Draft4Validator]
    | type[Draft6Validator]
    | type[Draft7Validator]
    | type[Draft201909Validator]
    | type[Draft202012Validator]
)

SCHEMAS_MAX_COUNT: Final = 20_000
SCHEMA_NESTING_MAX_LEVELS: Final = 60
_ONE: Final = frozenset(
    "additionalProperties items additionalItems not if then else contains propertyNames "
    "unevaluatedItems unevaluatedProperties".split()
)
_SEVERAL: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
_LEFT_OUT: Final = frozenset(
    "$id $schema $anchor $dynamicAnchor $vocabulary $comment id $defs definitions title description example "
    "examples default externalDocs xml discriminator deprecated readOnly writeOnly nullable "
    "contentSchema".split()
)
"""Keywords that check nothing, or that are turned into others."""
_DRAFTS: Final[Mapping[str, Validators]] = {
    "draft-04": Draft4Validator,
    "draft-06": Draft6Validator,
    "draft-07": Draft7Validator,
    "2019-09": Draft201909Validator,
    "2020-12": Draft202012Validator,
}
_PATTERNS: Final = RegexOptions()
"""An engine whose time grows with the text alone (ReDoS)."""
_UNBOUNDED: Final = FancyRegexOptions()
_NO_BOUND: Final = "patterns that look ahead, look behind or refer back take no bounded time"
_NO_PATTERN: Final = "it is no regular expression that can be read here: see whether its brackets are closed"


class Bundle:
    """Makes schemas of one contract stand by themselves, for one direction.

    ``names`` are all property names that were met, ``unchecked`` the places of patterns that are not checked,
    each with the reason.
    """

    def __init__(self, documents: Documents, direction: Direction, *, is_30: bool = False) -> None:
        self._documents, self._direction, self._is_30 = documents, direction, is_30
        self.names: set[str] = set()
        self.unchecked: list[tuple[str, str]] = []
        self._defs: dict[str, Any] = {}
        self._places: dict[tuple[str, str], str] = {}
        self._count = 0

    def schema(self, part: Part) -> dict[str, Any]:
        """A schema with all that it refers to below its ``$defs``. Raises ContractRefused."""
        made = self._made(part, 0)
        if isinstance(made, bool):
            made = {} if made else {"not": {}}
        reached = _reached(made, self._defs)
        return {**made, "$defs": {name: self._defs[name] for name in reached}} if reached else made

    def _made(self, part: Part, depth: int) -> Any:
        self._count += 1
        if self._count > SCHEMAS_MAX_COUNT:
            raise ContractRefused(part.place, f"the contract has more than {SCHEMAS_MAX_COUNT} schemas")
        if depth > SCHEMA_NESTING_MAX_LEVELS:
            raise ContractRefused(
                part.place, f"schemas are nested more than {SCHEMA_NESTING_MAX_LEVELS} levels deep"
            )
        if isinstance(part.value, bool):
            return part.value
        if not isinstance(part.value, Mapping):
            raise ContractRefused(part.place, "expected a schema: an object, true or false")
        reference = part.value.get("$ref")
        if isinstance(reference, str):
            referred = {"$ref": f"#/$defs/{self._definition(part, reference)}"}
            if self._is_30 or len(part.value) == 1:
                return referred
            rest = {name: value for name, value in part.value.items() if name != "$ref"}
            more = self._made(part._replace(value=rest), depth + 1)
            return {"allOf": [referred, more]} if more else referred
        for word in ("$dynamicRef", "$recursiveRef"):
            if word in part.value:
                raise ContractRefused(part.place, f"{word} is not followed: write $ref")
        return self._of_keywords(part, depth)

    def _definition(self, part: Part, reference: str) -> str:
        found = self._documents.find(part, reference)
        known = found.file, found.pointer
        if (name := self._places.get(known)) is None:
            name = self._places[known] = f"d{len(self._places)}"
            self._defs[name] = self._made(found, 0)
        return name

    def _of_keywords(self, part: Part, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for word, below in part.entries():
            value = below.value
            if word in _LEFT_OUT or word.startswith("x-"):
                continue
            if word in _ONE:
                several = isinstance(value, list)
                made[word] = (
                    [self._made(each, depth + 1) for each in below.items()]
                    if several
                    else self._made(below, depth + 1)
                )
            elif word in _SEVERAL:
                made[word] = [self._made(each, depth + 1) for each in below.items()]
            elif word in _NAMED:
                made[word] = {name: self._made(each, depth + 1) for name, each in below.entries()}
            elif word == "pattern" and not _is_pattern(value, _PATTERNS):
                why = _NO_BOUND if _is_pattern(value, _UNBOUNDED) else _NO_PATTERN
                self.unchecked.append((below.place, why))
            else:
                made[word] = value
        self.names.update(made.get("properties", ()))
        names = made.get("required")
        if isinstance(names, list):
            self.names.update(each for each in names if isinstance(each, str))
            self._one_direction(part, made)
        return _with_null(_bounds(made), part.value) if self._is_30 else made

    def _one_direction(self, part: Part, made: dict[str, Any]) -> None:
        """What only the other side writes is not required of this one (OpenAPI 3.1.1 §4.8.24.4)."""
        word = "readOnly" if self._direction == "request" else "writeOnly"
        theirs = set()
        for name, each in part.get("properties").entries():
            resolved = self._documents.resolved(each).value
            if isinstance(resolved, Mapping) and resolved.get(word) is True:
                theirs.add(name)
        made["required"] = [name for name in made["required"] if name not in theirs]


def _bounds(made: dict[str, Any]) -> dict[str, Any]:
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(made.get(word), bool) and made.pop(word) and bound in made:
            made[word] = made.pop(bound)
    return made


def _with_null(made: dict[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of OpenAPI 3.0 that may be null beside what it says."""
    if value.get("nullable") is not True:
        return made
    if "type" not in made:
        return {"anyOf": [{"type": "null"}, made]} if made else made
    made["type"] = [made["type"], "null"]
    if isinstance(made.get("enum"), list) and None not in made["enum"]:
        made["enum"] = [*made["enum"], None]
    if any(word in made for word in _SEVERAL):
        return {"anyOf": [{"type": "null"}, made]}
    return made


def _is_pattern(pattern: object, engine: RegexOptions | FancyRegexOptions) -> bool:
    try:
        Draft202012Validator({"pattern": pattern}, pattern_options=engine, offline=True)
    except (ValidationError, ValueError, TypeError):
        return False
    return True


def _reached(made: Any, definitions: Mapping[str, Any]) -> list[str]:
    """The definitions that a schema needs, those that these need among them."""
    found: dict[str, None] = {}
    waiting = [made]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).removeprefix("#/$defs/")
            if name in definitions and name not in found:
                found[name] = None
                waiting.append(definitions[name])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return sorted(found)


def compiled(schema: dict[str, Any], place: str, draft: str = "") -> Validator:
    """What checks values by a schema of `Bundle`. Raises ContractRefused, naming the place."""
    kind = next((each for word, each in _DRAFTS.items() if word in draft), Draft202012Validator)
    try:
        return kind(schema, validate_formats=True, pattern_options=_PATTERNS, offline=True, mask="***")
    except ValidationError as wrong:
        at = "/".join(str(each) for each in wrong.instance_path)
        raise ContractRefused(place, f"this is no JSON Schema, at /{at}: {wrong.kind.name}") from None
    except (ValueError, RecursionError) as wrong:
        raise ContractRefused(place, f"this schema cannot be compiled: {type(wrong).__name__}") from None
