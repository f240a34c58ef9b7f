"""What has changed between two schemas, from the side of who sends by the older one or reads by it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from bridge.contracts.documents import Part, escaped
from bridge.contracts.openapi import OpenApi
from bridge.contracts.schemas import Direction

NESTING_MAX_LEVELS: Final = 40
MERGED_MAX: Final = 500
"""Schemas that one consists of, by `allOf`."""
Told = tuple[str, str, str]
"""A code, a place within the schema, and words."""

_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_WIDER: Final = {("integer", "number")}
"""A type and one that has all of its values."""


@dataclass(slots=True)
class Compared:
    """Two documents, and what of them is compared: a body or a parameter that is sent, or an answer."""

    older: OpenApi
    newer: OpenApi
    direction: Direction
    of: Literal["property", "parameter"]
    seen: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of places that were compared. A schema that is used in several places is told of at the first:
    so a circle ends, and no document takes longer than it has schemas."""

    def code(self, rest: str) -> str:
        """The code of a change, as what is sent and what is answered have their own."""
        if self.of == "parameter":
            return f"parameter-{rest}"
        return f"{self.direction}-property-{rest}"


def schema_changes(both: Compared, before: Part, now: Part, place: str = "") -> Iterator[Told]:
    """All changes of a schema and of what is inside of it."""
    if before.value is None or now.value is None or place.count("/") > NESTING_MAX_LEVELS:
        return
    before, now = both.older.documents.resolved(before), both.newer.documents.resolved(now)
    pair = before.place, now.place
    if pair in both.seen:
        return
    both.seen.add(pair)
    was, is_now = _flat(both.older, before), _flat(both.newer, now)
    yield from _types(both, was, is_now, place)
    yield from _values(both, was, is_now, place)
    yield from _bounds(both, was, is_now, place)
    yield from _texts(both, was, is_now, place)
    yield from _alternatives(both, was, is_now, place)
    yield from _properties(both, was, is_now, place)
    if "items" in was.parts and "items" in is_now.parts:
        yield from schema_changes(both, was.parts["items"], is_now.parts["items"], f"{place}/*")


@dataclass(slots=True)
class _Flat:
    """A schema with its `allOf` in it: keywords, properties, and parts that are schemas themselves."""

    words: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Part] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def types(self) -> frozenset[str]:
        said = self.words.get("type")
        found = {said} if isinstance(said, str) else set(said or ()) if isinstance(said, list) else set()
        if self.words.get("nullable") is True and found:
            found.add("null")
        return frozenset(found)

    @property
    def closed(self) -> bool:
        return self.words.get("additionalProperties") is False


def _flat(document: OpenApi, part: Part, merged: set[str] | None = None) -> _Flat:
    made, merged = _Flat(), set() if merged is None else merged
    if not isinstance(part.value, Mapping) or part.place in merged or len(merged) > MERGED_MAX:
        return made
    merged.add(part.place)
    for each in part.get("allOf").items():
        inner = _flat(document, document.documents.resolved(each), merged)
        made.words |= inner.words
        made.properties |= inner.properties
        made.required |= inner.required
        made.parts |= inner.parts
    for name, value in part.value.items():
        if name not in ("allOf", "properties", "required", "items"):
            made.words[name] = value
    made.properties |= dict(part.get("properties").entries())
    said = part.get("required").value
    made.required |= set(said) if isinstance(said, list) else set()
    if isinstance(part.get("items").value, Mapping):
        made.parts["items"] = part.get("items")
    return made


def _types(both: Compared, was: _Flat, is_now: _Flat, place: str) -> Iterator[Told]:
    before, now = was.types - {"null"}, is_now.types - {"null"}
    if before != now and before and now:
        wider = all(any(one == other or (one, other) in _WIDER for other in now) for one in before)
        narrower = all(any(one == other or (one, other) in _WIDER for other in before) for one in now)
        kind = "widened" if wider else "narrowed" if narrower else "changed"
        words = f"it is {_or(now)} and was {_or(before)}"
        yield both.code(f"type-{kind}"), place, words
    if "null" in was.types and "null" not in is_now.types and is_now.types:
        yield both.code("became-not-nullable"), place, "it may not be null any more"
    if "null" in is_now.types and "null" not in was.types and was.types:
        yield both.code("became-nullable"), place, "it may be null now"
    before_format, now_format = was.words.get("format"), is_now.words.get("format")
    if before_format != now_format:
        if now_format is None:
            yield both.code("format-removed"), place, f"its format is no longer {before_format}"
        elif before_format is None:
            yield both.code("format-set"), place, f"its format is {now_format}"
        else:
            yield both.code("format-changed"), place, f"its format is {now_format} and was {before_format}"


def _or(types: frozenset[str]) -> str:
    return " or ".join(sorted(types))


