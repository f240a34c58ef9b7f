"""Closures of operators and calls: what stands between the leaves of an expression."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from functools import partial
from typing import Any, Final

from bridge.formats.hl7v2 import NULL, Hl7Null
from bridge.mapping.reading import Reader, Run, Taken
from bridge.mapping.signature import Param
from bridge.mapping.syntax import Comparison
from bridge.mapping.values import NUMBER_MAX_DIGITS, Type, Value, ValueRefused

_OPERATORS: Final[Mapping[Comparison, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
LITERAL: Final = Taken("literal")
_EXACT: Final = Context(prec=2 * NUMBER_MAX_DIGITS + 4)
"""Room for every sum of two numbers within the limits: nothing is rounded."""


def counted_reader(name: str) -> Reader:
    """Which one is gone through, in what is around or in the message."""
    if name == "index":
        return lambda run: Decimal(run.here.index)
    assert name == "group_index", "the names of an expression were checked"
    return lambda run: Decimal(run.here.group_index)


def noted(read: Reader, taken: Taken) -> Reader:
    """``read``, which also notes that its value stands in the file."""

    def read_noted(run: Run) -> Value:
        run.trace[taken] = None
        return read(run)

    return read_noted


def constant_reader(value: Value) -> Reader:
    """Always the same."""
    return lambda _run: value


def first_of_reader(alternatives: list[Reader]) -> Reader:
    """The first about which the message says something."""
    if len(alternatives) == 1:
        return alternatives[0]

    def read(run: Run) -> Value:
        for each in alternatives:
            if (value := each(run)) is not None:
                return value
        return None

    return read


def compare_reader(sign: Comparison, left: Reader, right: Reader) -> Reader:
    """What is absent or NULL equals nothing and is neither smaller nor greater than anything."""
    compare, otherwise = _OPERATORS[sign], sign == "!="

    def read(run: Run) -> Value:
        a, b = left(run), right(run)
        if a is None or b is None or a is NULL or b is NULL:
            return otherwise
        return compare(a, b)

    return read


def logic_reader(sign: str, parts: list[Reader]) -> Reader:
    """Conditions joined."""
    if sign == "and":
        return lambda run: all(part(run) for part in parts)
    return lambda run: any(part(run) for part in parts)


def arithmetic_reader(sign: str, left: Reader, right: Reader) -> Reader:
    """A sum or a difference, which nothing rounds; what is absent or NULL goes through."""

    def read(run: Run) -> Value:
        a, b = left(run), right(run)
        if not isinstance(a, Decimal):
            return a
        if not isinstance(b, Decimal):
            return b
        result = _EXACT.add(a, b) if sign == "+" else _EXACT.subtract(a, b)
        if result.adjusted() >= NUMBER_MAX_DIGITS:
            raise ValueRefused("R040", f"a number would have more than {NUMBER_MAX_DIGITS} digits")
        return result

    return read


def single(call: Callable[[Any], Any], argument: Reader) -> Reader:
    """One strict argument, an empty result is none: the shape of most functions in a mapping."""

    def read(run: Run) -> Value:
        value = argument(run)
        if value is None or value is NULL:
            return value
        return call(value) or None

    return read


def counting(call: Callable[..., Any], arguments: list[Reader]) -> Reader:
    """A function that counts what was seen in the message."""

    def read(run: Run) -> Value:
        counted: Value = call(run.seen.elsewhere(id(run.here)), *[each(run) for each in arguments])
        return counted

    return read


def strict(param: Param) -> bool:
    """Whether an argument that is absent or NULL is the result."""
    return not param.lenient and param.type is not Type.BOOL


def prepared(argument: Reader, param: Param) -> Reader:
    """The argument in the form in which the function wants it."""
    if param.type is Type.BOOL:
        return lambda run: bool(argument(run))
    if not param.whole:
        return argument

    def read(run: Run) -> Any:
        value = argument(run)
        if not isinstance(value, Decimal):
            return value
        if value != value.to_integral_value():
            raise ValueRefused("R020", f"{param.name} must be a whole number")
        return int(value)

    return read


def eager(
    call: Callable[..., Any], arguments: list[Reader], strict: Sequence[Param | None], result: Type | None
) -> Reader:
    """All arguments first; where a strict one is absent or NULL, that is the result."""
    empty = result in (Type.TEXT, Type.LIST)
    plan = list(zip(arguments, strict, strict=True))

    def read(run: Run) -> Value:
        values: list[Any] = []
        for argument, param in plan:
            value = argument(run)
            if param is not None and (value is None or isinstance(value, Hl7Null)):
                return value
            values.append(value)
        found: Value = call(*values)
        return None if empty and (found in ("", [])) else found

    return read


def lazy(call: Callable[..., Any], arguments: list[Reader], params: list[Param]) -> Reader:
    """A function that evaluates some of its arguments itself."""
    plan = [
        (argument if param.lazy else prepared(argument, param), param.lazy)
        for argument, param in zip(arguments, params, strict=True)
    ]

    def read(run: Run) -> Value:
        found: Value = call(*[partial(each, run) if lazy else each(run) for each, lazy in plan])
        return found

    return read
