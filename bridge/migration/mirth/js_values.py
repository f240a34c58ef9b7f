"""Expressions of JavaScript become expressions of the mapping language, with what is known of variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import CURRENT, Pointer, numbered, step
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_objects import joined, listed, plain, with_part
from bridge.migration.mirth.js_operators import Operators
from bridge.migration.mirth.js_scope import (
    MAPS,
    Code,
    Current,
    Each,
    Groups,
    Index,
    Items,
    JsonText,
    Pattern,
    Pieces,
    Record,
    Scope,
    Value,
)
from bridge.migration.mirth.js_shapes import assigned, named
from bridge.migration.mirth.js_tree import (
    Array,
    Assign,
    Binary,
    Call,
    Conditional,
    Constant,
    Function,
    Member,
    Name,
    Number,
    Object,
    Regex,
    Text,
    Tree,
    Unary,
    Xml,
)
from bridge.migration.mirth.plain_paths import value_of

CALLS_MAX_LEVELS: Final = 8
PIECES_MAX_COUNT: Final = 1_000
TABLE_MAX_COUNT: Final = 200
"""Texts of an object that becomes a `case`; longer ones are better a table of their own."""


class Values(Operators):
    """Evaluates expressions symbolically, in a scope. ``run`` runs the body of a function."""

    def __init__(
        self,
        scope: Scope,
        methods: Callable[[Values, str, Value, Call], Value | None],
        run: Callable[[Scope, tuple[Tree, ...]], Value | None],
    ) -> None:
        self.scope = scope
        self._methods = methods
        self._run = run

    def of(self, tree: Tree) -> Value:  # noqa: PLR0912 - a table of kinds
        """The value of an expression. Raises NotConverted."""
        match tree:
            case Text():
                return ex.literal(tree.value, tree.at)
            case Number():
                return ex.number(tree.text)
            case Constant():
                return {"true": ex.TRUE, "false": ex.FALSE}.get(tree.word, ex.NOTHING)
            case Name():
                return self._name(tree)
            case Member():
                return self._member(tree)
            case Call():
                return self._call(tree)
            case Binary():
                return self.binary(tree)
            case Unary():
                return self.unary(tree)
            case Conditional():
                condition = self.truth(tree.condition)
                return self.choose(condition, self.of(tree.then), self.of(tree.otherwise), tree.at)
            case Object():
                for _, value in tree.entries:
                    self.shares(value)
                return Record({key: self.of(value) for key, value in tree.entries})
            case Array():
                for item in tree.items:
                    self.shares(item)
                return Items(tuple(self.of(item) for item in tree.items))
            case Regex():
                return Pattern(tree.pattern, tree.flags)
            case Function():
                return Code(tree)
            case Xml():
                raise NotConverted("an XML literal", tree.at)
            case Assign():
                raise NotConverted("an assignment within an expression", tree.at)
        raise NotConverted("something that is no expression", tree.at)

    def expr(self, tree: Tree) -> Expr:
        """The value of an expression as one of the mapping language."""
        return self.as_expr(self.of(tree), tree.at)

    def text(self, tree: Tree) -> Expr:
        """The value of an expression as text."""
        return ex.as_text(self.expr(tree))

    def truth(self, tree: Tree) -> Expr:
        """The value of an expression as a condition."""
        value = self.of(tree)
        if isinstance(value, Pointer) and value.spot is not None:
            return self.exists(value)
        if isinstance(value, Groups):
            pattern = ex.literal(f"(?s:.*)(?:{value.pattern})(?s:.*)", tree.at)
            return ex.call("matches", value.text, pattern, gives="bool")
        if isinstance(value, Record | Items):
            return ex.TRUE
        return ex.truth(self.as_expr(value, tree.at))

    def as_expr(self, value: Value, at: int) -> Expr:
        """A value as an expression; where E4X points, what is there."""
        match value:
            case Expr():
                return value
            case Pointer():
                return self.read(value, at)
            case Pieces():
                raise NotConverted("the list of pieces of a text", at)
            case Record():
                raise NotConverted("an object where a text is wanted", at)
            case JsonText():
                raise NotConverted("JSON that a script reads as a text", at)
            case _:
                raise NotConverted("something that is no text, number or condition", at)

    def read(self, pointer: Pointer, at: int) -> Expr:
        """What stands where a path points."""
        document = self.scope.documents.get(pointer.root)
        if document is None:
            raise NotConverted(f"`{pointer.root}` is not known here", at)
        if document.unknown:
            raise NotConverted(f"the message is not known here: {document.unknown}", at)
        if pointer.spot is not None:
            return document.read(pointer.spot)
        if document.kind == "HL7V2" or not pointer.names:
            raise NotConverted("the whole message as a text", at)
        return value_of(pointer, document, at)

    def exists(self, pointer: Pointer) -> Expr:
        """Whether there is something where a path points."""
        spot = pointer.spot
        assert spot is not None, "a path of HL7 v2 has a spot"
        if not spot.field:
            document = self.scope.documents[pointer.root]
            if document.base != "copy":
                return ex.TRUE if any(name == spot.segment for name, _ in document.segments) else ex.FALSE
            if any(each.segment == spot.segment for each in document.added):
                raise NotConverted("whether a segment is there that a step has added")
            spot = replace(spot, field=1, component=1)
            note = "whether a segment is there is told by its first field"
            if spot.segment == "MSH":
                return ex.TRUE
            return ex.negate(ex.absent(document.read(spot))).noted(note)
        note = "an empty element counts as missing, where the old engine may find it"
        value = self.scope.documents[pointer.root].read(spot)
        return ex.negate(ex.absent(value)).noted(note)

    def choose(self, condition: Expr, then: Value, otherwise: Value, at: int) -> Value:
        """One of two values, as far as they can be told apart by an expression."""
        if isinstance(condition.constant, bool):
            return then if condition.constant else otherwise
        if then == otherwise:
            return then
        if isinstance(then, Record) and isinstance(otherwise, Record):
            return joined(
                condition, then, otherwise, lambda one, two, three: self.choose(one, two, three, at)
            )
        if isinstance(then, Items) and isinstance(otherwise, Items):
            return listed(condition, then, otherwise)
        return ex.choose(condition, self.as_expr(then, at), self.as_expr(otherwise, at))

    def _name(self, tree: Name) -> Value:
        scope = self.scope
        if tree.name in scope.variables:
            return scope.variables[tree.name]
        if tree.name in scope.documents:
            made = scope.documents[tree.name].made
            return made if isinstance(made, Record) else Pointer(tree.name)
        if tree.name in scope.functions:
            return scope.functions[tree.name]
        if tree.name in ("NaN", "undefined"):
            return ex.NOTHING
        if tree.name in scope.strange:
            raise NotConverted(f"`{tree.name[:40]}` is not known here: {scope.strange[tree.name]}", tree.at)
        raise NotConverted(f"`{tree.name[:40]}` is not known here", tree.at)

    def _member(self, tree: Member) -> Value:  # noqa: PLR0912 - a table of what has members
        if tree.descendant:
            return self._descendants(tree)
        if tree.attribute:
            raise NotConverted("an attribute of XML, .@", tree.at)
        if isinstance(tree.object, Name) and tree.object.name in MAPS and isinstance(tree.key, Text):
            return self.from_map(MAPS[tree.object.name], tree.key.value, tree.at)
        base = self.of(tree.object)
        key = self.of(tree.key)
        match base:
            case Pointer():
                return self._further(base, key, tree.at)
            case Record():
                if isinstance(key, Pointer):
                    key = self.read(key, tree.at)
                if isinstance(key, Expr) and key.constant is None:
                    return self._looked_up(base, ex.as_text(key), tree.at)
                if not isinstance(key, Expr) or not isinstance(key.constant, str):
                    raise NotConverted("a computed property", tree.at)
                found = base.entries.get(key.constant, ex.NOTHING)
                return plain(found, lambda one, two, three: self.choose(one, two, three, tree.at))
            case Items():
                if any(isinstance(each, Each) for each in base.items):
                    raise NotConverted("an item of an array whose length is not known", tree.at)
                if isinstance(key, Expr) and key.constant == "length":
                    return ex.number(str(len(base.items)))
                number = self._number(key, tree.at)
                item = base.items[number] if 0 <= number < len(base.items) else ex.NOTHING
                assert not isinstance(item, Each), "it was looked for"
                return item
            case Pieces():
                return _piece(base, key, tree.at)
            case Groups():
                number = self._number(key, tree.at)
                group = () if number == 0 else (ex.number(str(number)),)
                return ex.call("extract", base.text, ex.literal(base.pattern, tree.at), *group)
            case Expr() if isinstance(key, Expr) and key.constant == "length" and key.type == "text":
                return ex.length(base)
        raise NotConverted("a property that is not known", tree.at)

    def _descendants(self, tree: Member) -> Value:
        """``msg..OBX``: in a message of HL7 v2 every segment stands at the top, so it is ``msg.OBX``."""
        base, key = self.of(tree.object), self.of(tree.key)
        if isinstance(base, Pointer) and base.spot is None and not base.names and isinstance(key, Expr):
            document = self.scope.documents[base.root]
            if document.kind == "HL7V2" and isinstance(key.constant, str):
                return step(base, key.constant, document.kind)
        raise NotConverted("descendants of E4X, ..", tree.at)

    def store(self, target: Tree, value: Value, source: Tree | None = None) -> bool:
        """Set a variable, or a part of its object; whether it was one. Raises NotConverted.

        ``source`` is where the value stood: an object that stands in two places is known under two names.
        """
        keys: list[Expr] = []
        node = target
        while isinstance(node, Member) and not node.attribute and not node.descendant:
            key = self.of(node.key) if not isinstance(node.key, Text) else ex.literal(node.key.value, node.at)
            if isinstance(key, Expr):
                keys.insert(0, key)
            node = node.object
        if not isinstance(node, Name):
            return False
        name = node.name
        shares = isinstance(value, Record | Items) and isinstance(source, Name | Member)
        if node is target:
            self.scope.variables[name] = value
            self.scope.shared.discard(name)
            if shares:
                self.scope.shared.add(name)
                self._shared(source)
            return True
        holder = self.scope.variables.get(name)
        document = self.scope.documents.get(name) if holder is None else None
        if document is not None and isinstance(document.made, Record):
            holder = document.made
        if not isinstance(holder, Record | Items):
            return False
        if any(not isinstance(key.constant, str) for key in keys):
            raise NotConverted("a computed property", target.at)
        if name in self.scope.shared:
            raise NotConverted("an object that is changed after it was put elsewhere", target.at)
        found = with_part(holder, tuple(keys), value, target.at)
        if document is not None:
            document.made = found
        else:
            self.scope.variables[name] = found
        if shares:
            self._shared(source)
        return True

    def shares(self, source: Tree) -> None:
        """Note that an object is known in another place from now on."""
        if isinstance(source, Name | Member) and isinstance(self.of(source), Record | Items):
            self._shared(source)

    def _shared(self, source: Tree | None) -> None:
        while isinstance(source, Member):
            source = source.object
        if isinstance(source, Name):
            self.scope.shared.add(source.name)

    def _looked_up(self, record: Record, key: Expr, at: int) -> Expr:
        """``table[code]``: an object that a script uses as a table."""
        pairs: list[Expr] = []
        for name, each in record.entries.items():
            if not isinstance(each, Expr) or not isinstance(each.constant, str) or each.type != "text":
                raise NotConverted("a computed property of an object whose values are computed", at)
            pairs += [ex.literal(name, at), each]
        if not pairs or len(pairs) > TABLE_MAX_COUNT:
            raise NotConverted("a computed property of an object that is empty or large: write a table", at)
        return ex.call("case", key, *pairs)

    def _further(self, base: Pointer, key: Value, at: int) -> Pointer:
        document = self.scope.documents[base.root]
        if isinstance(key, Index):
            return numbered(base, -1)
        if isinstance(key, Current):
            found = numbered(base, CURRENT)
            if found.spot is None or found.spot.place() != key.place:
                raise NotConverted("the number of one segment or repetition, used for another", at)
            return found if key.found is None else replace(found, spot=key.found)
        if isinstance(key, Expr) and key.type == "number":
            return numbered(base, self._number(key, at))
        if isinstance(key, Expr) and isinstance(key.constant, str) and key.type == "text":
            return step(base, key.constant, document.kind)
        raise NotConverted("a path with a computed part", at)

    def _number(self, key: Value, at: int) -> int:
        if isinstance(key, Expr) and isinstance(key.constant, str) and key.constant.isdecimal():
            return int(key.constant[:6])
        raise NotConverted("a computed index", at)

    def from_map(self, kind: str, name: str, at: int) -> Value:
        """What stands in a map of the old engine."""
        scope = self.scope
        if name in scope.maps:
            return scope.maps[name]
        if name in scope.lost:
            raise NotConverted(f"{name[:60]!r} is not known here: {scope.lost[name]}", at)
        if kind == "configuration":
            raise NotConverted(f"{name[:60]!r} of the configuration map: write its value, or a table", at)
        if kind in ("global", "global channel"):
            raise NotConverted(f"{name[:60]!r} is kept between messages, in the {kind} map", at)
        if kind == "source":
            raise NotConverted(f"{name[:60]!r} is told by the source connector", at)
        raise NotConverted(f"nothing puts {name[:60]!r} into a map before this", at)

    def _call(self, tree: Call) -> Value:
        scope = self.scope
        function = tree.function
        if isinstance(function, Name):
            name = function.name
            target = scope.variables.get(name, scope.functions.get(name))
            if isinstance(target, Code):
                return self._inlined(target, tree)
            if name in scope.unread_functions:
                raise NotConverted(
                    f"the function {name} is not converted: {scope.unread_functions[name]}", tree.at
                )
            found = self._methods(self, name, ex.NOTHING, tree)
            if found is None:
                raise NotConverted(f"the function {name[:40]} is not known", tree.at)
            return found
        if isinstance(function, Member) and isinstance(function.key, Text):
            found = self._methods(self, "." + function.key.value, ex.NOTHING, tree)
            if found is not None:
                return found
            raise NotConverted(f"the method {function.key.value[:40]} is not known", tree.at)
        raise NotConverted("a call that is not known", tree.at)

    def _set_outside(self, function: Function) -> frozenset[str]:
        """The variables that a function sets and does not declare: looked for once, and not at each call."""
        known = self.scope.outside.get(id(function))
        if known is None:
            names = assigned(function.body) - named(function.body) - {*function.parameters}
            known = self.scope.outside[id(function)] = (function, frozenset(names))
        return known[1]

    def _inlined(self, code: Code, tree: Call) -> Value:
        if self.scope.level >= CALLS_MAX_LEVELS:
            raise NotConverted(f"functions call each other more than {CALLS_MAX_LEVELS} deep", tree.at)
        arguments: list[Value] = [self.of(each) for each in tree.arguments]
        parameters = code.function.parameters
        arguments += [ex.NOTHING] * (len(parameters) - len(arguments))
        self.scope.worked()
        if self._set_outside(code.function) & self.scope.variables.keys():
            raise NotConverted("a function that sets a variable of the script", tree.at)
        inner = self.scope.fork()
        inner.level += 1
        inner.variables = {
            **{name: value for name, value in self.scope.variables.items() if isinstance(value, Code)},
            **dict(zip(parameters, arguments, strict=False)),
        }
        result = self._run(inner, code.function.body)
        for name, given in zip(parameters, arguments, strict=False):
            if isinstance(given, Record | Items) and inner.variables.get(name) != given:
                raise NotConverted("a function that changes the object that it is given", tree.at)
        outer, shared = self.scope.variables, self.scope.shared
        self.scope.take(inner)
        self.scope.variables, self.scope.shared = outer, shared
        if isinstance(result, Record | Items) and any(result is given for given in arguments):
            raise NotConverted("a function that gives back the object that it is given", tree.at)
        return ex.NOTHING if result is None else result


def _piece(pieces: Pieces, key: Value, at: int) -> Expr:
    number = key.constant if isinstance(key, Expr) else None
    if not isinstance(number, str) or not number.isdecimal() or int(number) > PIECES_MAX_COUNT:
        raise NotConverted("a piece of a text that was split, by a computed number", at)
    separated = ex.call("split", pieces.text, ex.literal(pieces.separator, at), gives="list")
    if number == "0":
        return ex.call("first", separated)
    return ex.call("nth", separated, ex.number(str(int(number) + 1)))
