"""What comes before what in JavaScript: texts by their characters, and numbers where one side is one."""

from __future__ import annotations

import operator as operators
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.expressions import Expr, NotConverted

NOT_A_NUMBER: Final = "a text that is no number fails the message here, where JavaScript goes on with NaN"
NULL_ORDER: Final = "the HL7 null is neither before nor behind a text here"
_MIRRORED: Final[Mapping[str, str]] = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_HOLDS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operators.lt,
    ">": operators.gt,
    "<=": operators.le,
    ">=": operators.ge,
}
_NULL: Final = '""'
"""The HL7 null, as the old engine has it: a text like any other."""


def ordered(operator: str, left: Expr, right: Expr) -> Expr:
    """A comparison as JavaScript makes it: of numbers only where one side is a number."""
    if "number" in (left.type, right.type):
        return ex.order(operator, as_number(left), as_number(right))
    if "bool" in (left.type, right.type):
        raise NotConverted("whether a condition is before or behind something")
    return _of_texts(operator, ex.as_text(left), ex.as_text(right))


def as_number(value: Expr) -> Expr:
    """What `Number` makes of a value: of nothing 0. Raises NotConverted."""
    if value.type == "number":
        return value
    if value.type != "text":
        raise NotConverted("a number of what is no text")
    if isinstance(value.constant, str):
        if re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", value.constant) is None:
            raise NotConverted("a number of a text that is none")
        return ex.number(value.constant)
    number = ex.call("decimal", value, gives="number").noted(NOT_A_NUMBER)
    return ex.call("first_of", number, ex.number("0"), gives="number")


def _of_texts(operator: str, left: Expr, right: Expr) -> Expr:
    """What is absent is the empty text, which is before every other; a mapping knows no order of it."""
    holds = _HOLDS[operator]
    if left.constant is not None and right.constant is not None:
        return ex.TRUE if holds(left.constant, right.constant) else ex.FALSE
    if left.constant is not None:
        return _of_texts(_MIRRORED[operator], right, left)
    known = ex.order(operator, left, right)
    if right.constant is None:
        first, last = (left, right) if operator in ("<", "<=") else (right, left)
        nothing = ex.absent(first)
        nothing = nothing if "=" in operator else ex.both([nothing, ex.negate(ex.absent(last))])
        return ex.either([known, nothing]).noted(NULL_ORDER)
    empty, null = holds("", right.constant), holds(_NULL, right.constant)
    if right.constant == "":
        there = ex.negate(ex.absent(left)) if null else ex.FALSE
        return ex.either([there, ex.absent(left) if empty else ex.FALSE]) if not (empty and null) else ex.TRUE
    if empty and null:
        return ex.either([ex.negate(ex.call("present", left, gives="bool")), known])
    without = [ex.absent(left)] if empty else []
    without += [ex.call("is_null", left, gives="bool")] if null else []
    return ex.either([*without, known])
