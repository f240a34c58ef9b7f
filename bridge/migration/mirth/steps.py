"""Rules and steps, one after the other: what became of each, and what is known after it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import Document, Pointer
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_branches import merge
from bridge.migration.mirth.js_methods import method
from bridge.migration.mirth.js_parse import parse
from bridge.migration.mirth.js_scope import WORK_MAX_STEPS, Scope
from bridge.migration.mirth.js_shapes import assigned, is_log, returns
from bridge.migration.mirth.js_statements import run
from bridge.migration.mirth.js_tree import Constant, NotRead, Return, Text, Tree
from bridge.migration.mirth.js_values import Values
from bridge.migration.mirth.model import Element
from bridge.migration.mirth.outcomes import Outcome
from bridge.migration.mirth.step_kinds import NO_STEP, built, done, gone_through, index_of, iterated_rule
from bridge.migration.mirth.walk import Walk

_PUTS: Final = re.compile(
    r"""(?:(?:channelMap|connectorMap|globalMap|globalChannelMap|responseMap)\.put\(|\$(?:c|co|g|gc|r)\()"""
    r"""\s*["']([^"']{1,200})["']"""
)
_SET_NAMES: Final = re.compile(r"([A-Za-z_$][\w$]*)\s*(?:[-+*/]?=(?!=)|\+\+|--)")


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
    """Go through steps, which the old engine puts into one function."""
    walk.scope.enter()
    for step in steps:
        _step(walk, step)


def _rule(walk: Walk, rule: Element) -> Expr | None:
    def go(scope: Scope) -> tuple[str, Expr, bool]:
        scope.enter()
        match rule.kind:
            case "rule-builder":
                value = built(scope, rule)
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
                value = iterated_rule(scope, rule)
            case _:
                raise NotConverted(NO_STEP.get(rule.kind, "no rule that is known"))
        return f"when: {value.flat}", value, value.constant is True

    found = _try(walk, rule, go)
    own = walk.outcomes[-1]
    for each in rule.every():
        if each is not rule:
            walk.outcomes.append(replace(own, element=each))
    return found


def _step(walk: Walk, step: Element, place: str | None = None) -> None:
    """One step; ``place`` is what the iterator around it goes through."""

    def go(scope: Scope) -> tuple[str, Expr, bool]:
        document = scope.documents["tmp"]
        if document.unknown and document.kind == "HL7V2":
            raise NotConverted(document.unknown)
        found = (
            done(walk, scope, step, place)
            if scope.ended.constant is False
            else _unless_ended(walk, scope, step, place)
        )
        if not scope.unsure:
            return found
        said = f"it does not run where the step {scope.unsure[:60]!r}, which is not converted, returns"
        return found[0], found[1].noted(said), found[2]

    if walk.scope.ended.constant is True and step.enabled:
        reason = "a step before it returns, and with it ends all that stand behind"
        walk.outcomes += [Outcome(each, "dropped", reason) for each in step.every()]
        return
    if step.kind == "iterator" and not step.enabled:
        walk.outcomes += [Outcome(each, "dropped", "disabled in the old engine") for each in step.every()]
        return
    inside = None
    if step.kind == "iterator" and step.xpath not in walk.refused:
        with suppress(NotConverted, NotRead, RecursionError):
            inside = gone_through(walk.scope, step)
    _try(walk, step, go)
    if step.kind == "iterator":
        for child in step.children:
            _step(walk, child, inside or "")
        walk.scope.variables.pop(index_of(step), None)


def _unless_ended(walk: Walk, scope: Scope, step: Element, place: str | None) -> tuple[str, Expr, bool]:
    """A step behind another one that returns where `ended` holds."""
    lets, before = len(walk.lets), scope.ended
    goes_on = ex.negate(before)
    yes, no = scope.fork(), scope.fork()
    yes.under, yes.ended = goes_on, ex.FALSE
    found = done(walk, yes, step, place)
    merge(Values(scope, method, run), goes_on, yes, no)
    for each in walk.lets[lets:]:
        scope.maps[each.key] = ex.named(each.name, each.value)
    scope.ended = ex.either([before, yes.ended])
    return found


def _try(walk: Walk, element: Element, go: object) -> Expr | None:
    """Convert one element. Where that fails nothing of it has happened, and what it sets is not known."""
    if not element.enabled:
        walk.outcomes.append(Outcome(element, "dropped", "disabled in the old engine"))
        return None
    assert callable(go), "what converts is a function"
    lets, puts, variables = len(walk.lets), len(walk.scope.puts), walk.scope.variables
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
            if attempt.variables != variables:
                reason = "sets variables, which the steps behind it have"
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
    _strange(walk.scope, element)
    for name in names:
        walk.scope.maps.pop(name, None)
        walk.scope.lost[name] = f"the step {element.name[:60]!r}, which sets it, is not converted"


def _strange(scope: Scope, step: Element) -> None:
    """A script that is not converted: what it sets is not known behind it, nor whether it ended all steps."""
    if step.kind != "javascript" or step.where not in ("source-transformer", "transformer"):
        return
    try:
        statements = parse(step.script)
        names, ends = assigned(statements), returns(statements)
    except (NotRead, RecursionError):
        names, ends = set(_SET_NAMES.findall(step.script)), re.search(r"\breturn\b", step.script) is not None
    for name in names:
        scope.variables.pop(name, None)
        scope.strange[name] = f"the step {step.name[:60]!r}, which sets it, is not converted"
    scope.unsure = scope.unsure or (step.name or step.kind if ends else "")


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
