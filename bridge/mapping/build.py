"""A checked expression tree becomes a closure: `closure(run)` gives the value."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from functools import partial
from typing import Any, Final

from bridge.formats.hl7v2 import NULL, Hl7Null
from bridge.located import Place
from bridge.mapping.branches import Branches
from bridge.mapping.each import Each
from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.functions.lists import join_all
from bridge.mapping.reading import Reader, Run, Taken, Unset, current_reader, member_reader, reader
from bridge.mapping.signature import Param
from bridge.mapping.syntax import (
    Among,
    Arithmetic,
    Call,
    Compare,
    Comparison,
    Expression,
    Logic,
    Member,
    Name,
    Not,
    Nothing,
    Number,
    Path,
    Text,
)
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


class Slots:
    """The lets of a plan as numbered slots, each evaluated once in a run. Filled while a plan is built."""

    def __init__(self) -> None:
        self.bodies: list[Reader] = []
        self.trees: list[tuple[Expression, ...]] = []
        self.whole: dict[int, int] = {}
        self.places: dict[int, Place] = {}
        self.branches = Branches()
        self.local: list[int] = []

    def add(self, body: Reader, trees: tuple[Expression, ...], *, local: bool) -> int:
        """The number of a new slot. A local one means something else in another context."""
        self.bodies.append(body)
        self.trees.append(trees)
        if local:
            self.local.append(len(self.bodies) - 1)
        return len(self.bodies) - 1

    def read(self, slot: int, *, traced: bool) -> Reader:
        """What gives the value of a slot; a traced one also notes the paths behind it, at each use."""
        bodies = self.bodies

        def read(run: Run) -> Value:
            value = run.lets[slot]
            if isinstance(value, Unset):
                value = run.lets[slot] = bodies[slot](run)
            return value

        def read_traced(run: Run) -> Value:
            value = run.lets[slot]
            if isinstance(value, Unset):
                around, run.trace = run.trace, {}
                try:
                    value = run.lets[slot] = bodies[slot](run)
                finally:
                    run.traces[slot], run.trace = run.trace, around
            run.trace.update(run.traces[slot])
            return value

        return read_traced if traced else read


class Builder:
    """Builds closures. ``names`` gives the slot of each let in reach; traced closures note their paths.

    ``loops`` are the `for_each` around what is built, the innermost last.
    """

    def __init__(
        self, slots: Slots, names: Mapping[str, int], *, traced: bool, loops: tuple[Each, ...] = ()
    ) -> None:
        self._slots = slots
        self._names = names
        self._traced = traced
        self._loops = loops
        self.at = Place("", 0, 0)
        """Where what is built stands in the file."""

    def inside(self, each: Each) -> Builder:
        """A builder for what stands inside of a `for_each`."""
        return Builder(self._slots, self._names, traced=self._traced, loops=(*self._loops, each))

    @property
    def branches(self) -> Branches:
        """Where a traced program notes what it goes through."""
        return self._slots.branches

    def condition(self, node: Expression, at: Place) -> Reader:
        """The closure of a condition that stands ``at`` a place."""
        self.at = at
        return self._decision(self.value(node), "the condition")

    def _decision(self, read: Reader, what: str) -> Reader:
        return self.branches.decision(read, self.at, what) if self._traced else read

    def _given(self, reads: list[Reader], what: str) -> list[Reader]:
        """Several of which one is taken."""
        if not self._traced or len(reads) < 2:
            return reads
        return [
            self.branches.given(read, self.at, f"{what} {number}") for number, read in enumerate(reads, 1)
        ]

    @property
    def traced(self) -> bool:
        """Whether what it builds says where values came from."""
        return self._traced

    def value(self, node: Expression) -> Reader:
        """The closure of an expression."""
        match node:
            case Path():
                return self._path(node)
            case Member():
                return member_reader(node, traced=self._traced)
            case Text() | Number() | Nothing():
                return self._literal(node)
            case Name(name=name):
                if name in self._names:
                    return self._slots.read(self._names[name], traced=self._traced)
                return _counted(name)
            case Call():
                return self._call(node)
            case Compare():
                return _compare(node.operator, self.value(node.left), self.value(node.right))
            case Among():
                return self._among(node)
            case Logic():
                return _logic(node.operator, [self.value(part) for part in node.parts])
            case Not():
                part = self.value(node.part)
                return lambda run: not part(run)
            case Arithmetic():
                return _arithmetic(node.operator, self.value(node.left), self.value(node.right))

    def _path(self, path: Path) -> Reader:
        field = f"{path.segment}-{path.field}"
        # A path that names a repetition means that one, also where repetitions are gone through.
        if "(" not in path.text and any(each.current_of == field for each in self._loops):
            return current_reader(path, traced=self._traced)
        return reader(path, traced=self._traced)

    def _literal(self, node: Text | Number | Nothing) -> Reader:
        if isinstance(node, Nothing):
            return _constant(None)
        # HL7 has no empty text: what is empty says nothing.
        read = _constant(None if node.value == "" else node.value)
        return noted(read, LITERAL) if self._traced else read

    def first_of(self, nodes: Sequence[Expression]) -> Reader:
        """The closure of alternatives: the first about which the message says something."""
        return _first_of(self._given([self.value(node) for node in nodes], "alternative"))

    def key(self, nodes: Sequence[Expression]) -> Reader:
        """Like `first_of`, for a record's key or a reference.

        A `join` of which a part is missing gives nothing: half a key is the key of somebody else.
        """
        return _first_of(self._given([self._whole(node) for node in nodes], "alternative"))

    def _whole(self, node: Expression) -> Reader:
        match node:
            case Name(name=name) if name in self._names:
                return self._slots.read(self._whole_slot(self._names[name]), traced=self._traced)
            case Call(name="join", arguments=arguments):
                parts = [self._whole(each) for each in arguments[1:]]
                separator = self._argument(arguments[0], FUNCTIONS["join"].param(0))
                return _eager(join_all, [separator, *parts], [None] * len(arguments), Type.TEXT)
            case Call(name="first_of", arguments=arguments):
                return self.key(arguments)
            case Call(name="if", arguments=(condition, *branches)):
                decide = self._decision(self.value(condition), f"if(){_at(node)}")
                built = [
                    self._chosen("if", node, number, self._whole(branch))
                    for number, branch in enumerate(branches, 2)
                ]
                then, otherwise = built[0], built[1] if len(built) > 1 else _constant(None)
                return lambda run: then(run) if decide(run) else otherwise(run)
            case _:
                return self.value(node)

    def _whole_slot(self, slot: int) -> int:
        """The slot that holds the same let, read as a key."""
        slots = self._slots
        if slot not in slots.whole:
            around, self.at = self.at, slots.places.get(slot, self.at)
            body = self.key(slots.trees[slot])
            self.at = around
            slots.whole[slot] = slots.add(body, slots.trees[slot], local=slot in slots.local)
        return slots.whole[slot]

    def _call(self, node: Call) -> Reader:
        function = FUNCTIONS[node.name]
        params = [function.param(index) for index in range(len(node.arguments))]
        arguments = [self._argument(each, param) for each, param in zip(node.arguments, params, strict=True)]
        if any(param.lazy for param in params):
            arguments = self._choices(node, arguments, params)
            return _lazy(function.call, arguments, params)
        call, empty = function.call, function.result in (Type.TEXT, Type.LIST)
        if len(params) == 1 and not params[0].lenient and empty:
            return _single(call, arguments[0])
        prepared = [_prepared(each, param) for each, param in zip(arguments, params, strict=True)]
        strict = [param if _strict(param) else None for param in params]
        return _eager(call, prepared, strict, function.result)

    def _argument(self, node: Expression, param: Param) -> Reader:
        """What a function is given. An empty text says nothing of a message, and yet replaces or parts."""
        if isinstance(node, Text) and node.value == "" and param.type is Type.TEXT and _strict(param):
            return _constant("")
        return self.value(node)

    def _chosen(self, name: str, node: Call, number: int, read: Reader) -> Reader:
        what = f"{name}(){_at(node)}: argument {number}"
        return self.branches.given(read, self.at, what) if self._traced else read

    def _choices(self, node: Call, arguments: list[Reader], params: Sequence[Param]) -> list[Reader]:
        """The arguments of a function that chooses among them, each noted where that is wanted."""
        if not self._traced:
            return arguments
        found = []
        for number, (read, param) in enumerate(zip(arguments, params, strict=True), 1):
            if param.lazy:
                found.append(self._chosen(node.name, node, number, read))
            else:
                decides = param.type is Type.BOOL
                found.append(self._decision(read, f"{node.name}(){_at(node)}") if decides else read)
        return found

    def _among(self, node: Among) -> Reader:
        value, negated = self.value(node.value), node.negated
        if not isinstance(node.options, tuple):
            options = self.value(node.options)

            def among(run: Run) -> Value:
                found, wanted = options(run), value(run)
                return (isinstance(found, list) and wanted in found) is not negated

            return among
        if all(isinstance(each, Text | Number) for each in node.options):
            fixed = frozenset(each.value for each in node.options if isinstance(each, Text | Number))
            return lambda run: (value(run) in fixed) is not negated
        each_option = [self.value(each) for each in node.options]

        def one_of(run: Run) -> Value:
            wanted = value(run)
            found = (
                wanted is not None and wanted is not NULL and any(wanted == each(run) for each in each_option)
            )
            return found is not negated

        return one_of


def _at(node: Call) -> str:
    """Which of several functions of one rule is meant, where it does not begin with it."""
    return f" at sign {node.offset + 1}" if node.offset else ""


def _counted(name: str) -> Reader:
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


def _constant(value: Value) -> Reader:
    return lambda _run: value


def _first_of(alternatives: list[Reader]) -> Reader:
    if len(alternatives) == 1:
        return alternatives[0]

    def read(run: Run) -> Value:
        for each in alternatives:
            if (value := each(run)) is not None:
                return value
        return None

    return read


def _compare(sign: Comparison, left: Reader, right: Reader) -> Reader:
    """What is absent or NULL equals nothing and is neither smaller nor greater than anything."""
    compare, otherwise = _OPERATORS[sign], sign == "!="

    def read(run: Run) -> Value:
        a, b = left(run), right(run)
        if a is None or b is None or a is NULL or b is NULL:
            return otherwise
        return compare(a, b)

    return read


def _logic(sign: str, parts: list[Reader]) -> Reader:
    if sign == "and":
        return lambda run: all(part(run) for part in parts)
    return lambda run: any(part(run) for part in parts)


def _arithmetic(sign: str, left: Reader, right: Reader) -> Reader:
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


def _single(call: Callable[[Any], Any], argument: Reader) -> Reader:
    """One strict argument, an empty result is none: the shape of most functions in a mapping."""

    def read(run: Run) -> Value:
        value = argument(run)
        if value is None or value is NULL:
            return value
        return call(value) or None

    return read


def _strict(param: Param) -> bool:
    return not param.lenient and param.type is not Type.BOOL


def _prepared(argument: Reader, param: Param) -> Reader:
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


def _eager(
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


def _lazy(call: Callable[..., Any], arguments: list[Reader], params: list[Param]) -> Reader:
    plan = [
        (argument if param.lazy else _prepared(argument, param), param.lazy)
        for argument, param in zip(arguments, params, strict=True)
    ]

    def read(run: Run) -> Value:
        found: Value = call(*[partial(each, run) if lazy else each(run) for each, lazy in plan])
        return found

    return read
