"""Loops over segments and repetitions: what they put into arrays and texts, once for each of several."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import CURRENT, Pointer, Spot, numbered
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_scope import Current, Each, Items, Scope, Value
from bridge.migration.mirth.js_tree import Binary, Call, If, Jump, Loop, Member, Name, Text, Tree

_EVERY: Final = "a loop over several segments, repetitions or rows"
SKIPS: Final = "what is empty leaves no separator behind"
_MARK: Final = "\0"
"""Stands for what a text was before a round of the loop. No script has it: it is no character of XML."""
_PLACE: Final = r"([A-Z][A-Z0-9]{2})-(\d+)(?:\.(\d+))?(?:\.(\d+))?"
_QUOTED: Final = r"'(?:[^'\\]|\\.)*'"
_ADDED: Final = (
    re.compile(rf"join\('', {_MARK}, {_PLACE}(?:, ({_QUOTED}))?\)"),
    re.compile(rf"join\('', {_MARK}, join\('', {_PLACE}, ({_QUOTED})\)\)"),
)
Body = Callable[[Scope, tuple[Tree, ...]], Value | None]


def gone_through(scope: Scope, loop: Loop, over: Pointer, body: Body) -> None:
    """A loop whose body does nothing but put into arrays, or add to texts. Raises NotConverted."""
    spot = over.spot
    if spot is None or spot.added or spot.component or min(spot.segment_number, spot.repetition) == -1:
        raise NotConverted(_EVERY, loop.at)
    at = numbered(over, CURRENT)
    assert at.spot is not None, "numbering keeps a spot"
    place = at.spot.place()
    inner = scope.fork()
    inner.variables[loop.name] = at if loop.kind == "each" else Current(place)
    texts = {name: value for name, value in scope.variables.items() if _is_text(value)}
    inner.variables.update(dict.fromkeys(texts, Expr(_MARK, _MARK, "text")))
    body(inner, _without_continue(loop.body, loop.at))
    if (
        inner.documents != scope.documents
        or inner.maps != scope.maps
        or len(inner.destinations) != len(scope.destinations)
    ):
        raise NotConverted(_EVERY, loop.at)
    for name, before in scope.variables.items():
        after = inner.variables.get(name, before)
        if name in texts and isinstance(after, Expr):
            if after.flat != _MARK:
                assert isinstance(before, Expr), "texts are expressions"
                scope.variables[name] = _added(before, after, at.spot, loop.at)
        elif name not in texts and after != before:
            scope.variables[name] = _put(before, after, place, loop.at)
    scope.notes |= inner.notes
    scope.logged = scope.logged or inner.logged


def _is_text(value: Value) -> bool:
    return isinstance(value, Expr) and value.type in ("text", "nothing")


def _put(before: Value, after: Value, place: str, at: int) -> Value:
    """An array with what a loop put into it."""
    if not isinstance(before, Items) or not isinstance(after, Items):
        raise NotConverted(_EVERY, at)
    kept = len(before.items)
    if after.items[:kept] != before.items or len(after.items) != kept + 1:
        raise NotConverted("a loop that puts several items into an array, or changes those in it", at)
    item = after.items[kept]
    if _MARK in repr(item).replace(repr(_MARK)[1:-1], _MARK):
        raise NotConverted("a loop that puts a text together", at)
    if isinstance(item, Each):
        if item.place:
            raise NotConverted("a loop in a loop, which puts into the array of the outer one", at)
        return Items((*before.items, replace(item, place=place)))
    return Items((*before.items, Each(place, None, item)))


def _added(before: Expr, more: Expr, spot: Spot, at: int) -> Expr:
    """A text with what a loop added to it: one place of each, with or without a separator behind."""
    found = _ADDED[0].fullmatch(more.flat) or _ADDED[1].fullmatch(more.flat)
    if found is None or found[1] != spot.segment:
        raise NotConverted("a loop that puts a text together", at)
    if spot.repetition == CURRENT and spot.segment_number == CURRENT:
        raise NotConverted("a loop in a loop, which puts a text together", at)
    numbers = [int(each) if each else 0 for each in found.groups()[1:4]]
    every = replace(
        spot,
        segment_number=-1 if spot.segment_number == CURRENT else spot.segment_number,
        repetition=-1 if spot.repetition == CURRENT else spot.repetition,
        field=numbers[0],
        component=numbers[1],
        subcomponent=numbers[2],
    )
    if spot.field and numbers[0] != spot.field:
        raise NotConverted("a loop that puts a text together", at)
    separator = found[5] or "''"
    items = ex.paths(every.place(), *more.notes)
    text = ex.call("join", Expr(separator, separator, "text"), items)
    if separator == "''":
        return ex.join([before, text])
    ends = Expr(separator, separator, "text")
    return ex.join([before, ex.choose(ex.negate(ex.absent(text)), ex.join([text, ends]), ex.NOTHING)]).noted(
        SKIPS
    )


def _without_continue(body: tuple[Tree, ...], at: int) -> tuple[Tree, ...]:
    """The body with `if (x) continue;` turned round, so that nothing jumps."""
    for number, each in enumerate(body):
        if isinstance(each, If) and not each.otherwise and each.then and isinstance(each.then[-1], Jump):
            if each.then[-1].word != "continue":
                raise NotConverted("a loop that ends early", at)
            rest = _without_continue(body[number + 1 :], at)
            return (*body[:number], If(each.condition, each.then[:-1], rest, each.at))
    return body


def counts_to(loop: Loop) -> Tree | None:
    """What ``for (var i = 0; i < X.length(); i++)`` goes through."""
    test = loop.test
    if not isinstance(test, Binary) or test.operator != "<" or not isinstance(test.left, Name):
        return None
    end = test.right.function if isinstance(test.right, Call) else test.right
    if test.left.name != loop.name or not isinstance(end, Member) or not isinstance(end.key, Text):
        return None
    return end.object if end.key.value == "length" else None
