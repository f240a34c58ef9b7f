"""Rules and steps, one after the other: what each becomes, and what is known after it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from bridge.mapping.functions import FUNCTIONS
from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import Document, Pointer
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_methods import method, replacement
from bridge.migration.mirth.js_objects import json_notes
from bridge.migration.mirth.js_parse import parse
from bridge.migration.mirth.js_scope import SHARED, WORK_MAX_STEPS, Index, Record, Scope
from bridge.migration.mirth.js_statements import is_log, run, set_place
from bridge.migration.mirth.js_tree import Constant, Member, NotRead, Return, Text, Tree
from bridge.migration.mirth.js_values import Values
from bridge.migration.mirth.model import Element
from bridge.migration.mirth.outcomes import Outcome
from bridge.migration.mirth.walk import Let, Walk

SWALLOWS: Final = "what cannot be converted fails the message here, where a Mapper would give an empty text"
_CONVERTS: Final = re.compile(r"\b(?:decimal|integer|date_fmt|datetime_fmt)\(")
_PUTS: Final = re.compile(
    r"""(?:(?:channelMap|connectorMap|globalMap|globalChannelMap|responseMap)\.put\(|\$(?:c|co|g|gc|r)\()"""
    r"""\s*["']([^"']{1,200})["']"""
)
_NO_STEP: Final = {
    "xslt": "an XSLT step: its stylesheet is below",
    "external-script": "the script is in a file of the old server, which is not in the export",
    "external-rule": "the script is in a file of the old server, which is not in the export",
    "unknown": "a kind of step that is not known: a plugin of the old engine",
}


def filtered(walk: Walk, rules: tuple[Element, ...]) -> Expr | None:
    """What a filter lets pass; None where one of its rules could not be converted."""
    wholes: list[list[Expr]] = [[]]
    known = True
    for rule in rules:
        value = _rule(walk, rule)
        if not rule.enabled:
            continue
        if value is None:
            known = False
            continue
        if rule.operator == "OR" and wholes[-1]:
            wholes.append([])
        wholes[-1].append(value)
    if not known:
        return None
    return ex.either([ex.both(each) for each in wholes]) if wholes != [[]] else ex.TRUE


def transformed(walk: Walk, steps: tuple[Element, ...]) -> None:
    """Go through steps."""
    for step in steps:
        _step(walk, step)


def _rule(walk: Walk, rule: Element) -> Expr | None:
    def go(scope: Scope) -> tuple[str, Expr, bool]:
        match rule.kind:
            case "rule-builder":
                value = _built(scope, rule)
            case "javascript-rule" | "javascript":
                returned = run(scope, parse(rule.script))
                values = Values(scope, method, run)
                if returned is None:
                    raise NotConverted("the rule returns nothing")
                value = (
                    values.exists(returned)
                    if isinstance(returned, Pointer) and returned.spot is not None
                    else ex.truth(values.as_expr(returned, 0))
                )
            case "iterator-rule":
                value = _iterated_rule(scope, rule)
            case _:
                raise NotConverted(_NO_STEP.get(rule.kind, "no rule that is known"))
        return f"when: {value.flat}", value, value.constant is True

    found = _try(walk, rule, go)
    own = walk.outcomes[-1]
    for each in rule.every():
        if each is not rule:
            walk.outcomes.append(replace(own, element=each))
    return found


def _built(scope: Scope, rule: Element) -> Expr:
    """A rule of the Rule Builder: ``field``, ``condition``, ``values``."""
    values = Values(scope, method, run)
    tree = _expression(rule.fields.get("field", ""))
    condition = rule.fields.get("condition", "").upper()
    if condition in ("EXISTS", "NOT_EXIST", "EXIST"):
        found = values.truth(tree)
        return ex.negate(found) if condition == "NOT_EXIST" else found
    wanted = [values.expr(_expression(each)) for each in rule.values if each.strip()]
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


def _iterated_rule(scope: Scope, rule: Element) -> Expr:
    if rule.fields.get("intersectIterations", "").strip() == "true":
        raise NotConverted("a rule that must hold for each of several segments or repetitions")
    active = [each for each in rule.children if each.enabled]
    if len(active) != 1 or active[0].kind != "rule-builder":
        raise NotConverted("several rules for each of several segments or repetitions")
    if active[0].fields.get("condition", "").upper() not in ("EQUALS", "EXISTS"):
        raise NotConverted("a rule other than `equals` for each of several segments or repetitions")
    scope.variables[rule.fields.get("indexVariable", "i").strip() or "i"] = Index()
    return _built(scope, active[0])


def _step(walk: Walk, step: Element) -> None:
    def go(scope: Scope) -> tuple[str, Expr, bool]:
        match step.kind:
            case "mapper":
                return _mapped(walk, scope, step)
            case "message-builder":
                return _message_built(scope, step)
            case "javascript":
                return _scripted(walk, scope, step)
            case "destination-set":
                return _destinations(scope, step)
            case "iterator":
                scope.variables[step.fields.get("indexVariable", "i").strip() or "i"] = Index()
                for_each = step.fields.get("target", "").strip()
                if not for_each:
                    raise NotConverted("an iterator without a target")
                return f"lists, for each {for_each[:80]}", ex.TRUE, False
            case _:
                raise NotConverted(_NO_STEP.get(step.kind, "no step that is known"))

    _try(walk, step, go)
    if step.kind == "iterator":
        for child in step.children:
            _step(walk, child)
        walk.scope.variables.pop(step.fields.get("indexVariable", "i").strip() or "i", None)


def _mapped(walk: Walk, scope: Scope, step: Element) -> tuple[str, Expr, bool]:
    variable = step.fields.get("variable", "").strip()
    if not variable:
        raise NotConverted("a Mapper without a variable")
    kind = step.fields.get("scope", "CHANNEL").upper()
    if kind == "RESPONSE":
        raise NotConverted("the answer to the sender is made by a step")
    value = _validated(scope, step)
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
    value = values.expr(_expression(mapping)) if mapping else ex.NOTHING
    default = step.fields.get("defaultValue", "").strip()
    if default:
        value = ex.first_of(value, values.expr(_expression(default)))
    for left, right in step.replacements:
        pair = (values.expr(_expression(left)), values.expr(_expression(right)))
        value = replacement(ex.as_text(value), *pair, 0)
    return value


def _let(walk: Walk, scope: Scope, variable: str, value: Expr, element: Element) -> str:
    """Note a let for a map entry; what reads the entry later names the let."""
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
    target = _expression(step.fields.get("messageSegment", ""))
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
    set_place(document, pointer.spot, value)
    return f"set {pointer.spot.place()}", value, False


def _scripted(walk: Walk, scope: Scope, step: Element) -> tuple[str, Expr, bool]:
    before = {root: document.copy() for root, document in scope.documents.items()}
    puts, destinations, json = len(scope.puts), len(scope.destinations), dict(scope.json)
    scope.logged = False
    scope.variables = {name: value for name, value in scope.variables.items() if isinstance(value, Index)}
    scope.notes = set()
    run(scope, parse(step.script))
    notes = set(scope.notes)
    into: list[str] = []
    for name, value in scope.puts[puts:]:
        notes |= value.notes
        into.append(f"let {_let(walk, scope, name, value, step)}")
    into += [f"json {name}" for name, made in scope.json.items() if json.get(name) != made]
    for root, document in scope.documents.items():
        if root == "tmp" and scope.documents["tmp"] is scope.documents["msg"]:
            continue
        if isinstance(document.made, Record) and document.made != before[root].made:
            notes |= set(json_notes(document.made))
            into.append("json")
        for spot, value in document.writes.items():
            if before[root].writes.get(spot) != value:
                notes |= value.notes
                into.append(f"set {spot.place()}")
        into += [f"remove {name}" for name in document.removed if name not in before[root].removed]
        into += [f"append {each.segment}" for each in document.added[len(before[root].added) :]]
    into += [f"routes: {word}" for word, _, _ in scope.destinations[destinations:]]
    return ", ".join(into), ex.TRUE.noted(*notes), not into


def _destinations(scope: Scope, step: Element) -> tuple[str, Expr, bool]:
    behavior = step.fields.get("behavior", "").upper()
    field_text = step.fields.get("field", "").strip()
    holds = _built(scope, step_values(step)) if field_text else ex.TRUE
    targets = tuple(each for each in step.values if each.startswith("#"))
    if behavior not in ("REMOVE", "REMOVE_ALL", "REMOVE_ALL_EXCEPT"):
        raise NotConverted(f"the behavior {behavior[:30]}")
    scope.destinations.append((behavior, targets, holds))
    return f"when of routes: {behavior.lower().replace('_', ' ')}", holds, False


def step_values(step: Element) -> Element:
    """A step with those of its values that are values, and not destinations."""
    return replace(step, values=tuple(each for each in step.values if each[:1] not in ("#", "~")))


def _expression(text: str) -> Tree:
    found = parse(text)
    if len(found) != 1:
        raise NotConverted("no single expression")
    return found[0]


def _try(walk: Walk, element: Element, go: object) -> Expr | None:
    """Convert one element. Where that fails nothing of it has happened, and what it sets is not known."""
    if not element.enabled:
        walk.outcomes.append(Outcome(element, "dropped", "disabled in the old engine"))
        return None
    assert callable(go), "what converts is a function"
    lets, puts = len(walk.lets), len(walk.scope.puts)
    try:
        if element.xpath in walk.refused:
            raise NotConverted(walk.refused[element.xpath])
        attempt = walk.scope.fork()
        attempt.work = [WORK_MAX_STEPS]
        into, value, nothing = go(attempt)
        assert isinstance(value, Expr), "what converts gives an expression"
    except (NotConverted, NotRead, RecursionError) as error:
        del walk.lets[lets:]
        _lost(walk, element, error)
        return None
    _mark(walk, element, walk.scope.documents["tmp"], attempt.documents["tmp"])
    for name in attempt.json:
        if attempt.json[name] != walk.scope.json.get(name):
            walk.marks[f"json {name}"] = element
    walk.scope.take(attempt)
    notes = "; ".join(sorted(value.notes))
    if nothing and element.kind in ("javascript", "javascript-rule"):
        rule = element.kind == "javascript-rule"
        if not rule or len(attempt.puts) == puts:
            reason = "lets every message pass" if rule else "changes nothing, and writes to the log at most"
            walk.outcomes.append(Outcome(element, "dropped", reason))
            return value
    walk.outcomes.append(Outcome(element, "approximated" if notes else "converted", notes, into))
    return value


def _mark(walk: Walk, element: Element, before: Document, after: Document) -> None:
    """Note which element it was that set each place, so that a refusal of the language finds its way back."""
    for spot, value in after.writes.items():
        if before.writes.get(spot) != value:
            walk.marks[f"set {spot.place()}"] = element
    if after.made != before.made:
        walk.marks["json"] = element
    for name in after.removed:
        if name not in before.removed:
            walk.marks[f"remove {name}"] = element
    known = {each.number: each.writes for each in before.added}
    for each in after.added:
        if known.get(each.number) != each.writes:
            walk.marks[f"append {each.number}"] = element


def _lost(walk: Walk, element: Element, error: Exception) -> None:
    if isinstance(error, NotConverted):
        reason, at = error.reason, error.at
    elif isinstance(error, NotRead):
        reason, at = f"the script cannot be read: {error.text}", error.at
    else:
        reason, at = "nested too deep", 0
    line = element.script[:at].count("\n") + 1 if element.script else 0
    walk.outcomes.append(Outcome(element, "manual", reason, "", line))
    names = set(_PUTS.findall(element.script))
    if element.kind == "mapper":
        names.add(element.fields.get("variable", "").strip())
    for name in names:
        walk.scope.maps.pop(name, None)
        walk.scope.lost[name] = f"the step {element.name[:60]!r}, which sets it, is not converted"


def only_logs(script: str) -> bool:
    """Whether a script does nothing but write to the log."""
    try:
        return all(_logs_only(each) for each in parse(script))
    except (NotRead, RecursionError):
        return False


def _logs_only(tree: Tree) -> bool:
    if isinstance(tree, Return):
        return tree.value is None or isinstance(tree.value, Text | Constant)
    return is_log(tree)