def _values(both: Compared, was: _Flat, is_now: _Flat, place: str) -> Iterator[Told]:
    before, now = was.words.get("enum"), is_now.words.get("enum")
    if "const" in was.words and before is None:
        before = [was.words["const"]]
    if "const" in is_now.words and now is None:
        now = [is_now.words["const"]]
    if before is None and now is not None:
        yield both.code("became-enum"), place, f"only {_list(now)} may stand there now"
    elif now is None and before is not None:
        yield both.code("enum-removed"), place, "any value may stand there now"
    elif before is not None and now is not None:
        for each in [each for each in before if each not in now]:
            yield both.code("enum-value-removed"), place, f"the value {_shown(each)} is gone"
        for each in [each for each in now if each not in before]:
            yield both.code("enum-value-added"), place, f"the value {_shown(each)} is new"


def _list(values: list[Any]) -> str:
    return ", ".join(map(_shown, values[:5])) + (" and others" if len(values) > 5 else "")


def _shown(value: Any) -> str:
    return str(value)[:40]


def _bounds(both: Compared, was: _Flat, is_now: _Flat, place: str) -> Iterator[Told]:
    for words in (_UPPER, _LOWER):
        for word in words:
            before, now = was.words.get(word), is_now.words.get(word)
            if isinstance(before, bool) or isinstance(now, bool) or before == now:
                continue
            upper = words is _UPPER
            if before is None:
                yield both.code("bound-set"), place, f"{word} is {now}"
            elif now is None:
                yield both.code("bound-removed"), place, f"{word} is no longer {before}"
            elif (now < before) == upper:
                yield both.code("bound-tightened"), place, f"{word} is {now} and was {before}"
            else:
                yield both.code("bound-loosened"), place, f"{word} is {now} and was {before}"


def _texts(both: Compared, was: _Flat, is_now: _Flat, place: str) -> Iterator[Told]:
    before, now = was.words.get("pattern"), is_now.words.get("pattern")
    if before != now:
        kind = "set" if before is None else "removed" if now is None else "changed"
        yield both.code(f"pattern-{kind}"), place, f"its pattern is {now or 'gone'}"
    if was.words.get("default") != is_now.words.get("default"):
        words = f"its default is {_shown(is_now.words.get('default', 'gone'))}"
        yield both.code("default-changed"), place, words


def _alternatives(both: Compared, was: _Flat, is_now: _Flat, place: str) -> Iterator[Told]:
    for word in ("oneOf", "anyOf"):
        before, now = _names(was.words.get(word)), _names(is_now.words.get(word))
        if before is None or now is None:
            continue
        for each in [each for each in before if each not in now]:
            yield both.code("alternative-removed"), place, f"{each} is not among its alternatives any more"
        for each in [each for each in now if each not in before]:
            yield both.code("alternative-added"), place, f"{each} is among its alternatives"


def _names(alternatives: Any) -> list[str] | None:
    """Alternatives by the name that they refer to, or by their type."""
    if not isinstance(alternatives, list):
        return None
    return [
        str(each.get("$ref", each.get("type", "a schema"))).rsplit("/", 1)[-1]
        for each in alternatives
        if isinstance(each, Mapping)
    ]


def _properties(both: Compared, was: _Flat, is_now: _Flat, place: str) -> Iterator[Told]:
    sent = both.direction == "request"
    for name, part in was.properties.items():
        inner = f"{place}/{escaped(name)}"
        if name not in is_now.properties:
            if sent:
                code = "request-property-removed-from-closed" if is_now.closed else "request-property-removed"
            else:
                needed = name in was.required
                code = "answer-required-property-removed" if needed else "answer-optional-property-removed"
            yield code, inner, "the field is gone"
            continue
        other = is_now.properties[name]
        before, now = _one_way(both.older, part, sent), _one_way(both.newer, other, sent)
        if before != now:
            code = (
                f"{both.direction}-property-became-one-way" if now else f"{both.direction}-property-both-ways"
            )
            yield code, inner, "only the other side writes it now" if now else "it goes both ways now"
        elif name in is_now.required and name not in was.required and not now:
            yield f"{both.direction}-property-became-required", inner, _needed(sent)
        elif name in was.required and name not in is_now.required and not now:
            yield f"{both.direction}-property-became-optional", inner, _optional(sent)
        yield from schema_changes(both, part, other, inner)
    for name, part in is_now.properties.items():
        if name in was.properties:
            continue
        inner = f"{place}/{escaped(name)}"
        needed = name in is_now.required and not _one_way(both.newer, part, sent)
        kind = "required" if needed else "optional"
        yield (
            f"{both.direction}-{kind}-property-added",
            inner,
            "the field is new" + (", and needed" if needed else ""),
        )
    for name in is_now.required - was.required - is_now.properties.keys() - was.properties.keys():
        yield f"{both.direction}-property-became-required", f"{place}/{escaped(name)}", _needed(sent)
    if is_now.closed and not was.closed:
        yield (
            f"{both.direction}-additional-properties-closed",
            place,
            "no other fields may stand there now",
        )
    if was.closed and not is_now.closed:
        yield f"{both.direction}-additional-properties-opened", place, "other fields may stand there now"


def _needed(sent: bool) -> str:
    return "the field is needed now" if sent else "the field is always there now"


def _optional(sent: bool) -> str:
    return "the field may be left out now" if sent else "the field may be missing now"


def _one_way(document: OpenApi, part: Part, sent: bool) -> bool:
    """Whether only the other side writes a field."""
    return document.documents.resolved(part).get("readOnly" if sent else "writeOnly").value is True
