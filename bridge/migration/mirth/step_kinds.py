"""What each kind of step becomes, and a rule of the Rule Builder; and what may stand in an iterator."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from bridge.mapping.functions import FUNCTIONS
from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import Document, Pointer, numbered
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_methods import method, replacement
from bridge.migration.mirth.js_objects import json_notes
from bridge.migration.mirth.js_parse import parse
from bridge.migration.mirth.js_scope import SHARED, Index, Record, Scope
from bridge.migration.mirth.js_shapes import returns, telling
from bridge.migration.mirth.js_statements import run, set_place
from bridge.migration.mirth.js_tree import Member, Tree
from bridge.migration.mirth.js_values import Values
from bridge.migration.mirth.model import Element
from bridge.migration.mirth.walk import Let, Walk

SWALLOWS: Final = "what cannot be converted fails the message here, where a Mapper would give an empty text"
NO_EMPTY: Final = "what is empty has no item in the list, where the old engine has an empty text"
LEFT_OUT: Final = "a new segment without any value is left out, where the old engine adds it empty"
_CONVERTS: Final = re.compile(r"\b(?:decimal|integer|date_fmt|datetime_fmt)\(")
NO_STEP: Final = {
    "xslt": "an XSLT step: its stylesheet is below",
    "external-script": "the script is in a file of the old server, which is not in the export",
    "external-rule": "the script is in a file of the old server, which is not in the export",
    "unknown": "a kind of step that is not known: a plugin of the old engine",
}


def built(scope: Scope, rule: Element) -> Expr:
    """A rule of the Rule Builder: ``field``, ``condition``, ``values``."""
    values = Values(scope, method, run)
    tree = expression(rule.fields.get("field", ""))
    condition = rule.fields.get("condition", "").upper()
    if condition in ("EXISTS", "NOT_EXIST", "EXIST"):
        found = values.truth(tree)
        return ex.negate(found) if condition == "NOT_EXIST" else found
    wanted = [values.expr(expression(each)) for each in rule.values if each.strip()]
    if not wanted:
        raise NotConverted("a rule without values")
    if condition in ("CONTAINS", "NOT_CONTAIN"):
        found = ex.either([values.holds(values.of(tree), each, 0) for each in wanted])
        return found if condition == "CONTAINS" else ex.negate(found)
    subject = values.expr(tree)
    if condition in ("EQUALS", "NOT_EQUAL"):
        truths = subject.type == "bool" or any(each.type == "bool" for each in wanted)
        if truths or subject.type == "list":
            found = ex.either([ex.compare("=", subject, each) for each in wanted])
        else:
            found = ex.among(subject, wanted)
        return found if condition == "EQUALS" else ex.negate(found)
    raise NotConverted(f"the condition {condition[:20]}")


def iterated_rule(scope: Scope, rule: Element) -> Expr:
    """A rule that holds where it does so for one of several. Raises NotConverted."""
    if rule.fields.get("intersectIterations", "").strip() == "true":
        raise NotConverted("a rule that must hold for each of several segments or repetitions")
    active = [each for each in rule.children if each.enabled]
    if len(active) != 1 or active[0].kind != "rule-builder":
        raise NotConverted("several rules for each of several segments or repetitions")
    if active[0].fields.get("condition", "").upper() not in ("EQUALS", "EXISTS"):
        raise NotConverted("a rule other than `equals` for each of several segments or repetitions")
    place = gone_through(scope, rule)
    scope.variables[index_of(rule)] = Index()
    _one_of_each(Values(scope, method, run).expr(expression(active[0].fields.get("field", ""))), place)
    return built(scope, active[0])


def index_of(iterator: Element) -> str:
    """The variable that an iterator counts in."""
    return iterator.fields.get("indexVariable", "i").strip() or "i"


def gone_through(scope: Scope, iterator: Element) -> str:
    """The place of each of what an iterator goes through, ``OBX(*)``. Raises NotConverted."""
    target = iterator.fields.get("target", "").strip()
    if not target:
        raise NotConverted("an iterator without a target")
    pointer = Values(scope, method, run).of(expression(target))
    every = numbered(pointer, -1) if isinstance(pointer, Pointer) else None
    if every is None or every.spot is None or every.spot.component:
        raise NotConverted("an iterator that goes through what is no segment or field")
    return every.spot.place()


def _one_of_each(value: Expr, place: str) -> Expr:
    """A value of each of what an iterator goes through. Raises NotConverted unless it is one plain place.

    Anything else would ask all of them at once, and put together what is of different ones.
    """
    if value.type != "list" or re.fullmatch(re.escape(place) + r"(?:-\d+)?(?:\.\d+)*", value.flat) is None:
        raise NotConverted("more than one plain place of each of what an iterator goes through")
    return value


def done(walk: Walk, scope: Scope, step: Element, place: str | None) -> tuple[str, Expr, bool]:
    """What a step does, as it becomes; how that differs; and whether it does nothing."""
    if place is not None and step.kind not in ("mapper", "iterator"):
        raise NotConverted("a step that an iterator does for each of several segments or repetitions")
    match step.kind:
        case "mapper":
            return _mapped(walk, scope, step, place)
        case "message-builder":
            return _message_built(scope, step)
        case "javascript":
            return _scripted(walk, scope, step)
        case "destination-set":
            return _destinations(scope, step)
        case "iterator":
            gone_through(scope, step)
            scope.variables[index_of(step)] = Index()
            return f"lists, for each {step.fields.get('target', '').strip()[:80]}", ex.TRUE, False
    raise NotConverted(NO_STEP.get(step.kind, "no step that is known"))


def _mapped(walk: Walk, scope: Scope, step: Element, place: str | None) -> tuple[str, Expr, bool]:
    variable = step.fields.get("variable", "").strip()
    if not variable:
        raise NotConverted("a Mapper without a variable")
    kind = step.fields.get("scope", "CHANNEL").upper()
    if kind == "RESPONSE":
        raise NotConverted("the answer to the sender is made by a step")
    value = _validated(scope, step)
    # The script of a Mapper has a variable of this name.
    scope.variables.pop("mapping", None)
    if place is not None:
        value = _one_of_each(value, place).noted(NO_EMPTY)
    if value.type == "bool":
        value = ex.as_text(value) if step.replacements else value
    if _CONVERTS.search(value.flat):
        value = value.noted(SWALLOWS)
    if kind.startswith("GLOBAL"):
        value = value.noted(SHARED)
    let = _let(walk, scope, variable, value, step)
    return f"let {let}", value, False


def _validated(scope: Scope, step: Element) -> Expr:
    values = Values(scope, method, run)
    mapping = step.fields.get("mapping", "").strip()
    value = values.expr(expression(mapping)) if mapping else ex.NOTHING
    default = step.fields.get("defaultValue", "").strip()
    if default:
        value = ex.first_of(value, values.expr(expression(default)))
    for left, right in step.replacements:
        pair = (values.expr(expression(left)), values.expr(expression(right)))
        value = replacement(ex.as_text(value), *pair, 0)
    return value


def _let(walk: Walk, scope: Scope, variable: str, value: Expr, element: Element) -> str:
    """Note a let for a map entry; what reads the entry later names the let."""
    if scope.under.constant is not True:
        if variable in walk.scope.lost:
            raise NotConverted(f"what {variable[:60]!r} was before is not known")
        before = walk.scope.maps.get(variable, ex.NOTHING)
        value = ex.choose(scope.under, value, Values(scope, method, run).as_expr(before, 0))
    if value.constant is not None or value.type == "nothing":
        scope.maps[variable] = value
        scope.lost.pop(variable, None)
        return f"{variable}, a constant"
    name = _let_name(variable, {each.name for each in walk.lets})
    walk.lets.append(Let(name, value, element, variable))
    scope.maps[variable] = ex.named(name, value)
    scope.lost.pop(variable, None)
    return name


def _let_name(variable: str, taken: set[str]) -> str:
    name = re.sub(r"[^a-z0-9_]+", "_", variable.lower()).strip("_")[:56] or "value"
    if not name[0].isalpha():
        name = f"v_{name}"
    if name in FUNCTIONS or name in ("and", "or", "not", "in", "null", "index", "group_index", "if"):
        name = f"{name}_value"
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def _message_built(scope: Scope, step: Element) -> tuple[str, Expr, bool]:
    values = Values(scope, method, run)
    target = expression(step.fields.get("messageSegment", ""))
    if isinstance(target, Member) and scope.documents["tmp"].made is not None:
        value = ex.as_text(_validated(scope, step))
        if values.store(target, value):
            return "json", ex.TRUE.noted(*json_notes(value)), False
    pointer = values.of(target)
    if not isinstance(pointer, Pointer):
        raise NotConverted("what is set is no place of the message")
    if scope.documents[pointer.root].kind != "HL7V2":
        kind = scope.documents[pointer.root].kind or "an unknown type"
        raise NotConverted(f"a place of a message of {kind} is set")
    if pointer.spot is None:
        raise NotConverted("the whole message is set")
    value = ex.as_text(_validated(scope, step))
    # A function that was called may have gone on with another copy of it.
    document = scope.documents[pointer.root]
    before = document.copy()
    set_place(document, pointer.spot, value)
    return f"set {pointer.spot.place()}", value.noted(*_changes(before, document)[1]), False


def _scripted(walk: Walk, scope: Scope, step: Element) -> tuple[str, Expr, bool]:
    before = {root: document.copy() for root, document in scope.documents.items()}
    puts, destinations, json = len(scope.puts), len(scope.destinations), dict(scope.json)
    scope.logged = False
    scope.notes = set()
    statements = parse(step.script)
    into: list[str] = []
    if returns(statements):
        ended = run(scope, telling(statements))
        scope.ended = ex.truth(Values(scope, method, run).as_expr(ended or ex.FALSE, 0))
        where = "" if scope.ended.constant is True else f" where {scope.ended.flat}"
        into += [] if scope.ended.constant is False else [f"no further step{where}"]
    else:
        run(scope, statements)
    notes = set(scope.notes)
    for name, value in scope.puts[puts:]:
        notes |= value.notes
        into.append(f"let {_let(walk, scope, name, value, step)}")
    into += [f"json {name}" for name, made in scope.json.items() if json.get(name) != made]
    for root, document in scope.documents.items():
        if root == "tmp" and scope.documents["tmp"] is scope.documents["msg"]:
            continue
        done, its = _changes(before[root], document)
        into, notes = into + done, notes | its
    into += [f"routes: {word}" for word, _, _ in scope.destinations[destinations:]]
    return ", ".join(into), ex.TRUE.noted(*notes), not into


def _changes(before: Document, after: Document) -> tuple[list[str], set[str]]:
    """What was done with a document, in words of the mapping language, and how that differs."""
    into: list[str] = []
    notes: set[str] = set()
    if isinstance(after.made, Record) and after.made != before.made:
        notes |= set(json_notes(after.made))
        into.append("json")
    for spot, value in after.writes.items():
        if before.writes.get(spot) != value:
            notes |= value.notes
            into.append(f"set {spot.place()}")
    into += [f"remove {name}" for name in after.removed if name not in before.removed]
    known = {each.number: each for each in before.added}
    for each in after.added:
        if each.number not in known:
            into.append(f"append {each.segment}")
        if each.number not in known or each.writes != known[each.number].writes:
            notes = notes.union(*(value.notes for value in each.writes.values()))
            if not any(isinstance(value.constant, str) and value.constant for value in each.writes.values()):
                notes.add(LEFT_OUT)
    return into, notes


def _destinations(scope: Scope, step: Element) -> tuple[str, Expr, bool]:
    behavior = step.fields.get("behavior", "").upper()
    field_text = step.fields.get("field", "").strip()
    holds = built(scope, step_values(step)) if field_text else ex.TRUE
    targets = tuple(each for each in step.values if each.startswith("#"))
    if behavior not in ("REMOVE", "REMOVE_ALL", "REMOVE_ALL_EXCEPT"):
        raise NotConverted(f"the behavior {behavior[:30]}")
    holds = ex.both([scope.under, holds])
    scope.destinations.append((behavior, targets, holds))
    return f"when of routes: {behavior.lower().replace('_', ' ')}", holds, False


def step_values(step: Element) -> Element:
    """A step with those of its values that are values, and not destinations."""
    return replace(step, values=tuple(each for each in step.values if each[:1] not in ("#", "~")))


def expression(text: str) -> Tree:
    """The one expression that a field of a step has. Raises NotConverted."""
    found = parse(text)
    if len(found) != 1:
        raise NotConverted("no single expression")
    return found[0]
