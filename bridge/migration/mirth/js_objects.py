"""Objects and arrays of JavaScript: parts of them set, two ways of one put together, and what JSON they give.

Values here never change; a script's objects do, and have several names. So a name is marked once its object
is known under another one too, and to change such an object is not converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_scope import Each, Items, JsonText, Maybe, Record, Value

LEFT_OUT: Final = "what is empty has no name in the JSON, where the old engine wrote an empty text"
INDEX_MAX: Final = 1_000
Choose = Callable[[Expr, Value, Value], Value]


def with_part(value: Value, keys: tuple[Expr, ...], part: Value, at: int) -> Value:
    """An object or array with one of its parts set, some names down. Raises NotConverted."""
    key, below = keys[0], keys[1:]
    if isinstance(value, Record):
        name = str(key.constant)
        inner = value.entries.get(name)
        if below and (inner is None or isinstance(inner, Maybe)):
            raise NotConverted("a part of an object that is not always there", at)
        found = with_part(inner, below, part, at) if below and not isinstance(inner, Maybe | None) else part
        return Record({**value.entries, name: found})
    if isinstance(value, Items):
        number = int(str(key.constant)) if str(key.constant).isdecimal() else INDEX_MAX
        known = not any(isinstance(each, Each) for each in value.items)
        if not known or number > min(len(value.items), INDEX_MAX) or (below and number == len(value.items)):
            raise NotConverted("an item of an array by a number that is not the next one", at)
        items = list(value.items)
        if number == len(items):
            return Items((*items, part))
        old = items[number]
        assert not isinstance(old, Each), "it was looked for"
        items[number] = with_part(old, below, part, at) if below else part
        return Items(tuple(items))
    raise NotConverted("a part of what is no object", at)


def joined(condition: Expr, one: Record, other: Record, choose: Choose) -> Record:
    """What two ways made of an object: a name that only one of them set is there under its condition."""
    entries: dict[str, Value | Maybe] = {}
    for name in dict.fromkeys((*one.entries, *other.entries)):
        ours, theirs = one.entries.get(name), other.entries.get(name)
        if ours is None or theirs is None:
            holds = condition if theirs is None else ex.negate(condition)
            value = ours if ours is not None else theirs
            assert value is not None, "one of them has it"
            if isinstance(value, Maybe):
                holds, value = ex.both([holds, value.when]), value.value
            entries[name] = Maybe(holds, value)
        elif ours == theirs:
            entries[name] = ours
        elif isinstance(ours, Maybe) or isinstance(theirs, Maybe):
            entries[name] = choose(condition, plain(ours, choose), plain(theirs, choose))
        else:
            entries[name] = choose(condition, ours, theirs)
    return Record(entries)


def plain(value: Value | Maybe, choose: Choose) -> Value:
    """The value of what may be there; nothing where it is not."""
    return choose(value.when, value.value, ex.NOTHING) if isinstance(value, Maybe) else value


def listed(condition: Expr, one: Items, other: Items) -> Items:
    """What two ways made of an array, each of which put further items at its end."""
    same = 0
    for ours, theirs in zip(one.items, other.items, strict=False):
        if ours != theirs:
            break
        same += 1
    found: list[Value | Each] = list(one.items[:same])
    for items, holds in ((one.items[same:], condition), (other.items[same:], ex.negate(condition))):
        for each in items:
            if isinstance(each, Each):
                when = holds if each.when is None else ex.both([holds, each.when])
                found.append(replace(each, when=when))
            else:
                found.append(Each("", holds, each))
    return Items(tuple(found))


def under(condition: Expr, value: Value | Maybe) -> Value:
    """A value where a condition holds: each of its leaves does."""
    if isinstance(value, Maybe):
        return under(ex.both([condition, value.when]), value.value)
    if isinstance(value, Record):
        return Record({name: under(condition, each) for name, each in value.entries.items()})
    if isinstance(value, Items):
        return listed(condition, value, Items(()))
    if isinstance(value, Expr):
        return value if _says_so(condition, value) else ex.choose(condition, value, ex.NOTHING)
    return value


def _says_so(condition: Expr, value: Expr) -> bool:
    """Whether a condition is that the value is there: then the value says all."""
    return condition.flat == ex.negate(ex.absent(value)).flat


def json_notes(value: Value | Maybe | Each) -> Iterator[str]:
    """How the JSON that is made of a value differs from what `JSON.stringify` gave. Raises NotConverted."""
    match value:
        case Record():
            for each in value.entries.values():
                yield from json_notes(each)
        case Items():
            for item in value.items:
                yield from json_notes(item)
        case Maybe() if isinstance(value.value, Expr):
            yield from value.value.notes
            if not _says_so(value.when, value.value) and value.value.constant is None:
                yield LEFT_OUT
        case Maybe() | Each():
            yield from json_notes(value.value)
        case Expr():
            yield from value.notes
            if value.type == "list":
                raise NotConverted("a list of values in JSON")
            if value.constant == "" or (value.constant is None and value.type == "text"):
                yield LEFT_OUT
        case JsonText():
            raise NotConverted("JSON as a text within JSON")
        case _:
            raise NotConverted("something in JSON that is no text, number, object or array")
