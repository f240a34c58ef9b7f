"""A checked expression tree becomes a closure: `closure(run)` gives the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from bridge.formats.hl7v2 import NULL
from bridge.located import Place
from bridge.mapping.branches import Branches
from bridge.mapping.closures import (
    arithmetic_reader,
    compare_reader,
    constant_reader,
    counted_reader,
    counting,
    eager,
    first_of_reader,
    lazy,
    logic_reader,
    noted,
    prepared,
    single,
    strict,
)
from bridge.mapping.each import Each
from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.functions.lists import join_all
from bridge.mapping.reading import Reader, Run, Taken, Unset, current_reader, member_reader, reader
from bridge.mapping.signature import Function, Param
from bridge.mapping.syntax import (
    Among,
    Arithmetic,
    Call,
    Compare,
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
from bridge.mapping.tables import CodeTable
from bridge.mapping.times import day_of
from bridge.mapping.values import Type, Value

LITERAL: Final = Taken("literal")
WHOLE_PARTS: Final = frozenset({"key", "hash_id", "uuid5"})
"""Functions that give nothing where a part is missing."""
NO_TABLES: Final[Mapping[str, CodeTable]] = MappingProxyType({})


class Slots:
    """The lets of a plan as numbered slots, each evaluated once in a context. Filled while it is built."""

    def __init__(self, tables: Mapping[str, CodeTable] = NO_TABLES) -> None:
        self.tables = tables
        self.bodies: list[Reader] = []
        self.trees: list[tuple[Expression, ...]] = []
        self.whole: dict[int, int] = {}
        self.places: dict[int, Place] = {}
        self.branches = Branches()
        self.local: dict[str, list[int]] = {}

    def add(self, body: Reader, trees: tuple[Expression, ...], *, changes_with: str | None) -> int:
        """The number of a new slot. ``changes_with`` is the group in whose instances it means another thing.

        '' where it does so in every context, None where it means one thing in a message.
        """
        self.bodies.append(body)
        self.trees.append(trees)
        if changes_with is not None:
            self.local.setdefault(changes_with, []).append(len(self.bodies) - 1)
        return len(self.bodies) - 1

    def changes_with(self, slot: int) -> str | None:
        """What `add` was told of a slot."""
        return next((group for group, slots in self.local.items() if slot in slots), None)

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

    def untraced(self) -> Builder:
        """A builder for what is read beside a rule, and leaves no trace."""
        return Builder(self._slots, self._names, traced=False, loops=self._loops)

    def trees_of(self, name: str) -> tuple[Expression, ...] | None:
        """The alternatives of a let in reach; None of what is none."""
        return self._slots.trees[self._names[name]] if name in self._names else None

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

    def slot_of(self, name: str) -> int:
        """The slot of a let in reach."""
        return self._names[name]

    def whole_slot_of(self, name: str) -> int:
        """The slot of a let in reach, read as a key."""
        return self._whole_slot(self._names[name])

    def changes_with(self, slot: int) -> str | None:
        """What a slot changes with: see `Slots.add`."""
        return self._slots.changes_with(slot)

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
                return counted_reader(name)
            case Call():
                return self._call(node)
            case Compare():
                return compare_reader(node.operator, self.value(node.left), self.value(node.right))
            case Among():
                return self._among(node)
            case Logic():
                return logic_reader(node.operator, [self.value(part) for part in node.parts])
            case Not():
                part = self.value(node.part)
                return lambda run: not part(run)
            case Arithmetic():
                return arithmetic_reader(node.operator, self.value(node.left), self.value(node.right))

    def _path(self, path: Path) -> Reader:
        field = f"{path.segment}-{path.field}"
        # A path that names a repetition means that one, also where repetitions are gone through.
        if "(" not in path.text and any(each.current_of == field for each in self._loops):
            return current_reader(path, traced=self._traced)
        return reader(path, traced=self._traced)

    def _literal(self, node: Text | Number | Nothing) -> Reader:
        if isinstance(node, Nothing):
            return constant_reader(None)
        # HL7 has no empty text: what is empty says nothing.
        read = constant_reader(None if node.value == "" else node.value)
        return noted(read, LITERAL) if self._traced else read

    def first_of(self, nodes: Sequence[Expression]) -> Reader:
        """The closure of alternatives: the first about which the message says something."""
        return first_of_reader(self._given([self.value(node) for node in nodes], "alternative"))

    def key(self, nodes: Sequence[Expression]) -> Reader:
        """Like `first_of`, for a record's key or a reference.

        A `join` of which a part is missing gives nothing: half a key is the key of somebody else.
        """
        return first_of_reader(self._given([self._whole(node) for node in nodes], "alternative"))

    def _whole(self, node: Expression) -> Reader:
        match node:
            case Name(name=name) if name in self._names:
                return self._slots.read(self._whole_slot(self._names[name]), traced=self._traced)
            case Call(name="join", arguments=arguments):
                parts = [self._whole(each) for each in arguments[1:]]
                separator = self._argument(arguments[0], FUNCTIONS["join"].param(0))
                return eager(join_all, [separator, *parts], [None] * len(arguments), Type.TEXT)
            case Call(name="first_of", arguments=arguments):
                whole = [
                    self._chosen("first_of", node, number, self._whole(each))
                    for number, each in enumerate(arguments, 1)
                ]
                return first_of_reader(whole)
            case Call(name=name, arguments=arguments) if name in WHOLE_PARTS:
                whole = [self._whole(each) for each in arguments]
                return eager(FUNCTIONS[name].call, whole, [None] * len(whole), Type.TEXT)
            case Call(name="if", arguments=(condition, *branches)):
                decide = self._decision(self.value(condition), f"if(){_at(node)}")
                built = [
                    self._chosen("if", node, number, self._whole(branch))
                    for number, branch in enumerate(branches, 2)
                ]
                then, otherwise = built[0], built[1] if len(built) > 1 else constant_reader(None)
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
            slots.whole[slot] = slots.add(body, slots.trees[slot], changes_with=slots.changes_with(slot))
        return slots.whole[slot]

    def _call(self, node: Call) -> Reader:
        function = FUNCTIONS[node.name]
        params = [function.param(index) for index in range(len(node.arguments))]
        arguments = [self._argument(each, param) for each, param in zip(node.arguments, params, strict=True)]
        if function.of_table:
            return self._of_table(node, function, arguments)
        if function.counts:
            return counting(function.call, arguments)
        if any(param.lazy for param in params):
            arguments = self._choices(node, arguments, params)
            return lazy(function.call, arguments, params)
        call, empty = function.call, function.result in (Type.TEXT, Type.LIST)
        if len(params) == 1 and not params[0].lenient and empty:
            return single(call, arguments[0])
        ready = [prepared(each, param) for each, param in zip(arguments, params, strict=True)]
        demanded = [param if strict(param) else None for param in params]
        return eager(call, ready, demanded, function.result)

    def _of_table(self, node: Call, function: Function, arguments: list[Reader]) -> Reader:
        name = node.arguments[0]
        assert isinstance(name, Text), "the names of tables were checked"
        rows = self._slots.tables[name.value].rows

        def found(code: str, day: str) -> dict[str, str] | None:
            for row in rows.get(code, ()):
                if row.holds("", day):
                    return {**row.more, "to": row.value.text}
            return None

        rest = arguments[1:]

        def read(run: Run) -> Value:
            values = [argument(run) for argument in rest]
            if values[0] is None or values[0] is NULL:
                return values[0]
            days = [day_of(value) for value in values[2:]]
            looked_up: Value = function.call(found, *values[:2], *days)
            return looked_up

        return read

    def _argument(self, node: Expression, param: Param) -> Reader:
        """What a function is given. An empty text says nothing of a message, and yet replaces or parts."""
        if isinstance(node, Text) and node.value == "" and param.type is Type.TEXT and strict(param):
            return constant_reader("")
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
