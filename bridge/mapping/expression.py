"""Expressions outside of mappings: the condition of a route."""

from __future__ import annotations

from collections.abc import Callable

from bridge.formats.hl7v2 import Hl7Message
from bridge.located import Problem, Scalar
from bridge.mapping.build import Builder, Slots
from bridge.mapping.check import (
    ANY_NAME,
    ANY_VERSION,
    Declared,
    Names,
    Scope,
    check_expression,
    read_expression,
)
from bridge.mapping.reading import Reader, Reads, Run
from bridge.mapping.values import Type, Value, ValueRefused

Condition = Callable[[Hl7Message], bool]


def compile_condition(
    scalar: Scalar, form: str = "hl7v2", names: Names = ANY_NAME, declared: Declared = ANY_VERSION
) -> tuple[Condition | None, list[Problem]]:
    """The condition that an expression states, or its problems. The condition never raises on content.

    Where a value in it cannot be converted, it does not hold. ``names`` are those that may be read of rows.
    """
    problems: list[Problem] = []
    scope = Scope({}, form=form, names=names, declared=declared)
    tree = read_expression(scalar, problems)
    found = None if tree is None else check_expression(tree, scalar, scope, problems)
    if tree is None or found is None:
        return None, problems
    if found is not Type.BOOL:
        hint = "compare, as in PV1-2 = 'I', or ask present(...)"
        text = f"a condition is wanted, and this gives {found.value}"
        return None, [Problem(scalar.place, "E112", text, hint)]
    read = Builder(Slots(), {}, traced=False).value(tree)
    reads = Reads(frozenset(path.segment for path in scope.paths))
    return lambda message: bool(evaluate(read, message, reads)), problems


def evaluate(read: Reader, message: Hl7Message, reads: Reads) -> Value:
    """The value of an expression that names no lets; nothing where a value in it cannot be converted."""
    try:
        return read(Run(message, reads, 0, None))
    except ValueRefused:
        return None
