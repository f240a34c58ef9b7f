"""Loops over segments and repetitions: what they put into arrays and texts, once for each of several."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bridge.mapping.hl7_fields import COMPLEX
from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import CURRENT, Pointer, Spot, numbered
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_operators import Operators
from bridge.migration.mirth.js_scope import Current, Each, Items, Scope, Value
from bridge.migration.mirth.js_shapes import assigned, is_log
from bridge.migration.mirth.js_tree import (
    Assign,
    Binary,
    Block,
    Call,
    Constant,
    Declaration,
    If,
    Jump,
    Loop,
    Member,
    Name,
    Number,
    Return,
    Text,
    Tree,
    Unary,
)

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
_WHOLE: Final = re.compile(_PLACE)
FIRST: Final = "of several that fit the first one is taken, where the old engine took the last"
ValueOf = Callable[[Scope, Tree], Value]
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


@dataclass(frozen=True, slots=True)
class Found:
    """One `if` of a loop that looks for one of several: whether it is there, and what is done with it."""

    condition: Expr
    then: tuple[Tree, ...]
    bound: Value
    notes: frozenset[str]


def looked_for(scope: Scope, loop: Loop, over: Pointer, value_of: ValueOf) -> list[Found] | None:
    """What a loop looks for by a part of each, ``if (id['PID.3.5'] == 'MR')``; None where it does not."""
    spot = over.spot
    if spot is None or spot.added or spot.component or min(spot.segment_number, spot.repetition) < 0:
        return None
    at = numbered(over, CURRENT)
    assert at.spot is not None, "numbering keeps a spot"
    inner = scope.fork()
    inner.variables[loop.name] = at if loop.kind == "each" else Current(at.spot.place())
    found: list[Found] = []
    for condition, then in _conditions(loop.body):
        match condition:
            case Binary("==" | "===", left, Text(wanted)) | Binary("==" | "===", Text(wanted), left):
                part = value_of(inner, left)
            case _:
                return None
        made = _found(at.spot, part, wanted)
        if made is None:
            return None
        holds, chosen = made
        ends = bool(then) and (isinstance(then[-1], Return) or then[-1] == Jump("break", then[-1].at))
        body = then[:-1] if then and isinstance(then[-1], Jump) else then
        bound = Pointer(over.root, chosen) if loop.kind == "each" else Current(at.spot.place(), chosen)
        found.append(Found(holds, body, bound, frozenset() if ends else frozenset({FIRST})))
    if len(found) > 1 and any(not each.notes for each in found):
        return None  # What it finds first ends the search for the others.
    return found or None


def _found(spot: Spot, part: Value, wanted: str) -> tuple[Expr, Spot] | None:
    place = part.spot.place() if isinstance(part, Pointer) and part.spot else part
    match = _WHOLE.fullmatch(
        place if isinstance(place, str) else place.flat if isinstance(place, Expr) else ""
    )
    if (
        match is None
        or match[1] != spot.segment
        or match[4] not in (None, "1")
        or re.search(r"['\\]", wanted)
        or not wanted
    ):
        return None
    field, component = int(match[2]), int(match[3] or 1)
    value = wanted if re.fullmatch(r"[A-Za-z0-9_.-]+", wanted) else f"'{wanted}'"
    if spot.field:
        if field != spot.field:
            return None
        every = replace(spot, repetition=-1, component=component)
        chosen = replace(spot, repetition=0, where=f"{component}={value}")
    else:
        if component != 1 or (spot.segment, field) in COMPLEX:
            return None
        every = replace(spot, segment_number=-1, field=field)
        chosen = replace(spot, segment_number=0, segment_where=f"{field}={value}")
    return ex.part_of(ex.literal(wanted), ex.paths(every.place())), chosen


def _conditions(body: tuple[Tree, ...]) -> list[tuple[Tree, tuple[Tree, ...]]]:
    """The conditions of a loop's body and what is done under each; empty where there is anything else."""
    found: list[tuple[Tree, tuple[Tree, ...]]] = []
    for each in body:
        node: Tree = each
        while isinstance(node, If):
            found.append((node.condition, node.then))
            if not node.otherwise:
                break
            if len(node.otherwise) != 1:
                return []
            node = node.otherwise[0]
        else:
            return []
    return found


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
    if not _one_by_one(loop) or loop.name in assigned(loop.body):
        return None
    end = test.right.function if isinstance(test.right, Call) else test.right
    if test.left.name != loop.name or not isinstance(end, Member) or not isinstance(end.key, Text):
        return None
    return end.object if end.key.value == "length" else None


def _one_by_one(loop: Loop) -> bool:
    """Whether a loop begins at the first, and goes to the next each time."""
    match loop.start:
        case Declaration(((_, Number("0")),)) | Assign("=", Name(), Number("0")):
            pass
        case _:
            return False
    match loop.step:
        case Assign("+=", Name(name), Number("1")):
            return name == loop.name
    return False


def deleted_all(loop: Loop) -> Tree | None:
    """What ``while (X.length() > 0) { delete X[0]; }`` deletes."""
    match loop.test, loop.body:
        case (
            Binary(">", Call(Member(counted, Text("length")), ()), Number("0")),
            (Unary("delete", Member(holder, Number("0"))),)
            | (Block((Unary("delete", Member(holder, Number("0"))),)),),
        ) if _same(counted, holder):
            return counted
    return None


def _same(one: Tree, other: Tree) -> bool:
    """Whether two paths are the same, wherever they stand."""
    match one, other:
        case Member(holder, Text(key)), Member(holder_2, Text(key_2)):
            return key == key_2 and _same(holder, holder_2)
        case Name(name), Name(name_2):
            return name == name_2
    return False


def looks_for_one(body: tuple[Tree, ...]) -> tuple[Tree, Tree] | None:
    """The condition and the result of a loop that does one thing once one of several is what it wants."""
    if len(body) != 1 or not isinstance(body[0], If) or body[0].otherwise:
        return None
    inner = [each for each in body[0].then if not isinstance(each, Jump) and not is_log(each)]
    if len(inner) != 1:
        return None
    result = inner[0]
    constant = isinstance(result, Return) and isinstance(result.value, Constant)
    if (
        isinstance(result, Assign)
        and isinstance(result.target, Name)
        and isinstance(result.value, Constant | Text)
    ):
        constant = True
    return (body[0].condition, result) if constant else None


def one_is(values: Operators, condition: Tree) -> Expr | None:
    """Whether one of several equals a text, or another one; None for a condition that asks anything else.

    Asked of all at once, `not`, `and` and an order would be of different ones.
    """
    match condition:
        case Binary("||", left, right):
            one, other = one_is(values, left), one_is(values, right)
            return None if one is None or other is None else ex.either([one, other])
        case Binary("==" | "===", left, right):
            part, wanted = values.of(left), values.of(right)
            part, wanted = (wanted, part) if isinstance(part, Expr) and part.constant else (part, wanted)
            if not isinstance(wanted, Expr) or wanted.type != "text" or wanted.constant in (None, "", '""'):
                return None
            items = values.as_expr(part, condition.at)
            return ex.part_of(wanted, items) if items.type == "list" else None
    return None
